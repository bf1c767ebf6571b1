//! The session that runs the script, as far as its statements tell: transaction, locks held,
//! timeouts.

use super::finding::is_strong;
use super::journal::Journal;
use crate::fault::Result;
use crate::pg::parser::tree::{Node, Setting, Statement};
use crate::pg::spi;
use crate::recipe::step::Lock;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A limit in milliseconds; 0: none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limit {
    pub now: i64,
    /// What it is outside the transaction, where SET LOCAL changed it.
    outside: Option<i64>,
    /// The statement of the script that set it.
    pub set_by: Option<i32>,
}

/// A lock held since an earlier statement.
#[derive(Debug, Clone)]
pub struct Held {
    pub lock: Lock,
    pub since: i32,
}

#[derive(Debug, Default)]
pub struct Session {
    /// The statement that began the transaction; 0: one is around the script.
    pub block: Option<i32>,
    /// Strong locks since earlier statements, by their relations.
    pub held: BTreeMap<String, Held>,
    /// Constraints added NOT VALID in this transaction: table and name.
    pub unvalidated: BTreeSet<(String, String)>,
    /// Values added to enums in this transaction.
    pub enum_values: BTreeSet<String>,
    pub lock_timeout: Limit,
    pub statement_timeout: Limit,
    pub idle_timeout: Limit,
    /// The first statement that took a strong lock with no limit to the wait for it.
    pub unlimited: Option<i32>,
    /// What was said once and need not be said again.
    said: BTreeSet<&'static str>,
    journal: Journal<Before>,
}

/// What was before a statement of the transaction changed it.
#[derive(Debug)]
enum Before {
    Held(String, Option<Held>),
    Unvalidated((String, String)),
    EnumValue(String),
    Limit(Kind, Limit),
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Lock,
    Statement,
    Idle,
}

#[derive(Deserialize)]
struct Row {
    lock: i64,
    statement: i64,
    idle: i64,
}

impl Session {
    /// With the limits that this session has, which its role or database may have given it.
    pub fn new(transaction: bool) -> Result<Session> {
        let row: Option<Row> = spi::first(
            "SELECT max(s.setting::int8) FILTER (WHERE s.name = 'lock_timeout') AS lock, \
                    max(s.setting::int8) FILTER (WHERE s.name = 'statement_timeout') AS statement, \
                    max(s.setting::int8) FILTER (WHERE s.name = 'idle_in_transaction_session_timeout') AS idle \
             FROM pg_catalog.pg_settings s WHERE s.name LIKE '%timeout'",
            &[],
        )?;
        let limit = |now: i64| Limit {
            now,
            ..Limit::default()
        };
        let mut made = Session::default();
        if transaction {
            made.begin(0);
        }
        if let Some(row) = row {
            made.lock_timeout = limit(row.lock);
            made.statement_timeout = limit(row.statement);
            made.idle_timeout = limit(row.idle);
        }
        Ok(made)
    }

    /// Whether it was not said before.
    pub fn once(&mut self, what: &'static str) -> bool {
        self.said.insert(what)
    }

    pub fn has_savepoint(&self, name: &str) -> bool {
        self.journal.has(name)
    }

    /// A constraint of the table was added NOT VALID in this transaction.
    pub fn not_validated(&mut self, table: &str, constraint: &str) {
        let key = (table.to_owned(), constraint.to_owned());
        if self.unvalidated.insert(key.clone()) {
            self.journal.note(Before::Unvalidated(key));
        }
    }

    pub fn adds_value(&mut self, value: &str) {
        if self.enum_values.insert(value.to_owned()) {
            self.journal.note(Before::EnumValue(value.to_owned()));
        }
    }

    /// What the statement leaves behind.
    pub fn after(&mut self, number: i32, statement: &Statement, locks: &[(String, Lock)]) {
        if let Some(word) = block_word(statement) {
            self.transaction(number, word);
            return;
        }
        if self.block.is_some() {
            for (key, lock) in locks.iter().filter(|(_, lock)| is_strong(*lock)) {
                self.holds(key, *lock, number);
            }
        }
        if let Some(setting) = &statement.action.setting {
            self.set(number, setting);
        }
    }

