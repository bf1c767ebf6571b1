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
        let also = self.args.get("also_locks").and_then(Value::as_array);
        let others = also.into_iter().flatten().filter_map(|also| {
            serde_json::from_value::<Lock>(also.get("lock").cloned().unwrap_or_default()).ok()
        });
        others.max().max(self.lock)
    }

    /// Whether it may run in a transaction block that somebody else began.
    pub fn in_transaction(&self) -> bool {
        self.kind != Kind::Concurrent && self.phase == Phase::Expand
    }
}
