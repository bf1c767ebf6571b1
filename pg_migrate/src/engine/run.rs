//! Runs one step, or several brief ones in one transaction.

mod partitions;

use super::context::{Mode, Transactions, within};
use super::locks::{self, Want};
use crate::catalog::{self, IndexState};
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, Event, Revision, StepRow};
use crate::lint::trace::watched;
use crate::pg::torture::{self, Point};
use crate::pg::{background, settings, spi, subtransaction};
use crate::recipe::step::{AlsoLock, Kind, Undo};
use serde_json::Value;
use std::time::Instant;

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Done,
    /// A batch was done; there is more.
    More,
    /// Nothing to do here now: others hold the rest.
    Idle,
}

/// The tables a step locks.
pub fn wants(step: &StepRow) -> Vec<Want> {
    let mut wants = Vec::new();
    if let (Some(relation), Some(lock)) = (&step.relation, step.lock) {
        wants.push(Want {
            relation: relation.clone(),
            lock,
            only: step.args.get("only") == Some(&Value::Bool(true)),
            rank: 0,
        });
    }
    wants.extend(AlsoLock::kept_in(&step.args).into_iter().map(|also| Want {
        relation: also.relation,
        lock: also.lock,
        only: also.only,
        rank: also.rank,
    }));
    wants
}

/// Brief steps, all or none, in one transaction, every lock taken first.
pub fn brief(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    steps: &[StepRow],
) -> Result<()> {
    let Some(first) = steps.first() else {
        return Ok(());
    };
    let wants = steps.iter().flat_map(wants).collect::<Vec<_>>();
    let mut report = |why: Option<&str>| ledger::set_waiting(first, why);
    locks::with(transactions, &wants, &mut report, &mut || {
        for step in steps {
            if let Some(why) = partitions::needless(revision, step)? {
                pass_over(step, &why)?;
                continue;
            }
            let begun = Instant::now();
            within(revision, || {
                let scope = settings(step);
                watched(&label(step), &step.sql, || {
                    spi::run(&step.sql, &[]).map(drop)
                })?;
                drop(scope);
                Ok(())
            })
            .map_err(|fault| at_step(fault, step))?;
            done(step, begun)?;
        }
        torture::at(Point::StepRan);
        Ok(())
    })?;
    transactions.commit();
    Ok(())
}

/// The settings that the script had in force for the step's statement.
fn settings(step: &StepRow) -> settings::Scope {
    let scope = settings::Scope::new();
    if let Some(Value::Object(given)) = step.args.get("settings") {
        for (name, value) in given {
            if let Some(value) = value.as_str() {
                scope.set(name, value);
            }
        }
    }
    scope
}

/// Says which step an error is about, once.
pub fn at_step(fault: Fault, step: &StepRow) -> Fault {
    if matches!(
        fault.sqlstate.as_str(),
        state::LOCK_NOT_AVAILABLE | state::DEADLOCK
    ) {
        return fault;
    }
    let place = format!(
        "Step {} of migration \"{}\": {}",
        step.step, step.revision, step.sql
    );
    Fault {
        detail: Some(match fault.detail {
            Some(detail) => format!("{detail}\n{place}"),
            None => place,
        }),
        ..fault
    }
}

fn done(step: &StepRow, begun: Instant) -> Result<()> {
    let took = begun.elapsed();
    ledger::finish_step(step, took)?;
    ledger::event(&Event {
        revision: Some(&step.revision),
        direction: Some(&step.direction),
        step: Some(step.step),
        what: "step done",
        duration: Some(took),
        sql: Some(&step.sql),
        ..Event::default()
    })
}

