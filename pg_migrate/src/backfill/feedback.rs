//! How much the next statement of a batch takes on, from what the last one cost. Knows no
//! PostgreSQL.

use crate::ledger::Window;
use std::time::Duration;

/// Blocks of the first statement of a range, whose cost nobody knows yet.
pub const FIRST_CHUNK: i64 = 8;

/// Never more: a dense stretch after an empty one must not become one long transaction.
const LARGEST_CHUNK: i64 = 1024;

/// A batch consists of about this many statements: enough that its length can be steered, few
/// enough that planning them costs nothing.
const CHUNKS_PER_BATCH: u32 = 4;

/// Steers one batch.
#[derive(Debug, Clone)]
pub struct Feedback {
    target: Duration,
    /// Blocks of the next statement.
    pub chunk: i64,
}

impl Feedback {
    pub fn new(target: Duration, chunk: i64) -> Self {
        Feedback {
            target,
            chunk: chunk.clamp(1, LARGEST_CHUNK),
        }
    }

    /// Takes note of a statement that read `blocks` in `took`.
    pub fn measured(&mut self, blocks: i64, took: Duration) {
        let wanted = self.target.as_secs_f64() / f64::from(CHUNKS_PER_BATCH);
        let per_block = took.as_secs_f64().max(1e-7) / (blocks.max(1) as f64);
        let fits = (wanted / per_block) as i64;
        // Quick to shrink, slower to grow: too large a step down costs speed, up costs a stall.
        self.chunk = fits
            .clamp(self.chunk / 8, self.chunk * 4)
            .clamp(1, LARGEST_CHUNK);
    }

    /// Whether a batch that has lasted `so_far` should end here rather than go past its target.
    pub fn enough(&self, so_far: Duration) -> bool {
        so_far + self.target / CHUNKS_PER_BATCH / 2 >= self.target
    }
}

/// Blocks of a window where the server has so many shared buffers: its later visits are to find it in
/// memory, and the application's blocks are to stay there too. At most 64 MB.
pub fn window(shared_buffers: i64) -> i64 {
    (shared_buffers / 4).clamp(64, 8192)
}

/// Blocks of the pieces that a session has begun when it begins no other: while it waits for snapshots
/// to end it goes on with another window, but each keeps pages in memory that are to be visited again.
pub fn in_flight(shared_buffers: i64) -> i64 {
    window(shared_buffers) * 3
}

/// Whether striping pays in so many blocks: each visit is claimed and filed.
pub fn is_worth_stripes(blocks: i64) -> bool {
    blocks >= 24
}

/// After so many visits that found no room a window is finished without it.
pub const MOST_PINS: i32 = 6;

/// Whether the next visit takes all that is left: little is, or there have been enough visits.
pub fn is_last(window: &Window, stripes: f64) -> bool {
    let few = (window.rows as f64 / stripes / 3.0) as i64;
    let most = (stripes * 1.5) as i32 + 2;
    window.before <= few || window.visit > most || window.pins > MOST_PINS
}

/// Whether a visit found hardly any room. After the first one that means that somebody's snapshot is
/// older than it, and keeps the row versions that were to make room.
pub fn is_short(window: &Window, stripes: f64) -> bool {
    let filled = window.before - window.left;
    (filled as f64) < window.rows as f64 / stripes / 4.0
}

/// How long a window is left alone whose room is kept by an old snapshot.
pub fn pinned_for(pins: i32) -> Duration {
    Duration::from_millis(10 << (pins - 1).clamp(0, 5))
}

/// What a row is taken to grow by, in bytes: as much as was `measured`, or more where of `fitted`
/// rows that were thought to fit on their pages only `hot` did.
pub fn grows(before: i32, measured: Option<i32>, fitted: i64, hot: i64) -> i32 {
    const MOST: i32 = 2000;
    let after = measured.unwrap_or(before);
    if fitted > 100 && hot * 20 < fitted * 19 {
        after.max(before + before / 2 + 8).min(MOST)
    } else {
        after.min(MOST)
    }
}

/// Visits that a window divided into so many is to have after the one under way, the last one, which
/// only looks for what was overlooked, not counted. Two at least: fewer would move the most.
pub fn visits_after(window: &Window, stripes: f64) -> usize {
    let after = stripes as i32 - 1 - window.visit;
    usize::try_from(after).unwrap_or(0).max(2)
}

/// How long ranges whose rows are locked by others are left alone after the `retries`-th look.
pub fn retry_after(retries: i32) -> Duration {
    Duration::from_millis(50 << retries.clamp(0, 5))
}

/// Passes over a table whose writers do not fill the rows: after so many the job gives up.
pub const MOST_PASSES: i32 = 20;

/// How long to wait before `pass`; the first ones follow each other at once.
pub fn pass_after(pass: i32) -> Duration {
    if pass < 4 {
        return Duration::ZERO;
    }
    Duration::from_millis(100 << (pass - 4).min(9)).min(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn chunks_settle_where_a_batch_meets_its_target() {
        let mut feedback = Feedback::new(MS(200), FIRST_CHUNK);
        let cost = |blocks: i64| Duration::from_micros(300 * blocks as u64);
        let mut total = Duration::ZERO;
        for _ in 0..20 {
            total = Duration::ZERO;
            while !feedback.enough(total) {
                let blocks = feedback.chunk;
                total += cost(blocks);
                feedback.measured(blocks, cost(blocks));
            }
        }
        assert!((150..=167).contains(&feedback.chunk), "{}", feedback.chunk);
        assert!((MS(160)..=MS(230)).contains(&total), "{total:?}");
    }

    #[test]
    fn a_stall_shrinks_the_chunk_and_nothing_stops_it_growing_back() {
        let mut feedback = Feedback::new(MS(200), 512);
        feedback.measured(512, MS(5_000));
        assert_eq!(feedback.chunk, 64);
        feedback.measured(64, Duration::from_micros(1));
        assert_eq!(feedback.chunk, 256);
        for _ in 0..9 {
            feedback.measured(feedback.chunk, Duration::ZERO);
        }
        assert_eq!(feedback.chunk, LARGEST_CHUNK);
        feedback.measured(1024, MS(100_000));
        feedback.measured(128, MS(100_000));
        feedback.measured(16, MS(100_000));
        feedback.measured(2, MS(100_000));
        feedback.measured(1, MS(100_000));
        assert_eq!(feedback.chunk, 1);
    }

    #[test]
    fn a_window_leaves_most_of_the_memory_to_others() {
        assert_eq!(window(16_384), 4096);
        assert_eq!(window(1 << 20), 8192);
        assert_eq!(window(16), 64);
    }

    #[test]
    fn growth_is_what_was_measured_or_what_rows_that_did_not_fit_say() {
        assert_eq!(grows(0, None, 1000, 1000), 0);
        assert_eq!(grows(40, Some(12), 1000, 990), 12);
        assert_eq!(grows(8, Some(12), 1000, 500), 20);
        assert_eq!(grows(8, None, 1000, 500), 20);
        assert_eq!(grows(1990, None, 1000, 0), 2000);
    }

    #[test]
    fn visits_count_down_to_two() {
        let at = |visit| Window {
            visit,
            ..Window::default()
        };
        let after = [0, 1, 5, 30].map(|visit| visits_after(&at(visit), 10.0));
        assert_eq!(after, [9, 8, 4, 2]);
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        assert_eq!(retry_after(0), MS(50));
        assert_eq!(retry_after(99), MS(1600));
        assert_eq!(pass_after(2), Duration::ZERO);
        assert_eq!(pass_after(4), MS(100));
        assert_eq!(pass_after(99), MS(51_200));
    }
}
