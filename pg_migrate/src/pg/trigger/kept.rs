//! What a trigger function keeps from one row to the next.

use crate::pg::expression::current_transaction;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ptr::NonNull;

/// What a statement keeps at hand for its further rows.
pub(super) struct Note<T: 'static> {
    pub(super) generation: u64,
    pub(super) held: Held<T>,
}

/// What a trigger function keeps per trigger and backend. A thing that was replaced while it may
/// still be running further up the stack is dropped in a later transaction.
pub struct Kept<T: 'static> {
    entries: RefCell<HashMap<u32, Entry<T>>>,
    retired: RefCell<Vec<(u32, Box<T>)>>,
}

struct Entry<T> {
    generation: u64,
    thing: Box<T>,
}

/// A kept thing, valid until the end of the call that asked for it.
pub struct Held<T: 'static>(NonNull<T>);

impl<T> Clone for Held<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Held<T> {}

impl<T> std::ops::Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: `Kept` drops nothing in the transaction in which it was held.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Kept<T> {
    pub fn new() -> Self {
        Kept {
            entries: RefCell::default(),
            retired: RefCell::default(),
        }
    }

    /// The thing of `trigger`, if it was built in this generation.
    pub fn get(&self, trigger: u32, generation: u64) -> Option<Held<T>> {
        let entries = self.entries.borrow();
        let entry = entries.get(&trigger)?;
        (entry.generation == generation).then(|| Held(NonNull::from(&*entry.thing)))
    }

    /// Keeps `thing` in place of what was kept before.
    pub fn keep(&self, trigger: u32, generation: u64, thing: T) -> Held<T> {
        let now = current_transaction();
        let gone: Vec<_> = {
            let mut retired = self.retired.borrow_mut();
            let (stay, gone) = retired.drain(..).partition(|(then, _)| *then == now);
            *retired = stay;
            gone
        };
        drop(gone);
        let thing = Box::new(thing);
        let held = Held(NonNull::from(&*thing));
        let mut entries = self.entries.borrow_mut();
        // Nobody will ask for what another generation left, be its trigger still there or not.
        let stale =
            entries.extract_if(|key, entry| *key == trigger || entry.generation != generation);
        let mut retired = self.retired.borrow_mut();
        retired.extend(stale.map(|(_, entry)| (now, entry.thing)));
        entries.insert(trigger, Entry { generation, thing });
        held
    }
}
