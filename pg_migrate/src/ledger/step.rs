//! `migrate.step`.

use super::owned;
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, Arg};
use crate::recipe::step::{Kind, Lock, Phase, Step, Undo};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// A step as it is stored.
#[derive(Debug, Clone, Deserialize)]
pub struct StepRow {
    pub revision: String,
    pub direction: String,
    pub step: i32,
    pub phase: Phase,
    pub kind: Kind,
    pub relation: Option<String>,
    pub sql: String,
    pub undo: Vec<Undo>,
    pub args: Value,
    pub lock: Option<Lock>,
    pub rewrites: bool,
    pub scans: bool,
    pub state: String,
    pub attempts: i32,
    pub warning: Option<String>,
    pub error: Option<Fault>,
}

impl StepRow {
    /// Whether nothing is left to do for it.
    pub fn is_over(&self) -> bool {
        matches!(self.state.as_str(), "done" | "skipped" | "undone")
    }

    /// The step as the recipe made it.
    pub fn planned(&self) -> Step {
        Step {
            phase: self.phase,
            kind: self.kind,
            sql: self.sql.clone(),
            relation: self.relation.clone(),
            lock: self.lock,
            rewrites: self.rewrites,
            scans: self.scans,
            warning: self.warning.clone(),
            undo: self.undo.clone(),
            args: self.args.clone(),
        }
    }
}

const COLUMNS: &str = "revision, direction, step, phase, kind, relation, sql, undo, args, lock, rewrites, scans, state, attempts, warning, error";

fn text<T: serde::Serialize>(value: &T) -> Option<String> {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
}

pub fn insert_steps(revision: &str, direction: &str, steps: &[Step]) -> Result<()> {
    clear_steps(revision, direction)?;
    append(revision, direction, 1, steps)
}

/// Puts steps before one whose turn has come; it and those after it get higher numbers.
pub fn insert_steps_before(step: &StepRow, steps: &[Step]) -> Result<()> {
    let more = i64::try_from(steps.len()).unwrap_or(0);
    owned(|| {
        // By way of negative numbers: no two rows have the same one in between.
        for sql in [
            "UPDATE migrate.step SET step = -step - $4 WHERE revision = $1 AND direction = $2 AND step >= $3",
            "UPDATE migrate.step SET step = -step WHERE revision = $1 AND direction = $2 AND step < 0 \
             AND $3 IS NOT NULL AND $4 IS NOT NULL",
        ] {
            spi::run(
                sql,
                &[
                    Arg::Text(&step.revision),
                    Arg::Text(&step.direction),
                    Arg::Int(step.step.into()),
                    Arg::Int(more),
                ],
            )?;
        }
        Ok(())
    })?;
    append(&step.revision, &step.direction, step.step.into(), steps)
}

fn append(revision: &str, direction: &str, first: i64, steps: &[Step]) -> Result<()> {
    owned(|| {
        for (number, step) in (first..).zip(steps) {
            let undo =
                serde_json::to_value(&step.undo).map_err(|err| Fault::internal(err.to_string()))?;
            let (phase, kind, lock) = (
                text(&step.phase),
                text(&step.kind),
                step.lock.as_ref().and_then(text),
            );
            spi::run(
                "INSERT INTO migrate.step (revision, direction, step, phase, kind, relation, sql, undo, args, lock, rewrites, scans, warning) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                &[
                    Arg::Text(revision),
                    Arg::Text(direction),
                    Arg::Int(number),
                    Arg::OptText(phase.as_deref()),
                    Arg::OptText(kind.as_deref()),
                    Arg::OptText(step.relation.as_deref()),
                    Arg::Text(&step.sql),
                    Arg::Json(&undo),
                    Arg::Json(&step.args),
                    Arg::OptText(lock.as_deref()),
                    Arg::Bool(step.rewrites),
                    Arg::Bool(step.scans),
                    Arg::OptText(step.warning.as_deref()),
                ],
            )?;
        }
        Ok(())
    })
}

