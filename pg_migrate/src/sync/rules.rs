//! What becomes of a row: the rules of the sync trigger, and nothing of PostgreSQL.
//!
//! `old` and `new` are the two columns. One-way triggers have no old column: there, `new` follows
//! the columns that its expression reads.

/// What is known of the session that writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Unknown,
    Old,
    New,
}

/// What to do when a statement gives both columns and they disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The new column wins.
    New,
    Raise,
    /// One-way only: the new column is never null, whoever writes it.
    Fill,
    /// Several old columns come back: a backfill of theirs is taken as given, and the new column is
    /// right as it is.
    Back,
}

impl Policy {
    pub fn named(name: &str) -> Option<Policy> {
        match name {
            "new" => Some(Policy::New),
            "raise" => Some(Policy::Raise),
            "fill" => Some(Policy::Fill),
            "back" => Some(Policy::Back),
            _ => None,
        }
    }
}

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The row as it stands.
    Keep,
    /// `new := up(row)`
    DeriveNew,
    /// `old := down(row)`
    DeriveOld,
    /// `new` as it was before the statement.
    RestoreNew,
    /// `old` as it was before the statement.
    RestoreOld,
    /// Nothing: the row stays as it was.
    Skip,
    /// An error: both sides were given and disagree.
    Conflict,
}

/// What a rule may ask about a row. Each answer is computed when asked.
pub trait Row {
    fn old_is_null(&self) -> bool;
    fn new_is_null(&self) -> bool;
    /// `old` is what its column default gives.
    fn old_is_default(&self) -> bool;
    fn new_is_default(&self) -> bool;
    /// Either side is what the other one gives: `new = up(row)` or `old = down(row)`.
    fn agrees(&self) -> bool;

    // Only for an UPDATE:

    fn old_changed(&self) -> bool;
    fn new_changed(&self) -> bool;
    /// `new` was null before the statement.
    fn new_was_null(&self) -> bool;
    /// The statement's SET list names `new`.
    fn new_assigned(&self) -> bool;
    /// The statement's SET list names `new` alone.
    fn only_new_assigned(&self) -> bool;
    /// The version that is replaced was written before the trigger was there, and its backfill has
    /// not ended: a null or the column's default in `new` says nothing.
    fn unfilled(&self) -> bool;
    /// Another column that `up` reads changed, and `new` was what `up` gave before.
    fn follows(&self) -> bool;
}

pub fn insert(row: impl Row, two_way: bool, side: Side, policy: Policy) -> Verdict {
    if !two_way {
        return if row.new_is_null() {
            Verdict::DeriveNew
        } else {
            Verdict::Keep
        };
    }
    match side {
        Side::Old => return Verdict::DeriveNew,
        Side::New => return Verdict::DeriveOld,
        Side::Unknown => {}
    }
    if row.new_is_null() {
        return Verdict::DeriveNew;
    }
    if row.old_is_null() {
        return Verdict::DeriveOld;
    }
    if row.agrees() {
        Verdict::Keep
    } else if row.new_is_default() {
        Verdict::DeriveNew
    } else if policy == Policy::Raise && !row.old_is_default() {
        Verdict::Conflict
    } else {
        Verdict::DeriveOld
    }
}

pub fn update(row: impl Row, two_way: bool, side: Side, policy: Policy) -> Verdict {
    if two_way {
        both(row, side, policy)
    } else {
        one_way(row, policy)
    }
}

fn both(row: impl Row, side: Side, policy: Policy) -> Verdict {
    let (old_changed, new_changed) = (row.old_changed(), row.new_changed());
    // A null that is there because nothing was written yet is not a value to carry to the old
    // side, even if a statement writes it back (`SET new = lower(new)`, an ORM that saves every
    // column). Only a session that says it knows the new side is taken at its word.
    // Nor is the default with which the column was added.
    let unfilled = || !new_changed && (row.new_is_null() || row.new_is_default()) && row.unfilled();
    // What the old side writes elsewhere in the row may give the new side another value too.
    let follows = || !old_changed && !new_changed && row.follows();
    match side {
        Side::Old if old_changed || unfilled() || follows() => Verdict::DeriveNew,
        // What it was before says nothing, and put back it would pass for a null on purpose.
        Side::Old if new_changed && row.unfilled() => Verdict::DeriveNew,
        Side::Old if new_changed => Verdict::RestoreNew,
        Side::New if new_changed => Verdict::DeriveOld,
        Side::New if unfilled() => {
            if row.new_assigned() {
                Verdict::DeriveOld
            } else {
                Verdict::DeriveNew
            }
        }
        Side::New if old_changed => Verdict::RestoreOld,
        Side::Old | Side::New => Verdict::Keep,
        Side::Unknown => match (old_changed, new_changed) {
            (true, false) => Verdict::DeriveNew,
            (false, true) => Verdict::DeriveOld,
            (false, false) if unfilled() || follows() => Verdict::DeriveNew,
            (false, false) => Verdict::Keep,
            (true, true) if row.agrees() => Verdict::Keep,
            (true, true) if policy == Policy::Raise => Verdict::Conflict,
            (true, true) => Verdict::DeriveOld,
        },
    }
}

fn one_way(row: impl Row, policy: Policy) -> Verdict {
    if row.new_is_null() && policy == Policy::Fill {
        return Verdict::DeriveNew;
    }
    if policy == Policy::Fill || row.new_changed() {
        return Verdict::Keep;
    }
    if (row.new_is_null() && row.unfilled()) || row.follows() {
        Verdict::DeriveNew
    } else {
        Verdict::Keep
    }
}

/// The rule for the backfill's own UPDATE of `new`: the old side is never touched, and a null that
/// was written on purpose is no gap.
pub fn backfill(row: impl Row, two_way: bool, policy: Policy) -> Verdict {
    let leave = || {
        if row.only_new_assigned() {
            Verdict::Skip
        } else {
            Verdict::RestoreNew
        }
    };
    let (old_changed, new_changed) = (two_way && row.old_changed(), row.new_changed());
    if !new_changed && !old_changed {
        return if row.new_is_null() {
            leave()
        } else {
            Verdict::Keep
        };
    }
    if row.new_was_null() && policy != Policy::Fill && !row.unfilled() {
        return leave();
    }
    if old_changed {
        // Another trigger changed it under the backfill's hands.
        Verdict::DeriveNew
    } else {
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests;
