//! Operations on indexes and constraints.

use super::{Exclude, IndexParameters, TableReferences};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Column → SQL expression over the row.
pub type Values = BTreeMap<String, String>;

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
    /// Ours: on a partitioned table, the names of the parts of the index by partition (qualified and
    /// quoted); the others are named as PostgreSQL does. Written by the extension.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: BTreeMap<String, String>,
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

impl From<&str> for IndexColumn {
    fn from(column: &str) -> Self {
        IndexColumn {
            column: column.to_owned(),
            collate: None,
            sort: None,
            nulls: None,
            opclass: None,
        }
    }
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
    pub no_inherit: bool,
    #[serde(default)]
    pub references: Option<TableReferences>,
    /// Ours: on tables without rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Exclude>,
    #[serde(default)]
    pub index_parameters: Option<IndexParameters>,
    #[serde(default)]
    pub nulls_not_distinct: bool,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
    /// Ours: the whole definition as SQL, in place of the fields above but `columns`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// What the constraint is for: the value of each column, from the row as the old application
    /// writes it.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub up: Values,
    /// The value of each column for the old application.
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub down: Values,
    /// Ours: as in `create_index`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub partitions: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropConstraint {
    pub table: String,
    pub name: String,
    /// Value of the constraint's one column from the row as the old application writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<String>,
    /// Value of that column for the old application, for which the constraint holds until contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
    #[serde(default)]
    pub if_exists: bool,
    /// Ours: at expand, for old and new application at once.
    #[serde(default)]
    pub immediately: bool,
}

/// `drop_constraint` with a value for each of several columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropMulticolumnConstraint {
    pub table: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub up: Values,
    #[serde(default, skip_serializing_if = "Values::is_empty")]
    pub down: Values,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameConstraint {
    pub table: String,
    pub from: String,
    pub to: String,
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
    /// Builds an index on the referencing columns first, where none begins with them.
    #[serde(default)]
    pub index: bool,
}
