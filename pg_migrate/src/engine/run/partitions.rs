//! Steps of partitions: those that have become needless because a partition has left, and those
//! that ask which partitions came.

use super::{Progress, done, wants};
use crate::catalog::{self, Attachment, Live};
use crate::engine::context::{Transactions, within};
use crate::engine::locks;
use crate::fault::{Fault, Result};
use crate::ledger::{self, Event, Revision, StepRow};
use crate::pg::spi;
use crate::recipe::partition::Task;
use crate::recipe::step::Kind;
use serde_json::Value;
use std::time::Instant;

/// A question that is asked so often and always finds something more will never be settled.
const MOST_QUESTIONS: i32 = 100;

/// Why nothing is left to do for a step about one partition; `None`: there is.
pub fn needless(revision: &Revision, step: &StepRow) -> Result<Option<String>> {
    let word = |key: &str| step.args.get(key).and_then(Value::as_str);
    let table = word("partition").or(step.relation.as_deref());
    let (Some(table), Some(parent)) = (table, word("partition_of")) else {
        return Ok(None);
    };
    within(revision, || {
        if catalog::attachment(table, parent)? != Attachment::Whole {
            return Ok(Some(format!(
                "{table} is no partition of {parent} any more"
            )));
        }
        match word("part_of") {
            Some(index) if catalog::has_part(table, index)? => {
                Ok(Some(format!("{table} has a part of index {index}")))
            }
            _ => Ok(None),
        }
    })
}

/// Whether a DETACH CONCURRENTLY that was begun before is through; one that was interrupted after
/// its first half is finished here.
pub fn detached(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: &StepRow,
) -> Result<bool> {
    let word = |key: &str| step.args.get(key).and_then(Value::as_str);
    let (Some(partition), Some(table)) = (word("detaches"), word("from")) else {
        return Ok(false);
    };
    match within(revision, || catalog::attachment(partition, table))? {
        Attachment::Whole => Ok(false),
        Attachment::None => Ok(true),
        Attachment::Leaving => {
            transactions.commit();
            super::at_top_level(
                transactions,
                revision,
                &format!("ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE"),
            )
            .map_err(|fault| super::at_step(fault, step))?;
            Ok(true)
        }
    }
}

/// Asks what partitions still lack, under the locks of the step. That becomes steps before it;
/// where nothing is missing, the step is done.
pub fn settle(
    transactions: &mut dyn Transactions,
    revision: &Revision,
    step: &StepRow,
) -> Result<Progress> {
    let Some(task) = Task::of(&step.args)? else {
        return Err(Fault::internal("a step has no task"));
    };
    if step.attempts > MOST_QUESTIONS {
        return Err(Fault::wrong_state(
            "partitions keep coming without what the migration gives them",
        )
        .detail(format!("Asked {MOST_QUESTIONS} times by: {}", step.sql))
        .hint("Stop what attaches partitions, then CALL migrate.upgrade() again."));
    }
    let begun = Instant::now();
    let wants = match step.kind {
        Kind::Partitions => Vec::new(),
        _ => wants(step),
    };
    let mut report = |why: Option<&str>| ledger::set_waiting(step, why);
    let steps = locks::with(transactions, &wants, &mut report, &mut || {
        let steps = within(revision, || task.missing(&Live))?;
        if steps.is_empty() {
            if step.kind != Kind::Partitions {
                within(revision, || spi::run(&step.sql, &[]))
                    .map_err(|fault| super::at_step(fault, step))?;
            }
            done(step, begun)?;
        }
        Ok(steps)
    })?;
    if steps.is_empty() {
        transactions.commit();
        return Ok(Progress::Done);
    }
    ledger::start_step(step)?;
    ledger::insert_steps_before(step, &steps)?;
    ledger::event(&Event {
        revision: Some(&step.revision),
        direction: Some(&step.direction),
        step: Some(step.step),
        what: "steps added",
        detail: Some(&format!(
            "{} for partitions that came meanwhile",
            steps.len()
        )),
        ..Event::default()
    })?;
    transactions.commit();
    Ok(Progress::More)
}
