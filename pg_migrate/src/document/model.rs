//! The model both spellings are read into. Operation and field names are those of pgroll's
//! published JSON format; ours beyond it are marked.

mod column;
mod index;
mod object;
mod partition;
mod table;

pub use column::{
    AddColumn, AlterColumn, ColumnOf, DropColumn, MergeColumns, MergedColumn, RenameColumn,
    UnmergeColumns,
};
pub use index::{
    AddForeignKey, CreateConstraint, CreateIndex, DropConstraint, DropIndex,
    DropMulticolumnConstraint, IndexColumn, RenameConstraint, Values,
};
pub use object::{
    AddEnumValue, CreateFunction, CreateMaterializedView, CreateTrigger, CreateType, CreateView,
    DropTrigger, DropView, Privileges, RefreshMaterializedView, Reindex, RenameEnumValue,
    SetSchema,
};
pub use partition::{AttachPartition, DetachPartition};
pub use table::{
    Check, Column, CreateTable, DropTable, Exclude, Generated, Identity, IndexParameters,
    References, RenameTable, ReplicaIdentity, SetReplicaIdentity, SplitColumn, SplitReferences,
    SplitTable, TableConstraint, TableReferences, UnsplitTable,
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
    DropMulticolumnConstraint(DropMulticolumnConstraint),
    RenameConstraint(RenameConstraint),
    SetReplicaIdentity(SetReplicaIdentity),
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
    /// Ours: several columns become one.
    MergeColumns(MergeColumns),
    /// Ours: the inverse of `merge_columns`.
    UnmergeColumns(UnmergeColumns),
    /// Ours: columns move to a table of their own.
    SplitTable(SplitTable),
    /// Ours: the inverse of `split_table`.
    UnsplitTable(UnsplitTable),
    // Ours: objects other than tables.
    AddEnumValue(AddEnumValue),
    RenameEnumValue(RenameEnumValue),
    SetSchema(SetSchema),
    CreateView(CreateView),
    ReplaceView(CreateView),
    DropView(DropView),
    CreateMaterializedView(CreateMaterializedView),
    RefreshMaterializedView(RefreshMaterializedView),
    CreateType(CreateType),
    CreateFunction(CreateFunction),
    CreateTrigger(CreateTrigger),
    DropTrigger(DropTrigger),
    Grant(Privileges),
    Revoke(Privileges),
    Reindex(Reindex),
    // Ours: partitions.
    AttachPartition(AttachPartition),
    CreatePartition(AttachPartition),
    DetachPartition(DetachPartition),
    /// Ours: brings back what `drop_table` or `drop_column` set aside. Written by the extension.
    Restore(Restore),
    /// Ours: a statement of a script and the operations it stands for. Written by the extension.
    Statement(Statement),
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
            Operation::DropMulticolumnConstraint(_) => "drop_multicolumn_constraint",
            Operation::RenameConstraint(_) => "rename_constraint",
            Operation::SetReplicaIdentity(_) => "set_replica_identity",
            Operation::Sql(_) => "sql",
            Operation::Backfill(_) => "backfill",
            Operation::AddForeignKey(_) => "add_foreign_key",
            Operation::SetNotNull(_) => "set_not_null",
            Operation::DropNotNull(_) => "drop_not_null",
            Operation::TouchColumn(_) => "touch_column",
            Operation::UntouchColumn(_) => "untouch_column",
            Operation::AddEnumValue(_) => "add_enum_value",
            Operation::RenameEnumValue(_) => "rename_enum_value",
            Operation::SetSchema(_) => "set_schema",
            Operation::CreateView(_) => "create_view",
            Operation::ReplaceView(_) => "replace_view",
            Operation::DropView(_) => "drop_view",
            Operation::CreateMaterializedView(_) => "create_materialized_view",
            Operation::RefreshMaterializedView(_) => "refresh_materialized_view",
            Operation::CreateType(_) => "create_type",
            Operation::CreateFunction(_) => "create_function",
            Operation::CreateTrigger(_) => "create_trigger",
            Operation::DropTrigger(_) => "drop_trigger",
            Operation::Grant(_) => "grant",
            Operation::Revoke(_) => "revoke",
            Operation::Reindex(_) => "reindex",
            Operation::AttachPartition(_) => "attach_partition",
            Operation::CreatePartition(_) => "create_partition",
            Operation::DetachPartition(_) => "detach_partition",
            Operation::MergeColumns(_) => "merge_columns",
            Operation::UnmergeColumns(_) => "unmerge_columns",
            Operation::SplitTable(_) => "split_table",
            Operation::UnsplitTable(_) => "unsplit_table",
            Operation::Restore(_) => "restore",
            Operation::Statement(_) => "statement",
        }
    }
}