    fn holds(&mut self, key: &str, lock: Lock, number: i32) {
        let before = self.held.get(key).cloned();
        if before.as_ref().is_some_and(|held| held.lock >= lock) {
            return;
        }
        let since = before.as_ref().map_or(number, |held| held.since);
        self.held.insert(key.to_owned(), Held { lock, since });
        self.journal.note(Before::Held(key.to_owned(), before));
    }

    /// A relation that is locked goes by another name.
    pub fn renamed(&mut self, from: &str, to: &str) {
        if let Some(held) = self.held.remove(from) {
            self.journal
                .note(Before::Held(from.to_owned(), Some(held.clone())));
            let before = self.held.insert(to.to_owned(), held);
            self.journal.note(Before::Held(to.to_owned(), before));
        }
    }

    fn begin(&mut self, number: i32) {
        self.block.get_or_insert(number);
        self.journal.begin();
    }

    fn transaction(&mut self, number: i32, word: Block) {
        match word {
            Block::Begins => self.begin(number),
            Block::Commits { chain } | Block::RollsBack { chain } => {
                if matches!(word, Block::RollsBack { .. }) {
                    let before = self.journal.roll_back();
                    self.put_back(before);
                }
                self.ended();
                if chain {
                    self.begin(number);
                }
            }
            Block::Savepoint(name) => self.journal.savepoint(name),
            Block::Releases(name) => self.journal.release(name),
            Block::BackTo(name) => {
                let before = self.journal.roll_back_to(name);
                self.put_back(before);
            }
            Block::GoesOn => {}
        }
    }

    fn put_back(&mut self, changes: Vec<Before>) {
        for change in changes {
            match change {
                Before::Held(key, Some(held)) => drop(self.held.insert(key, held)),
                Before::Held(key, None) => drop(self.held.remove(&key)),
                Before::Unvalidated(key) => drop(self.unvalidated.remove(&key)),
                Before::EnumValue(value) => drop(self.enum_values.remove(&value)),
                Before::Limit(kind, limit) => *self.limit(kind) = limit,
            }
        }
    }

    fn ended(&mut self) {
        self.journal.commit();
        self.block = None;
        self.held.clear();
        self.unvalidated.clear();
        self.enum_values.clear();
        for kind in [Kind::Lock, Kind::Statement, Kind::Idle] {
            let limit = self.limit(kind);
            if let Some(before) = limit.outside.take() {
                limit.now = before;
            }
        }
    }

    fn limit(&mut self, kind: Kind) -> &mut Limit {
        match kind {
            Kind::Lock => &mut self.lock_timeout,
            Kind::Statement => &mut self.statement_timeout,
            Kind::Idle => &mut self.idle_timeout,
        }
    }

    fn set(&mut self, number: i32, setting: &Setting) {
        let kinds: &[Kind] = match setting.name.as_str() {
            "lock_timeout" => &[Kind::Lock],
            "statement_timeout" => &[Kind::Statement],
            "idle_in_transaction_session_timeout" => &[Kind::Idle],
            "all" => &[Kind::Lock, Kind::Statement, Kind::Idle],
            _ => &[],
        };
        let inside = self.block.is_some();
        if setting.local && !inside {
            // It ends with the statement's own transaction.
            return;
        }
        for kind in kinds {
            let value = setting.value.as_deref().and_then(milliseconds);
            let limit = self.limit(*kind);
            let before = *limit;
            if setting.local {
                limit.outside.get_or_insert(limit.now);
            } else {
                limit.outside = None;
            }
            limit.now = value.unwrap_or(0);
            limit.set_by = Some(number);
            self.journal.note(Before::Limit(*kind, before));
        }
    }
}

