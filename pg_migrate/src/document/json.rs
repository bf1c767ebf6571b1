//! The JSON spelling: a strict reader, the envelope, and serde helpers for the model.

use super::model::Operation;
use super::text::canonical;
use super::{Body, Envelope, fields, names, pgroll, validate};
use crate::fault::{Fault, Result, state};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The fields around the operations, as written.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, alias = "name")]
    revision: Option<String>,
    #[serde(default, deserialize_with = "said")]
    down_revision: Option<Vec<String>>,
    #[serde(default, deserialize_with = "one_or_many")]
    depends_on: Vec<String>,
    #[serde(default, deserialize_with = "one_or_many")]
    branch_labels: Vec<String>,
    #[serde(default)]
    message: Option<String>,
    /// pgroll: the schema with views of this version of the tables.
    #[serde(default)]
    version_schema: Option<String>,
    operations: Vec<Operation>,
    #[serde(default)]
    down_operations: Option<Vec<Operation>>,
}

/// Reads a normalised text. Gives the envelope, the body, and the text the checksum is taken of.
pub(super) fn parse(text: &str) -> Result<(Envelope, Body, String)> {
    let mut value = strict(text)?;
    let canonical = canonical(&value);
    pgroll::adapt(&mut value);
    let fields: Fields = fields::read(&value, "")?;
    validate::operations("operations", &fields.operations)?;
    if let Some(down) = &fields.down_operations {
        validate::operations("down_operations", down)?;
    }
    if let Some(schema) = &fields.version_schema {
        names::bare(schema).map_err(|fault| fault.detail("At version_schema."))?;
    }
    let envelope = Envelope {
        revision: fields.revision,
        down_revision: fields.down_revision,
        depends_on: fields.depends_on,
        branch_labels: fields.branch_labels,
        message: fields.message,
        version_schema: fields.version_schema,
    };
    let body = Body::Operations {
        up: fields.operations,
        down: fields.down_operations,
    };
    Ok((envelope, body, canonical))
}

/// The shape of a document, for hints.
pub const SHAPE: &str =
    r#"{"revision": "0007", "down_revision": "0006", "operations": [{"add_column": {…}}]}"#;

/// Parses JSON, refusing what others pass over: a key that comes twice, and the null character,
/// which PostgreSQL cannot store.
fn strict(text: &str) -> Result<Value> {
    let malformed = |message: String, line: usize, column: usize| {
        let shown: String = text
            .lines()
            .nth(line.saturating_sub(1))
            .unwrap_or_default()
            .chars()
            .take(120)
            .collect();
        Fault::new(state::SYNTAX, message).detail(format!("Line {line}, column {column}: {shown}"))
    };
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Strict::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    let value = read.map_err(|err| {
        let said = err.to_string();
        let place = format!(" at line {} column {}", err.line(), err.column());
        let said = said.strip_suffix(&place).unwrap_or(&said);
        let (line, column) = (err.line(), err.column());
        match err.classify() {
            serde_json::error::Category::Data => malformed(said.to_owned(), line, column),
            _ => malformed(
                format!("the document is not valid JSON: {said}"),
                line,
                column,
            ),
        }
    })?;
    match value.0 {
        Value::Object(_) => Ok(value.0),
        _ => Err(Fault::new(state::SYNTAX, "a JSON document is one object").hint(SHAPE)),
    }
}

struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

fn storable<E: de::Error>(text: String) -> std::result::Result<String, E> {
    if text.contains('\0') {
        return Err(E::custom("the null character \\u0000 cannot be stored"));
    }
    Ok(text)
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Value, E> {
        storable(text.to_owned()).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = list.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let key = storable(key)?;
            if values.contains_key(&key) {
                return Err(de::Error::custom(format!("key \"{key}\" is given twice")));
            }
            let Strict(value) = map.next_value()?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

struct OneOrMany;

impl<'de> Visitor<'de> for OneOrMany {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("null, a string or a list of strings")
    }

    fn visit_unit<E>(self) -> std::result::Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_str<E>(self, one: &str) -> std::result::Result<Vec<String>, E> {
        Ok(vec![one.to_owned()])
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut list: A,
    ) -> std::result::Result<Vec<String>, A::Error> {
        let mut many = Vec::new();
        while let Some(one) = list.next_element()? {
            many.push(one);
        }
        Ok(many)
    }
}

/// `null`, `"a"` or `["a", "b"]`.
pub fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(OneOrMany)
}

/// Like `one_or_many`, and tells `null` (`Some` of nothing) from absent (`None`, by `default`).
fn said<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Vec<String>>, D::Error> {
    one_or_many(deserializer).map(Some)
}

/// Tells `null` (`Some(None)`) from absent (`None`, by `default`).
pub fn present<'de, D, T>(deserializer: D) -> std::result::Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests;
