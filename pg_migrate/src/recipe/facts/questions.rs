//! What recipes ask of the database: `catalog` answers from the live one.

use super::{
    Attached, Column, Condition, Dependent, Effect, ForeignKey, IndexShape, Move, ObjectFacts,
    Partition, Retyped, Table,
};
use crate::fault::Result;
use crate::pg::parser::Statement;
use crate::recipe::estimate::Size;
use crate::recipe::written::Earlier;

/// The questions a recipe may ask. Names of tables and indexes are SQL text (quoted where needed,
/// qualified or not) and resolve through the search path.
pub trait Facts: ObjectFacts {
    fn table(&self, name: &str) -> Result<Option<Table>>;
    /// Whether NOT NULL is a constraint with a name.
    fn names_not_null(&self) -> bool {
        cfg!(feature = "pg18")
    }
    /// Whether a foreign key of a partitioned table can be added NOT VALID.
    fn foreign_keys_not_valid_on_partitioned(&self) -> bool {
        cfg!(feature = "pg18")
    }
    /// The table whose name is nearest to a misspelt one.
    fn similar_table(&self, name: &str) -> Result<Option<String>>;
    /// The table an index is on, qualified and quoted.
    fn table_of_index(&self, index: &str) -> Result<Option<String>>;
    /// A partitioned table and everything under it: parents before their partitions. Partitions that
    /// are being detached are not listed.
    fn partitions(&self, table: &str) -> Result<Vec<Partition>>;
    /// What the bounds demand of the rows of a partition called `name`, beside `siblings`; `None`: any
    /// row fits. Errors: what PostgreSQL says of the bounds.
    fn partition_condition(
        &self,
        table: &str,
        siblings: &[Partition],
        name: &str,
        bounds: &str,
    ) -> Result<Option<Condition>>;
    /// What a table's rows fulfil because it is a partition; `None`: it is none.
    fn condition_of(&self, partition: &str) -> Result<Option<String>>;
    /// The columns that a condition over the table's rows mentions.
    fn columns_of_condition(&self, table: &str, condition: &str) -> Result<Vec<String>>;
    /// How an index over the table would be stored. `columns`: those the table has or will have.
    fn index_shape(&self, table: &str, columns: &[Column], definition: &str) -> Result<IndexShape>;
    /// The schemas in which names without one are looked up, whether they exist or not.
    fn search_path(&self) -> Result<Vec<String>>;
    /// The schema in which an unqualified new object lands, and the bare name.
    fn landing(&self, name: &str) -> Result<(String, String)>;
    /// What else mentions the column: views, rules, policies, generated columns, inbound foreign
    /// keys, publications, trigger columns, functions. Indexes and the table's own constraints are
    /// not listed.
    fn column_dependents(&self, table: &str, column: &str) -> Result<Vec<Dependent>>;
    fn table_dependents(&self, table: &str) -> Result<Vec<Dependent>>;
    /// Everything that hangs on the columns, carried or not, indexes and constraints included.
    fn attached(&self, table: &str, columns: &[String]) -> Result<Vec<Attached>>;
    /// The foreign keys from and to a table.
    fn foreign_keys(&self, table: &str) -> Result<Vec<ForeignKey>>;
    /// An index's text after `ON table` once columns have other names and types; an error if it
    /// cannot be over those types.
    fn index_moved(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        moves: &[Move],
    ) -> Result<String>;
    /// A constraint's definition once columns have other names and types.
    fn constraint_moved(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        moves: &[Move],
    ) -> Result<String>;
    /// The expressions after ON of extended statistics once columns have other names and types.
    fn statistics_moved(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        moves: &[Move],
    ) -> Result<String>;
    /// What changing the column's type does, in this session, to a table of this shape with
    /// indexes of these definitions.
    fn effect(
        &self,
        table: &str,
        columns: &[Column],
        indexes: &[String],
        column: &str,
        data_type: &str,
        using: Option<&str>,
    ) -> Result<Effect>;
    /// An error if a foreign key from columns of the first types to columns of the second cannot be.
    fn comparable(&self, from: &[String], to: &[String]) -> Result<()>;
    /// What of the attached objects, in the order in which they are made, cannot be made again once
    /// columns of the table have other types, and why.
    fn cannot_be_remade(
        &self,
        table: &Table,
        changes: &[(String, String)],
        attached: &[&Attached],
    ) -> Result<Vec<String>>;
    /// The session's time zone.
    fn time_zone(&self) -> Result<String>;
    /// Under what name the column that `revision` took away is kept, if it is.
    fn aside(&self, table: &str, column: &str, revision: &str) -> Result<Option<String>>;
    /// The migration in flight, other than this one, that changes the column, and its state.
    fn changed_by(
        &self,
        table: &str,
        column: &str,
        revision: &str,
    ) -> Result<Option<(String, String)>>;
    /// Whether the expression has a volatile function in it; an error if it cannot be read over a
    /// row of the table or does not fit the type.
    fn expression(&self, table: &str, expression: &str, target: Option<&str>) -> Result<bool>;
    /// The same over a row of the table as it will be: with these columns too, or (`fresh`) with
    /// them alone.
    fn expression_over(
        &self,
        table: &str,
        columns: &[Column],
        fresh: bool,
        expression: &str,
        target: Option<&str>,
    ) -> Result<bool>;
    /// The foreign keys that reference a unique or primary key.
    fn foreign_keys_on(&self, table: &str, constraint: &str) -> Result<Vec<ForeignKey>>;
    /// The columns of the table that the expression reads.
    fn columns_read(&self, table: &str, expression: &str) -> Result<Vec<String>>;
    /// Whether a trigger of ours stamps the column at each update.
    fn is_touched(&self, table: &str, column: &str) -> Result<bool>;
    /// The canonical spelling of a type (`int` → `integer`), or an error that it does not exist.
    fn canonical_type(&self, data_type: &str) -> Result<String>;
    /// Whether columns of that type can be compressed and stored out of line.
    fn toastable(&self, data_type: &str) -> Result<bool>;
    /// Whether an index or any other relation of that name exists in the table's schema.
    fn relation_exists(&self, schema: &str, name: &str) -> Result<bool>;
    /// The statements of a text, read by PostgreSQL's own parser.
    fn statements(&self, sql: &str) -> Result<Vec<Statement>>;
    /// How big a relation is, its partitions included; `None`: there is none of that name.
    fn size(&self, relation: &str) -> Result<Option<Size>>;
    /// The tables with a column of the type, qualified and quoted.
    fn tables_of_type(&self, data_type: &str) -> Result<Vec<String>>;
    /// Of a composite type the tables that are made of it (`OF`), qualified and quoted; `None`: it is
    /// no composite type, or not there.
    fn composite(&self, data_type: &str) -> Result<Option<Vec<String>>>;
    /// How many rows a data statement will write, as the planner of PostgreSQL estimates; `None`:
    /// not to be told before earlier statements have run.
    fn touched_rows(&self, sql: &str) -> Result<Option<f64>>;
    /// Whether PostgreSQL would read a whole table for a query.
    fn scans_whole(&self, sql: &str) -> Result<bool>;
    /// What ALTER COLUMN TYPE does to a table of this shape, in this session; the careful answer
    /// where it cannot be told.
    fn retyped(
        &self,
        table: &Table,
        column: &str,
        data_type: &str,
        using: Option<&str>,
    ) -> Result<Retyped>;
    /// Whether ADD COLUMN with this type and default, which is neither generated nor an identity,
    /// writes the rows anew.
    fn fills_rows(&self, data_type: &str, default: Option<&str>) -> Result<bool>;
    /// Whether PostgreSQL can prove of every row of the table, by its validated CHECKs and its NOT
    /// NULLs, that it does not break the condition.
    fn proves(&self, table: &Table, condition: &str) -> Result<bool>;
    /// The default partition of a partitioned table, qualified and quoted.
    fn default_partition(&self, table: &str) -> Result<Option<String>>;
    /// Whether the table already is as `SET LOGGED`, `SET UNLOGGED`, `SET TABLESPACE name` or
    /// `SET ACCESS METHOD name` would make it.
    fn is_already(&self, table: &str, change: &str, name: Option<&str>) -> Result<bool>;
    /// Whether an object of that kind (as in `DROP kind`, with `_` for blanks) is there.
    fn object_exists(&self, kind: &str, name: &str) -> Result<bool>;
    /// The statement that puts back what is now; `None`: there is nothing to put back, or no
    /// statement could.
    fn earlier(&self, what: &Earlier) -> Result<Option<String>>;
}
