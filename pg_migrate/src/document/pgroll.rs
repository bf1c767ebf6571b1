//! Turns what pgroll's format says otherwise into our model's words, before it is read: defaults
//! that are spelt out, other shapes of the same thing, operations that are plain SQL here. What we
//! cannot do is an error, never passed over.

mod shapes;

use super::{fields, names};
use crate::fault::{Fault, Result, state};
use serde_json::{Map, Value, json};

/// Rewrites a whole document in place.
pub fn adapt(document: &mut Value) -> Result<()> {
    if document.get("version_schema").is_some() {
        return Err(unsupported(
            "version_schema",
            "a schema with views for each version is not made",
        )
        .hint("Leave it out: old and new columns are side by side in the table until contract."));
    }
    for list in ["operations", "down_operations"] {
        let Some(Value::Array(operations)) = document.get_mut(list) else {
            continue;
        };
        let mut more = Vec::new();
        for (number, operation) in operations.iter_mut().enumerate() {
            if let Value::Object(map) = operation {
                adapt_operation(map, &format!("{list}[{number}]"), &mut more)?;
            }
        }
        for operation in &mut more {
            defaults(operation, list)?;
        }
        // At the end, so that the others keep their numbers.
        operations.extend(more);
    }
    Ok(())
}

fn unsupported(path: &str, message: impl Into<String>) -> Fault {
    Fault::new(state::FEATURE_NOT_SUPPORTED, message).detail(format!("At {path}."))
}

type Object = Map<String, Value>;

fn adapt_operation(operation: &mut Object, place: &str, more: &mut Vec<Value>) -> Result<()> {
    let Some(kind) = operation
        .keys()
        .next()
        .cloned()
        .filter(|_| operation.len() == 1)
    else {
        return Ok(());
    };
    let place = format!("{place}.{kind}");
    let Some(body) = operation.get_mut(&kind) else {
        return Ok(());
    };
    match kind.as_str() {
        "rename_constraint" => {
            let sql = rename_constraint(body, &place)?;
            *operation = sql;
        }
        "set_replica_identity" => {
            let sql = replica_identity(body, &place)?;
            *operation = sql;
        }
        "drop_multicolumn_constraint" => {
            let mut body = body.take();
            unchanged_values(&mut body, &place, "dropped")?;
            *operation = Map::from_iter([("drop_constraint".to_owned(), body)]);
        }
        "drop_constraint" => dropped_constraint(body, &place)?,
        "create_constraint" => {
            unchanged_values(body, &place, "created")?;
            defaults(body, &place)?;
            if let Value::Object(constraint) = body
                && constraint.contains_key("exclude")
            {
                shapes::definition(constraint);
            }
        }
        "create_index" => {
            defaults(body, &place)?;
            shapes::index_keys(body);
        }
        "create_table" => {
            // Before the defaults: what can be said there is not refused for a new table.
            shapes::constraints_apart(body, more);
            defaults(body, &place)?;
        }
        "sql" => {
            if let Value::Object(body) = body {
                body.retain(|field, value| field != "down" || value != "");
            }
        }
        // An empty column name in there is a mistake of its own.
        "backfill" => {}
        _ => defaults(body, &place)?,
    }
    Ok(())
}

/// Fields in which pgroll takes the empty string for absent.
const EMPTY: [&str; 10] = [
    "up",
    "down",
    "check",
    "predicate",
    "storage_parameters",
    "collate",
    "sort",
    "nulls",
    "expression",
    "sequence_options",
];

