//! What a script says, as plain values: the part of a parse tree that recipes and lint need.
//! Names are the identifiers themselves, without quotes; pieces of SQL are cut out of the script
//! as written.

mod object;

pub use object::{Grant, Object, View};

use std::ops::Range;

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// From its first token to its last, without the semicolon.
    pub text: String,
    /// Bytes into the script.
    pub offset: usize,
    /// Line of its first token in the script, from 1.
    pub line: usize,
    pub node: Node,
    /// It may run in a transaction block.
    pub transactional: bool,
    pub action: Action,
    /// Identifiers as written that are longer than PostgreSQL keeps.
    pub long_names: Vec<String>,
}

/// What a statement is and what it names: enough to say how it locks, and what was there before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Action {
    /// PostgreSQL's command tag: `ALTER TABLE`, `CREATE INDEX`, …
    pub tag: String,
    /// What is done where the tag does not tell: `RENAME`, `OWNER TO`, `FULL`, …; else empty.
    pub what: &'static str,
    /// The relations it changes.
    pub on: Vec<Name>,
    /// Relations that it reads or refers to; of a query all it mentions.
    pub reads: Vec<Name>,
    /// Of CREATE TABLE: tables its foreign keys refer to.
    pub refers: Vec<Name>,
    /// Of ALTER TABLE and its kin.
    pub changes: Vec<Change>,
    /// Of DROP.
    pub dropped: Vec<Named>,
    /// Of ALTER and COMMENT ON where it is no list.
    pub object: Option<Named>,
    /// A part of the object: its column, constraint, trigger, policy, enum value, …
    pub part: Option<String>,
    /// The new name, schema or value.
    pub to: Option<String>,
    /// The number of the mode of LOCK TABLE, from 1.
    pub mode: Option<u8>,
    pub only: bool,
    /// IF EXISTS or IF NOT EXISTS.
    pub if_exists: bool,
    /// OR REPLACE.
    pub replace: bool,
    pub concurrent: bool,
    pub cascade: bool,
    /// WITH NO DATA.
    pub no_data: bool,
    pub not_valid: bool,
    /// Of SET, RESET and `SELECT set_config`.
    pub setting: Option<Setting>,
    /// The relation it makes.
    pub makes: Option<Name>,
    /// Of CREATE TABLE: what it says itself, as far as it can be cut out.
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
    /// Of CREATE TABLE: it has columns that are not among those (LIKE, INHERITS, OF).
    pub more_columns: bool,
    pub partitioned: bool,
    /// Of UPDATE and DELETE: there is no WHERE.
    pub unconditional: bool,
    /// Of INSERT … VALUES: how many rows.
    pub rows: Option<usize>,
    /// Of SELECT: FOR UPDATE and its kin.
    pub row_locks: bool,
}

/// One subcommand of ALTER TABLE, ALTER INDEX, ALTER TYPE, …
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// In words of the grammar: `SET LOGGED`, `ENABLE TRIGGER`, …
    pub what: &'static str,
    /// The column, trigger, constraint, index, … it is about.
    pub name: Option<String>,
    /// The partition or the parent, as SQL text.
    pub other: Option<String>,
    /// Names of the parameters it sets.
    pub options: Vec<String>,
    /// As written; `None` where it cannot be cut out.
    pub text: Option<String>,
    pub if_exists: bool,
    pub concurrent: bool,
    pub cascade: bool,
    pub kind: CommandKind,
}

/// An object that a statement names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// As `pg_get_object_address` calls it.
    pub kind: &'static str,
    /// As DDL calls it.
    pub word: &'static str,
    /// As `pg_get_object_address` takes them.
    pub names: Vec<String>,
    pub arguments: Vec<String>,
    /// As DDL names it.
    pub text: String,
}

impl Named {
    /// The relation it is, or is a part of.
    pub fn relation(&self) -> Option<Name> {
        let parts = match self.kind {
            "table" | "view" | "materialized view" | "index" | "sequence" | "foreign table" => {
                self.names.as_slice()
            }
            "trigger" | "policy" | "rule" | "table constraint" | "table column" => {
                self.names.split_last()?.1
            }
            _ => return None,
        };
        match parts {
            [name] => Some(Name {
                schema: None,
                name: name.clone(),
            }),
            [.., schema, name] => Some(Name {
                schema: Some(schema.clone()),
                name: name.clone(),
            }),
            [] => None,
        }
    }
}

/// A setting of the session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setting {
    /// Lower case; `all` for RESET ALL.
    pub name: String,
    /// As SQL text; `None`: its default.
    pub value: Option<String>,
    /// Until the transaction ends (SET LOCAL).
    pub local: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    CreateTable(CreateTable),
    CreateIndex(Index),
    AlterTable(AlterTable),
    Drop(Drop),
    RenameColumn {
        table: Relation,
        from: String,
        to: String,
    },
    RenameTable {
        table: Relation,
        to: String,
    },
    Update(Update),
    Comment(Comment),
    /// On something else than a table, with a recipe.
    Object(Object),
    /// Makes one object of another kind that `DROP kind name` takes away again.
    Create {
        /// As in `DROP kind`: `materialized_view`, `type`, `function`, …
        kind: &'static str,
        /// SQL text: quoted where needed, with arguments for a function.
        name: String,
    },
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, …: the word.
    Transaction(String),
    CopyFromStdin,
    /// Everything else.
    Other,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Name {
    pub schema: Option<String>,
    pub name: String,
}

