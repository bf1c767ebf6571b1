//! The loop of every driver: find the next thing to do, do it, commit, look again. Any number of
//! drivers may run it at once: a session lock per migration keeps two of them from the same step,
//! batches of a backfill are shared.

mod filling;
mod telling;

pub use filling::{batch, catch_up};

use super::context::{Mode, Transactions};
use super::run::{self, Progress};
use super::{register, start};
use crate::backfill;
use crate::fault::{Fault, Result, state};
use crate::history::Graph;
use crate::ledger::{self, Event, Revision, State, StepRow};
use crate::pg::advisory::SessionLock;
use crate::pg::error;
use crate::pg::wait::{self, Patience};
use crate::recipe::step::{Kind, Phase};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use telling::Telling;

/// What a driver is to work on.
#[derive(Debug, Default)]
pub struct Scope {
    /// Only these revisions; `None`: everything queued, and backfills that stand alone.
    pub revisions: Option<Vec<String>>,
    /// A step that failed is tried again, and its error ends the call.
    pub insist: bool,
    /// Stop after this time, between two pieces of work.
    pub limit: Option<Duration>,
}

impl Scope {
    fn covers(&self, revision: &str) -> bool {
        self.revisions
            .as_ref()
            .is_none_or(|list| list.iter().any(|id| id == revision))
    }
}

/// What one look at the queue came to.
enum Look {
    Worked,
    /// There is work, but others have it.
    Waiting,
    Nothing,
}

/// Works until nothing in scope is left (or the time is up).
pub fn drive(transactions: &mut dyn Transactions, scope: &Scope) -> Result<()> {
    let begun = Instant::now();
    let mut told = Telling::default();
    let mut patience = Patience::default();
    loop {
        wait::check_interrupts();
        if scope.limit.is_some_and(|limit| begun.elapsed() >= limit) {
            return Ok(());
        }
        let look = look(transactions, scope, &mut told)?;
        transactions.commit();
        match look {
            Look::Worked => patience.begin_anew(),
            Look::Waiting => patience.wait(),
            Look::Nothing => return Ok(()),
        }
    }
}

/// Brings the database up to `target`: asks for what is pending on the way there and drives it.
pub fn upgrade(
    transactions: &mut dyn Transactions,
    target: &str,
    limit: Option<Duration>,
) -> Result<()> {
    let graph = Graph::new(ledger::nodes()?);
    let path = graph.upgrade_path(target)?;
    let mut revisions = path.clone();
    for row in ledger::revisions_in_flight()? {
        if row.requested && !revisions.contains(&row.revision) {
            revisions.push(row.revision);
        }
    }
    for revision in &path {
        let row = register::find(revision)?;
        super::context::may_drive(&row)?;
        if row.state == State::Pending {
            ledger::request(revision)?;
        }
    }
    transactions.commit();
    drive(
        transactions,
        &Scope {
            revisions: Some(revisions),
            insist: true,
            limit,
        },
    )?;
    drive_loose(transactions, limit)?;
    for revision in &path {
        register::announce(revision)?;
    }
    Ok(())
}

/// Backfills that belong to no migration.
fn drive_loose(transactions: &mut dyn Transactions, limit: Option<Duration>) -> Result<()> {
    drive(
        transactions,
        &Scope {
            revisions: Some(Vec::new()),
            insist: false,
            limit,
        },
    )
}

fn look(transactions: &mut dyn Transactions, scope: &Scope, told: &mut Telling) -> Result<Look> {
    let flight = ledger::revisions_in_flight()?;
    let mut waiting = false;
    let mut behind: HashSet<String> = HashSet::new();
    // Read only where several move at once: a look is made for every batch, and a history is long.
    let mut graph: Option<Graph> = None;
    for revision in &flight {
        let moving = matches!(
            revision.state,
            State::Pending | State::Expanding | State::Migrating
        );
        if moving {
            behind.insert(revision.revision.clone());
        }
        if !moving || !scope.covers(&revision.revision) {
            continue;
        }
        if !scope.insist && super::context::may_drive(revision).is_err() {
            continue;
        }
        // Long work of a migration waits for that of its ancestors: it may build on it.
        let early = behind.len() > 1 && {
            if graph.is_none() {
                graph = Some(Graph::new(ledger::nodes()?));
            }
            let ancestors = graph
                .as_ref()
                .map(|graph| graph.ancestors(&revision.revision));
            ancestors.is_some_and(|all| all.iter().any(|id| behind.contains(id)))
        };
        match advance(transactions, revision, early, scope.insist, told) {
            Ok(Some(Progress::Done | Progress::More)) => return Ok(Look::Worked),
            Ok(Some(Progress::Idle)) => waiting = true,
            Ok(None) => {}
            Err(fault) if scope.insist || fault.is_interruption() => return Err(fault),
            Err(fault) => {
                error::warning(fault);
                return Ok(Look::Worked);
            }
        }
    }
    let loose = scope.revisions.as_ref().is_none_or(Vec::is_empty);
    if loose && let Some(job) = backfill::next_job()? {
        let batch = match backfill::batch(job) {
            Ok(batch) => batch,
            Err(fault) if fault.is_interruption() => return Err(fault),
            Err(fault) => {
                transactions.commit();
                return Err(fault);
            }
        };
        if !batch.idle {
            return Ok(Look::Worked);
        }
        waiting = true;
    }
    Ok(if waiting {
        Look::Waiting
    } else {
        Look::Nothing
    })
}