impl Operation {
    /// The table it changes, as SQL text. Of what makes, takes or renames a whole table: that one.
    pub fn table(&self) -> Option<&str> {
        Some(match self {
            Operation::CreateTable(op) => &op.name,
            Operation::DropTable(op) => &op.name,
            Operation::RenameTable(op) => &op.from,
            Operation::AddColumn(op) => &op.table,
            Operation::DropColumn(op) => &op.table,
            Operation::RenameColumn(op) => &op.table,
            Operation::AlterColumn(op) => &op.table,
            Operation::CreateIndex(op) => &op.table,
            Operation::CreateConstraint(op) => &op.table,
            Operation::DropConstraint(op) => &op.table,
            Operation::DropMulticolumnConstraint(op) => &op.table,
            Operation::RenameConstraint(op) => &op.table,
            Operation::SetReplicaIdentity(op) => &op.table,
            Operation::Backfill(op) => &op.table,
            Operation::AddForeignKey(op) => &op.table,
            Operation::SetNotNull(op)
            | Operation::DropNotNull(op)
            | Operation::TouchColumn(op)
            | Operation::UntouchColumn(op) => &op.table,
            Operation::Restore(op) => &op.table,
            Operation::SplitTable(op) => &op.table,
            Operation::UnsplitTable(op) => &op.table,
            _ => return None,
        })
    }

    /// The names of the constraints that it makes.
    pub fn constraint_names(&self) -> Vec<&str> {
        match self {
            Operation::CreateConstraint(op) => vec![&op.name],
            Operation::AddForeignKey(op) => vec![&op.name],
            Operation::RenameConstraint(op) => vec![&op.to],
            Operation::AlterColumn(op) => {
                let unique = op.unique.iter().map(|made| made.name.as_str());
                let check = op.check.iter().map(|made| made.name.as_str());
                let key = op.references.iter().map(|made| made.name.as_str());
                unique.chain(check).chain(key).collect()
            }
            Operation::AddColumn(op) => {
                let check = op.column.check.iter().map(|made| made.name.as_str());
                let key = op.column.references.iter().map(|made| made.name.as_str());
                check.chain(key).collect()
            }
            _ => Vec::new(),
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
    /// Ours, written by the extension: it stands in a script, where what cannot be done online is
    /// refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub online: bool,
    /// Ours, written by the extension: settings under which it runs.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub settings: std::collections::BTreeMap<String, String>,
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

/// A statement of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// As written.
    pub sql: String,
    /// The operations that end in the same schema.
    pub operations: Vec<Operation>,
    /// The table it is about; `None`: it needs no look at it.
    #[serde(default)]
    pub table: Option<String>,
    /// `ONLY`: where the table has children, the statement runs as written.
    #[serde(default)]
    pub only: bool,
    /// `IF EXISTS`: where there is no such table, nothing is done.
    #[serde(default)]
    pub if_exists: bool,
    /// Names of constraints and indexes that the statement does not give: another is taken where
    /// one is in use.
    #[serde(default)]
    pub invented: Vec<String>,
}

/// What a COMMENT statement is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comments {
    /// `table`, `column`, `index`, `constraint`; `other`: `relation` is the statement up to IS.
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
