//! The statements of one release, prepared once as drivers do, so that plans made before a schema
//! change are used after it.

use postgres::types::private::BytesMut;
use postgres::types::{Format, IsNull, ToSql, Type};
use postgres::{Client, GenericClient, Statement};

use super::{Role, TrafficSpec};
use crate::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Insert,
    Upsert,
    Update,
    /// An update of other columns only.
    Touch,
    Delete,
    Read,
}

const KINDS: [Kind; 6] = [
    Kind::Insert,
    Kind::Upsert,
    Kind::Update,
    Kind::Touch,
    Kind::Delete,
    Kind::Read,
];

pub struct Statements {
    prepared: Vec<(Kind, String, Option<Statement>)>,
}

pub struct Answer {
    pub rows: u64,
    /// Of a read.
    pub text: Option<String>,
}

impl Statements {
    pub fn prepare(client: &mut Client, spec: &TrafficSpec, role: Role) -> Result<Self, Failure> {
        let mut prepared = Vec::new();
        for kind in KINDS {
            let sql = sql(spec, role, kind);
            let used = match kind {
                Kind::Touch => !spec.also.is_empty(),
                Kind::Upsert => spec.upserts,
                Kind::Delete => spec.deletes,
                _ => true,
            };
            let statement = if used {
                Some(
                    client
                        .prepare(&sql)
                        .map_err(|error| Failure::from(&error))?,
                )
            } else {
                None
            };
            prepared.push((kind, sql, statement));
        }
        Ok(Self { prepared })
    }

    pub fn sql(&self, kind: Kind) -> &str {
        self.prepared
            .iter()
            .find(|(of, ..)| *of == kind)
            .map_or("", |(_, sql, _)| sql.as_str())
    }

    pub fn execute(
        &self,
        client: &mut impl GenericClient,
        kind: Kind,
        key: i64,
        value: Text,
    ) -> Result<Answer, postgres::Error> {
        let Some(statement) = self.statement(kind) else {
            return Ok(Answer {
                rows: 1,
                text: None,
            });
        };
        let key = key.to_string();
        let key = Text(Some(&key));
        match kind {
            Kind::Insert | Kind::Upsert | Kind::Update => client
                .execute(statement, &[&key, &value])
                .map(|rows| Answer { rows, text: None }),
            Kind::Touch | Kind::Delete => client
                .execute(statement, &[&key])
                .map(|rows| Answer { rows, text: None }),
            Kind::Read => {
                let rows = client.query(statement, &[&key])?;
                let text = rows.first().and_then(|row| row.get(0));
                Ok(Answer {
                    rows: rows.len() as u64,
                    text,
                })
            }
        }
    }

    /// `None` when there is no such row.
    pub fn read(
        &self,
        client: &mut Client,
        key: i64,
    ) -> Result<Option<Option<String>>, postgres::Error> {
        self.execute(client, Kind::Read, key, Text(None))
            .map(|answer| (answer.rows > 0).then_some(answer.text))
    }

    fn statement(&self, kind: Kind) -> Option<&Statement> {
        self.prepared
            .iter()
            .find(|(of, ..)| *of == kind)
            .and_then(|(_, _, statement)| statement.as_ref())
    }
}

fn sql(spec: &TrafficSpec, role: Role, kind: Kind) -> String {
    let (table, key) = (spec.table(role), spec.key(role));
    let parameter = match (&spec.new_parameter, role) {
        (Some(text), Role::New) => text,
        _ => "$2",
    };
    let column = spec.column(role).unwrap_or_default();
    let with: Vec<(&str, &str)> = spec
        .with
        .iter()
        .filter(|(of, ..)| *of == role)
        .map(|(_, name, value)| (name.as_str(), value.as_str()))
        .collect();
    let others = spec.also.iter().map(|(n, v)| (n.as_str(), v.as_str()));
    let others: Vec<(&str, &str)> = with.iter().copied().chain(others).collect();
    let names: String = others.iter().map(|(name, _)| format!(", {name}")).collect();
    let values: String = others
        .iter()
        .map(|(_, value)| format!(", {value}"))
        .collect();
    match kind {
        Kind::Insert => {
            format!("INSERT INTO {table} ({key}, {column}{names}) VALUES ($1, {parameter}{values})")
        }
        Kind::Upsert => {
            let set: String = with
                .iter()
                .map(|(name, _)| format!(", {name} = excluded.{name}"))
                .collect();
            format!(
                "INSERT INTO {table} ({key}, {column}{names}) VALUES ($1, {parameter}{values}) \
                 ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column}{set}"
            )
        }
        Kind::Update => {
            let set: String = with
                .iter()
                .map(|(name, value)| format!(", {name} = {value}"))
                .collect();
            format!("UPDATE {table} SET {column} = {parameter}{set} WHERE {key} = $1")
        }
        Kind::Touch => {
            let set: Vec<_> = spec
                .also
                .iter()
                .map(|(name, value)| format!("{name} = {value}"))
                .collect();
            format!("UPDATE {table} SET {} WHERE {key} = $1", set.join(", "))
        }
        Kind::Delete => format!("DELETE FROM {table} WHERE {key} = $1"),
        Kind::Read => format!("SELECT {column}::text FROM {table} WHERE {key} = $1"),
    }
}

/// A parameter in text form: the server reads it as whatever type the column has.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub Option<&'a str>);

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    postgres::types::to_sql_checked!();
}
