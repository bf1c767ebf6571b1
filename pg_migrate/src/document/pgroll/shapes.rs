//! Other shapes of the same thing: keys of an index, and constraints that need SQL's own words.

use super::{Object, nothing};
use crate::document::names;
use serde_json::{Map, Value, json};

/// Keys of an index: names alone, names with settings, or objects; and the operator class in parts.
pub(super) fn index_keys(body: &mut Value) {
    let Some(columns) = body.get_mut("columns") else {
        return;
    };
    if let Value::Object(map) = columns {
        let keys = std::mem::take(map).into_iter().map(|(column, settings)| {
            let mut key = Map::from_iter([("column".to_owned(), Value::String(column))]);
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

/// A constraint whose fields the model has no words for, as a definition.
pub(super) fn definition(constraint: &mut Object) {
    let kind = constraint
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let made = match kind {
        "exclude" => exclusion(constraint),
        "unique" | "primary_key" => with_index_parameters(constraint, kind == "unique"),
        _ => None,
    };
    let Some(mut made) = made else { return };
    let flag = |field: &str| constraint.get(field) == Some(&Value::Bool(true));
    if flag("deferrable") {
        made.push_str(" DEFERRABLE");
        if flag("initially_deferred") {
            made.push_str(" INITIALLY DEFERRED");
        }
    }
    constraint.remove("exclude");
    constraint.remove("index_parameters");
    constraint.insert("definition".to_owned(), Value::String(made));
}

/// The text of a field that says something.
fn text<'a>(of: &'a Object, field: &str) -> Option<&'a str> {
    of.get(field)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn exclusion(constraint: &Object) -> Option<String> {
    let exclude = constraint.get("exclude")?.as_object()?;
    let known = exclude.iter().all(|(field, value)| {
        matches!(field.as_str(), "index_method" | "elements" | "predicate") && value.is_string()
    });
    let elements = text(exclude, "elements").filter(|_| known)?;
    let method = text(exclude, "index_method").map(|method| format!(" USING {method}"));
    let predicate = text(exclude, "predicate").map(|text| format!(" WHERE ({text})"));
    Some(format!(
        "EXCLUDE{} ({elements}){}",
        method.unwrap_or_default(),
        predicate.unwrap_or_default()
    ))
}

fn with_index_parameters(constraint: &Object, unique: bool) -> Option<String> {
    let parameters = constraint
        .get("index_parameters")
        .filter(|value| !nothing(value))?
        .as_object()?;
    let known = ["tablespace", "storage_parameters", "include_columns"];
    if parameters
        .keys()
        .any(|field| !known.contains(&field.as_str()))
    {
        return None;
    }
    let list = |value: Option<&Value>| -> Option<String> {
        let names: Option<Vec<_>> = value?
            .as_array()?
            .iter()
            .map(|name| name.as_str().map(names::quoted))
            .collect();
        names
            .filter(|names| !names.is_empty())
            .map(|names| names.join(", "))
    };
    let nulls = constraint.get("nulls_not_distinct") == Some(&Value::Bool(true));
    let kind = match (unique, nulls) {
        (false, _) => "PRIMARY KEY",
        (true, false) => "UNIQUE",
        (true, true) => "UNIQUE NULLS NOT DISTINCT",
    };
    let mut made = format!("{kind} ({})", list(constraint.get("columns"))?);
    if let Some(columns) = list(parameters.get("include_columns")) {
        made.push_str(&format!(" INCLUDE ({columns})"));
    }
    if let Some(storage) = text(parameters, "storage_parameters") {
        made.push_str(&format!(" WITH ({storage})"));
    }
    if let Some(space) = text(parameters, "tablespace") {
        made.push_str(&format!(" USING INDEX TABLESPACE {}", names::quoted(space)));
    }
    Some(made)
}

/// Constraints of a new table that need a definition become operations behind it.
pub(super) fn constraints_apart(body: &mut Value, more: &mut Vec<Value>) {
    let Some(table) = body.get("name").cloned() else {
        return;
    };
    let Some(Value::Array(constraints)) = body.get_mut("constraints") else {
        return;
    };
    constraints.retain_mut(|constraint| {
        let Value::Object(constraint) = constraint else {
            return true;
        };
        if constraint.contains_key("definition") {
            return true;
        }
        definition(constraint);
        if !constraint.contains_key("definition") {
            return true;
        }
        let mut moved = std::mem::take(constraint);
        moved.insert("table".to_owned(), table.clone());
        more.push(json!({ "create_constraint": moved }));
        false
    });
}
