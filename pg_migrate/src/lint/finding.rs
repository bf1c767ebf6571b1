//! What is said of a statement.

use crate::recipe::estimate::Size;
use crate::recipe::step::Lock;
use serde_json::Value;
use std::rc::Rc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to fear, and why.
    Safe,
    /// Better done otherwise.
    Advice,
    /// May hurt: it depends on the load, or on what the application does.
    Warning,
    /// Blocks the application for as long as the table is big, breaks it, or fails.
    Error,
}

impl Severity {
    pub const ALL: [Severity; 4] = [
        Severity::Safe,
        Severity::Advice,
        Severity::Warning,
        Severity::Error,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Severity::Safe => "safe",
            Severity::Advice => "advice",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// What a statement does, whatever is said of it.
#[derive(Debug, Clone, Default)]
pub struct Deed {
    /// From 1.
    pub statement: i32,
    /// Of its first token, from 1.
    pub line: i32,
    pub sql: String,
    pub rewrites: bool,
    pub scans: bool,
    /// The strongest lock on any relation.
    pub lock: Option<Lock>,
    /// Each relation it locks, qualified and quoted, but for indexes.
    pub locks: Vec<(String, Lock)>,
    /// Indexes that it locks more strongly than their table.
    pub indexes: Vec<(String, Lock)>,
    /// What `migrate.apply` runs in its place; `None`: nothing better than the statement itself.
    pub operation: Option<Value>,
}

/// A hazard, or the reason why there is none.
#[derive(Debug, Clone)]
pub struct Finding {
    pub deed: Rc<Deed>,
    pub rule: &'static str,
    pub severity: Severity,
    /// The relation it is about, qualified and quoted.
    pub relation: Option<String>,
    /// On that relation.
    pub lock: Option<Lock>,
    pub size: Option<Size>,
    pub message: String,
    /// SQL to paste.
    pub recipe: Option<String>,
}

/// What waits while the lock is held.
pub fn blocks(lock: Lock) -> &'static str {
    match lock {
        Lock::AccessExclusive => "reads and writes",
        Lock::Exclusive | Lock::ShareRowExclusive | Lock::Share => "writes",
        Lock::ShareUpdateExclusive => "DDL and VACUUM",
        Lock::RowExclusive | Lock::RowShare | Lock::AccessShare => "DDL",
    }
}

/// Whether it makes the application wait.
pub fn is_strong(lock: Lock) -> bool {
    lock >= Lock::Share
}

impl Finding {
    /// The size in words, and how long the long part of the statement takes.
    pub fn size_and_duration(&self) -> (Option<String>, Option<String>) {
        let Some(size) = self.size else {
            return (None, None);
        };
        let words = match (self.deed.rewrites, self.deed.scans) {
            (true, _) => size.to_rewrite(),
            (_, true) => size.to_read(),
            _ => return (Some(bytes(size)), None),
        };
        let duration = words.split_once(", ").map(|(_, time)| time.to_owned());
        (Some(bytes(size)), duration)
    }
}

fn bytes(size: Size) -> String {
    let mega = size.bytes / 1024.0 / 1024.0;
    format!("{:.0} rows, {mega:.1} MB", size.rows)
}
