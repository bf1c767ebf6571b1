//! What a session remembers between its batches, for speed alone: the rows noted of the window it is
//! at, and what rows cost. Everything that counts is in the ledger.

use super::cost::Model;
use super::notes::Notes;
use crate::ledger::Range;
use std::cell::RefCell;

#[derive(Debug, Default)]
pub struct Memory {
    pub notes: Notes,
    pub model: Model,
}

struct Kept {
    job: i64,
    range: i64,
    filenode: u32,
    turn: i64,
    memory: Memory,
}

thread_local! {
    static KEPT: RefCell<Option<Kept>> = const { RefCell::new(None) };
}

/// Takes what is known of the job. Notes are those of the range, if nobody else has been at it since.
pub fn recall(job: i64, range: &Range) -> Memory {
    match KEPT.take().filter(|kept| kept.job == job) {
        None => Memory::default(),
        Some(kept) => {
            let same = kept.range == range.range
                && kept.filenode == range.filenode
                && kept.turn == range.window.turn;
            let model = kept.memory.model;
            let notes = if same {
                kept.memory.notes
            } else {
                Notes::default()
            };
            Memory { notes, model }
        }
    }
}

pub fn keep(job: i64, range: &Range, turn: i64, memory: Memory) {
    KEPT.set(Some(Kept {
        job,
        range: range.range,
        filenode: range.filenode,
        turn,
        memory,
    }));
}

/// The range that this session was at last: its blocks are the ones it knows.
pub fn last_range(job: i64) -> Option<i64> {
    KEPT.with_borrow(|kept| {
        kept.as_ref()
            .filter(|kept| kept.job == job)
            .map(|kept| kept.range)
    })
}
