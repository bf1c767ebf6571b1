//! The room on a page, and how many of its rows must leave so that the others can be filled where
//! they stand. Knows no PostgreSQL.
//!
//! A row that is filled needs room for its new version and a line pointer; pruning gives the old
//! version's place back later, but never the line pointer, and the new version is the larger one. So
//! each visit finds a little less room than the one before, and too little made at first runs out.

/// A page, or what pages are like on average.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ground {
    /// Rows to be filled.
    pub rows: usize,
    /// Bytes of room.
    pub room: usize,
    /// Bytes that a row takes, and that its new version and line pointer will.
    pub stands: usize,
    pub needs: usize,
}

impl Ground {
    /// Rows left when `moved` go now, and the others are filled as they fit, now and in `visits` more.
    fn left(&self, moved: usize, visits: usize) -> usize {
        let mut left = self.rows.saturating_sub(moved);
        let mut room = self.room;
        let mut gone = moved;
        for _ in 0..=visits {
            let fit = left.min(room / self.needs.max(1));
            left -= fit;
            room = room - fit * self.needs + (fit + gone) * self.stands;
            gone = 0;
            if left == 0 {
                break;
            }
        }
        left
    }

    /// Rows to move away now so that at most `spare` are left after `visits` more.
    pub fn moves(&self, visits: usize, spare: usize) -> usize {
        let (mut few, mut enough) = (0, self.rows);
        while few < enough {
            let middle = (few + enough) / 2;
            match self.left(middle, visits) <= spare {
                true => enough = middle,
                false => few = middle + 1,
            }
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Ground = Ground {
        rows: 52,
        room: 0,
        stands: 152,
        needs: 156,
    };

    #[test]
    fn a_full_page_gives_about_one_row_a_visit_away() {
        assert_eq!(FULL.moves(0, 0), 52);
        assert_eq!(FULL.moves(1, 0), 27);
        assert!((6..=7).contains(&FULL.moves(9, 0)), "{}", FULL.moves(9, 0));
    }

    #[test]
    fn rows_that_grow_need_more() {
        let growing = Ground { needs: 172, ..FULL };
        // Of 52 rows of 172 bytes, 47 fit on the page.
        assert!(growing.moves(200, 0) >= 5);
        assert!(growing.moves(9, 0) > FULL.moves(9, 0));
        for visits in [5, 9, 15] {
            let moved = growing.moves(visits, 0);
            assert_eq!(growing.left(moved, visits), 0);
            assert!(growing.left(moved - 1, visits) > 0);
        }
    }

    #[test]
    fn room_that_is_there_saves_moves() {
        let some = Ground { room: 1200, ..FULL };
        assert_eq!(some.moves(9, 0), 0);
        assert_eq!(Ground { room: 9000, ..FULL }.moves(0, 0), 0);
        let less = Ground { room: 500, ..FULL };
        assert!((1..6).contains(&less.moves(9, 0)));
    }

    #[test]
    fn what_may_be_left_need_not_move() {
        assert!(FULL.moves(9, 8) < FULL.moves(9, 0));
        assert_eq!(Ground::default().moves(3, 0), 0);
    }
}
