//! What recipes need to know of the database. `catalog` fills these; tests make them by hand.

mod object;
mod questions;

pub use object::{Function, Indexed, Object, ObjectFacts, Piece, Query, View};
pub use questions::Facts;

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// `pg_class.relkind`.
    pub kind: String,
    /// Estimated rows (`pg_class.reltuples`), and bytes on disk.
    pub rows: f64,
    pub bytes: i64,
    /// The role it belongs to, as SQL text.
    pub owner: String,
    pub unlogged: bool,
    /// Of a materialized view: it can be read.
    pub populated: bool,
    /// No row at all: DDL on it scans and rewrites nothing.
    pub empty: bool,
    /// It has no row of its own: a materialized view whose query found none, or a table whose rows are
    /// all of tables that inherit from it.
    pub hollow: bool,
    /// Made earlier in the same migration: its columns may be unknown.
    pub fresh: bool,
    /// It is, and of its columns only those are known that were added later.
    pub unlisted: bool,
    /// Temporary or owned by an extension etc. is of no concern here; system catalogs are.
    pub system: bool,
    pub comment: Option<String>,
    /// Seen by its own session only.
    pub temporary: bool,
    /// Other tables inherit from it that are no partitions: its triggers do not fire for their rows.
    pub inherited: bool,
    /// Policies say which rows a role sees.
    pub row_security: bool,
    /// The partitioned table it is a partition of, qualified and quoted.
    pub partition_of: Option<String>,
    /// `pg_class.relreplident`: d (default), n (nothing), f (full), i (an index).
    pub replica_identity: String,
    pub columns: Vec<Column>,
    pub indexes: Vec<Index>,
    pub constraints: Vec<Constraint>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Column {
    pub name: String,
    /// As `format_type` prints it.
    pub data_type: String,
    /// Quoted and qualified; `None`: the type's own.
    pub collation: Option<String>,
    pub not_null: bool,
    /// From PostgreSQL 18 on NOT NULL is a constraint with a name; `None` before.
    pub not_null_name: Option<String>,
    /// As `pg_get_expr` prints it; `None` for a generated column.
    pub default: Option<String>,
    /// Generated, stored or (from PostgreSQL 18 on) virtually: its expression.
    pub generated: Option<String>,
    /// `a` (always) or `d` (by default).
    pub identity: Option<String>,
    pub comment: Option<String>,
    /// `(privilege, grantee as SQL, with grant option)`.
    pub grants: Vec<Grant>,
    /// What ANALYZE keeps of it; `None`: the default.
    pub statistics: Option<i32>,
    /// `plain`, `external`, `extended` or `main`, where it is not what its type gets.
    pub storage: Option<String>,
    /// `pglz` or `lz4`; `None`: the default.
    pub compression: Option<String>,
    /// `n_distinct`, `n_distinct_inherited`.
    pub options: Vec<Setting>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Setting {
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Grant {
    pub privilege: String,
    pub grantee: String,
    pub grantable: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Index {
    pub name: String,
    /// Everything after `ON table`.
    pub definition: String,
    /// Every column it mentions, also in expressions, INCLUDE and predicate.
    pub columns: Vec<String>,
    pub unique: bool,
    pub valid: bool,
    /// The constraint that owns it.
    pub constraint: Option<String>,
    pub comment: Option<String>,
    /// CLUSTER goes by it.
    pub clustered: bool,
    /// Tells replicas which row is meant.
    pub replica_identity: bool,
    /// The index of a partitioned table that this one is a part of, qualified and quoted.
    pub part_of: Option<String>,
    /// Quoted; `None`: the database's.
    pub tablespace: Option<String>,
    /// Statistics targets of its own columns.
    pub targets: Vec<Target>,
}

/// A partitioned table or one of its partitions, at any depth.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Partition {
    /// Qualified and quoted.
    pub key: String,
    pub schema: String,
    pub name: String,
    /// Qualified and quoted; `None`: the root.
    pub parent: Option<String>,
    /// `pg_class.relkind`: `r`, `p` or `f`.
    pub kind: String,
    /// As in SQL (`FOR VALUES …`, `DEFAULT`); of the root, nothing.
    pub bounds: String,
    /// Of a partitioned one: the columns of its key.
    pub columns: Vec<String>,
    /// Of a partitioned one: an expression is in its key.
    pub expressions: bool,
    pub indexes: Vec<Index>,
    pub constraints: Vec<Constraint>,
}

/// What the bounds of a partition demand of its rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    pub text: String,
    /// A CHECK that says the same proves it to ATTACH. Not of hash partitions by values that have a
    /// collation, nor of keys with a collation of their own: the CHECK reads back with another one.
    pub provable: bool,
}

/// One column of an index.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IndexKey {
    /// By which names of indexes are made; that of the table's column unless it is an expression.
    pub name: String,
    pub expression: bool,
    /// Stored beside the key (INCLUDE).
    pub included: bool,
}

