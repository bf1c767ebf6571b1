//! Operations on indexes and constraints.

use super::TableReferences;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateIndex {
    pub name: String,
    pub table: String,
    #[serde(default)]
    pub columns: Vec<IndexColumn>,
    #[serde(default)]
    pub unique: bool,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub predicate: Option<String>,
    #[serde(default)]
    pub storage_parameters: Option<String>,
    /// Ours: everything after `ON table`, as SQL (`USING btree (lower(email)) WHERE …`). Excludes
    /// `columns`, `method`, `predicate`, `storage_parameters`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    #[serde(default)]
    pub if_not_exists: bool,
}

/// A key of an index: a column name, or an object with more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexColumn {
    pub column: String,
    #[serde(default)]
    pub collate: Option<String>,
    /// `ASC` or `DESC`.
    #[serde(default)]
    pub sort: Option<String>,
    /// `FIRST` or `LAST`.
    #[serde(default)]
    pub nulls: Option<String>,
    /// Operator class, with its parameters in parentheses if any.
    #[serde(default)]
    pub opclass: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropIndex {
    pub name: String,
    #[serde(default)]
    pub if_exists: bool,
}

/// `create_constraint`: unique, check, primary_key or foreign_key on existing columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateConstraint {
    pub name: String,
    pub table: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub columns: Vec<String>,
    #[serde(default)]
    pub check: Option<String>,
    #[serde(default)]
    pub references: Option<TableReferences>,
    #[serde(default)]
    pub nulls_not_distinct: bool,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
    /// Ours: the whole definition as SQL, in place of the fields above but `columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropConstraint {
    pub table: String,
    pub name: String,
    #[serde(default)]
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddForeignKey {
    pub name: String,
    pub table: String,
    #[serde(deserialize_with = "crate::document::json::one_or_many")]
    pub columns: Vec<String>,
    pub references: TableReferences,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
}