/// One step of the migrate or contract phase, or one batch of it.
pub fn step(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: &StepRow,
) -> Result<Progress> {
    torture::at(Point::StepBegin);
    if let Some(why) = partitions::needless(revision, step)? {
        if let Some(index) = index_of(step)
            && step.attempts > 0
            && within(revision, || catalog::index_state(index))? == IndexState::Invalid
        {
            at_top_level(
                transactions,
                revision,
                &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
            )?;
        }
        pass_over(step, &why)?;
        transactions.commit();
        return Ok(Progress::Done);
    }
    match step.kind {
        _ if step.args.get("task").is_some() => partitions::settle(transactions, revision, step),
        Kind::Partitions => Err(Fault::internal("a step has no task")),
        Kind::Ddl | Kind::Validate => {
            brief(transactions, revision, std::slice::from_ref(step))?;
            Ok(Progress::Done)
        }
        Kind::Concurrent => {
            concurrent(transactions, revision, step)?;
            Ok(Progress::Done)
        }
        Kind::Verify => {
            watched(&label(step), &step.sql, || verify(revision, step))?;
            transactions.commit();
            Ok(Progress::Done)
        }
        Kind::Backfill => {
            let mut progress = Progress::Idle;
            watched(&label(step), &step.sql, || {
                progress = super::drive::batch(transactions, revision, step)?;
                Ok(())
            })?;
            Ok(progress)
        }
    }
}

/// Its phase and kind, as the plan has them.
fn label(step: &StepRow) -> String {
    let word = |value: serde_json::Result<Value>| {
        value.map_or_else(
            |_| String::new(),
            |value| value.as_str().unwrap_or_default().to_owned(),
        )
    };
    let (phase, kind) = (
        serde_json::to_value(step.phase),
        serde_json::to_value(step.kind),
    );
    format!("{} {}", word(phase), word(kind))
}

/// A step whose turn has come and that has nothing to do any more.
fn pass_over(step: &StepRow, why: &str) -> Result<()> {
    ledger::set_step(step, "skipped", None)?;
    ledger::event(&Event {
        revision: Some(&step.revision),
        direction: Some(&step.direction),
        step: Some(step.step),
        what: "step skipped",
        sql: Some(&step.sql),
        detail: Some(why),
        ..Event::default()
    })
}

fn verify(revision: &Revision, step: &StepRow) -> Result<()> {
    #[derive(serde::Deserialize)]
    struct Count {
        count: i64,
    }
    let begun = Instant::now();
    let found: Option<Count> = within(revision, || {
        subtransaction::attempt(|| spi::first(&step.sql, &[]))
    })
    .map_err(|fault| at_step(fault, step))?;
    let count = found.map_or(0, |row| row.count);
    if count > 0 {
        let message = step
            .args
            .get("message")
            .and_then(Value::as_str)
            .unwrap_or("verification failed");
        return Err(Fault::wrong_state(format!("{count} {message}"))
            .detail(format!("Found by: {}", step.sql))
            .hint(format!(
                "Nothing was changed. Look at the rows, then CALL migrate.contract('{}') again, or CALL migrate.downgrade.",
                step.revision
            )));
    }
    done(step, begun)
}

/// Whether the index that the step drops is gone after an earlier attempt to drop it.
fn is_gone(revision: &Revision, step: &StepRow) -> Result<bool> {
    match step.args.get("drops").and_then(Value::as_str) {
        Some(index) if step.attempts > 0 => {
            Ok(within(revision, || catalog::index_state(index))? == IndexState::Absent)
        }
        _ => Ok(false),
    }
}

/// Whether the step builds an index.
pub fn builds(step: &StepRow) -> bool {
    step.kind == Kind::Concurrent && index_of(step).is_some()
}

fn index_of(step: &StepRow) -> Option<&str> {
    step.args.get("index").and_then(Value::as_str)
}

