//! In what transaction, and as whom, a piece of work runs.

use crate::fault::{Fault, Result, state};
use crate::ledger::Revision;
use crate::pg::procedure::NonAtomic;
use crate::pg::{identity, settings};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A procedure: may commit, so every kind of step runs.
    Driver,
    /// A function inside somebody's transaction: brief steps only.
    Caller,
    /// Everything in one transaction that will be rolled back.
    Rehearsal,
}

/// The transactions a driver works in.
pub trait Transactions {
    fn mode(&self) -> Mode;
    /// Makes what was done so far durable, and lets go of locks and snapshot. A no-op where the
    /// transaction is somebody else's.
    fn commit(&mut self);
}

impl Transactions for NonAtomic {
    fn mode(&self) -> Mode {
        Mode::Driver
    }

    fn commit(&mut self) {
        NonAtomic::commit(self);
    }
}

/// Somebody else's transaction.
pub struct Caller(pub Mode);

impl Transactions for Caller {
    fn mode(&self) -> Mode {
        self.0
    }

    fn commit(&mut self) {}
}

/// Runs a migration's SQL as the role that registered it and in its search path. Errors unless the
/// current user has that role's rights. `body` must not commit.
pub fn within<T>(revision: &Revision, body: impl FnOnce() -> Result<T>) -> Result<T> {
    may_drive(revision)?;
    let scope = settings::Scope::new();
    scope.set("search_path", &revision.search_path);
    let value = identity::as_role(revision.owner, body);
    drop(scope);
    value
}

pub fn may_drive(revision: &Revision) -> Result<()> {
    if identity::has_rights_of(revision.owner) {
        return Ok(());
    }
    let owner = identity::role_name(revision.owner);
    Err(Fault::new(
        state::INSUFFICIENT_PRIVILEGE,
        format!("permission denied for migration \"{}\"", revision.revision),
    )
    .detail(format!(
        "Its steps run with the rights of role \"{owner}\", which registered it."
    ))
    .hint(format!("SET ROLE {owner}, or have it granted to you.")))
}
