//! The session that runs the script, as far as its statements tell: transaction, locks held,
//! timeouts.

use super::finding::is_strong;
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
        let mut made = Session {
            block: transaction.then_some(0),
            ..Session::default()
        };
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

    /// What the statement leaves behind.
    pub fn after(&mut self, number: i32, statement: &Statement, locks: &[(String, Lock)]) {
        if let Some(word) = block_word(statement) {
            self.transaction(number, word, &statement.text);
            return;
        }
        if self.block.is_some() {
            for (key, lock) in locks.iter().filter(|(_, lock)| is_strong(*lock)) {
                let held = self.held.entry(key.clone()).or_insert(Held {
                    lock: *lock,
                    since: number,
                });
                held.lock = held.lock.max(*lock);
            }
        }
        if let Some(setting) = &statement.action.setting {
            self.set(number, setting);
        }
    }

    fn transaction(&mut self, number: i32, word: Block, text: &str) {
        match word {
            Block::Begins => {
                self.block.get_or_insert(number);
            }
            Block::Commits | Block::RollsBack => {
                self.ended();
                let mut words = text.split_whitespace().rev();
                let chain = words
                    .next()
                    .is_some_and(|word| word.eq_ignore_ascii_case("chain"));
                if chain
                    && !words
                        .next()
                        .is_some_and(|word| word.eq_ignore_ascii_case("no"))
                {
                    self.block = Some(number);
                }
            }
            Block::GoesOn => {}
        }
    }

    fn ended(&mut self) {
        self.block = None;
        self.held.clear();
        self.unvalidated.clear();
        self.enum_values.clear();
        for limit in [
            &mut self.lock_timeout,
            &mut self.statement_timeout,
            &mut self.idle_timeout,
        ] {
            if let Some(before) = limit.outside.take() {
                limit.now = before;
            }
        }
    }

    fn set(&mut self, number: i32, setting: &Setting) {
        let inside = self.block.is_some();
        let change = |limit: &mut Limit| {
            let value = setting.value.as_deref().and_then(milliseconds);
            if setting.local {
                if !inside {
                    // It ends with the statement's own transaction.
                    return;
                }
                limit.outside.get_or_insert(limit.now);
            }
            limit.now = value.unwrap_or(0);
            limit.set_by = Some(number);
        };
        match setting.name.as_str() {
            "lock_timeout" => change(&mut self.lock_timeout),
            "statement_timeout" => change(&mut self.statement_timeout),
            "idle_in_transaction_session_timeout" => change(&mut self.idle_timeout),
            "all" => {
                change(&mut self.lock_timeout);
                change(&mut self.statement_timeout);
                change(&mut self.idle_timeout);
            }
            _ => {}
        }
    }
}

/// What a statement does to the transaction it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    Begins,
    Commits,
    RollsBack,
    /// Savepoints; transactions prepared before.
    GoesOn,
}

/// `None`: it is no command of transactions.
pub fn block_word(statement: &Statement) -> Option<Block> {
    if !matches!(statement.node, Node::Transaction(_)) {
        return None;
    }
    let to = || {
        let mut words = statement.text.split_whitespace();
        words.any(|word| word.eq_ignore_ascii_case("to"))
    };
    Some(match statement.action.tag.as_str() {
        "BEGIN" | "START TRANSACTION" => Block::Begins,
        "COMMIT" | "PREPARE TRANSACTION" => Block::Commits,
        "ROLLBACK" if !to() => Block::RollsBack,
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
        session.transaction(2, Block::Begins, "BEGIN");
        session.set(3, &setting("'1s'", true));
        session.set(4, &setting("'3s'", true));
        assert_eq!(session.lock_timeout.now, 3000);
        session.transaction(5, Block::Commits, "COMMIT");
        assert_eq!((session.lock_timeout.now, session.block), (0, None));
    }
}
