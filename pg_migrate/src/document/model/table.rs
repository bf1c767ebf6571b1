//! Operations on tables, and the columns and constraints of a new one.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTable {
    pub name: String,
    pub columns: Vec<Column>,
    #[serde(default)]
    pub constraints: Vec<TableConstraint>,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub data_type: String,
    /// pgroll: columns are NOT NULL unless said otherwise.
    #[serde(default)]
    pub nullable: bool,
    #[serde(default)]
    pub pk: bool,
    #[serde(default)]
    pub unique: bool,
    /// An SQL expression; a string constant carries its own quotes.
    #[serde(default)]
    pub default: Option<String>,
    #[serde(default)]
    pub check: Option<Check>,
    #[serde(default)]
    pub references: Option<References>,
    #[serde(default)]
    pub generated: Option<Generated>,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub name: String,
    pub constraint: String,
    /// Tables that inherit from this one do not get it.
    #[serde(default)]
    pub no_inherit: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct References {
    pub name: String,
    pub table: String,
    pub column: String,
    /// `SIMPLE` or `FULL`.
    #[serde(default)]
    pub match_type: Option<String>,
    /// `NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL`, `SET DEFAULT`.
    #[serde(default)]
    pub on_delete: Option<String>,
    #[serde(default)]
    pub on_update: Option<String>,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generated {
    #[serde(default)]
    pub expression: Option<String>,
    #[serde(default)]
    pub identity: Option<Identity>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `ALWAYS` or `BY DEFAULT`.
    #[serde(default)]
    pub user_specified_values: Option<String>,
    #[serde(default)]
    pub sequence_options: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableConstraint {
    pub name: String,
    /// `unique`, `check`, `primary_key`, `foreign_key`, `exclude`.
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
    #[serde(default)]
    pub exclude: Option<Exclude>,
    #[serde(default)]
    pub index_parameters: Option<IndexParameters>,
    #[serde(default)]
    pub nulls_not_distinct: bool,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableReferences {
    pub table: String,
    pub columns: Vec<String>,
    /// `SIMPLE` or `FULL`.
    #[serde(default)]
    pub match_type: Option<String>,
    #[serde(default)]
    pub on_delete: Option<String>,
    #[serde(default)]
    pub on_update: Option<String>,
    /// The columns that `SET NULL` or `SET DEFAULT` is for; none: all of the key.
    #[serde(default)]
    pub on_delete_set_columns: Vec<String>,
}

/// What an exclusion constraint excludes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exclude {
    /// `None`: btree.
    #[serde(default)]
    pub index_method: Option<String>,
    /// As they stand in SQL: `room WITH =, during WITH &&`.
    #[serde(default)]
    pub elements: Option<String>,
    /// Of the rows it is for.
    #[serde(default)]
    pub predicate: Option<String>,
}

/// Of the index that a constraint stands on.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexParameters {
    #[serde(default)]
    pub tablespace: Option<String>,
    /// As they stand in SQL: `fillfactor = 70`.
    #[serde(default)]
    pub storage_parameters: Option<String>,
    #[serde(default)]
    pub include_columns: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropTable {
    pub name: String,
    /// Ours: drop for good instead of setting aside.
    #[serde(default)]
    pub immediately: bool,
    #[serde(default)]
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameTable {
    pub from: String,
    pub to: String,
}

/// Columns of a table move to a new one, which has one row for each of its rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitTable {
    pub table: String,
    /// The new table.
    pub into: String,
    /// The columns by which the rows of both belong together; none: the primary key.
    #[serde(default)]
    pub key: Vec<String>,
    /// Those that move.
    pub columns: Vec<String>,
    /// Of the foreign key from the new table to the old one.
    #[serde(default)]
    pub references: Option<SplitReferences>,
    #[serde(default)]
    pub comment: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitReferences {
    /// The foreign key's name.
    pub name: String,
}

/// The way back of `split_table`. Written by the extension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnsplitTable {
    pub table: String,
    pub from: String,
    pub key: Vec<String>,
    /// What each column of a row without one in the other table gets, if not null.
    pub columns: Vec<SplitColumn>,
    /// One for each of the columns.
    pub restore: Vec<super::Restore>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitColumn {
    pub column: String,
    #[serde(default)]
    pub otherwise: Option<String>,
}

/// What a replica is told of an updated or deleted row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetReplicaIdentity {
    pub table: String,
    pub identity: ReplicaIdentity,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaIdentity {
    /// `nothing`, `default`, `full` or `index`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub index: Option<String>,
}
