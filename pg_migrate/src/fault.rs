//! The one error that travels between the rooms: a SQLSTATE, and the three texts a user reads.
//! Knows nothing of PostgreSQL; `pg::error` turns it into an `ereport` at the border.

use serde::{Deserialize, Serialize};

/// What went wrong, in the shape PostgreSQL reports it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The five-character SQLSTATE.
    pub sqlstate: String,
    /// Primary message: lower case, no full stop.
    pub message: String,
    /// The facts behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The next command to type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

pub type Result<T> = std::result::Result<T, Fault>;

/// SQLSTATEs this extension raises, by their names in PostgreSQL's errcodes.
pub mod state {
    pub const INVALID_PARAMETER: &str = "22023";
    pub const SYNTAX: &str = "42601";
    pub const UNDEFINED_TABLE: &str = "42P01";
    pub const UNDEFINED_COLUMN: &str = "42703";
    pub const UNDEFINED_OBJECT: &str = "42704";
    pub const DUPLICATE_OBJECT: &str = "42710";
    pub const DUPLICATE_COLUMN: &str = "42701";
    pub const WRONG_OBJECT_TYPE: &str = "42809";
    pub const DATATYPE_MISMATCH: &str = "42804";
    pub const DEPENDENT_OBJECTS: &str = "2BP01";
    pub const NOT_IN_PREREQUISITE_STATE: &str = "55000";
    pub const OBJECT_IN_USE: &str = "55006";
    pub const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub const DEADLOCK: &str = "40P01";
    pub const ACTIVE_TRANSACTION: &str = "25001";
    pub const READ_ONLY: &str = "25006";
    pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const INSUFFICIENT_RESOURCES: &str = "53000";
    pub const QUERY_CANCELED: &str = "57014";
    pub const ADMIN_SHUTDOWN: &str = "57P01";
    pub const CHECK_VIOLATION: &str = "23514";
    pub const INTERNAL: &str = "XX000";
}

impl Fault {
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Self {
        Self {
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// An argument or a field of a document that cannot be.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(state::INVALID_PARAMETER, message)
    }

    /// The thing is in a state in which this cannot be done.
    pub fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(state::NOT_IN_PREREQUISITE_STATE, message)
    }

    /// Something this build believes impossible; names the place for a report.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(state::INTERNAL, message)
    }

    /// A cancel or a shutdown: says nothing about what was being done.
    pub fn is_interruption(&self) -> bool {
        matches!(
            self.sqlstate.as_str(),
            state::QUERY_CANCELED | state::ADMIN_SHUTDOWN
        )
    }

    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        Ok(())
    }
}
