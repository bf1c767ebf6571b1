//! The hazards, one file for each family. Beside each file stand its cases: SQL that must be
//! found, and SQL that must not.

pub mod compatibility;
pub mod data;
pub mod indexes;
pub mod kinds;
pub mod locks;
pub mod partitions;
pub mod remarks;
pub mod rewrites;
pub mod safe;
pub mod scans;
pub mod server;
pub mod timeouts;
pub mod transactions;
pub mod types;

/// Stands where a rule's name would, of statements with nothing to fear.
pub const SAFE: &str = "safe";
