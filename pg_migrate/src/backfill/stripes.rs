//! Which rows of a page an UPDATE takes on this visit, so that nearly every new row version stays
//! on its page.
//!
//! A window of blocks is visited several times, each time in a transaction of its own. The first
//! visit moves a part of each full page's rows elsewhere. Once that is behind every snapshot,
//! pruning gives their room back, and each later visit updates as many rows as the page has room
//! for: heap-only tuples, which need no index entries, little WAL, and no room besides. A page that
//! has room from the start moves none away. The last visit takes whatever is left. How much a row
//! grows shows from the second later visit on, in the room that the one before has used.
//!
//! The first visit's UPDATE asks for each row (`migrate.backfill_room`), page by page in the order of
//! the scan, while what it is asked about is here, in the backend; rows that are refused are noted.
//! Later visits look at the pages themselves and name the noted rows that fit to an UPDATE by place:
//! reading every row of a page again for each visit would be the greater part of the work. Only
//! speed and size depend on all this: a row that is refused is one of a later visit.

use super::notes::{Notes, Past, Stop};
use super::room::Ground;
use crate::pg::page::{self, Page};
use std::cell::RefCell;

/// What a visit may do with a row that does not fit on its page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spill {
    /// As many are moved away as it takes for the others to fit in so many visits after this one.
    First(usize),
    /// The same on a page with room for one at least: what has none may be kept by an old snapshot.
    Again(usize),
    /// It waits for a later visit.
    No,
}

/// What came of a visit, in rows and pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows for which there was room on their page.
    pub fitted: i64,
    /// Rows moved away to make room.
    pub spilled: i64,
    /// Rows left for a later visit.
    pub left: i64,
    pub pages: i64,
    /// Pages without room for a row whose dead row versions a snapshot keeps.
    pub kept: i64,
    /// Of the pages when they were looked at: bytes of room, rows, the bytes that those take and
    /// those that their new versions will.
    pub room: i64,
    pub lines: i64,
    pub stands: i64,
    pub needs: i64,
    /// Bytes of room that filling `learnt` rows has cost.
    pub grown: i64,
    pub learnt: i64,
}

impl Tally {
    /// Rows to be filled that were seen.
    pub fn rows(&self) -> i64 {
        self.fitted + self.spilled + self.left
    }

    pub fn add(&mut self, other: Tally) {
        self.fitted += other.fitted;
        self.spilled += other.spilled;
        self.left += other.left;
        self.pages += other.pages;
        self.kept += other.kept;
        self.room += other.room;
        self.lines += other.lines;
        self.stands += other.stands;
        self.needs += other.needs;
        self.grown += other.grown;
        self.learnt += other.learnt;
    }

    /// Whether the visit comes too early: the room that the one before has made is not there yet on
    /// most pages, because of somebody's snapshot.
    pub fn too_early(&self) -> bool {
        self.kept * 2 > self.pages
    }

    /// Whether so many rows were filled where they stand as are to be expected of a visit, or at
    /// least a quarter of them.
    pub fn gets_on(&self, stripes: f64) -> bool {
        self.fitted as f64 * stripes * 4.0 >= self.rows() as f64
    }

    /// Bytes that filling a row adds to it; `None`: too few were seen.
    pub fn growth(&self) -> Option<i32> {
        const FEW: i64 = 100;
        let each = self.grown.checked_div(self.learnt)? - LINE as i64;
        (self.learnt >= FEW).then(|| i32::try_from(each.max(0)).unwrap_or(i32::MAX))
    }
}

/// A visit of some blocks of one heap.
#[derive(Debug, Clone)]
pub struct Visit {
    relation: u32,
    spill: Spill,
    /// Bytes that filling a row is taken to add to it.
    grows: usize,
    /// Rows to be filled that a page is taken to have.
    rows: usize,
    block: Option<u32>,
    page: Page,
    /// Room left on the page, in bytes, and rows that may still be moved away from it.
    room: usize,
    to_spill: usize,
    pub tally: Tally,
    pub notes: Notes,
}

/// So many pages tell whether a visit comes too early.
const ENOUGH_PAGES: i64 = 16;

/// Of a line pointer.
const LINE: usize = 4;

/// Row versions begin at multiples of 8 (MAXALIGN on every platform in use).
fn aligned(bytes: usize) -> usize {
    bytes.div_ceil(8) * 8
}

impl Visit {
    pub fn new(relation: u32, spill: Spill, grows: usize, rows: usize, notes: Notes) -> Self {
        Visit {
            relation,
            spill,
            grows,
            rows,
            block: None,
            page: Page::default(),
            room: 0,
            to_spill: 0,
            tally: Tally::default(),
            notes,
        }
    }

    /// The visit as if there were nothing in `[first, end)`, which was dealt with in another way.
    pub fn without(mut self, first: i64, end: i64) -> Self {
        self.notes.strike(first, end);
        self.tally = Tally::default();
        self
    }