/// The relation a statement changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relation {
    pub name: Name,
    /// `ONLY`: without its children.
    pub only: bool,
    pub if_exists: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateTable {
    pub name: Name,
    pub if_not_exists: bool,
    /// Goes away with the session.
    pub temporary: bool,
    /// Foreign keys to other tables that can be cut out of the text.
    pub foreign_keys: Vec<Constraint>,
    /// The statement without them; `None` where there are none.
    pub without_foreign_keys: Option<String>,
    /// A partition with nothing of its own: its table, and its bounds.
    pub partition_of: Option<(Name, String)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Index {
    pub name: Option<String>,
    pub table: Relation,
    pub unique: bool,
    pub if_not_exists: bool,
    /// What PostgreSQL makes a default name of: a key's column, the function of an expression, …
    pub keys: Vec<String>,
    /// Everything after `ON table`.
    pub definition: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlterTable {
    pub table: Relation,
    pub commands: Vec<Command>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// As written, without the comma.
    pub text: String,
    pub kind: CommandKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandKind {
    AddColumn {
        column: Column,
        if_not_exists: bool,
    },
    DropColumn {
        column: String,
        if_exists: bool,
        cascade: bool,
    },
    SetType {
        column: String,
        /// With its COLLATE clause.
        data_type: String,
        using: Option<String>,
    },
    SetDefault {
        column: String,
        /// `None`: DROP DEFAULT.
        default: Option<String>,
    },
    SetNotNull(String),
    DropNotNull(String),
    AddConstraint(Constraint),
    DropConstraint {
        name: String,
        if_exists: bool,
        cascade: bool,
    },
    ValidateConstraint,
    AttachPartition {
        partition: Name,
        /// `FOR VALUES …` or `DEFAULT`.
        bounds: String,
    },
    /// CONCURRENTLY or not; FINALIZE is another command.
    DetachPartition(Name),
    Other,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    /// With its COLLATE clause.
    pub data_type: String,
    pub not_null: bool,
    pub default: Option<String>,
    /// The expression of a stored generated column.
    pub generated: Option<String>,
    pub identity: Option<Identity>,
    /// In table form: their columns are filled in.
    pub constraints: Vec<Constraint>,
    /// It has clauses that are not told here (storage, compression, options, virtual).
    pub more: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    pub always: bool,
    /// What stands in the parentheses.
    pub options: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ConstraintKind {
    #[default]
    Check,
    Unique,
    PrimaryKey,
    ForeignKey,
    Exclude,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Constraint {
    pub name: Option<String>,
    pub kind: ConstraintKind,
    /// The columns of the key; for a CHECK those it mentions, once each.
    pub columns: Vec<String>,
    /// Those that its index only holds.
    pub including: Vec<String>,
    /// Everything after `CONSTRAINT name`, in the form of a table constraint.
    pub definition: String,
    /// What a CHECK holds in its parentheses.
    pub expression: Option<String>,
    pub references: Option<References>,
    pub nulls_not_distinct: bool,
    pub deferrable: bool,
    pub initially_deferred: bool,
    pub not_valid: bool,
    /// `USING INDEX`: takes over an index that exists.
    pub using_index: bool,
    /// That index.
    pub index: Option<String>,
    /// It has clauses that are not told in the fields above, `definition` apart (INCLUDE, WITH,
    /// TABLESPACE, MATCH, NO INHERIT, NOT ENFORCED, WITHOUT OVERLAPS, …).
    pub more: bool,
    /// Where it stands in the script, in bytes.
    pub span: Range<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    pub table: Name,
    /// Empty: its primary key.
    pub columns: Vec<String>,
    /// `CASCADE`, `SET NULL`, …; `None`: NO ACTION.
    pub on_delete: Option<&'static str>,
    pub on_update: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropKind {
    Table,
    Index,
    View,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    pub kind: DropKind,
    /// Of tables, indexes and views.
    pub names: Vec<Name>,
    pub if_exists: bool,
    pub cascade: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    pub table: Relation,
    /// Column and expression.
    pub set: Vec<(String, String)>,
    pub predicate: Option<String>,
    /// Nothing but plain assignments to columns and a condition over the row.
    pub plain: bool,
    /// Doing it twice is not doing it once: an expression reads a column that is assigned, or gives
    /// another value each time while the condition does not tell which rows are done.
    pub once: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentOn {
    Table,
    Column,
    Index,
    Constraint,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    pub on: CommentOn,
    /// The table, or the index.
    pub relation: Name,
    /// The column or the constraint.
    pub part: Option<String>,
    /// `None`: IS NULL.
    pub text: Option<String>,
}
