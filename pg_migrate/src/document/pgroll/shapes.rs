//! The shapes that keys of an index and new names of columns come in.

use super::Object;
use serde_json::{Value, json};

/// `alter_column` with a `name` and nothing else is the older spelling of `rename_column`.
pub(super) fn renaming(operation: &mut Object) {
    let Some(Value::Object(body)) = operation.get("alter_column") else {
        return;
    };
    let only = |field: &str| matches!(field, "table" | "column" | "name");
    let (Some(table), Some(from), Some(to)) =
        (body.get("table"), body.get("column"), body.get("name"))
    else {
        return;
    };
    // With anything else it is left for the reader to refuse.
    if !body.keys().all(|field| only(field)) {
        return;
    }
    let renamed = json!({ "table": table, "from": from, "to": to });
    operation.remove("alter_column");
    operation.insert("rename_column".to_owned(), renamed);
}

/// Keys of an index: names alone, names with settings, or objects; and the operator class in parts.
pub(super) fn index_keys(body: &mut Value) {
    let Some(columns) = body.get_mut("columns") else {
        return;
    };
    if let Value::Object(map) = columns {
        let keys = std::mem::take(map).into_iter().map(|(column, settings)| {
            let mut key = Object::from_iter([("column".to_owned(), Value::String(column))]);
            if let Value::Object(settings) = settings {
                key.extend(settings);
            }
            Value::Object(key)
        });
        *columns = keys.collect();
    }
    for key in columns.as_array_mut().into_iter().flatten() {
        if key.is_string() {
            *key = json!({ "column": key.take() });
        }
        let Some(Value::Object(class)) = key.get("opclass") else {
            continue;
        };
        let name = class
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let known = class
            .keys()
            .all(|field| matches!(field.as_str(), "name" | "params"));
        let params: Option<Vec<&str>> = match class.get("params") {
            None | Some(Value::Null) => Some(Vec::new()),
            Some(Value::Array(list)) => list.iter().map(Value::as_str).collect(),
            Some(_) => None,
        };
        // Anything else is left for the reader to refuse.
        let (Some(params), true) = (params, known) else {
            continue;
        };
        let text = match params.as_slice() {
            [] => name,
            _ => format!("{name} ({})", params.join(", ")),
        };
        if let Value::Object(key) = key {
            if text.is_empty() {
                key.remove("opclass");
            } else {
                key.insert("opclass".to_owned(), Value::String(text));
            }
        }
    }
}
