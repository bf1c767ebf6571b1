//! What the rules say, written down a second time and without PostgreSQL: what a row holds after a
//! statement, as an application may rely on it.

/// A value in text form; `None` is NULL.
pub type Cell = Option<String>;

/// How the two columns hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    Copy,
    /// What follows the point is lost on the way up: 1.7 becomes 1, and comes back as 1.
    Lossy,
    /// Neither side keeps a NULL of the other: `down(NULL)` is not NULL.
    Nulls,
}

impl Mapping {
    pub fn up_sql(self) -> &'static str {
        match self {
            Mapping::Copy => "old",
            Mapping::Lossy => "split_part(old, '.', 1)",
            Mapping::Nulls => "coalesce(upper(old), 'NONE')",
        }
    }

    pub fn down_sql(self) -> &'static str {
        match self {
            Mapping::Copy | Mapping::Lossy => "new",
            Mapping::Nulls => "coalesce(lower(new), 'void')",
        }
    }

    pub fn up(self, old: &Cell) -> Cell {
        match self {
            Mapping::Copy => old.clone(),
            Mapping::Lossy => old
                .as_ref()
                .map(|text| text.split('.').next().unwrap_or_default().to_owned()),
            Mapping::Nulls => Some(old.as_ref().map_or("NONE".to_owned(), |t| t.to_uppercase())),
        }
    }

    pub fn down(self, new: &Cell) -> Cell {
        match self {
            Mapping::Copy | Mapping::Lossy => new.clone(),
            Mapping::Nulls => Some(new.as_ref().map_or("void".to_owned(), |t| t.to_lowercase())),
        }
    }

    fn agree(self, old: &Cell, new: &Cell) -> bool {
        *new == self.up(old) || *old == self.down(new)
    }
}

/// What the session says of itself (`migrate.side`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Unknown,
    Old,
    New,
}

/// The new column of a row, as far as the applications know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum New {
    /// NULL until the backfill or a write comes by, then what the old column gives; in the end that.
    Unfilled,
    /// Exactly this.
    Is(Cell),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub part: i32,
    pub other: i64,
    /// The number of a large value stored out of line.
    pub fat: i64,
    pub old: Cell,
    pub new: New,
}

impl Row {
    /// What the new column may hold now.
    pub fn may_hold(&self, map: Mapping, new: &Cell) -> bool {
        match &self.new {
            New::Is(exact) => exact == new,
            New::Unfilled => new.is_none() || *new == map.up(&self.old),
        }
    }

    /// Looks the same filled with a NULL on purpose and not filled, once an ALTER TABLE has written
    /// it anew.
    pub fn is_doubtful(&self, map: Mapping) -> bool {
        self.new == New::Unfilled && self.old == map.down(&None)
    }

    /// What it must hold when all is done.
    pub fn in_the_end(&self, map: Mapping) -> Cell {
        match &self.new {
            New::Is(exact) => exact.clone(),
            New::Unfilled => map.up(&self.old),
        }
    }
}

/// Both columns after an INSERT that gives these (NULL where it gives none).
pub fn inserted(map: Mapping, side: Side, old: Cell, new: Cell) -> (Cell, Cell) {
    let derive_new = |old: Cell| {
        let new = map.up(&old);
        (old, new)
    };
    let derive_old = |new: Cell| (map.down(&new), new);
    match side {
        Side::Old => derive_new(old),
        Side::New => derive_old(new),
        Side::Unknown if new.is_none() => derive_new(old),
        Side::Unknown if old.is_none() => derive_old(new),
        Side::Unknown if map.agree(&old, &new) => (old, new),
        Side::Unknown => derive_old(new),
    }
}

/// Both columns after an UPDATE that sets these (`None`: not in its SET list): every outcome that
/// is right, for whether the row was filled before is not known. `rewritten`: an ALTER TABLE has
/// written every row anew meanwhile.
pub fn updated(
    map: Mapping,
    side: Side,
    row: &Row,
    old: Option<&Cell>,
    new: Option<&Cell>,
    rewritten: bool,
) -> Vec<(Cell, Cell)> {
    let before = match &row.new {
        New::Is(exact) => vec![(exact.clone(), false)],
        New::Unfilled if rewritten && row.is_doubtful(map) => {
            vec![(None, true), (None, false), (map.up(&row.old), false)]
        }
        New::Unfilled => vec![(None, true), (map.up(&row.old), false)],
    };
    before
        .into_iter()
        .map(|(was, unfilled)| outcome(map, side, &row.old, old, &was, new, unfilled))
        .collect()
}

fn outcome(
    map: Mapping,
    side: Side,
    old_was: &Cell,
    old_set: Option<&Cell>,
    new_was: &Cell,
    new_set: Option<&Cell>,
    unfilled: bool,
) -> (Cell, Cell) {
    let old = old_set.unwrap_or(old_was).clone();
    let new = new_set.unwrap_or(new_was).clone();
    let (old_changed, new_changed) = (old != *old_was, new != *new_was);
    let fill = unfilled && !new_changed && new.is_none();
    let up = |old: Cell| {
        let new = map.up(&old);
        (old, new)
    };
    let down = |new: Cell| (map.down(&new), new);
    match side {
        Side::Old if old_changed || unfilled && new_was.is_none() => up(old),
        Side::Old if new_changed => (old, new_was.clone()),
        Side::New if new_changed => down(new),
        Side::New if fill && new_set.is_some() => down(new),
        Side::New if fill => up(old),
        Side::New if old_changed => (old_was.clone(), new),
        Side::Old | Side::New => (old, new),
        Side::Unknown => match (old_changed, new_changed) {
            (true, false) => up(old),
            (false, true) => down(new),
            (false, false) if fill => up(old),
            (false, false) => (old, new),
            (true, true) if map.agree(&old, &new) => (old, new),
            (true, true) => down(new),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(text: &str) -> Cell {
        Some(text.to_owned())
    }

    fn row(old: Cell, new: New) -> Row {
        Row {
            part: 0,
            other: 0,
            fat: 0,
            old,
            new,
        }
    }

    #[test]
    fn a_null_on_purpose_and_one_that_is_not_filled_are_two_things() {
        let touched = |new| {
            updated(
                Mapping::Nulls,
                Side::Unknown,
                &row(cell("void"), new),
                None,
                None,
                false,
            )
        };
        assert_eq!(touched(New::Is(None)), [(cell("void"), None)]);
        assert_eq!(touched(New::Unfilled)[0], (cell("void"), cell("VOID")));
    }

    #[test]
    fn a_lossy_mapping_keeps_what_it_need_not_touch() {
        let filled = row(cell("1.7"), New::Is(cell("1")));
        let update = |new: &Cell| {
            updated(
                Mapping::Lossy,
                Side::Unknown,
                &filled,
                None,
                Some(new),
                false,
            )
        };
        assert_eq!(update(&cell("1")), [(cell("1.7"), cell("1"))]);
        assert_eq!(update(&cell("2")), [(cell("2"), cell("2"))]);
    }
}
