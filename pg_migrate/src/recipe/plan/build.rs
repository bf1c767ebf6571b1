//! How a step is made: its kinds, and what can be added to it.

use crate::recipe::step::{AlsoLock, Kind, Lock, Phase, Step, Undo};
use serde_json::{Value, json};

/// A brief-lock step.
pub fn ddl(phase: Phase, relation: &str, lock: Lock, sql: impl Into<String>) -> Step {
    Step {
        phase,
        kind: Kind::Ddl,
        sql: sql.into(),
        relation: Some(relation.to_owned()),
        lock: Some(lock),
        rewrites: false,
        scans: false,
        warning: None,
        undo: Vec::new(),
        args: json!({}),
    }
}

/// A step on something nobody else can see yet.
pub fn unlocked(phase: Phase, sql: impl Into<String>) -> Step {
    Step {
        relation: None,
        lock: None,
        ..ddl(phase, "", Lock::AccessShare, sql)
    }
}

/// A long scan that lets reads and writes through.
pub fn validate(phase: Phase, relation: &str, sql: impl Into<String>) -> Step {
    Step {
        kind: Kind::Validate,
        scans: true,
        ..ddl(phase, relation, Lock::ShareUpdateExclusive, sql)
    }
}

/// A statement that runs outside a transaction, in a worker. `index`: what it builds (qualified).
pub fn concurrent(
    phase: Phase,
    relation: &str,
    index: Option<&str>,
    sql: impl Into<String>,
) -> Step {
    Step {
        kind: Kind::Concurrent,
        scans: index.is_some(),
        args: index.map_or_else(|| json!({}), |index| json!({ "index": index })),
        ..ddl(phase, relation, Lock::ShareUpdateExclusive, sql)
    }
}

/// A query whose one number must be zero; `message` says what a non-zero one means.
pub fn verify(relation: &str, sql: impl Into<String>, message: &str) -> Step {
    Step {
        kind: Kind::Verify,
        scans: true,
        args: json!({ "message": message }),
        ..ddl(Phase::Contract, relation, Lock::AccessShare, sql)
    }
}

impl Step {
    #[must_use]
    pub fn undo(mut self, sql: impl Into<String>) -> Step {
        self.undo.push(Undo {
            kind: Kind::Ddl,
            sql: sql.into(),
        });
        self
    }

    #[must_use]
    pub fn undo_as(mut self, kind: Kind, sql: impl Into<String>) -> Step {
        self.undo.push(Undo {
            kind,
            sql: sql.into(),
        });
        self
    }

    #[must_use]
    pub fn warn(mut self, warning: impl Into<String>) -> Step {
        self.warning = Some(warning.into());
        self
    }

    /// Another table the step locks, before its statement runs.
    #[must_use]
    pub fn also_locks(self, relation: &str, lock: Lock) -> Step {
        self.also(AlsoLock::of(relation, lock))
    }

    #[must_use]
    pub fn also(mut self, lock: AlsoLock) -> Step {
        if let Value::Object(args) = &mut self.args {
            let list = args.entry(AlsoLock::KEY).or_insert_with(|| json!([]));
            if let Value::Array(list) = list {
                list.push(json!(lock));
            }
        }
        self
    }
}
