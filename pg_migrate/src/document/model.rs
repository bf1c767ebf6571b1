//! The model both spellings are read into. Operation and field names are those of pgroll's
//! published JSON format; ours beyond it are marked.

mod column;
mod index;
mod table;

pub use column::{AddColumn, AlterColumn, ColumnOf, DropColumn, RenameColumn};
pub use index::{
    AddForeignKey, CreateConstraint, CreateIndex, DropConstraint, DropIndex, IndexColumn,
};
pub use table::{
    Check, Column, CreateTable, DropTable, Generated, Identity, References, RenameTable,
    TableConstraint, TableReferences,
};

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
    /// Ours: what it comments on, so that the old comment can be put back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comments: Option<Comments>,
}

/// What a COMMENT statement is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comments {
    /// `table`, `column`, `index` or `constraint`.
    pub kind: String,
    /// The table, or the index; as written, quoted if needed.
    pub relation: String,
    /// The column or the constraint.
    #[serde(default)]
    pub part: Option<String>,
    #[serde(default)]
    pub text: Option<String>,
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
