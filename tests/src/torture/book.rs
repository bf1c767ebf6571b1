//! The record that is kept outside of the tables: what was committed for sure. A key belongs to one
//! client from before its transaction until what became of it is known.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use super::model::{New, Row};

#[derive(Debug, Default)]
pub struct Book {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    rows: HashMap<i64, Row>,
    busy: HashSet<i64>,
    next: i64,
}

/// What a transaction has made of its keys; `None`: deleted, or never there.
pub type Changes = HashMap<i64, Option<Row>>;

impl Book {
    fn with<T>(&self, body: impl FnOnce(&mut Inner) -> T) -> T {
        body(
            &mut self
                .inner
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        )
    }

    /// Keys up to `last` may be given out by `fresh` no more.
    pub fn reserve_up_to(&self, last: i64) {
        self.with(|inner| inner.next = inner.next.max(last + 1));
    }

    /// Takes a key that is free; gives what it holds.
    pub fn take(&self, key: i64) -> Option<Option<Row>> {
        self.with(|inner| {
            inner
                .busy
                .insert(key)
                .then(|| inner.rows.get(&key).cloned())
        })
    }

    /// What the key holds for sure, whoever has it now.
    pub fn peek(&self, key: i64) -> Option<Row> {
        self.with(|inner| inner.rows.get(&key).cloned())
    }

    /// A key that nobody ever had.
    pub fn fresh(&self) -> i64 {
        self.with(|inner| {
            let key = inner.next;
            inner.next += 1;
            inner.busy.insert(key);
            key
        })
    }

    /// So many keys that nobody ever had, from the first of them on; `add` gives them back.
    pub fn reserve(&self, count: i64) -> i64 {
        self.with(|inner| {
            let first = inner.next;
            inner.next += count;
            inner.busy.extend(first..inner.next);
            first
        })
    }

    pub fn highest(&self) -> i64 {
        self.with(|inner| inner.next)
    }

    /// Writes down what was committed and gives the keys back.
    pub fn settle(&self, keys: impl IntoIterator<Item = i64>, changes: Option<Changes>) {
        self.with(|inner| {
            for (key, row) in changes.into_iter().flatten() {
                match row {
                    Some(row) => inner.rows.insert(key, row),
                    None => inner.rows.remove(&key),
                };
            }
            for key in keys {
                inner.busy.remove(&key);
            }
        });
    }

    pub fn add(&self, rows: impl IntoIterator<Item = (i64, Row)>) {
        self.with(|inner| {
            for (key, row) in rows {
                inner.rows.insert(key, row);
                inner.busy.remove(&key);
            }
        });
    }

    /// Nobody can tell any more which nulls in the new column were meant. While nobody writes.
    pub fn forget_purposes(&self) {
        self.with(|inner| {
            for row in inner.rows.values_mut() {
                if row.new == New::Is(None) {
                    row.new = New::Unfilled;
                }
            }
        });
    }

    /// The table was emptied while nobody wrote.
    pub fn clear(&self) {
        self.with(|inner| inner.rows.clear());
    }

    pub fn rows(&self) -> HashMap<i64, Row> {
        self.with(|inner| inner.rows.clone())
    }
}