/// How an index would be stored: its text after `ON table` as PostgreSQL prints it, and its columns.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IndexShape {
    pub definition: String,
    pub keys: Vec<IndexKey>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// From 1 on.
    pub number: i32,
    pub target: i32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Constraint {
    pub name: String,
    /// `pg_constraint.contype`: c, f, p, u, x.
    pub kind: String,
    /// As `pg_get_constraintdef` prints it, without NOT VALID.
    pub definition: String,
    pub columns: Vec<String>,
    pub validated: bool,
    pub deferrable: bool,
    pub deferred: bool,
    /// Came with a constraint of the partitioned table it is a partition of.
    pub inherited: bool,
    /// The referenced table of a foreign key, qualified and quoted.
    pub references: Option<String>,
    pub comment: Option<String>,
}

/// Something that hangs on a column or a table and does not move by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Dependent {
    /// As `pg_describe_object` prints it.
    pub what: String,
    /// The view, or the table of a constraint, qualified and quoted.
    pub relation: Option<String>,
}

/// Something that hangs on a column and is carried to the one that takes its place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attached {
    /// `view`, `rule`, `policy`, `trigger`, `publication`, `statistics`, `function`, `sequence`,
    /// `identity`, `index`, `constraint`, `default`, `settings` (the column's own), `other`.
    pub kind: String,
    /// As `pg_describe_object` prints it.
    pub what: String,
    /// Its name in full, and a digest of what it is.
    pub mark: Option<String>,
    /// What must be locked to change it, qualified and quoted.
    pub relation: Option<String>,
    /// Of a view: how many views are between it and the table, and one. Those of higher rank leave
    /// first and come last.
    pub rank: i32,
    /// Statements that take it away.
    pub drops: Vec<String>,
    /// Statements that make it again, whole, by the names it uses.
    pub makes: Vec<String>,
    /// Why it cannot be carried.
    pub obstacle: Option<String>,
    pub detail: Value,
}

/// A foreign key, seen from either of its tables. Names of tables are qualified and quoted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ForeignKey {
    pub name: String,
    pub table: String,
    pub columns: Vec<String>,
    pub references: String,
    /// The referenced columns, pairwise with `columns`.
    pub referenced: Vec<String>,
    pub match_full: bool,
    pub on_update: Option<String>,
    pub on_delete: Option<String>,
    /// The columns that ON DELETE SET NULL or SET DEFAULT sets; empty: all.
    pub set_columns: Vec<String>,
    pub deferrable: bool,
    pub deferred: bool,
    pub validated: bool,
    pub comment: Option<String>,
    /// One of its tables is partitioned.
    pub partitioned: bool,
    /// Why it cannot be carried.
    pub obstacle: Option<String>,
}

/// A column under another name and of another type.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    pub from: String,
    pub to: String,
    /// Empty: it keeps its own.
    pub data_type: String,
}

impl Move {
    /// Another name and nothing else.
    pub fn renaming(from: &str, to: &str) -> Move {
        Move {
            from: from.to_owned(),
            to: to.to_owned(),
            data_type: String::new(),
        }
    }
}

/// What `ALTER COLUMN TYPE` does besides changing the catalog.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Effect {
    pub rewrites: bool,
    /// An index is built anew.
    pub rebuilds: bool,
    /// The type stays; only its modifier changes.
    pub same_base: bool,
}

/// What ALTER COLUMN TYPE makes PostgreSQL do under its lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retyped {
    /// The table, and with it all of its indexes, are written anew.
    pub rewrites: bool,
    /// Indexes on the column are built anew.
    pub rebuilds: bool,
    /// Foreign keys on the column are checked again.
    pub rechecks_keys: bool,
}

/// A key or foreign key over a period of time (PostgreSQL 18): enforced by a GiST index.
pub fn is_temporal(definition: &str) -> bool {
    definition.contains(" WITHOUT OVERLAPS)") || definition.contains(", PERIOD ")
}

/// NOT ENFORCED (PostgreSQL 18), which is never validated.
pub fn is_not_enforced(definition: &str) -> bool {
    definition.ends_with(" NOT ENFORCED")
}

impl Table {
    /// Its estimated rows, for a message.
    pub fn row_count(&self) -> String {
        format!("{:.0}", self.rows)
    }

    /// Its size on disk, for a message.
    #[allow(clippy::cast_precision_loss)]
    pub fn size(&self) -> String {
        format!("{:.1} MB", self.bytes as f64 / 1024.0 / 1024.0)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}
