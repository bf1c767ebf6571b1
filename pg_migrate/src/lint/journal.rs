//! What the statements of a transaction changed, in their order, so that ROLLBACK and ROLLBACK TO
//! can take it back. Costs no more than there are changes, however the savepoints are nested.

use std::collections::HashMap;

#[derive(Debug)]
pub struct Journal<C> {
    /// What was before each change; `None`: no transaction is open.
    entries: Option<Vec<C>>,
    /// Open savepoints, and how many entries there were before each.
    marks: Vec<(String, usize)>,
    /// How many of the open savepoints have this name.
    names: HashMap<String, usize>,
}

impl<C> Default for Journal<C> {
    fn default() -> Journal<C> {
        Journal {
            entries: None,
            marks: Vec::new(),
            names: HashMap::new(),
        }
    }
}

impl<C> Journal<C> {
    pub fn begin(&mut self) {
        self.entries.get_or_insert_default();
    }

    pub fn is_open(&self) -> bool {
        self.entries.is_some()
    }

    /// Remembers what was before a change, if somebody may want it back.
    pub fn note(&mut self, before: C) {
        if let Some(entries) = &mut self.entries {
            entries.push(before);
        }
    }

    /// What was noted at this place, if it is still there and no savepoint has been set since.
    pub fn noted(&self, at: usize) -> Option<&C> {
        let last = self.marks.last().map_or(0, |(_, mark)| *mark);
        self.entries.as_ref()?.get(at).filter(|_| at >= last)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.as_ref().map_or(0, Vec::len)
    }

    pub fn savepoint(&mut self, name: &str) {
        if let Some(entries) = &self.entries {
            self.marks.push((name.to_owned(), entries.len()));
            *self.names.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// The place of the last savepoint of that name, with those after it forgotten.
    fn back_to(&mut self, name: &str) -> Option<usize> {
        if !self.has(name) {
            return None;
        }
        while let Some((last, at)) = self.marks.last() {
            if last == name {
                return Some(*at);
            }
            self.forget();
        }
        None
    }

    fn forget(&mut self) {
        if let Some((name, _)) = self.marks.pop()
            && let Some(count) = self.names.get_mut(&name)
        {
            *count -= 1;
        }
    }

    /// Whether a savepoint of that name is open.
    pub fn has(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|count| *count > 0)
    }

    /// What was done since stays, as part of the transaction around it.
    pub fn release(&mut self, name: &str) {
        if self.back_to(name).is_some() {
            self.forget();
        }
    }

    /// What to put back, the last change first. The savepoint stays.
    pub fn roll_back_to(&mut self, name: &str) -> Vec<C> {
        let at = self.back_to(name);
        let (Some(at), Some(entries)) = (at, &mut self.entries) else {
            return Vec::new();
        };
        let mut taken = entries.split_off(at);
        taken.reverse();
        taken
    }

    /// The same of the whole transaction, which ends.
    pub fn roll_back(&mut self) -> Vec<C> {
        let mut taken = self.entries.take().unwrap_or_default();
        taken.reverse();
        self.commit();
        taken
    }

    pub fn commit(&mut self) {
        self.entries = None;
        self.marks.clear();
        self.names.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Journal;

    fn open() -> Journal<u8> {
        let mut journal = Journal::default();
        journal.begin();
        journal
    }

    #[test]
    fn outside_a_transaction_nothing_is_kept() {
        let mut journal = Journal::default();
        journal.savepoint("a");
        journal.note(1);
        assert!(journal.roll_back_to("a").is_empty() && journal.roll_back().is_empty());
    }

    #[test]
    fn a_savepoint_takes_back_what_came_after_it_and_stays() {
        let mut journal = open();
        journal.note(1);
        journal.savepoint("a");
        journal.note(2);
        journal.savepoint("b");
        journal.note(3);
        assert_eq!(journal.roll_back_to("a"), [3, 2]);
        assert!(journal.roll_back_to("b").is_empty(), "b is gone with it");
        journal.note(4);
        assert_eq!(journal.roll_back_to("a"), [4]);
        assert_eq!(journal.roll_back(), [1]);
        assert!(!journal.is_open());
    }

    #[test]
    fn what_is_released_belongs_to_the_outer_one() {
        let mut journal = open();
        journal.savepoint("a");
        journal.savepoint("b");
        journal.note(1);
        journal.release("b");
        assert!(journal.roll_back_to("b").is_empty());
        assert_eq!(journal.roll_back_to("a"), [1]);
    }

    #[test]
    fn a_name_given_twice_means_the_last_and_then_the_one_before() {
        let mut journal = open();
        journal.savepoint("a");
        journal.note(1);
        journal.savepoint("a");
        journal.note(2);
        assert_eq!(journal.roll_back_to("a"), [2]);
        journal.release("a");
        assert_eq!(journal.roll_back_to("a"), [1]);
    }

    #[test]
    fn an_entry_counts_as_noted_until_the_next_savepoint() {
        let mut journal = open();
        journal.note(7);
        assert_eq!(journal.noted(0), Some(&7));
        journal.savepoint("a");
        assert_eq!(journal.noted(0), None);
        journal.release("a");
        assert_eq!(journal.noted(0), Some(&7));
    }
}
