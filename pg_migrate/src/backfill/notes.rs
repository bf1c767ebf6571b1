//! Which rows of a window are still to be filled, as its visits have seen them: a later visit takes
//! them by their place instead of reading every row again. Knows no PostgreSQL.
//!
//! Only speed depends on it: a row that is not noted is one of the last visit, which reads all; one
//! that is noted and needs nothing any more does not match the condition.

/// How a page was when it was last looked at, and what was done to it then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Past {
    /// Bytes of room, before anything was done.
    pub room: usize,
    /// Rows that were to be filled where they stand. 0: there is nothing to be learnt from it.
    pub fitted: usize,
}

/// A block whose rows are being visited.
pub struct Stop<'a> {
    pub block: u32,
    /// Rows noted there that are left, the one asked about included.
    pub left: usize,
    pub past: &'a mut Past,
}

#[derive(Debug, Clone, Copy)]
struct Block {
    block: u32,
    /// Its lines in `lines`.
    next: usize,
    end: usize,
    past: Past,
}

#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Blocks `[from, to)` have been read.
    from: i64,
    to: i64,
    /// In the order of the heap; only blocks with rows.
    blocks: Vec<Block>,
    lines: Vec<u16>,
}

impl Notes {
    /// Whether everything in `[first, end)` has been read.
    pub fn cover(&self, first: i64, end: i64) -> bool {
        self.from <= first && end <= self.to
    }

    /// `[first, end)` is about to be read: forgets what does not end there.
    pub fn reading(&mut self, first: i64) {
        if self.to != first {
            *self = Notes {
                from: first,
                to: first,
                ..Notes::default()
            };
        }
    }

    /// `[…, end)` has been read.
    pub fn have_read(&mut self, end: i64) {
        self.to = end;
    }

    /// A row that is still to be filled; blocks come in the order of the heap.
    pub fn note(&mut self, block: u32, line: u16) {
        match self.blocks.last_mut() {
            Some(last) if last.block == block => last.end += 1,
            _ => self.blocks.push(Block {
                block,
                next: self.lines.len(),
                end: self.lines.len() + 1,
                past: Past::default(),
            }),
        }
        self.lines.push(line);
    }

    /// Rows still noted in `[first, end)`, block by block: `take` says of each row in turn whether it
    /// is taken now, and its first no is one for the rest of the block. Gives how many are left.
    pub fn visit(
        &mut self,
        first: i64,
        end: i64,
        mut take: impl FnMut(&mut Stop, u16) -> bool,
    ) -> i64 {
        let mut left = 0;
        let begin = self.blocks.partition_point(|b| i64::from(b.block) < first);
        for block in self.blocks.iter_mut().skip(begin) {
            if i64::from(block.block) >= end {
                break;
            }
            while block.next < block.end {
                let mut stop = Stop {
                    block: block.block,
                    left: block.end - block.next,
                    past: &mut block.past,
                };
                let line = self.lines.get(block.next);
                if !line.is_some_and(|&line| take(&mut stop, line)) {
                    break;
                }
                block.next += 1;
            }
            left += block.end - block.next;
        }
        i64::try_from(left).unwrap_or(i64::MAX)
    }

    /// All of `[first, end)` has been dealt with in another way.
    pub fn strike(&mut self, first: i64, end: i64) {
        self.visit(first, end, |_, _| true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted() -> Notes {
        let mut notes = Notes::default();
        notes.reading(10);
        for (block, lines) in [(10, 1..=3), (12, 5..=6), (13, 1..=1)] {
            for line in lines {
                notes.note(block, line);
            }
        }
        notes.have_read(14);
        notes
    }

    fn taken(notes: &mut Notes, first: i64, end: i64, most: usize) -> (Vec<(u32, u16)>, i64) {
        let mut taken = Vec::new();
        let mut here = (0, 0);
        let left = notes.visit(first, end, |stop, line| {
            here = if here.0 == stop.block {
                (stop.block, here.1 + 1)
            } else {
                (stop.block, 1)
            };
            let yes = here.1 <= most;
            if yes {
                taken.push((stop.block, line));
            }
            yes
        });
        (taken, left)
    }

    #[test]
    fn rows_are_taken_once_in_the_order_of_the_heap() {
        let mut notes = noted();
        assert_eq!(
            taken(&mut notes, 10, 14, 1),
            (vec![(10, 1), (12, 5), (13, 1)], 3)
        );
        assert_eq!(taken(&mut notes, 10, 14, 1), (vec![(10, 2), (12, 6)], 1));
        assert_eq!(taken(&mut notes, 10, 14, 9), (vec![(10, 3)], 0));
        assert_eq!(taken(&mut notes, 10, 14, 9), (vec![], 0));
    }

    #[test]
    fn a_visit_keeps_to_its_blocks() {
        let mut notes = noted();
        assert_eq!(taken(&mut notes, 11, 13, 9), (vec![(12, 5), (12, 6)], 0));
        notes.strike(13, 14);
        assert_eq!(taken(&mut notes, 0, 100, 9).0.len(), 3);
    }

    #[test]
    fn what_was_not_read_in_one_go_is_not_covered() {
        let mut notes = noted();
        assert!(notes.cover(10, 14) && notes.cover(11, 12));
        assert!(!notes.cover(9, 14) && !notes.cover(10, 15));
        notes.reading(14);
        notes.have_read(20);
        assert!(notes.cover(10, 20));
        notes.reading(18);
        assert!(!notes.cover(10, 20) && !notes.cover(18, 19));
        assert_eq!(taken(&mut notes, 0, 100, 9).0.len(), 0);
    }
}
