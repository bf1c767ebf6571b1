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
    /// Whether it may run in a transaction block that somebody else began.
    pub fn in_transaction(&self) -> bool {
        self.kind != Kind::Concurrent && self.phase == Phase::Expand
    }
}