/// A statement outside a transaction block, run by a background worker.
fn concurrent(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: &StepRow,
) -> Result<()> {
    let begun = Instant::now();
    match transactions.mode() {
        Mode::Driver => {}
        Mode::Rehearsal => {
            // It changes nothing that could be compared, and would lock for as long as it takes.
            if step.args.get("reindex").is_none() {
                let sql = step.sql.replacen(" CONCURRENTLY", "", 1);
                within(revision, || {
                    watched(&label(step), &sql, || spi::run(&sql, &[]).map(drop))
                })
                .map_err(|fault| at_step(fault, step))?;
            }
            return done(step, begun);
        }
        Mode::Caller => {
            return Err(Fault::internal(
                "a concurrent step was begun inside a transaction",
            ));
        }
    }
    if let Some(index) = index_of(step) {
        match within(revision, || catalog::index_state(index))? {
            IndexState::Absent => {}
            // What we began before and did not finish. Somebody else's index is never touched.
            IndexState::Invalid if step.attempts > 0 => {
                at_top_level(
                    transactions,
                    revision,
                    &format!("DROP INDEX CONCURRENTLY IF EXISTS {index}"),
                )?;
            }
            IndexState::Valid if step.attempts > 0 => {
                done(step, begun)?;
                transactions.commit();
                return Ok(());
            }
            IndexState::Valid | IndexState::Invalid => {
                return Err(
                    Fault::new("42P07", format!("relation {index} already exists"))
                        .detail("It was not made by this migration.")
                        .hint("Drop or rename it, then CALL migrate.upgrade() again."),
                );
            }
        }
    }
    if step.attempts > 0 && partitions::detached(transactions, revision, step)? {
        done(step, begun)?;
        transactions.commit();
        return Ok(());
    }
    if is_gone(revision, step)? {
        // The worker was through before whoever waited for it was interrupted.
        done(step, begun)?;
        transactions.commit();
        return Ok(());
    }
    if step.attempts > 0 {
        for index in super::objects::reindex_leftovers(revision, step)? {
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
            at_top_level(transactions, revision, &sql)?;
        }
    }
    ledger::start_step(step)?;
    transactions.commit();
    match at_top_level(transactions, revision, &step.sql) {
        // The worker of a driver that was interrupted was at it still, and was faster.
        Err(fault) if fault.sqlstate == state::UNDEFINED_OBJECT && is_gone(revision, step)? => {}
        ran => ran.map_err(|fault| at_step(fault, step))?,
    }
    if let Some(index) = index_of(step)
        && within(revision, || catalog::index_state(index))? != IndexState::Valid
    {
        return Err(
            Fault::wrong_state(format!("index {index} was left invalid"))
                .hint("CALL migrate.upgrade() drops it and builds it again."),
        );
    }
    done(step, begun)?;
    transactions.commit();
    Ok(())
}

/// Has a worker run the statement, and waits for it holding no snapshot.
pub fn at_top_level(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    sql: &str,
) -> Result<()> {
    if transactions.mode() == Mode::Rehearsal {
        let sql = sql.replacen(" CONCURRENTLY", "", 1);
        return within(revision, || spi::run(&sql, &[])).map(drop);
    }
    super::context::may_drive(revision)?;
    let request = ledger::insert_worker(
        "statement",
        Some(sql),
        revision.owner,
        revision.login,
        &revision.search_path,
    )?;
    transactions.commit();
    let mut handle = background::launch(request, revision.login, revision.owner)?;
    handle.wait();
    // The waiting held no snapshot; from here on it does not matter.
    let row = ledger::worker(request)?
        .ok_or_else(|| Fault::internal("the worker's request has disappeared"))?;
    match (row.state.as_str(), row.error) {
        ("done", _) => Ok(()),
        (_, Some(fault)) => Err(fault),
        (now, None) => Err(Fault::new(
            state::ADMIN_SHUTDOWN,
            format!("the background worker ended without a result (it was {now})"),
        )
        .detail("It was terminated, or could not connect; the server log has the reason.")
        .hint("CALL migrate.upgrade() tries again.")),
    }
}

/// Runs one undo of a step, with the locks of the step it undoes.
pub fn undo(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: &StepRow,
    undo: &Undo,
) -> Result<()> {
    if undo.kind == Kind::Concurrent {
        return at_top_level(transactions, revision, &undo.sql);
    }
    let wants = if undo.kind == Kind::Ddl {
        wants(step)
    } else {
        Vec::new()
    };
    let mut report = |why: Option<&str>| ledger::set_waiting(step, why);
    locks::with(transactions, &wants, &mut report, &mut || {
        within(revision, || spi::run(&undo.sql, &[])).map(drop)
    })?;
    transactions.commit();
    Ok(())
}
