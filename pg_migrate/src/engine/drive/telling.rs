//! What a driver tells its user on the way.

use crate::fault::Fault;
use crate::ledger::{self, StepRow};
use crate::pg::error;
use crate::recipe::step::Kind;
use std::time::{Duration, Instant};

/// Says once that a step has begun.
#[derive(Default)]
pub struct Telling {
    last: Option<(String, i32)>,
    at: Option<Instant>,
}

impl Telling {
    pub fn about(&mut self, step: &StepRow) {
        let this = (step.revision.clone(), step.step);
        let fresh = self.last.as_ref() != Some(&this);
        let stale = self
            .at
            .is_none_or(|at| at.elapsed() > Duration::from_secs(5));
        if fresh {
            let first = step.sql.lines().next().unwrap_or_default();
            error::notice(Fault::new(
                "00000",
                format!(
                    "migration \"{}\" step {}: {first}",
                    step.revision, step.step
                ),
            ));
        } else if stale
            && step.kind == Kind::Backfill
            && let Ok(Some(line)) = ledger::progress_line(&step.revision)
        {
            error::notice(Fault::new("00000", line));
        }
        if fresh || stale {
            self.last = Some(this);
            self.at = Some(Instant::now());
        }
    }
}