/// Removes fields that say what holds anyway, at any depth; refuses those that ask for what is not
/// in the model.
fn defaults(value: &mut Value, place: &str) -> Result<()> {
    match value {
        Value::Array(list) => {
            for (number, item) in list.iter_mut().enumerate() {
                defaults(item, &format!("{place}[{number}]"))?;
            }
        }
        Value::Object(map) => {
            map.retain(|field, value| !(EMPTY.contains(&field.as_str()) && value == ""));
            // Only the constraints of a table can be deferred in the model.
            let of_column = place.ends_with(".references") && map.contains_key("column");
            let mut dropped = Vec::new();
            for (field, value) in map.iter() {
                let (usual, say) = match field.as_str() {
                    "match_type" => (is_word(value, "simple"), "MATCH FULL"),
                    "no_inherit" => (value == &Value::Bool(false), "NO INHERIT"),
                    "deferrable" | "initially_deferred" if of_column => {
                        (value == &Value::Bool(false), "DEFERRABLE")
                    }
                    "on_delete_set_columns" => (nothing(value), "ON DELETE SET NULL (column)"),
                    "index_parameters" => (nothing(value), ""),
                    _ => continue,
                };
                if !usual {
                    return Err(unsupported(
                        &format!("{place}.{field}"),
                        format!("the field \"{field}\" is not supported"),
                    )
                    .hint(if say.is_empty() {
                        "Make a unique index instead, with a definition: {\"create_index\": {\"unique\": true, \"definition\": \"(a) INCLUDE (b)\", …}}.".to_owned()
                    } else {
                        format!("Give the constraint as SQL, with {say}: {{\"create_constraint\": {{…, \"definition\": \"…\"}}}}; or leave the field out.")
                    }));
                }
                dropped.push(field.clone());
            }
            map.retain(|field, _| !dropped.contains(field));
            for (field, value) in map.iter_mut() {
                defaults(value, &format!("{place}.{field}"))?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_word(value: &Value, word: &str) -> bool {
    value
        .as_str()
        .is_some_and(|text| text.eq_ignore_ascii_case(word))
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

/// pgroll copies the columns of a constraint and can change their values on the way; here they stay,
/// so `up` and `down` may only say that each column is itself.
fn unchanged_values(body: &mut Value, place: &str, verb: &str) -> Result<()> {
    let Value::Object(body) = body else {
        return Ok(());
    };
    for field in ["up", "down"] {
        let Some(Value::Object(values)) = body.get(field) else {
            continue;
        };
        let changed = values.iter().find(|(column, value)| {
            value.as_str().is_none_or(|text| {
                let text = text.trim();
                text != column.as_str() && text != names::quoted(column)
            })
        });
        if let Some((column, _)) = changed {
            let fault = unsupported(
                &format!("{place}.{field}.{column}"),
                format!("values are not changed while a constraint is {verb}"),
            );
            return Err(fault.hint(format!(
                "Leave {field} out, and change the rows with an operation of its own: {{\"backfill\": {{\"table\": …, \"set\": {{\"{column}\": …}}}}}}."
            )));
        }
        body.remove(field);
    }
    Ok(())
}

fn dropped_constraint(body: &mut Value, place: &str) -> Result<()> {
    let Value::Object(body) = body else {
        return Ok(());
    };
    for field in ["up", "down"] {
        let Some(Value::String(text)) = body.get(field) else {
            continue;
        };
        // A column alone is itself; the document does not say which one it is.
        if !text.is_empty() && (names::sql(text).is_err() || text.contains('.')) {
            return Err(unsupported(&format!("{place}.{field}"), "values are not changed while a constraint is dropped")
                .hint(format!("Leave {field} out: the constraint goes for old and new application at once. A backfill changes rows.")));
        }
        body.remove(field);
    }
    Ok(())
}

fn sql(up: String, down: Option<String>) -> Object {
    Map::from_iter([("sql".to_owned(), json!({ "up": up, "down": down }))])
}

fn rename_constraint(body: &Value, place: &str) -> Result<Object> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Rename {
        table: String,
        from: String,
        to: String,
    }
    let Rename { table, from, to } = fields::read(body, place)?;
    let at = |field: &str, fault: Fault| fault.detail(format!("At {place}.{field}."));
    names::sql(&table).map_err(|fault| at("table", fault))?;
    names::bare(&from).map_err(|fault| at("from", fault))?;
    names::bare(&to).map_err(|fault| at("to", fault))?;
    let rename = |from: &str, to: &str| {
        format!(
            "ALTER TABLE {table} RENAME CONSTRAINT {} TO {}",
            names::quoted(from),
            names::quoted(to)
        )
    };
    Ok(sql(rename(&from, &to), Some(rename(&to, &from))))
}

fn replica_identity(body: &Value, place: &str) -> Result<Object> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Identity {
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        index: Option<String>,
    }
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Replica {
        table: String,
        identity: Identity,
    }
    let Replica { table, identity } = fields::read(body, place)?;
    names::sql(&table).map_err(|fault| fault.detail(format!("At {place}.table.")))?;
    let kind = identity.kind.to_uppercase();
    let word = match (
        kind.as_str(),
        identity.index.filter(|index| !index.is_empty()),
    ) {
        ("NOTHING" | "DEFAULT" | "FULL", None) => kind,
        ("INDEX", Some(index)) => format!("USING INDEX {}", names::quoted(&index)),
        ("INDEX", None) => {
            return Err(Fault::invalid("the index is missing")
                .detail(format!("At {place}.identity.index.")));
        }
        ("NOTHING" | "DEFAULT" | "FULL", Some(_)) => {
            return Err(
                Fault::invalid(format!("replica identity {kind} takes no index"))
                    .detail(format!("At {place}.identity.index.")),
            );
        }
        _ => {
            return Err(Fault::invalid(format!(
                "there is no replica identity \"{}\"",
                identity.kind
            ))
            .detail(format!("At {place}.identity.type."))
            .hint("Possible here: nothing, default, index, full."));
        }
    };
    Ok(sql(
        format!("ALTER TABLE {table} REPLICA IDENTITY {word}"),
        None,
    ))
}

#[cfg(test)]
mod tests;
