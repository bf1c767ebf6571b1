//! One batch over a range of blocks: a visit of a window, or the blocks whose rows were locked.

use super::blocks::Blocks;
use super::feedback::{self, Feedback, retry_after};
use super::fill::Filler;
use super::storage::{self, Heap, Table};
use super::stripes::{Spill, Tally, Visit};
use super::throttle;
use super::work::{Company, Look};
use crate::fault::Result;
use crate::ledger::{self, Job, Moved, Range, Window};
use crate::pg::torture::{self, Mutant, Point};
use crate::pg::wait;
use std::time::{Duration, Instant};

/// Fills as much of a claimed range as the target time allows.
pub fn scan(
    job: &Job,
    table: &Table,
    range: &Range,
    heap: &Heap,
    company: Company,
) -> Result<Look> {
    let target = Duration::from_millis(u64::try_from(job.target_ms).unwrap_or(200));
    let mut batch = Batch {
        job,
        company,
        begun: Instant::now(),
        feedback: Feedback::new(target, range.chunk_blocks),
        target,
        range: range.range,
        filler: Filler::new(job, table, range.relation, heap),
    };
    let owed = torture::settle(range.range);
    for &(first, end) in &owed {
        batch.fill(first, end, None)?;
    }
    if range.next_block >= range.end_block {
        return batch.revisit(range);
    }
    let mut window = range.window.clone();
    let before = storage::hot_updates(range.relation)?;
    let (next, pinned, fitted) = if window.visit == 0 {
        let (next, fitted) = batch.open(range, &mut window)?;
        (next, None, fitted)
    } else {
        batch.go_on(range, &mut window)?
    };
    let hot = storage::hot_updates(range.relation)? - before;
    window.grows = feedback::grows(window.grows, fitted, hot);
    let mut left = Blocks::from_flat(&range.skipped);
    let still_locked = batch.note_locked(&mut left);
    let done =
        next >= range.end_block && left.is_empty() && !torture::mistaken(Mutant::CursorFirst);
    let rest = match pinned {
        Some(pins) => Some(feedback::pinned_for(pins)),
        None => (next >= range.end_block && still_locked).then(|| retry_after(0)),
    };
    batch.file(range, next, left, window, 0, rest, done)?;
    Ok(Look::Worked(batch.filler.rows))
}

struct Batch<'a> {
    job: &'a Job,
    company: Company,
    begun: Instant,
    target: Duration,
    range: i64,
    feedback: Feedback,
    filler: Filler<'a>,
}

