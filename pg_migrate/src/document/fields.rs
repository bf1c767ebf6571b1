//! Reads a JSON value into the model with errors that keep their facts: which field, which were
//! possible, what was found. serde_json has the same only as prose.

use super::text::did_you_mean;
use crate::fault::{Fault, Result};
use serde::de::{self, Deserialize, DeserializeSeed, Expected, Unexpected, Visitor, value};
use serde_json::Value;
use std::fmt;

/// Reads `value`, found at `place` in the document, as a `T`.
pub fn read<'de, T: Deserialize<'de>>(value: &'de Value, place: &str) -> Result<T> {
    serde_path_to_error::deserialize(Reader(value)).map_err(|err| {
        let path = match err.path().to_string() {
            path if path == "." => place.to_owned(),
            path if place.is_empty() => path,
            path => format!("{place}.{path}"),
        };
        err.into_inner().fault(&path)
    })
}

/// What does not fit, before it is known where.
#[derive(Debug)]
pub enum Misfit {
    UnknownField(String, Vec<&'static str>),
    UnknownOperation(String, Vec<&'static str>),
    Missing(&'static str),
    Twice(&'static str),
    Type {
        found: String,
        expected: String,
    },
    /// An operation that is not an object with one key; these are the keys.
    NotOne(Vec<String>),
    Other(String),
}

impl Misfit {
    fn fault(self, path: &str) -> Fault {
        let at = if path.is_empty() {
            "In the document's outermost object.".to_owned()
        } else {
            format!("At {path}.")
        };
        let inside = path.is_empty() || path == ".";
        match self {
            Misfit::UnknownField(field, known) => {
                Fault::invalid(format!("unknown field \"{field}\""))
                    .detail(at)
                    .hint(did_you_mean(&field, &known))
            }
            Misfit::UnknownOperation(name, known) => {
                Fault::invalid(format!("unknown operation \"{name}\""))
                    .detail(at)
                    .hint(did_you_mean(&name, &known))
            }
            Misfit::Missing(field) => {
                Fault::invalid(format!("field \"{field}\" is missing")).detail(if inside {
                    at
                } else {
                    format!("In {path}.")
                })
            }
            Misfit::Twice(field) => {
                Fault::invalid(format!("field \"{field}\" is given twice")).detail(at)
            }
            Misfit::Type { found, expected } => {
                Fault::invalid(format!("{expected} is expected here, not {found}")).detail(at)
            }
            Misfit::NotOne(keys) => Fault::invalid("an operation has exactly one key, its kind")
                .detail(match keys.len() {
                    0 => format!("{at} It has none."),
                    _ => format!("{at} It has {}.", keys.join(", ")),
                })
                .hint("Write {\"operations\": [{\"add_column\": {…}}, {\"create_index\": {…}}]}: one object for each."),
            Misfit::Other(message) => Fault::invalid(message).detail(at),
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Misfit {}

fn described(unexpected: &Unexpected) -> String {
    match unexpected {
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(value) => format!("the number {value}"),
        Unexpected::Signed(value) => format!("the number {value}"),
        Unexpected::Float(value) => format!("the number {value}"),
        Unexpected::Str(text) => format!(
            "the string \"{}\"",
            text.chars().take(40).collect::<String>()
        ),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "an object".to_owned(),
        other => other.to_string(),
    }
}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Misfit::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        let expected = expected.to_string();
        Misfit::Type {
            found: described(&found),
            // serde's words are Rust's; a document is written in JSON's.
            expected: match expected.as_str() {
                name if name.starts_with("struct ") || name.contains("a map") => "an object".into(),
                "a sequence" => "a list".into(),
                "a boolean" => "true or false".into(),
                _ => expected,
            },
        }
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Misfit::UnknownField(field.to_owned(), expected.to_vec())
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Misfit::UnknownOperation(variant.to_owned(), expected.to_vec())
    }

    fn missing_field(field: &'static str) -> Self {
        Misfit::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Misfit::Twice(field)
    }
}

#[derive(Clone, Copy)]
struct Reader<'de>(&'de Value);

impl<'de> de::IntoDeserializer<'de, Misfit> for Reader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Reader<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> std::result::Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), _, _) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (_, _, value) => visitor.visit_f64(value.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(list) => {
                visitor.visit_seq(value::SeqDeserializer::new(list.iter().map(Reader)))
            }
            Value::Object(map) => visitor.visit_map(value::MapDeserializer::new(
                map.iter().map(|(key, value)| (key.as_str(), Reader(value))),
            )),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(
        self,
        visitor: V,
    ) -> std::result::Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    /// A struct is an object: the list of its values, which serde would take too, is refused.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Misfit> {
        match self.0 {
            Value::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Misfit> {
        let Value::Object(map) = self.0 else {
            return match self.deserialize_any(ObjectOnly) {
                Err(misfit) => Err(misfit),
                Ok(never) => match never {},
            };
        };
        let mut entries = map.iter();
        match (entries.next(), entries.next()) {
            (Some((kind, body)), None) => visitor.visit_enum(Kind(kind, Reader(body))),
            _ => Err(Misfit::NotOne(map.keys().cloned().collect())),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

enum Never {}

/// Takes nothing; its errors say what was found in the place of an object.
struct ObjectOnly;

impl Visitor<'_> for ObjectOnly {
    type Value = Never;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }
}

struct Kind<'de>(&'de str, Reader<'de>);

impl<'de> de::EnumAccess<'de> for Kind<'de> {
    type Error = Misfit;
    type Variant = Reader<'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> std::result::Result<(V::Value, Reader<'de>), Misfit> {
        let kind = value::BorrowedStrDeserializer::new(self.0);
        Ok((seed.deserialize(kind)?, self.1))
    }
}

impl<'de> de::VariantAccess<'de> for Reader<'de> {
    type Error = Misfit;

    fn unit_variant(self) -> std::result::Result<(), Misfit> {
        Err(Misfit::Other(
            "this kind of operation has no fields".to_owned(),
        ))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> std::result::Result<T::Value, Misfit> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> std::result::Result<V::Value, Misfit> {
        de::Deserializer::deserialize_any(self, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> std::result::Result<V::Value, Misfit> {
        de::Deserializer::deserialize_any(self, visitor)
    }
}
