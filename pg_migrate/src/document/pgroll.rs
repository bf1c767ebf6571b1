//! Other shapes of the same thing, turned into the model's before it is read: empty strings that
//! stand for absent fields, keys of an index by name, a new name as an alteration,
//! bare SELECTs as expressions.

mod select;
mod shapes;

use serde_json::{Map, Value};

/// Rewrites a whole document in place.
pub fn adapt(document: &mut Value) {
    for list in ["operations", "down_operations"] {
        let Some(Value::Array(operations)) = document.get_mut(list) else {
            continue;
        };
        for operation in operations {
            let Value::Object(operation) = operation else {
                continue;
            };
            shapes::renaming(operation);
            for (kind, body) in operation.iter_mut() {
                adapt_operation(kind, body);
            }
        }
    }
}

type Object = Map<String, Value>;

fn adapt_operation(kind: &str, body: &mut Value) {
    match kind {
        "sql" => {
            if let Value::Object(body) = body {
                body.retain(|field, value| field != "down" || value != "");
            }
            return;
        }
        // An empty column name in there is a mistake of its own.
        "backfill" => {}
        _ => empty(body),
    }
    if kind == "create_index" {
        shapes::index_keys(body);
    }
    let Value::Object(body) = body else { return };
    for field in ["up", "down", "set"] {
        match body.get_mut(field) {
            Some(Value::Object(values)) => values.values_mut().for_each(select::unwrap),
            Some(value) => select::unwrap(value),
            None => {}
        }
    }
}

/// Fields in which the empty string says nothing.
const EMPTY: [&str; 16] = [
    "up",
    "down",
    "check",
    "predicate",
    "storage_parameters",
    "tablespace",
    "index_method",
    "elements",
    "match_type",
    "on_delete",
    "on_update",
    "collate",
    "sort",
    "nulls",
    "expression",
    "sequence_options",
];

/// Fields in which an object without contents says nothing.
const HOLLOW: [&str; 5] = ["references", "exclude", "index_parameters", "up", "down"];

/// Removes fields that say nothing, at any depth.
fn empty(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(empty),
        Value::Object(map) => {
            map.retain(|field, value| {
                let field = field.as_str();
                let unsaid =
                    (EMPTY.contains(&field) || field == "user_specified_values") && value == "";
                let hollow = HOLLOW.contains(&field) && value.is_object() && nothing(value);
                !(unsaid || hollow)
            });
            for (field, value) in map.iter_mut() {
                // Of a value for each column: an empty one is a mistake.
                if !(matches!(field.as_str(), "up" | "down") && value.is_object()) {
                    empty(value);
                }
            }
        }
        _ => {}
    }
}

/// Whether nothing is said: null, or empty all through.
fn nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(nothing),
        Value::Object(map) => map.values().all(nothing),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
