//! `migrate.drift`: what others have changed in the schema since a migration last came to rest. Each
//! one leaves a picture of the schema behind; while one is under way, what it does itself could not
//! be told from what others do.

use super::context::Mode;
use super::settings as engine_settings;
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Drifted, Event, State};
use crate::pg::{settings, subtransaction};

/// Tables, views and their like that are read while the locks of a migration's steps are held: some
/// tens of milliseconds.
const MOST_UNDER_LOCKS: i64 = 500;

/// At most so many objects are named in the event.
const MOST_NAMED: usize = 20;

/// Every object that is not as the last migration left it. Nothing where none has come to rest yet.
/// Errors while one is under way.
pub fn drift() -> Result<Vec<Drifted>> {
    if let Some(other) = under_way()? {
        return Err(Fault::new(
            state::OBJECT_IN_USE,
            format!("migration \"{}\" is {}", other.0, other.1.as_str()),
        )
        .detail("What it has changed so far cannot be told from what others have changed.")
        .hint("When it is expanded or applied, ask again: CALL migrate.upgrade(); SELECT * FROM migrate.status; shows it."));
    }
    match ledger::has_picture()? {
        None => Ok(Vec::new()),
        Some(true) => ledger::drifted(),
        Some(false) => Err(Fault::wrong_state(
            "it is not known how the last migration left the schema",
        )
        .detail("When it came to rest, something in the schema was locked for longer than migrate.lock_timeout, or a function that held the locks of its steps would have had too large a schema to read.")
        .hint("The next CALL of migrate.upgrade or migrate.contract records it, and so does SELECT migrate.baseline or migrate.stamp.")),
    }
}

/// Runs `look`, which reads every view's definition and waits where one is locked: no longer than a
/// step may. `None`: it would have to.
fn briefly<T>(look: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let scope = settings::Scope::new();
    let limit = engine_settings::lock_timeout().as_millis().to_string();
    scope.set("lock_timeout", &limit);
    let looked = subtransaction::attempt(look);
    drop(scope);
    match looked {
        Err(fault)
            if matches!(
                fault.sqlstate.as_str(),
                state::LOCK_NOT_AVAILABLE | state::DEADLOCK
            ) =>
        {
            Ok(None)
        }
        looked => looked.map(Some),
    }
}

/// A migration that is neither waiting nor at rest.
fn under_way() -> Result<Option<(String, State)>> {
    let all = ledger::revisions_in_flight()?.into_iter();
    let moving = |state: State| !matches!(state, State::Pending | State::Expanded);
    Ok(all
        .map(|row| (row.revision, row.state))
        .find(|(_, state)| moving(*state)))
}

/// Before a migration changes anything: what others have changed is in its history from then on,
/// for the next picture is as the migration leaves the schema. Not where a function would read a
/// large schema for it: its caller may hold locks.
pub fn note(revision: &str, mode: Mode) -> Result<()> {
    let passed_over = match mode {
        Mode::Rehearsal => true,
        Mode::Caller => ledger::is_large(MOST_UNDER_LOCKS)?,
        Mode::Driver => false,
    };
    if passed_over || under_way()?.is_some() {
        return Ok(());
    }
    let found = briefly(ledger::drifted)?.unwrap_or_default();
    if found.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = found
        .iter()
        .take(MOST_NAMED)
        .map(|one| format!("{} {}", one.object, one.change))
        .collect();
    let more = match found.len() - named.len() {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    ledger::event(&Event {
        revision: Some(revision),
        what: "drift found",
        detail: Some(&format!("{}{more}", named.join(", "))),
        ..Event::default()
    })
}

/// A migration has come to rest: the schema is as it should be. In a driver, its steps have committed
/// and their locks are let go by now; a function still holds them, and a large schema takes seconds
/// to read.
pub fn at_rest(mode: Mode) -> Result<()> {
    match mode {
        Mode::Rehearsal => Ok(()),
        Mode::Caller if ledger::is_large(MOST_UNDER_LOCKS)? => ledger::keep_no_picture(),
        Mode::Caller | Mode::Driver => keep(),
    }
}

/// The schema is as it should be, and nobody waits for us.
pub fn keep() -> Result<()> {
    if under_way()?.is_some() {
        return Ok(());
    }
    match briefly(ledger::keep_picture)? {
        Some(()) => Ok(()),
        None => ledger::keep_no_picture(),
    }
}