/// Forgets the steps of a direction and their backfill jobs: what comes next begins anew.
pub fn clear_steps(revision: &str, direction: &str) -> Result<()> {
    owned(|| {
        spi::run(
            "DELETE FROM migrate.backfill WHERE revision = $1 AND direction = $2",
            &[Arg::Text(revision), Arg::Text(direction)],
        )?;
        spi::run(
            "DELETE FROM migrate.step WHERE revision = $1 AND direction = $2",
            &[Arg::Text(revision), Arg::Text(direction)],
        )
        .map(drop)
    })
}

pub fn steps(revision: &str, direction: &str) -> Result<Vec<StepRow>> {
    owned(|| {
        spi::select(
            &format!(
                "SELECT {COLUMNS} FROM migrate.step WHERE revision = $1 AND direction = $2 ORDER BY step"
            ),
            &[Arg::Text(revision), Arg::Text(direction)],
        )
    })
}

/// The first step of the phases up to `phase` that is not done.
pub fn next_step(revision: &str, direction: &str, phase: Phase) -> Result<Option<StepRow>> {
    Ok(steps(revision, direction)?
        .into_iter()
        .find(|step| step.phase <= phase && !step.is_over()))
}

/// Steps that were done or at least begun, last first.
pub fn steps_done(revision: &str, direction: &str) -> Result<Vec<StepRow>> {
    let mut found: Vec<_> = steps(revision, direction)?
        .into_iter()
        .filter(|step| step.state == "done" || step.attempts > 0)
        .filter(|step| step.state != "undone")
        .collect();
    found.reverse();
    Ok(found)
}

pub fn start_step(step: &StepRow) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.step SET state = 'running', attempts = attempts + 1, error = NULL, waiting = NULL, \
                    started_at = pg_catalog.clock_timestamp(), finished_at = NULL \
             WHERE revision = $1 AND direction = $2 AND step = $3",
            &[Arg::Text(&step.revision), Arg::Text(&step.direction), Arg::Int(step.step.into())],
        )
        .map(drop)
    })
}

/// Marks the step as done after `took`; `false`: it was already.
pub fn finish_step(step: &StepRow, took: Duration) -> Result<bool> {
    owned(|| {
        spi::run(
            "UPDATE migrate.step SET state = 'done', error = NULL, waiting = NULL, \
                    started_at = coalesce(started_at, pg_catalog.clock_timestamp() - $4 * interval '1 microsecond'), \
                    finished_at = pg_catalog.clock_timestamp() \
             WHERE revision = $1 AND direction = $2 AND step = $3 \
               AND state NOT IN ('done', 'skipped', 'undone')",
            &[
                Arg::Text(&step.revision),
                Arg::Text(&step.direction),
                Arg::Int(step.step.into()),
                Arg::Int(i64::try_from(took.as_micros()).unwrap_or(i64::MAX)),
            ],
        )
        .map(|rows| rows > 0)
    })
}

pub fn set_step(step: &StepRow, state: &str, error: Option<&Fault>) -> Result<()> {
    let error = error.and_then(|fault| serde_json::to_value(fault).ok());
    owned(|| {
        spi::run(
            "UPDATE migrate.step SET state = $4, error = $5, waiting = NULL, \
                    started_at = coalesce(started_at, pg_catalog.clock_timestamp()), \
                    finished_at = pg_catalog.clock_timestamp() \
             WHERE revision = $1 AND direction = $2 AND step = $3",
            &[
                Arg::Text(&step.revision),
                Arg::Text(&step.direction),
                Arg::Int(step.step.into()),
                Arg::Text(state),
                Arg::OptJson(error.as_ref()),
            ],
        )
        .map(drop)
    })
}

/// Why the step is not moving, in words; `None`: it moves.
pub fn set_waiting(step: &StepRow, why: Option<&str>) -> Result<()> {
    owned(|| {
        spi::run(
            "UPDATE migrate.step SET waiting = $4 WHERE revision = $1 AND direction = $2 AND step = $3 \
             AND waiting IS DISTINCT FROM $4",
            &[
                Arg::Text(&step.revision),
                Arg::Text(&step.direction),
                Arg::Int(step.step.into()),
                Arg::OptText(why),
            ],
        )
        .map(drop)
    })
}