/// What a statement does to the transaction it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block<'a> {
    Begins,
    Commits {
        /// Another one begins at once.
        chain: bool,
    },
    RollsBack {
        chain: bool,
    },
    Savepoint(&'a str),
    Releases(&'a str),
    BackTo(&'a str),
    /// Transactions prepared before.
    GoesOn,
}

/// `None`: it is no command of transactions.
pub fn block_word(statement: &Statement) -> Option<Block<'_>> {
    if !matches!(statement.node, Node::Transaction(_)) {
        return None;
    }
    let action = &statement.action;
    let name = action.part.as_deref().unwrap_or_default();
    let chain = action.what == "AND CHAIN";
    Some(match action.tag.as_str() {
        "BEGIN" | "START TRANSACTION" => Block::Begins,
        "COMMIT" | "PREPARE TRANSACTION" => Block::Commits { chain },
        "ROLLBACK" if action.what == "TO SAVEPOINT" => Block::BackTo(name),
        "ROLLBACK" => Block::RollsBack { chain },
        "SAVEPOINT" => Block::Savepoint(name),
        "RELEASE" => Block::Releases(name),
        _ => Block::GoesOn,
    })
}

/// A setting of time as PostgreSQL reads it: a number of milliseconds, or with a unit.
pub fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim().trim_matches('\'').trim();
    let end = text
        .find(|letter: char| !(letter.is_ascii_digit() || letter == '.'))
        .unwrap_or(text.len());
    let number: f64 = text.get(..end)?.parse().ok()?;
    let factor = match text.get(end..)?.trim() {
        "" | "ms" => 1.0,
        "us" => 0.001,
        "s" => 1000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    #[allow(clippy::cast_possible_truncation)] // settings are 32-bit
    Some((number * factor).min(f64::from(i32::MAX)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_postgresql_reads_them() {
        for (text, wanted) in [
            ("5000", Some(5000)),
            ("'2s'", Some(2000)),
            ("'1.5 min'", Some(90_000)),
            ("'500 ms'", Some(500)),
            ("0", Some(0)),
            ("'2 weeks'", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), wanted, "{text}");
        }
    }

    fn setting(value: &str, local: bool) -> Setting {
        Setting {
            name: "lock_timeout".into(),
            value: Some(value.into()),
            local,
        }
    }

    #[test]
    fn set_local_ends_with_its_transaction() {
        let mut session = Session::default();
        session.set(1, &setting("'1s'", true));
        assert_eq!(session.lock_timeout.now, 0);
        session.transaction(2, Block::Begins);
        session.set(3, &setting("'1s'", true));
        session.set(4, &setting("'3s'", true));
        assert_eq!(session.lock_timeout.now, 3000);
        session.transaction(5, Block::Commits { chain: false });
        assert_eq!((session.lock_timeout.now, session.block), (0, None));
    }

    #[test]
    fn a_rollback_takes_locks_and_limits_back() {
        let mut session = Session::default();
        session.transaction(1, Block::Begins);
        session.holds("a", Lock::Share, 2);
        session.transaction(3, Block::Savepoint("s"));
        session.holds("a", Lock::AccessExclusive, 4);
        session.holds("b", Lock::Share, 5);
        session.set(6, &setting("'1s'", false));
        session.not_validated("a", "k");
        session.adds_value("v");
        session.transaction(7, Block::BackTo("s"));
        let held: Vec<_> = session
            .held
            .iter()
            .map(|(key, held)| (key.as_str(), held.lock))
            .collect();
        assert_eq!(held, [("a", Lock::Share)]);
        assert_eq!(session.lock_timeout.now, 0);
        assert!(session.unvalidated.is_empty() && session.enum_values.is_empty());
        session.holds("b", Lock::Share, 8);
        session.transaction(9, Block::Releases("s"));
        assert!(session.held.contains_key("b"));
        session.set(10, &setting("'1s'", false));
        session.transaction(11, Block::RollsBack { chain: true });
        assert!(session.held.is_empty());
        assert_eq!((session.lock_timeout.now, session.block), (0, Some(11)));
        session.set(12, &setting("'1s'", false));
        session.transaction(13, Block::Commits { chain: false });
        assert_eq!((session.lock_timeout.now, session.block), (1000, None));
    }
}