/// The next piece of work of one migration. `None`: nothing to do for a driver.
fn advance(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    early: bool,
    insist: bool,
    told: &mut Telling,
) -> Result<Option<Progress>> {
    let id = revision.revision.as_str();
    if revision.state == State::Pending {
        if !register::ready(revision)? {
            return Ok(insist.then_some(Progress::Idle));
        }
        let Some(_lock) = SessionLock::try_take(id) else {
            return Ok(Some(Progress::Idle));
        };
        let begun = recording(transactions, revision, None, |transactions| {
            match register::begin(transactions, revision) {
                // An ancestor's long work is still being done; this one builds on it.
                Err(fault) if early && fault.sqlstate == state::OBJECT_IN_USE => Ok(false),
                other => other,
            }
        })?;
        return Ok(Some(if begun {
            Progress::Done
        } else {
            Progress::Idle
        }));
    }
    let next = ledger::next_step(id, "up", Phase::Migrate)?;
    if let Some(step) = &next {
        if step.state == "failed" && !insist {
            return Ok(None);
        }
        if early && step.phase == Phase::Migrate {
            return Ok(Some(Progress::Idle));
        }
        told.about(step);
        if step.kind == Kind::Backfill {
            return recording(transactions, revision, Some(step), |transactions| {
                run::step(transactions, revision, step)
            })
            .map(Some);
        }
    }
    let Some(_lock) = SessionLock::try_take(id) else {
        return Ok(Some(Progress::Idle));
    };
    // Another driver may have done it between the look and the lock.
    let Some(now) = ledger::revision(id)? else {
        return Ok(None);
    };
    if now.state != revision.state {
        return Ok(Some(Progress::More));
    }
    let again = ledger::next_step(id, "up", Phase::Migrate)?;
    if again.as_ref().map(|step| step.step) != next.as_ref().map(|step| step.step) {
        return Ok(Some(Progress::More));
    }
    match again {
        None => {
            start::settle(id)?;
            super::drift::at_rest(transactions.mode())?;
            Ok(Some(Progress::Done))
        }
        Some(step) if step.phase == Phase::Expand => {
            recording(transactions, revision, Some(&step), |transactions| {
                start::expand(transactions, revision, "up")
            })?;
            Ok(Some(Progress::Done))
        }
        Some(step) => recording(transactions, revision, Some(&step), |transactions| {
            run::step(transactions, revision, &step)
        })
        .map(Some),
    }
}

/// Runs a piece of work; an error is kept with the step and in the log of events before it goes on.
pub fn recording<T>(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: Option<&StepRow>,
    work: impl FnOnce(&mut dyn Transactions) -> Result<T>,
) -> Result<T> {
    let fault = match work(transactions) {
        Ok(value) => return Ok(value),
        Err(fault) => fault,
    };
    if fault.is_interruption() || transactions.mode() != Mode::Driver {
        return Err(fault);
    }
    if let Some(step) = step {
        ledger::set_step(step, "failed", Some(&fault))?;
    }
    ledger::event(&Event {
        revision: Some(&revision.revision),
        direction: step.map(|step| step.direction.as_str()),
        step: step.map(|step| step.step),
        what: "step failed",
        sql: step.map(|step| step.sql.as_str()),
        error: Some(&fault),
        ..Event::default()
    })?;
    transactions.commit();
    let hint = format!(
        "When the cause is gone: CALL migrate.upgrade() resumes; SELECT migrate.repair('{}', 'skip') passes over the step; CALL migrate.downgrade takes the migration back.",
        revision.revision
    );
    Err(Fault {
        hint: Some(
            fault
                .hint
                .clone()
                .map_or(hint.clone(), |own| format!("{own}\n{hint}")),
        ),
        ..fault
    })
}
