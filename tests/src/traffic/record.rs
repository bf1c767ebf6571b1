//! The independent record: for every key what an application last committed, kept in the memory of
//! the writers and never read back from the table.

use std::collections::{HashMap, HashSet};

use postgres::fallible_iterator::FallibleIterator;

use super::{Latency, Mapping, Role};
use crate::{Db, Failure};

/// A row's value in the form of the application that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    pub by: Role,
    pub text: Option<Box<str>>,
}

/// Keys with `None` were deleted.
pub type Record = HashMap<i64, Option<Value>>;

/// What the other application must see of a value.
#[derive(Debug, Clone, Copy)]
pub struct Mappings {
    pub up: Mapping,
    pub down: Mapping,
    pub at_contract: Mapping,
}

impl Mappings {
    pub fn seen_by(&self, role: Role, value: &Value) -> Option<String> {
        let text = value.text.as_deref();
        match (value.by, role) {
            (Role::Old, Role::New) => (self.up)(text),
            (Role::New, Role::Old) => (self.down)(text),
            _ => text.map(str::to_owned),
        }
    }

    /// What is left of a value for `role` when the other release's shape is gone.
    pub fn left_to(&self, role: Role, value: &Value) -> Option<String> {
        match (value.by, role) {
            (Role::Old, Role::New) => (self.at_contract)(value.text.as_deref()),
            _ => self.seen_by(role, value),
        }
    }
}

/// What traffic did and what the table must therefore hold.
#[derive(Debug)]
pub struct Report {
    /// Each with the statement and PostgreSQL's full answer; also rows that were read back wrong.
    /// Of each writer the first hundred; `failed` counts all.
    pub errors: Vec<String>,
    pub failed: u64,
    pub operations: u64,
    /// Connections that broke (a crash, a termination); what they had under way was looked up.
    pub disconnects: u64,
    /// One entry per `mark`, the first is `before`.
    pub phases: Vec<(String, Latency)>,
    pub expected: Record,
    pub mappings: Mappings,
}

/// More than this says nothing new.
const SHOWN: usize = 50;

impl Report {
    /// Rows that the table must hold now.
    pub fn rows(&self) -> usize {
        self.expected
            .values()
            .filter(|value| value.is_some())
            .count()
    }

    pub fn latency(&self, phase: &str) -> Latency {
        self.phases
            .iter()
            .find(|(name, _)| name == phase)
            .map(|(_, latency)| *latency)
            .unwrap_or_default()
    }

    /// Compares every row of the table with the record; each column as the application of that role
    /// must see it. Empty when all agree.
    #[track_caller]
    pub fn check(&self, db: &Db, table: &str, key: &str, columns: &[(&str, Role)]) -> Vec<String> {
        let (count, mut shown) = self.compare(db, table, key, columns);
        if count > shown.len() {
            shown.push(format!("and {} more", count - shown.len()));
        }
        shown
    }

    /// The same: how many, and the first of them in words.
    #[track_caller]
    pub fn compare(
        &self,
        db: &Db,
        table: &str,
        key: &str,
        columns: &[(&str, Role)],
    ) -> (usize, Vec<String>) {
        let texts: String = columns
            .iter()
            .map(|(column, _)| format!(", {column}::text"))
            .collect();
        let sql = format!("SELECT {key}::bigint{texts} FROM {table}");
        let mut wrong = Wrong::default();
        let mut seen = HashSet::with_capacity(self.expected.len());
        let mut compare_row = |row: postgres::Row| {
            let key: i64 = row.get(0);
            if !seen.insert(key) {
                wrong.add(|| format!("{key}: there twice"));
            }
            match self.expected.get(&key) {
                None => wrong.add(|| format!("{key}: nobody wrote it")),
                Some(None) => wrong.add(|| format!("{key}: was deleted, is there")),
                Some(Some(value)) => {
                    for (i, (column, role)) in columns.iter().enumerate() {
                        let found: Option<&str> = row.get(i + 1);
                        let expected = self.mappings.seen_by(*role, value);
                        if found != expected.as_deref() {
                            let by = value.by;
                            wrong.add(|| {
                                format!(
                                    "{key}.{column}: {by:?} wrote {expected:?}, found {found:?}"
                                )
                            });
                        }
                    }
                }
            }
        };
        let mut client = db.connect();
        let params: [&str; 0] = [];
        let done = client.query_raw(&sql, params).and_then(|mut rows| {
            while let Some(row) = rows.next()? {
                compare_row(row);
            }
            Ok(())
        });
        if let Err(error) = done {
            panic!("{}\nin: {sql}", Failure::from(&error));
        }
        for (key, value) in &self.expected {
            if value.is_some() && !seen.contains(key) {
                wrong.add(|| format!("{key}: was written, is gone"));
            }
        }
        (wrong.count, wrong.shown)
    }
}

#[derive(Default)]
struct Wrong {
    shown: Vec<String>,
    count: usize,
}

impl Wrong {
    fn add(&mut self, what: impl FnOnce() -> String) {
        self.count += 1;
        if self.shown.len() < SHOWN {
            self.shown.push(what());
        }
    }
}
