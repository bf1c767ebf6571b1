//! Operations on objects other than tables: types, views, functions, triggers, privileges. All ours.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddEnumValue {
    #[serde(rename = "type")]
    pub data_type: String,
    pub value: String,
    /// At most one of these; neither: the last.
    #[serde(default)]
    pub before: Option<String>,
    #[serde(default)]
    pub after: Option<String>,
    #[serde(default)]
    pub if_not_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameEnumValue {
    #[serde(rename = "type")]
    pub data_type: String,
    pub from: String,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetSchema {
    /// `table` (also of views and sequences), `type` (also of domains), `function` (also of
    /// procedures and aggregates).
    #[serde(default = "table")]
    pub kind: String,
    /// As SQL text; a function with the types of its arguments: `f(integer)`.
    pub name: String,
    pub schema: String,
}

fn table() -> String {
    "table".to_owned()
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateView {
    pub name: String,
    /// Names of its columns; empty: those of the query.
    #[serde(default)]
    pub columns: Vec<String>,
    /// What stands in `WITH (…)`. Absent in `replace_view`: as they are.
    #[serde(default)]
    pub options: Option<String>,
    /// The query.
    pub definition: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Statements that put back what belongs to single columns. Written by the extension.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropView {
    /// Of a view or a materialized view.
    pub name: String,
    #[serde(default)]
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateMaterializedView {
    pub name: String,
    #[serde(default)]
    pub columns: Vec<String>,
    /// Storage parameters: what stands in `WITH (…)`.
    #[serde(default)]
    pub options: Option<String>,
    pub definition: String,
    #[serde(default = "yes")]
    pub with_data: bool,
    #[serde(default)]
    pub if_not_exists: bool,
    /// Statements that run once it is filled: indexes, comments, privileges. Written by the
    /// extension.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefreshMaterializedView {
    pub name: String,
    /// `false`: readers wait while it is filled.
    #[serde(default = "yes")]
    pub concurrently: bool,
}

/// Exactly one of `enum`, `composite`, `domain` and `range`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateType {
    pub name: String,
    #[serde(default, rename = "enum", skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composite: Option<Vec<Attribute>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<Domain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Range>,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attribute {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    #[serde(rename = "type")]
    pub data_type: String,
    #[serde(default = "yes")]
    pub nullable: bool,
    #[serde(default)]
    pub default: Option<String>,
    /// With `VALUE` for the value.
    #[serde(default)]
    pub checks: Vec<super::Check>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    pub subtype: String,
    /// The rest of the parameters: `subtype_diff = float8mi`.
    #[serde(default)]
    pub parameters: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateFunction {
    pub name: String,
    /// What stands in the parentheses.
    #[serde(default)]
    pub arguments: String,
    /// `function` or `procedure`.
    #[serde(default)]
    pub kind: Option<String>,
    /// What stands after RETURNS.
    #[serde(default)]
    pub returns: Option<String>,
    #[serde(default)]
    pub language: Option<String>,
    #[serde(default)]
    pub body: Option<String>,
    /// More clauses: `IMMUTABLE STRICT`.
    #[serde(default)]
    pub attributes: Option<String>,
    /// A function of the same name and arguments is replaced, and comes back on the way back.
    #[serde(default)]
    pub replace: bool,
    /// The whole statement in place of the fields above but `name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTrigger {
    pub name: String,
    pub table: String,
    /// What stands after the name but for `ON table`: `BEFORE INSERT`, and
    /// `FOR EACH ROW EXECUTE FUNCTION f()`.
    #[serde(default)]
    pub events: String,
    #[serde(default)]
    pub action: String,
    #[serde(default)]
    pub replace: bool,
    /// The whole statement in place of `events` and `action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropTrigger {
    pub name: String,
    pub table: String,
    #[serde(default)]
    pub if_exists: bool,
}

/// `grant` and `revoke`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privileges {
    /// `SELECT`, `USAGE`, …, or `ALL`.
    pub privileges: Vec<String>,
    /// Of tables: the privileges are on these columns only.
    #[serde(default)]
    pub columns: Vec<String>,
    /// `table` (also of views), `sequence`, `function`, `procedure`, `schema`, `type`, `domain`.
    #[serde(default = "table")]
    pub kind: String,
    /// As SQL text; functions with the types of their arguments.
    #[serde(deserialize_with = "crate::document::json::one_or_many")]
    pub on: Vec<String>,
    /// Roles as SQL text, or `PUBLIC`.
    #[serde(
        alias = "to",
        alias = "from",
        deserialize_with = "crate::document::json::one_or_many"
    )]
    pub roles: Vec<String>,
    /// `grant`: with grant option. `revoke`: the grant option only.
    #[serde(default)]
    pub grant_option: bool,
}

/// Exactly one of `index` and `table`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reindex {
    #[serde(default)]
    pub index: Option<String>,
    #[serde(default)]
    pub table: Option<String>,
}