impl Batch<'_> {
    /// Rows that others had locked when their blocks were visited.
    fn revisit(mut self, range: &Range) -> Result<Look> {
        torture::at(Point::Revisit);
        let mut left = Blocks::from_flat(&range.skipped);
        while !self.feedback.enough(self.begun.elapsed())
            && !self.yields()?
            && let Some((first, end)) = left.take(self.feedback.chunk)
        {
            self.blocks(first, end, None)?;
        }
        let still_locked = self.note_locked(&mut left);
        let stuck = still_locked && self.filler.rows == 0;
        let retries = if stuck {
            range.retries.saturating_add(1)
        } else {
            0
        };
        let rest = still_locked.then(|| retry_after(retries));
        let done = left.is_empty();
        let window = range.window.clone();
        self.file(range, range.next_block, left, window, retries, rest, done)?;
        Ok(if stuck {
            Look::Idle
        } else {
            Look::Worked(self.filler.rows)
        })
    }

    /// The first visit of a window, in as many batches as it takes. Gives where the range goes on.
    fn open(&mut self, range: &Range, window: &mut Window) -> Result<(i64, i64)> {
        let stripes = self.stripes(range)?;
        let mut tally = Tally::default();
        let end = match stripes {
            Some(_) => range
                .end_block
                .min(range.next_block + feedback::LARGEST_WINDOW),
            None => range.end_block,
        };
        let mut at = window.at.max(range.next_block);
        let begins = at;
        while at < end
            && (at == begins || !self.feedback.enough(self.begun.elapsed()) && !self.yields()?)
        {
            let to = end.min(at + self.feedback.chunk);
            let visit = stripes
                .map(|stripes| Visit::new(range.relation, Spill::OneIn(stripes), window.grows()));
            tally.add(self.blocks(at, to, visit)?);
            at = to;
        }
        window.rows += tally.fitted + tally.spilled + tally.left;
        window.left += tally.left;
        window.at = at;
        window.end = at;
        if at < end && window.left > 0 {
            return Ok((range.next_block, tally.fitted));
        }
        if window.left == 0 {
            *window = Window {
                grows: window.grows,
                ..Window::default()
            };
            return Ok((at, tally.fitted));
        }
        window.visit = 1;
        window.at = range.next_block;
        window.before = window.left;
        window.left = 0;
        Ok((range.next_block, tally.fitted))
    }

    /// A later visit of the window. Gives where the range goes on, and how often an old snapshot has
    /// kept the room from being there that the first visit made.
    fn go_on(&mut self, range: &Range, window: &mut Window) -> Result<(i64, Option<i32>, i64)> {
        let stripes = self.stripes(range)?;
        let last = stripes.is_none_or(|stripes| feedback::is_last(window, stripes));
        let mut tally = Tally::default();
        let begins = window.at;
        while window.at < window.end
            && (window.at == begins || self.begun.elapsed() < 2 * self.target && !self.yields()?)
        {
            let to = window.end.min(window.at + self.feedback.chunk);
            let spill = match stripes {
                Some(stripes) if window.short => Spill::OneIn(stripes),
                _ => Spill::No,
            };
            let visit = (!last).then(|| Visit::new(range.relation, spill, window.grows()));
            tally.add(self.blocks(window.at, to, visit)?);
            window.at = to;
        }
        window.left += tally.left;
        if window.at < window.end {
            return Ok((range.next_block, None, tally.fitted));
        }
        if last || window.left == 0 {
            let next = window.end;
            *window = Window {
                grows: window.grows,
                ..Window::default()
            };
            return Ok((next, None, tally.fitted));
        }
        window.at = range.next_block;
        let short = feedback::is_short(window, stripes.unwrap_or(1.0));
        window.before = window.left;
        window.left = 0;
        // Rows grow as they are filled: what was moved away at first may not be enough.
        window.short = short && window.visit > 1;
        if !short || window.short {
            window.visit += 1;
            window.pins = 0;
            return Ok((range.next_block, None, tally.fitted));
        }
        window.pins += 1;
        if window.pins > feedback::MOST_PINS {
            let why = storage::oldest_snapshot()?;
            ledger::set_unstriped(self.job.job, &why)?;
        }
        Ok((range.next_block, Some(window.pins), tally.fitted))
    }

    /// Into how many visits a window is divided; `None`: one statement takes all of it. Inside
    /// somebody's transaction nothing gets behind the snapshots, and where a column that is filled
    /// has an index, no update is heap-only.
    fn stripes(&self, range: &Range) -> Result<Option<f64>> {
        let wanted = match self.job.stripes {
            0 => feedback::STRIPES,
            given => f64::from(given),
        };
        let useless =
            wanted <= 1.0 || !self.company.alone || self.job.unstriped || self.job.locks_first;
        if useless {
            return Ok(None);
        }
        let columns: Vec<String> = self.job.assignments.keys().cloned().collect();
        Ok((!storage::indexed(range.relation, &columns)?).then_some(wanted))
    }

    /// Whether the batch ends here for somebody who waits for it.
    fn yields(&self) -> Result<bool> {
        Ok(self.company.yields && throttle::is_waited_for()?)
    }

    fn blocks(&mut self, first: i64, end: i64, visit: Option<Visit>) -> Result<Tally> {
        if torture::mistaken(Mutant::CursorFirst) {
            torture::owe(self.range, first, end);
            return Ok(Tally::default());
        }
        self.fill(first, end, visit)
    }

    fn fill(&mut self, first: i64, end: i64, visit: Option<Visit>) -> Result<Tally> {
        wait::check_interrupts();
        let begun = Instant::now();
        let tally = self.filler.blocks(first, end, visit)?;
        self.feedback.measured(end - first, begun.elapsed());
        Ok(tally)
    }

    /// Adds the blocks with rows that others have locked; whether there are any.
    fn note_locked(&self, left: &mut Blocks) -> bool {
        if torture::mistaken(Mutant::NoRevisit) {
            return false;
        }
        for pair in self.filler.skipped.to_flat().chunks_exact(2) {
            left.add(pair[0], pair[1]);
        }
        !self.filler.skipped.is_empty()
    }

    #[allow(clippy::too_many_arguments)]
    fn file(
        &self,
        range: &Range,
        next_block: i64,
        left: Blocks,
        window: Window,
        retries: i32,
        rest: Option<Duration>,
        done: bool,
    ) -> Result<()> {
        torture::at(Point::BatchFilled);
        ledger::move_range(
            self.job.job,
            range.range,
            &Moved {
                next_block,
                skipped: left.to_flat(),
                chunk_blocks: self.feedback.chunk,
                window,
                rows: self.filler.rows,
                took: self.begun.elapsed(),
                retries,
                rest,
                found: None,
                done,
            },
        )?;
        torture::at(Point::BatchFiled);
        Ok(())
    }
}
