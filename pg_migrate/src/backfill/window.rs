//! One batch over a range of blocks: a visit of a window, or the blocks whose rows were locked.

use super::blocks::Blocks;
use super::cost::Sample;
use super::feedback::{self, Feedback, retry_after};
use super::fill::{Filler, Way};
use super::memory::{self, Memory};
use super::storage::{self, Heap, Table};
use super::stripes::{Spill, Tally, Visit};
use super::throttle;
use super::work::{Company, Look};
use crate::fault::Result;
use crate::ledger::{self, Job, Moved, Range, Window};
use crate::pg::torture::{self, Mutant, Point};
use crate::pg::{usage, wait};
use std::time::{Duration, Instant};

/// Fills as much of a claimed range as the target time allows.
pub fn scan(
    job: &Job,
    table: &Table,
    range: &Range,
    heap: &Heap,
    company: Company,
) -> Result<Look> {
    let mut batch = Batch {
        job,
        company,
        begun: Instant::now(),
        feedback: Feedback::new(job.target(), range.chunk_blocks),
        range: range.range,
        memory: memory::recall(job.job, range),
        wal: usage::wal_bytes(),
        hot: storage::hot_updates(range.relation)?,
        divided: None,
        filler: Filler::new(job, table, range.relation, heap),
    };
    let owed = torture::settle(range.range);
    for &(first, end) in &owed {
        batch.fill(first, end, Way::All)?;
    }
    if range.next_block >= range.end_block {
        return batch.revisit(range);
    }
    let mut window = range.window.clone();
    let (next, pinned, tally) = if window.visit == 0 {
        let (next, tally) = batch.open(range, &mut window)?;
        (next, None, tally)
    } else {
        batch.go_on(range, &mut window)?
    };
    let hot = storage::hot_updates(range.relation)? - batch.hot;
    window.grows = feedback::grows(window.grows, tally.growth(), tally.fitted, hot);
    let mut left = Blocks::from_flat(&range.skipped);
    let still_locked = batch.note_locked(&mut left);
    let done =
        next >= range.end_block && left.is_empty() && !torture::mistaken(Mutant::CursorFirst);
    let rest = match pinned {
        Some(pins) => Some(feedback::pinned_for(pins)),
        None => (next >= range.end_block && still_locked).then(|| retry_after(0)),
    };
    let rows = batch.filler.rows;
    batch.file(range, next, left, window, 0, hot, rest, done)?;
    Ok(Look::Worked(rows))
}

