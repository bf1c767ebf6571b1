//! What recipes need to know of the database. `catalog` fills these; tests make them by hand.

use crate::fault::Result;
use serde::{Deserialize, Serialize};

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
    /// No row at all: DDL on it scans and rewrites nothing.
    pub empty: bool,
    /// Made earlier in the same migration: its columns may be unknown.
    pub fresh: bool,
    /// Temporary or owned by an extension etc. is of no concern here; system catalogs are.
    pub system: bool,
    pub comment: Option<String>,
    /// Seen by its own session only.
    pub temporary: bool,
    /// Other tables inherit from it that are no partitions: its triggers do not fire for their rows.
    pub inherited: bool,
    /// The partitioned table it is a partition of, qualified and quoted.
    pub partition_of: Option<String>,
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
    /// Of a view: its name, qualified and quoted.
    pub relation: Option<String>,
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
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// The questions a recipe may ask. Names of tables and indexes are SQL text (quoted where needed,
/// qualified or not) and resolve through the search path.
pub trait Facts {
    fn table(&self, name: &str) -> Result<Option<Table>>;
    /// Whether NOT NULL is a constraint with a name.
    fn names_not_null(&self) -> bool {
        cfg!(feature = "pg18")
    }
    /// The table whose name is nearest to a misspelt one.
    fn similar_table(&self, name: &str) -> Result<Option<String>>;
    /// The table an index is on, qualified and quoted.
    fn table_of_index(&self, index: &str) -> Result<Option<String>>;
    /// The schema in which an unqualified new object lands, and the bare name.
    fn landing(&self, name: &str) -> Result<(String, String)>;
    /// What else mentions the column: views, rules, policies, generated columns, inbound foreign
    /// keys, publications, trigger columns, functions. Indexes and the table's own constraints are
    /// not listed.
    fn column_dependents(&self, table: &str, column: &str) -> Result<Vec<Dependent>>;
    fn table_dependents(&self, table: &str) -> Result<Vec<Dependent>>;
    /// The text after `ON table` of an index, as it reads when `from` is called `to`. `columns`:
    /// those the table has or will have by then.
    fn index_with_column_renamed(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        from: &str,
        to: &str,
    ) -> Result<String>;
    /// The constraint's definition as it reads when `from` is called `to`.
    fn constraint_with_column_renamed(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        from: &str,
        to: &str,
    ) -> Result<String>;
    /// Whether the expression has a volatile function in it; an error if it cannot be read over a
    /// row of the table or does not fit the type.
    fn expression(&self, table: &str, expression: &str, target: Option<&str>) -> Result<bool>;
    /// The canonical spelling of a type (`int` → `integer`), or an error that it does not exist.
    fn canonical_type(&self, data_type: &str) -> Result<String>;
    /// Whether columns of that type can be compressed and stored out of line.
    fn toastable(&self, data_type: &str) -> Result<bool>;
    /// Whether an index or any other relation of that name exists in the table's schema.
    fn relation_exists(&self, schema: &str, name: &str) -> Result<bool>;
}
