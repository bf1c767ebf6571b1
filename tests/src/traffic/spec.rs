//! What the applications do: the table, what each release knows of it, and how they write.

use std::time::Duration;

use super::Mappings;

/// Which of the two releases of the application a writer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Old,
    New,
}

/// The n-th value an application writes, in the text form of its column.
pub type Generator = fn(u64) -> Option<String>;
pub type Mapping = fn(Option<&str>) -> Option<String>;

#[derive(Debug, Clone)]
pub struct TrafficSpec {
    /// As written in SQL.
    pub table: String,
    /// A unique integer column.
    pub key: String,
    /// The column that each release knows; one per role, and one of them may be missing.
    pub columns: Vec<(String, Role)>,
    /// Other columns, with the SQL expression that inserts and now and then an update give them.
    pub also: Vec<(String, String)>,
    /// Columns that one release knows beside its own, with the SQL expression that its inserts and
    /// updates give them: over `$1`, the key, and `$2`, the value.
    pub with: Vec<(Role, String, String)>,
    /// The table's and the key's name for the new release, where it is another one.
    pub new_table: Option<String>,
    pub new_key: Option<String>,
    /// How the new release writes its value, where it is not `$2`: so that a statement prepared
    /// before the column changes its type is good after it.
    pub new_parameter: Option<String>,
    pub threads: usize,
    pub old_value: Generator,
    pub new_value: Generator,
    /// What the new release must see of the old one's value, and the reverse.
    pub up: Mapping,
    pub down: Mapping,
    /// What becomes of the old release's values when the new shape alone is left, where that is not
    /// `up`: both releases use one column until then.
    pub at_contract: Option<Mapping>,
    /// Some operations are transactions over several rows, of which some are rolled back, wholly or
    /// to a savepoint.
    pub transactions: bool,
    pub deletes: bool,
    /// Some inserts are `INSERT … ON CONFLICT (key) DO UPDATE`.
    pub upserts: bool,
    /// Between two operations of one writer.
    pub pause: Duration,
    /// The same seed chooses the same operations.
    pub seed: u64,
}

impl TrafficSpec {
    /// Four writers of unique texts, identity mapping, a millisecond between operations.
    pub fn new(table: &str, key: &str, columns: &[(&str, Role)]) -> Self {
        Self {
            table: table.to_owned(),
            key: key.to_owned(),
            columns: columns
                .iter()
                .map(|(name, role)| ((*name).to_owned(), *role))
                .collect(),
            also: Vec::new(),
            with: Vec::new(),
            new_table: None,
            new_key: None,
            new_parameter: None,
            threads: 4,
            old_value: |n| Some(format!("old-{n}")),
            new_value: |n| Some(format!("new-{n}")),
            up: |text| text.map(str::to_owned),
            down: |text| text.map(str::to_owned),
            at_contract: None,
            transactions: true,
            deletes: true,
            upserts: true,
            pause: Duration::from_millis(1),
            seed: 1,
        }
    }

    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// The table as the release calls it.
    pub fn table(&self, role: Role) -> &str {
        match (&self.new_table, role) {
            (Some(table), Role::New) => table,
            _ => &self.table,
        }
    }

    pub fn key(&self, role: Role) -> &str {
        match (&self.new_key, role) {
            (Some(key), Role::New) => key,
            _ => &self.key,
        }
    }

    pub(super) fn mappings(&self) -> Mappings {
        Mappings {
            up: self.up,
            down: self.down,
            at_contract: self.at_contract.unwrap_or(self.up),
        }
    }

    /// Whether both releases say the same.
    pub fn alike(&self) -> bool {
        let with = |role: Role| {
            self.with
                .iter()
                .filter(move |(of, ..)| *of == role)
                .map(|(_, name, value)| (name, value))
        };
        self.table(Role::Old) == self.table(Role::New)
            && self.key(Role::Old) == self.key(Role::New)
            && self.column(Role::Old) == self.column(Role::New)
            && with(Role::Old).eq(with(Role::New))
    }

    /// The column that the release knows.
    pub fn column(&self, role: Role) -> Option<&str> {
        self.columns
            .iter()
            .find(|(_, of)| *of == role)
            .map(|(name, _)| name.as_str())
    }
}
