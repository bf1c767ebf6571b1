//! A window of a range: what the ledger keeps of it between its visits. Knows no PostgreSQL.

use serde::{Deserialize, Serialize};

/// Blocks from the range's `next_block` to `end` that are visited several times.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// The number of the visit under way, the first being 0.
    pub visit: i32,
    /// Where it goes on.
    pub at: i64,
    pub end: i64,
    /// Rows to be filled that the first visit found, those left before the visit under way (from
    /// the second on), and those it has left so far.
    pub rows: i64,
    pub before: i64,
    pub left: i64,
    /// How often the room that the first visit made was not there.
    pub pins: i32,
    /// Into how many visits it is divided; 0: not decided yet.
    pub stripes: i32,
    /// Rows moved off their pages.
    pub moved: i64,
    /// Batches of the range so far, which tells a session that others have been at it.
    pub turn: i64,
    /// The pages have run out of room: the next visit moves rows away again.
    pub short: bool,
    /// Bytes that filling a row is taken to add to it.
    pub grows: i32,
    /// The visit under way takes all that is left, and has done so from the window's beginning.
    pub last: bool,
}

impl Window {
    /// Of its blocks, which begin at `first`, as many as its filled rows would fill.
    pub(super) fn blocks_done(&self, first: i64) -> i64 {
        let left = if self.visit == 0 {
            self.left
        } else {
            self.before
        };
        if self.rows == 0 {
            return 0;
        }
        (self.end - first) * (self.rows - left) / self.rows
    }

    /// Of its blocks, as many as the work that is done would be of all its work. Reading its pages
    /// twice is most of what the first and the last visit do, and a row that is moved to another page
    /// costs as much as several that stay.
    pub(super) fn work_done(&self, first: i64) -> i64 {
        const READING: f64 = 0.3;
        const MOVING: f64 = 4.0;
        /// For each row that makes room at first, this many are moved in the end: the last visit moves
        /// what still does not fit.
        const IN_THE_END: f64 = 1.5;
        if self.rows == 0 || self.stripes < 1 {
            return self.blocks_done(first);
        }
        #[allow(clippy::cast_precision_loss)]
        let (rows, moved) = (self.rows as f64, self.moved as f64);
        #[allow(clippy::cast_precision_loss)]
        let left = if self.visit == 0 {
            self.left
        } else {
            self.before
        } as f64;
        let moves = (IN_THE_END / f64::from(self.stripes)).min(1.0);
        let all = 2.0 * READING + moves * MOVING + (1.0 - moves);
        let done = READING + moved / rows * MOVING + (rows - left - moved).max(0.0) / rows;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        let blocks = ((self.end - first) as f64 * (done / all).clamp(0.0, 1.0)) as i64;
        blocks
    }

    /// The one after it, of which only what was learnt is known.
    pub fn next(&self) -> Window {
        Window {
            grows: self.grows,
            turn: self.turn,
            ..Window::default()
        }
    }

    pub fn grows(&self) -> usize {
        usize::try_from(self.grows).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of 100 blocks with 1000 rows in 10 stripes.
    fn window(visit: i32, left: i64, moved: i64) -> Window {
        Window {
            visit,
            end: 100,
            rows: 1000,
            stripes: 10,
            moved,
            left: if visit == 0 { left } else { 0 },
            before: left,
            ..Window::default()
        }
    }

    #[test]
    fn work_grows_from_visit_to_visit_and_ends_near_the_whole() {
        let steps = [
            window(0, 900, 100),
            window(1, 900, 100),
            window(2, 800, 100),
            window(5, 500, 100),
            window(10, 0, 100),
        ];
        let done: Vec<i64> = steps.iter().map(|step| step.work_done(0)).collect();
        assert!(done.is_sorted(), "{done:?}");
        assert!(
            (25..45).contains(&done[0]) && done[4] > 70 && done[4] <= 100,
            "{done:?}"
        );
        assert_eq!(steps[3].blocks_done(0), 50);
    }

    #[test]
    fn a_window_without_rows_or_stripes_is_done_by_its_blocks() {
        assert_eq!(Window::default().work_done(0), 0);
        let whole = Window {
            stripes: 0,
            ..window(1, 250, 0)
        };
        assert_eq!(whole.work_done(0), 75);
    }
}
