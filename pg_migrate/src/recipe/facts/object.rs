//! What recipes need to know of objects other than tables.

use crate::fault::Result;
use serde::{Deserialize, Serialize};

/// A named object that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub schema: String,
    /// Without its schema; with the types of its arguments for a function.
    pub name: String,
    /// As SQL text, qualified.
    pub sql: String,
    /// What stands before the name in SQL: `VIEW`, `MATERIALIZED VIEW`, `TABLE`, `TYPE`, …
    pub noun: String,
}

/// A statement that makes a part of an object as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    pub sql: String,
    /// The column it is about.
    pub part: Option<String>,
}

/// A view or a materialized view that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// Qualified and quoted.
    pub name: String,
    pub materialized: bool,
    pub populated: bool,
    /// The query, without a semicolon.
    pub definition: String,
    /// What stands in `WITH (…)`.
    pub options: Option<String>,
    /// Names and types.
    pub columns: Vec<(String, String)>,
    /// A unique index that REFRESH … CONCURRENTLY can go by.
    pub unique: bool,
    /// Defaults, triggers, rules, indexes, comments, owner, privileges: all but the query.
    pub pieces: Vec<Piece>,
}

/// A query as PostgreSQL reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    pub columns: Vec<(String, String)>,
    /// The columns it reads: tables qualified and quoted, and names.
    pub reads: Vec<(String, String)>,
}

/// What a CREATE FUNCTION would make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// As DROP takes it, with its kind: `FUNCTION public.f(integer)`.
    pub sql: String,
    /// The statement that makes it as it is now; `None`: it is not there yet.
    pub before: Option<String>,
}

/// An index as REINDEX sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// Qualified and quoted, as is the table.
    pub name: String,
    pub table: String,
    pub exclusion: bool,
    pub partitioned: bool,
    /// Left by a REINDEX CONCURRENTLY that was interrupted.
    pub leftover: bool,
}

/// Questions about objects other than tables. Names are SQL text.
pub trait ObjectFacts {
    /// The comment (`None`: none) that a COMMENT statement puts another in place of; `None` where
    /// it changes nothing. An error where it fails now.
    fn comment_before(&self, statement: &str) -> Result<Option<Option<String>>>;
    /// `kind`: `table` (any relation but an index), `type`, `function`.
    fn object(&self, kind: &str, name: &str) -> Result<Option<Object>>;
    fn schema_exists(&self, schema: &str) -> Result<bool>;
    /// The type's qualified name, and its values in their order; `None`: no such enum.
    fn enum_values(&self, data_type: &str) -> Result<Option<(String, Vec<String>)>>;
    fn view(&self, name: &str) -> Result<Option<View>>;
    /// An error where PostgreSQL cannot read the query now.
    fn query(&self, definition: &str, columns: &[String]) -> Result<Query>;
    /// What a CREATE FUNCTION or PROCEDURE statement makes or replaces. An error where it fails now.
    fn function(&self, statement: &str, name: &str) -> Result<Function>;
    /// Statements that make the trigger as it is now; empty: there is none.
    fn trigger(&self, table: &str, name: &str) -> Result<Vec<String>>;
    /// Statements that give every privilege back that a GRANT or REVOKE on these objects changes.
    fn privileges_back(&self, statement: &str, kind: &str, on: &[String]) -> Result<Vec<String>>;
    /// The indexes of a table, or the one of that name.
    fn indexes(&self, name: &str, of_table: bool) -> Result<Vec<Indexed>>;
    /// Of a domain with constraints, its own or those of domains under it: the base type and the
    /// constraints in words.
    fn checked_domain(&self, data_type: &str) -> Result<Option<(String, String)>>;
    /// Whether the migration was applied and taken back before.
    fn taken_back(&self, revision: &str) -> Result<bool>;
}
