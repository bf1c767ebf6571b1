//! The model both spellings are read into. Operation and field names are those of pgroll's
//! published JSON format; ours beyond it are marked.

use serde::{Deserialize, Serialize};

/// One change. Externally tagged: `{"rename_column": {...}}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    CreateTable(CreateTable),
    DropTable(DropTable),
    RenameTable(RenameTable),
    AddColumn(AddColumn),
    DropColumn(DropColumn),
    RenameColumn(RenameColumn),
    AlterColumn(AlterColumn),
    CreateIndex(CreateIndex),
    DropIndex(DropIndex),
    CreateConstraint(CreateConstraint),
    DropConstraint(DropConstraint),
    Sql(Sql),
    /// Ours: a batched data migration.
    Backfill(Backfill),
    /// Ours: a foreign key on existing columns.
    AddForeignKey(AddForeignKey),
    /// Ours.
    SetNotNull(ColumnOf),
    /// Ours.
    DropNotNull(ColumnOf),
    /// Ours: stamp a column with the time of each update.
    TouchColumn(ColumnOf),
    /// Ours: the inverse of `touch_column`.
    UntouchColumn(ColumnOf),
    /// Ours: brings back what `drop_table` or `drop_column` set aside. Written by the extension.
    Restore(Restore),
}

impl Operation {
    /// The operation's name in a document.
    pub fn kind(&self) -> &'static str {
        match self {
            Operation::CreateTable(_) => "create_table",
            Operation::DropTable(_) => "drop_table",
            Operation::RenameTable(_) => "rename_table",
            Operation::AddColumn(_) => "add_column",
            Operation::DropColumn(_) => "drop_column",
            Operation::RenameColumn(_) => "rename_column",
            Operation::AlterColumn(_) => "alter_column",
            Operation::CreateIndex(_) => "create_index",
            Operation::DropIndex(_) => "drop_index",
            Operation::CreateConstraint(_) => "create_constraint",
            Operation::DropConstraint(_) => "drop_constraint",
            Operation::Sql(_) => "sql",
            Operation::Backfill(_) => "backfill",
            Operation::AddForeignKey(_) => "add_foreign_key",
            Operation::SetNotNull(_) => "set_not_null",
            Operation::DropNotNull(_) => "drop_not_null",
            Operation::TouchColumn(_) => "touch_column",
            Operation::UntouchColumn(_) => "untouch_column",
            Operation::Restore(_) => "restore",
        }
    }
}

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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    pub name: String,
    pub constraint: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct References {
    pub name: String,
    pub table: String,
    pub column: String,
    /// `NO ACTION`, `RESTRICT`, `CASCADE`, `SET NULL`, `SET DEFAULT`.
    #[serde(default)]
    pub on_delete: Option<String>,
    #[serde(default)]
    pub on_update: Option<String>,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    pub references: Option<TableReferences>,
    #[serde(default)]
    pub nulls_not_distinct: bool,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableReferences {
    pub table: String,
    pub columns: Vec<String>,
    #[serde(default)]
    pub on_delete: Option<String>,
    #[serde(default)]
    pub on_update: Option<String>,
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

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddColumn {
    pub table: String,
    pub column: Column,
    /// Value for existing rows, and for rows written by an application that does not know the column.
    #[serde(default)]
    pub up: Option<String>,
    #[serde(default)]
    pub if_not_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropColumn {
    pub table: String,
    pub column: String,
    /// Value of the column for rows written by an application that no longer knows it.
    #[serde(default)]
    pub down: Option<String>,
    /// Ours: drop for good instead of setting aside.
    #[serde(default)]
    pub immediately: bool,
    #[serde(default)]
    pub if_exists: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameColumn {
    pub table: String,
    pub from: String,
    pub to: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlterColumn {
    pub table: String,
    pub column: String,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub data_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nullable: Option<bool>,
    /// Absent: unchanged. `null`: dropped.
    #[serde(
        default,
        deserialize_with = "super::json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub default: Option<Option<String>>,
    /// Absent: unchanged. `null`: removed.
    #[serde(
        default,
        deserialize_with = "super::json::present",
        skip_serializing_if = "Option::is_none"
    )]
    pub comment: Option<Option<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unique: Option<Unique>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<References>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unique {
    pub name: String,
}

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

/// SQL as written. `up` may hold one statement or several.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    pub up: String,
    #[serde(default)]
    pub down: Option<String>,
    /// pgroll: run at contract instead of at expand.
    #[serde(default, rename = "onComplete")]
    pub on_complete: bool,
    /// Ours: cannot run in a transaction block; goes to a background worker.
    #[serde(default)]
    pub no_transaction: bool,
    /// Ours: the object the statement makes, so that the way back can be generated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub creates: Option<Creates>,
    /// Ours: the views it drops, so that what they used can be dropped too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drops: Vec<String>,
}

/// An object that a statement makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Creates {
    /// `table`, `view`, `sequence`, `type`, `schema`, `function`, `materialized_view`, …
    pub kind: String,
    /// As written, quoted if needed.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backfill {
    pub table: String,
    /// Column → SQL expression over the row.
    pub set: serde_json::Map<String, serde_json::Value>,
    /// Rows still to be done. `None`: those in which a column differs from its expression.
    #[serde(default, rename = "where")]
    pub predicate: Option<String>,
    /// Assignments that take it back.
    #[serde(default)]
    pub down: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddForeignKey {
    pub name: String,
    pub table: String,
    #[serde(deserialize_with = "super::json::one_or_many")]
    pub columns: Vec<String>,
    pub references: TableReferences,
    #[serde(default)]
    pub deferrable: bool,
    #[serde(default)]
    pub initially_deferred: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnOf {
    pub table: String,
    pub column: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    pub table: String,
    /// `None`: the whole table comes back.
    #[serde(default)]
    pub column: Option<String>,
    /// Statements that put back what left with it: default, NOT NULL, comment.
    #[serde(default)]
    pub attributes: Vec<String>,
    /// Operations that put back indexes and constraints.
    #[serde(default)]
    pub operations: Vec<Operation>,
    /// Value for rows written while it was away.
    #[serde(default)]
    pub fill: Option<String>,
}
