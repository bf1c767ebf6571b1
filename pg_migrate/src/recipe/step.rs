//! What a recipe produces.

use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Additive, brief locks, one transaction.
    Expand,
    /// Backfills, concurrent builds, validations; many transactions.
    Migrate,
    /// Drops and renames; one short transaction per table.
    Contract,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Catalog-speed work under a brief lock.
    Ddl,
    /// One statement that must run outside a transaction block.
    Concurrent,
    /// A long scan under a lock that lets reads and writes through.
    Validate,
    /// A backfill job.
    Backfill,
    /// A query that must find nothing before the contract goes on.
    Verify,
    /// Asks at its turn which partitions still lack what the migration gives to each: that becomes
    /// steps before it.
    Partitions,
}

/// A table lock, weakest first; the names are PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Lock {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl Lock {
    /// PostgreSQL's number of it (lockdefs.h).
    pub fn number(self) -> i32 {
        self as i32 + 1
    }

    /// By its number in PostgreSQL (lockdefs.h), from 1.
    pub fn numbered(number: u8) -> Option<Lock> {
        Some(match number {
            1 => Lock::AccessShare,
            2 => Lock::RowShare,
            3 => Lock::RowExclusive,
            4 => Lock::ShareUpdateExclusive,
            5 => Lock::Share,
            6 => Lock::ShareRowExclusive,
            7 => Lock::Exclusive,
            8 => Lock::AccessExclusive,
            _ => return None,
        })
    }

    /// The words of `LOCK TABLE … IN … MODE`.
    pub fn mode(self) -> &'static str {
        match self {
            Lock::AccessShare => "ACCESS SHARE",
            Lock::RowShare => "ROW SHARE",
            Lock::RowExclusive => "ROW EXCLUSIVE",
            Lock::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Lock::Share => "SHARE",
            Lock::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Lock::Exclusive => "EXCLUSIVE",
            Lock::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }
}

/// Another relation that a step locks beside its own, before its statement runs; kept among the
/// step's `args`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoLock {
    /// Schema-qualified and quoted.
    pub relation: String,
    pub lock: Lock,
    /// Those of higher rank are locked first. Tables have rank 0, and so has the step's own.
    #[serde(default)]
    pub rank: i32,
    /// The table without its partitions.
    #[serde(default)]
    pub only: bool,
}

impl AlsoLock {
    /// Where the list of them stands in `Step::args`.
    pub const KEY: &str = "also_locks";

    pub fn of(relation: &str, lock: Lock) -> AlsoLock {
        AlsoLock {
            relation: relation.to_owned(),
            lock,
            rank: 0,
            only: false,
        }
    }

    #[must_use]
    pub fn at(self, rank: i32) -> AlsoLock {
        AlsoLock { rank, ..self }
    }

    #[must_use]
    pub fn only(self) -> AlsoLock {
        AlsoLock { only: true, ..self }
    }

    /// All that a step keeps.
    pub fn kept_in(args: &Value) -> Vec<AlsoLock> {
        let list = args.get(AlsoLock::KEY).and_then(Value::as_array);
        let kept = list.into_iter().flatten();
        kept.filter_map(|one| AlsoLock::deserialize(one).ok())
            .collect()
    }
}

/// One way back: run in reverse order by `downgrade` before contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    pub kind: Kind,
    pub sql: String,
}

/// What a step's SQL does to one table, and how it is undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub phase: Phase,
    pub kind: Kind,
    pub sql: String,
    /// Schema-qualified and quoted; `None` when no existing table is locked.
    pub relation: Option<String>,
    pub lock: Option<Lock>,
    #[serde(default)]
    pub rewrites: bool,
    #[serde(default)]
    pub scans: bool,
    /// Destroys or hides data, or cannot be taken back; shown by `plan`.
    #[serde(default)]
    pub warning: Option<String>,
    #[serde(default)]
    pub undo: Vec<Undo>,
    /// What the engine needs beside the text: the index of a concurrent build, the backfill.
    #[serde(default)]
    pub args: Value,
}

impl Step {
    /// The strongest lock it takes on any table.
    pub fn strongest(&self) -> Option<Lock> {
        let others = AlsoLock::kept_in(&self.args)
            .into_iter()
            .map(|also| also.lock);
        others.max().max(self.lock)
    }

    /// Whether it may run in a transaction block that somebody else began.
    pub fn in_transaction(&self) -> bool {
        self.kind != Kind::Concurrent && self.phase == Phase::Expand
    }
}
