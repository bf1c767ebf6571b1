//! One revision as the graph sees it.

use serde::{Deserialize, Serialize};

/// Where a migration stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Registered; nothing of it is in the schema.
    Pending,
    Expanding,
    Migrating,
    /// Old and new shape are both there.
    Expanded,
    Contracting,
    Applied,
    Downgrading,
    /// Out of history.
    Abandoned,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Expanding => "expanding",
            State::Migrating => "migrating",
            State::Expanded => "expanded",
            State::Contracting => "contracting",
            State::Applied => "applied",
            State::Downgrading => "downgrading",
            State::Abandoned => "abandoned",
        }
    }

    /// Whether an upgrade still has something to do.
    pub fn upgradable(self) -> bool {
        matches!(self, State::Pending | State::Expanding | State::Migrating)
    }

    /// Whether anything of it is, or may be, in the schema.
    pub fn begun(self) -> bool {
        !matches!(self, State::Pending | State::Abandoned)
    }
}

/// A revision and what it hangs on. `ordinal`: the order of registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub revision: String,
    pub ordinal: i64,
    pub down_revision: Vec<String>,
    pub depends_on: Vec<String>,
    pub branch_labels: Vec<String>,
    pub state: State,
    pub message: Option<String>,
}

impl Node {
    /// Everything that must be there before it.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.down_revision
            .iter()
            .chain(&self.depends_on)
            .map(String::as_str)
    }
}
