//! What a session remembers between its batches, for speed alone: the rows noted of the windows it
//! is at, and what rows cost. Everything that counts is in the ledger.

use super::cost::Model;
use super::notes::Notes;
use crate::ledger::Range;
use std::cell::RefCell;

/// Windows to remember: of small partitions there are many at a time.
const MOST_WINDOWS: usize = 100;

#[derive(Debug, Default)]
pub struct Memory {
    pub notes: Notes,
    pub model: Model,
}

struct Window {
    range: i64,
    filenode: u32,
    turn: i64,
    notes: Notes,
}

#[derive(Default)]
struct Kept {
    job: i64,
    model: Model,
    /// The one it was at last is the last one.
    windows: Vec<Window>,
}

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::new(Kept::default());
}

/// Takes what is known of the job. Notes are those of the range, if nobody else has been at it since.
pub fn recall(job: i64, range: &Range) -> Memory {
    KEPT.with_borrow_mut(|kept| {
        if kept.job != job {
            *kept = Kept::default();
        }
        let at = kept.windows.iter().position(|one| one.range == range.range);
        let notes = at
            .map(|at| kept.windows.remove(at))
            .filter(|one| one.filenode == range.filenode && one.turn == range.window.turn)
            .map(|one| one.notes);
        Memory {
            notes: notes.unwrap_or_default(),
            model: std::mem::take(&mut kept.model),
        }
    })
}

/// `done`: there is nothing more to do in the range.
pub fn keep(job: i64, range: &Range, turn: i64, memory: Memory, done: bool) {
    KEPT.with_borrow_mut(|kept| {
        kept.job = job;
        kept.model = memory.model;
        if done {
            return;
        }
        if kept.windows.len() >= MOST_WINDOWS {
            kept.windows.remove(0);
        }
        kept.windows.push(Window {
            range: range.range,
            filenode: range.filenode,
            turn,
            notes: memory.notes,
        });
    });
}

/// The ranges that this session has been at lately, the last one first: their blocks are the ones
/// it knows.
pub fn ranges(job: i64) -> Vec<i64> {
    KEPT.with_borrow(|kept| match kept.job == job {
        true => kept.windows.iter().rev().map(|one| one.range).collect(),
        false => Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger;

    fn range(range: i64, turn: i64) -> Range {
        Range {
            range,
            window: ledger::Window {
                turn,
                ..ledger::Window::default()
            },
            ..Range::default()
        }
    }

    fn noted() -> Memory {
        let mut memory = Memory::default();
        memory.notes.reading(0);
        memory.notes.have_read(9);
        memory
    }

    #[test]
    fn windows_are_known_until_somebody_else_was_at_them() {
        for one in 1..=3 {
            keep(7, &range(one, 0), 1, noted(), false);
        }
        assert_eq!(ranges(7), [3, 2, 1]);
        assert!(recall(7, &range(2, 1)).notes.cover(0, 9));
        keep(7, &range(2, 1), 2, noted(), false);
        assert_eq!(ranges(7), [2, 3, 1]);
        // Another session has made a batch of it.
        assert!(!recall(7, &range(3, 5)).notes.cover(0, 9));
        keep(7, &range(3, 5), 6, noted(), true);
        assert_eq!(ranges(7), [2, 1]);
        assert!(ranges(8).is_empty());
        recall(8, &range(1, 0));
        assert!(ranges(7).is_empty());
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        for one in 0..150 {
            keep(9, &range(one, 0), 1, noted(), false);
        }
        assert_eq!(ranges(9).len(), MOST_WINDOWS);
        assert_eq!(ranges(9)[0], 149);
    }
}