    /// The rows noted in `[first, end)` that are of this visit, by their places; they are noted no
    /// more. The caller has locked the relation.
    pub fn pick(&mut self, first: i64, end: i64) -> Vec<(u32, u16)> {
        let heap = page::Heap::open(self.relation);
        let mut notes = std::mem::take(&mut self.notes);
        let mut picked = Vec::new();
        let left = notes.visit(first, end, |stop, line| {
            if !heap.has(stop.block) {
                return true;
            }
            if self.tally.pages >= ENOUGH_PAGES && self.tally.too_early() {
                return false;
            }
            let taken = self.stop(stop, line, |block, page| heap.look(block, page, true));
            if taken {
                picked.push((stop.block, line));
            }
            taken
        });
        self.notes = notes;
        self.tally.left += left;
        picked
    }

    /// Whether the noted row at `line` (from 1) is one of this visit.
    fn stop(&mut self, stop: &mut Stop, line: u16, look: impl FnOnce(u32, &mut Page)) -> bool {
        if self.block != Some(stop.block) {
            look(stop.block, &mut self.page);
            self.turn_to(stop.block, stop.left);
            self.learn(*stop.past);
            *stop.past = Past {
                room: self.page.free,
                fitted: 0,
            };
        }
        let (fitted, spilled) = (self.tally.fitted, self.tally.spilled);
        let taken = self.answer(line);
        if self.tally.spilled > spilled {
            // What leaves gives room, which would hide what the others take.
            stop.past.room = 0;
        }
        stop.past.fitted += usize::from(self.tally.fitted > fitted);
        taken
    }

    /// What the visit before has used of the room on the page.
    fn learn(&mut self, past: Past) {
        if past.fitted > 0 && past.room > 0 && past.room >= self.page.free && !self.page.kept {
            #[allow(clippy::cast_possible_wrap)]
            {
                self.tally.grown += (past.room - self.page.free) as i64;
                self.tally.learnt += past.fitted as i64;
            }
        }
    }

    /// Whether the row at `line` (from 1) of `block` is one of this visit.
    fn takes(&mut self, block: u32, line: u16, look: impl FnOnce(u32, u32, &mut Page)) -> bool {
        if self.block != Some(block) {
            look(self.relation, block, &mut self.page);
            self.turn_to(block, self.rows);
        }
        let taken = self.answer(line);
        if !taken {
            self.tally.left += 1;
            self.notes.note(block, line);
        }
        taken
    }

    fn answer(&mut self, line: u16) -> bool {
        let length = self
            .page
            .lengths
            .get(usize::from(line).wrapping_sub(1))
            .copied()
            .unwrap_or(0);
        let need = self.need(length);
        if self.room >= need {
            self.room -= need;
            self.tally.fitted += 1;
            return true;
        }
        if self.to_spill > 0 {
            self.to_spill -= 1;
            self.tally.spilled += 1;
            return true;
        }
        false
    }

    fn need(&self, length: u16) -> usize {
        aligned(usize::from(length) + self.grows) + LINE
    }

    /// Begins with a page, on which about so many rows are to be filled.
    fn turn_to(&mut self, block: u32, to_fill: usize) {
        self.block = Some(block);
        self.room = self.page.free + LINE; // PageGetHeapFreeSpace has set a line pointer aside
        let (mut lines, mut stands, mut needs) = (0, 0, 0);
        for &length in self.page.lengths.iter().filter(|&&length| length > 0) {
            lines += 1;
            stands += aligned(usize::from(length));
            needs += self.need(length);
        }
        let ground = Ground {
            rows: to_fill.min(lines),
            room: self.room,
            stands: stands.checked_div(lines).unwrap_or(0),
            needs: needs.checked_div(lines).unwrap_or(0),
        };
        self.to_spill = match self.spill {
            Spill::First(visits) => ground.moves(visits, 0),
            Spill::Again(visits) if self.room >= ground.needs => ground.moves(visits, 1),
            Spill::Again(_) | Spill::No => 0,
        };
        #[allow(clippy::cast_possible_wrap)]
        let none_fits = self.room < ground.needs;
        self.tally.add(Tally {
            pages: 1,
            kept: i64::from(self.page.kept && none_fits),
            room: self.room as i64,
            lines: lines as i64,
            stands: stands as i64,
            needs: needs as i64,
            ..Tally::default()
        });
    }
}

thread_local! {
    static VISIT: RefCell<Option<Visit>> = const { RefCell::new(None) };
}

/// Runs `body`, whose UPDATE asks `fits` of each row; gives the visit back.
pub fn visiting<T>(visit: Visit, body: impl FnOnce() -> T) -> (T, Option<Visit>) {
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            VISIT.take();
        }
    }
    VISIT.replace(Some(visit));
    let end = End;
    let value = body();
    let visit = VISIT.take();
    drop(end);
    (value, visit)
}