struct Batch<'a> {
    job: &'a Job,
    company: Company,
    begun: Instant,
    range: i64,
    feedback: Feedback,
    filler: Filler<'a>,
    /// What this session knows of the window and of what rows cost.
    memory: Memory,
    /// Bytes of WAL and heap-only updates before the batch.
    wal: u64,
    hot: i64,
    /// Into how many visits the window is divided, if it is.
    divided: Option<i32>,
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
            self.blocks(first, end, Way::All)?;
        }
        let still_locked = self.note_locked(&mut left);
        let rows = self.filler.rows;
        let stuck = still_locked && rows == 0;
        let retries = if stuck {
            range.retries.saturating_add(1)
        } else {
            0
        };
        let rest = still_locked.then(|| retry_after(retries));
        let done = left.is_empty();
        let window = range.window.clone();
        let hot = storage::hot_updates(range.relation)? - self.hot;
        self.file(
            range,
            range.next_block,
            left,
            window,
            retries,
            hot,
            rest,
            done,
        )?;
        Ok(if stuck {
            Look::Idle
        } else {
            Look::Worked(rows)
        })
    }

    /// The first visit of a window, in as many batches as it takes. Gives where the range goes on.
    fn open(&mut self, range: &Range, window: &mut Window) -> Result<(i64, Tally)> {
        if window.stripes == 0 {
            window.stripes = self.wanted(window);
        }
        let stripes = self.stripes(range, window)?;
        let mut tally = Tally::default();
        let end = match stripes {
            Some(_) => range
                .end_block
                .min(range.next_block + feedback::window(usage::shared_buffers())),
            None => range.end_block,
        };
        let mut at = window.at.max(range.next_block);
        let begins = at;
        while at < end
            && (at == begins || !self.feedback.enough(self.begun.elapsed()) && !self.yields()?)
        {
            let to = end.min(at + self.feedback.chunk);
            let way = match stripes {
                None => Way::All,
                Some(stripes) => {
                    let spill = Spill::First(feedback::visits_after(window, stripes));
                    Way::Asking(self.visit(range, window, spill))
                }
            };
            let found = self.blocks(at, to, way)?;
            if stripes.is_some() {
                self.memory.model.found(&found);
            }
            tally.add(found);
            at = to;
        }
        window.rows += tally.rows();
        window.moved += tally.spilled;
        window.left += tally.left;
        window.at = at;
        window.end = at;
        if at < end && window.left > 0 {
            return Ok((range.next_block, tally));
        }
        if window.left == 0 {
            *window = window.next();
            return Ok((at, tally));
        }
        window.visit = 1;
        window.at = range.next_block;
        window.before = window.left;
        window.left = 0;
        Ok((range.next_block, tally))
    }

    /// A later visit of the window. Gives where the range goes on, and how often an old snapshot has
    /// kept the room from being there that the first visit made.
    fn go_on(&mut self, range: &Range, window: &mut Window) -> Result<(i64, Option<i32>, Tally)> {
        let stripes = self.stripes(range, window)?;
        let last = stripes.is_none_or(|stripes| feedback::is_last(window, stripes));
        if last && !window.last {
            // What makes it the last one may come in the middle of a visit, which has left rows behind.
            window.last = true;
            window.at = range.next_block;
            window.left = 0;
        }
        let last = window.last;
        let noted = self.memory.notes.cover(range.next_block, window.end);
        let mut tally = Tally::default();
        let begins = window.at;
        while window.at < window.end
            && (window.at == begins
                || !self.feedback.enough(self.begun.elapsed()) && !self.yields()?)
        {
            let to = window.end.min(window.at + self.feedback.chunk);
            let spill = match stripes {
                Some(stripes) if window.short => {
                    Spill::First(feedback::visits_after(window, stripes))
                }
                // How much rows grow is known from the second later visit on.
                Some(stripes) if window.visit > 1 => {
                    Spill::Again(feedback::visits_after(window, stripes))
                }
                _ => Spill::No,
            };
            let way = match (last, noted) {
                (true, _) => Way::All,
                (false, true) => Way::Noted(self.visit(range, window, spill)),
                (false, false) => Way::Asking(self.visit(range, window, spill)),
            };
            let found = self.blocks(window.at, to, way)?;
            let early = found.too_early() && !last;
            if early {
                // What it has left is looked at again.
                window.left += tally.left;
                tally.add(found);
                window.moved += tally.spilled;
                return Ok((range.next_block, Some(self.pinned(window)?), tally));
            }
            if stripes.is_some_and(|stripes| found.gets_on(stripes)) {
                window.pins = 0;
            }
            tally.add(found);
            window.at = to;
        }
        window.left += tally.left;
        window.moved += tally.spilled;
        if window.at < window.end {
            return Ok((range.next_block, None, tally));
        }
        // That no row is noted does not say that there is none: only who has read all of them knows.
        let all_read = !noted && begins == range.next_block;
        if last || window.left == 0 && all_read {
            let next = window.end;
            *window = window.next();
            return Ok((next, None, tally));
        }
        window.at = range.next_block;
        let short = feedback::is_short(window, stripes.unwrap_or(1.0));
        window.before = window.left;
        window.left = 0;
        // Rows grow more than was known: what was moved away at first may not be enough.
        window.short = short && window.visit > 1;
        if !short || window.short {
            window.visit += 1;
            window.pins = 0;
            return Ok((range.next_block, None, tally));
        }
        Ok((range.next_block, Some(self.pinned(window)?), tally))
    }

    /// The visit found that an old snapshot keeps the room. Gives how often in a row.
    fn pinned(&self, window: &mut Window) -> Result<i32> {
        window.pins += 1;
        if window.pins > feedback::MOST_PINS {
            let why = storage::oldest_snapshot()?;
            ledger::set_unstriped(self.job.job, &why)?;
        }
        Ok(window.pins)
    }

    fn visit(&mut self, range: &Range, window: &Window, spill: Spill) -> Visit {
        let notes = std::mem::take(&mut self.memory.notes);
        let rows = self.memory.model.rows_a_page();
        Visit::new(range.relation, spill, window.grows(), rows, notes)
    }

    /// Into how many visits a window that begins now is divided.
    fn wanted(&self, window: &Window) -> i32 {
        match self.job.stripes {
            0 => self.memory.model.stripes(window.grows()),
            given => given,
        }
    }

    /// Into how many visits the window is divided; `None`: one statement takes all of it. Inside
    /// somebody's transaction nothing gets behind the snapshots, and where a column that is filled
    /// has an index, no update is heap-only.
    fn stripes(&mut self, range: &Range, window: &Window) -> Result<Option<f64>> {
        let wanted = f64::from(window.stripes);
        let small = self.job.stripes == 0
            && !feedback::is_worth_stripes(range.end_block - range.next_block);
        let useless = small
            || wanted <= 1.0
            || !self.company.alone
            || self.job.unstriped
            || self.job.locks_first;
        if useless {
            return Ok(None);
        }
        let columns: Vec<String> = self.job.assignments.keys().cloned().collect();
        if storage::indexed(range.relation, &columns)? {
            return Ok(None);
        }
        self.divided = Some(window.stripes);
        Ok(Some(wanted))
    }

    /// Whether the batch ends here for somebody who waits for it.
    fn yields(&self) -> Result<bool> {
        throttle::yields(self.company)
    }

    fn blocks(&mut self, first: i64, end: i64, way: Way) -> Result<Tally> {
        if torture::mistaken(Mutant::CursorFirst) {
            torture::owe(self.range, first, end);
            return Ok(Tally::default());
        }
        self.fill(first, end, way)
    }

    fn fill(&mut self, first: i64, end: i64, way: Way) -> Result<Tally> {
        wait::check_interrupts();
        let (begun, wal, rows) = (Instant::now(), usage::wal_bytes(), self.filler.rows);
        let visit = self.filler.blocks(first, end, way)?;
        let took = begun.elapsed();
        self.feedback.measured(end - first, took);
        let tally = visit.as_ref().map(|visit| visit.tally).unwrap_or_default();
        let rows = self.filler.rows - rows;
        #[allow(clippy::cast_precision_loss)]
        self.memory.model.learn(&Sample {
            pages: (end - first) as f64,
            stays: tally.fitted.min(rows) as f64,
            moves: (rows - tally.fitted).max(0) as f64,
            seconds: took.as_secs_f64(),
            wal: (usage::wal_bytes() - wal) as f64,
        });
        if let Some(visit) = visit {
            self.memory.notes = visit.notes;
        }
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
        self,
        range: &Range,
        next_block: i64,
        left: Blocks,
        mut window: Window,
        retries: i32,
        hot: i64,
        rest: Option<Duration>,
        done: bool,
    ) -> Result<()> {
        torture::at(Point::BatchFilled);
        let turn = window.turn.wrapping_add(1);
        window.turn = turn;
        #[allow(clippy::cast_possible_wrap)]
        let wal = (usage::wal_bytes() - self.wal) as i64;
        let moved = ledger::move_range(
            self.job.job,
            range.range,
            &Moved {
                next_block,
                skipped: left.to_flat(),
                chunk_blocks: self.feedback.chunk,
                window,
                rows: self.filler.rows,
                hot,
                wal,
                stripes: self.divided,
                took: self.begun.elapsed(),
                retries,
                rest,
                found: None,
                done,
            },
        );
        memory::keep(self.job.job, range, turn, self.memory, done);
        moved?;
        torture::at(Point::BatchFiled);
        Ok(())
    }
}