/// Whether the row is one of the visit under way; every row is where there is none.
pub fn fits(block: u32, line: u16) -> bool {
    VISIT.with_borrow_mut(|visit| match visit {
        Some(visit) => visit.takes(block, line, page::look),
        None => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page of `rows` rows of 100 bytes with `free` bytes, and how many of them a visit takes.
    fn taken(spill: Spill, rows: usize, free: usize) -> Tally {
        let mut visit = Visit::new(1, spill, 4, rows, Notes::default());
        for line in 1..=rows {
            let line = u16::try_from(line).unwrap_or(0);
            visit.takes(7, line, |_, _, page| {
                page.free = free;
                page.lengths = vec![100; rows];
            });
        }
        visit.tally
    }

    #[test]
    fn a_full_page_gives_one_row_in_so_many_away() {
        let tally = taken(Spill::First(8), 50, 10);
        assert_eq!((tally.fitted, tally.spilled, tally.left), (0, 7, 43));
    }

    #[test]
    fn a_page_with_room_gives_none_away() {
        // 104 + 4 bytes a row.
        let tally = taken(Spill::First(8), 50, 7 * 108);
        assert_eq!((tally.fitted, tally.spilled, tally.left), (7, 0, 43));
        let tally = taken(Spill::First(8), 50, 3 * 108);
        assert_eq!((tally.fitted, tally.spilled, tally.left), (3, 4, 43));
    }

    #[test]
    fn later_visits_take_what_fits() {
        let tally = taken(Spill::No, 50, 7 * 108 + 50);
        assert_eq!((tally.fitted, tally.spilled, tally.left), (7, 0, 43));
        assert_eq!(taken(Spill::No, 5, 8000).fitted, 5);
    }

    #[test]
    fn later_visits_move_rows_away_only_where_there_is_room() {
        assert_eq!(taken(Spill::Again(3), 50, 10).spilled, 0);
        assert!(taken(Spill::Again(3), 50, 2 * 108).spilled > 0);
    }

    #[test]
    fn growth_is_the_room_that_rows_used_without_their_line_pointers() {
        let seen = |grown, learnt| Tally {
            grown,
            learnt,
            ..Tally::default()
        };
        assert_eq!(seen(4000, 200).growth(), Some(16));
        assert_eq!(seen(400, 200).growth(), Some(0));
        assert_eq!(seen(1000, 50).growth(), None);
        assert_eq!(Tally::default().growth(), None);
    }

    #[test]
    fn pages_whose_room_is_kept_make_a_visit_too_early() {
        let tally = |kept: [bool; 3], free: usize| {
            let mut visit = Visit::new(1, Spill::No, 0, 50, Notes::default());
            for (block, kept) in (1..).zip(kept) {
                visit.takes(block, 1, |_, _, page| {
                    *page = Page {
                        free,
                        lengths: vec![100; 50],
                        kept,
                    };
                });
            }
            visit.tally
        };
        assert!(tally([true, false, true], 20).too_early());
        assert!(!tally([true, false, false], 20).too_early());
        // There is room all the same.
        assert!(!tally([true, true, true], 200).too_early());
        assert!(!Tally::default().too_early());
    }

    /// Else a window whose pages have room for a row or two would be put off for ever.
    #[test]
    fn a_few_rows_are_no_progress() {
        let visit = |fitted, left| Tally {
            fitted,
            left,
            ..Tally::default()
        };
        assert!(!visit(3, 10_000).gets_on(10.0));
        assert!(visit(300, 10_000).gets_on(10.0));
        assert!(visit(2, 20).gets_on(10.0));
        assert!(visit(0, 0).gets_on(10.0));
    }

    #[test]
    fn nothing_is_learnt_of_growth_where_dead_rows_are_kept() {
        let grown = |kept: bool| {
            let mut visit = Visit::new(1, Spill::No, 0, 50, Notes::default());
            let mut past = Past {
                room: 900,
                fitted: 5,
            };
            let mut stop = Stop {
                block: 1,
                left: 10,
                past: &mut past,
            };
            visit.stop(&mut stop, 1, |_, page| {
                *page = Page {
                    free: 800,
                    lengths: vec![100; 50],
                    kept,
                };
            });
            (visit.tally.grown, visit.tally.learnt)
        };
        assert_eq!(grown(false), (100, 5));
        assert_eq!(grown(true), (0, 0));
    }

    #[test]
    fn each_page_is_looked_at_once() {
        let mut looks = 0;
        let mut visit = Visit::new(1, Spill::No, 0, 50, Notes::default());
        for (block, line) in [(1, 1), (1, 2), (2, 1)] {
            visit.takes(block, line, |_, _, _| looks += 1);
        }
        assert_eq!((looks, visit.tally.pages), (2, 2));
    }
}
