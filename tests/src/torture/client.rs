//! One client: transactions of every kind against the table, and what became of them.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use postgres::{Client, SimpleQueryMessage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::book::Changes;
use super::crowd::Shared;
use super::model::Side;
use super::statement::{self, Knows, Statement};
use crate::{Failure, db};

/// How long a client looks for a server that is down.
const PATIENCE: Duration = Duration::from_secs(120);

/// Answers that say nothing against anybody: deadlocks, rows that moved to another partition under
/// a lock, waits that were cut short.
const ALWAYS: &[&str] = &["40P01", "40001", "55P03"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    Rollback,
    /// Prepared first, and committed a while later.
    Prepared,
    PreparedRollback,
}

/// Why a transaction did not come through.
enum Trouble {
    Refused(Box<Failure>),
    /// The connection is gone. `true`: the commit, or the preparation, was under way.
    Broken(bool),
    Wrong(String),
}

pub struct Worker {
    index: u64,
    shared: Arc<Shared>,
    random: StdRng,
    session: Option<Client>,
    counter: u64,
}

impl Worker {
    pub fn new(index: u64, shared: Arc<Shared>) -> Self {
        Self {
            random: StdRng::seed_from_u64(shared.seed.wrapping_mul(1_000) + index),
            index,
            shared,
            session: None,
            counter: index,
        }
    }

    pub fn run(mut self) {
        while !self.shared.stop.load(Ordering::SeqCst) {
            let Some(knows) = self.shared.enter(self.index) else {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            };
            let through = self.transaction(knows);
            self.shared.leave();
            let through = u64::from(through);
            self.shared
                .transactions
                .fetch_add(through, Ordering::Relaxed);
            let pause = self.random.random_range(0..2000);
            std::thread::sleep(Duration::from_micros(pause));
        }
    }

    fn open(&mut self) -> bool {
        if self.session.is_some() {
            return true;
        }
        let mut config = self.shared.db().config();
        config.application_name("torture client");
        let opened = db::connect(&config).and_then(|mut client| {
            // The trigger is to fire for replicated changes as well.
            let role = if self.index % 8 == 7 { "replica" } else { "origin" };
            client
                .batch_execute(&format!(
                    "SET session_replication_role = {role}; SET lock_timeout = '1s'; SET synchronous_commit = on"
                ))
                .map_err(|error| Failure::from(&error))?;
            Ok(client)
        });
        match opened {
            Ok(client) => self.session = Some(client),
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
        self.session.is_some()
    }

    /// Whether it came to its end, not refused or cut off.
    fn transaction(&mut self, knows: Knows) -> bool {
        if !self.open() {
            return false;
        }
        if self.index % 8 == 6 {
            return self.lock_only();
        }
        let count = match self.random.random_range(0..10) {
            0..6 => 1,
            _ => self.random.random_range(2..5),
        };
        let end = match self.random.random_range(0..20) {
            0..14 => End::Commit,
            14..18 => End::Rollback,
            18 => End::Prepared,
            _ => End::PreparedRollback,
        };
        let mut keys = Vec::new();
        let gid = format!("t{}_{}_{}", self.shared.seed, self.index, self.counter);
        let outcome = self.attempt(knows, count, end, &gid, &mut keys);
        let through = outcome.is_ok();
        let changes = match outcome {
            Ok(changes) => changes,
            Err((Trouble::Refused(failure), _)) => {
                self.rollback();
                if !ALWAYS.contains(&failure.sqlstate.as_str())
                    && !self.shared.excused(&failure.sqlstate)
                {
                    self.shared
                        .error(format!("client {}: {failure}", self.index));
                }
                None
            }
            Err((Trouble::Wrong(text), _)) => {
                self.rollback();
                self.shared.error(format!("client {}: {text}", self.index));
                None
            }
            Err((Trouble::Broken(at_end), changes)) => {
                self.session = None;
                self.shared.broken.fetch_add(1, Ordering::Relaxed);
                self.resolve(knows, end, at_end, &gid, changes)
            }
        };
        self.shared.book.settle(keys, changes);
        through
    }

    fn rollback(&mut self) {
        if let Some(client) = &mut self.session
            && client.batch_execute("ROLLBACK").is_err()
        {
            self.session = None;
        }
    }

    /// Runs a transaction; `None`: nothing was to be left of it.
    fn attempt(
        &mut self,
        knows: Knows,
        count: usize,
        end: End,
        gid: &str,
        keys: &mut Vec<i64>,
    ) -> Result<Option<Changes>, (Trouble, Changes)> {
        let side = match knows.side {
            Side::Unknown => "",
            Side::Old => "; SET LOCAL migrate.side = 'old'",
            Side::New => "; SET LOCAL migrate.side = 'new'",
        };
        self.send(&format!("BEGIN{side}"), false)
            .map_err(|t| (t, Changes::new()))?;
        let mut changes = Changes::new();
        let mut back = None;
        for n in 0..count {
            // Sometimes the first part is done twice, once in vain.
            if n == 1 && self.random.random_ratio(1, 4) {
                self.send("SAVEPOINT s", false)
                    .map_err(|t| (t, changes.clone()))?;
                back = Some(changes.clone());
            }
            let statement = self.choose(knows, &changes, keys);
            let found = self
                .execute(&statement, knows)
                .map_err(|t| (t, changes.clone()))?;
            changes.extend(found);
        }
        if let Some(before) = back {
            if self.random.random_bool(0.7) {
                self.send("ROLLBACK TO s", false)
                    .map_err(|t| (t, changes.clone()))?;
                changes = before;
            }
            self.send("RELEASE s", false)
                .map_err(|t| (t, changes.clone()))?;
        }
        // Locks that are held for a while, and some for long.
        let hold = match self.random.random_range(0..10) {
            0..6 => 0,
            6..9 => self.random.random_range(1..4),
            _ => self.random.random_range(10..40),
        };
        std::thread::sleep(Duration::from_millis(hold));
        let finish = |worker: &mut Self, sql: &str, changes: &Changes| {
            worker.send(sql, true).map_err(|t| (t, changes.clone()))
        };
        match end {
            End::Commit => finish(self, "COMMIT", &changes)?,
            End::Rollback => finish(self, "ROLLBACK", &changes)?,
            End::Prepared | End::PreparedRollback => {
                finish(self, &format!("PREPARE TRANSACTION '{gid}'"), &changes)?;
                std::thread::sleep(Duration::from_millis(hold));
                let verb = if end == End::Prepared {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                };
                finish(self, &format!("{verb} PREPARED '{gid}'"), &changes)?;
            }
        }
        Ok(matches!(end, End::Commit | End::Prepared).then_some(changes))
    }

    fn send(&mut self, sql: &str, at_end: bool) -> Result<(), Trouble> {
        let Some(client) = &mut self.session else {
            return Err(Trouble::Broken(at_end));
        };
        client
            .batch_execute(sql)
            .map_err(|error| trouble(&error, at_end))
    }

    fn execute(&mut self, statement: &Statement, knows: Knows) -> Result<Changes, Trouble> {
        let Some(client) = &mut self.session else {
            return Err(Trouble::Broken(false));
        };
        if let Some(input) = &statement.input {
            let copied = client
                .copy_in(&statement.sql)
                .map_err(|error| trouble(&error, false))
                .and_then(|mut writer| {
                    writer
                        .write_all(input.as_bytes())
                        .map_err(|_| Trouble::Broken(false))?;
                    writer.finish().map_err(|error| trouble(&error, false))
                })?;
            if copied as usize != statement.expected.len() {
                return Err(Trouble::Wrong(format!("COPY wrote {copied} rows")));
            }
            return Ok(statement
                .expected
                .iter()
                .map(|(key, may)| (*key, may.first().cloned()))
                .collect());
        }
        let messages = client
            .simple_query(&statement.sql)
            .map_err(|error| trouble(&error, false))?;
        let mut found = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                let cells: Vec<Option<&str>> = (0..row.len()).map(|i| row.get(i)).collect();
                found.extend(statement::read(&cells, knows.both));
            }
        }
        statement::judge(statement, found, knows)
            .map_err(|text| Trouble::Wrong(format!("{text}\nin: {:.300}", statement.sql)))
    }

    /// A key by Zipf's law: the first are written all the time. Busy ones are passed over.
    fn key(&mut self) -> (i64, Option<super::model::Row>) {
        loop {
            let space = self.shared.keyspace;
            let key = if self.random.random_ratio(1, 8) {
                self.random
                    .random_range(1..self.shared.book.highest().max(2))
            } else {
                let rank = (space as f64).powf(self.random.random::<f64>()) as i64;
                rank.wrapping_mul(7919).rem_euclid(space) + 1
            };
            if let Some(row) = self.shared.book.take(key) {
                return (key, row);
            }
        }
    }

    fn choose(&mut self, knows: Knows, changes: &Changes, keys: &mut Vec<i64>) -> Statement {
        self.counter += 16;
        let n = self.counter;
        if self.random.random_ratio(1, 25) {
            let fresh: Vec<i64> = (0..4).map(|_| self.shared.book.fresh()).collect();
            keys.extend(&fresh);
            return statement::copy(&mut self.random, knows, &fresh, n);
        }
        // A row of this very transaction is written again.
        let again = (self.random.random_ratio(1, 5) && !changes.is_empty())
            .then(|| changes.iter().max_by_key(|(key, _)| **key))
            .flatten();
        let (key, row) = match again {
            Some((key, row)) => (*key, row.clone()),
            None => {
                let (key, row) = self.key();
                keys.push(key);
                (key, row)
            }
        };
        let shared = Arc::clone(&self.shared);
        match row {
            None if self.random.random_bool(0.7) => {
                statement::insert(&mut self.random, knows, key, n)
            }
            None => statement::upsert(&mut self.random, knows, key, None, n),
            Some(row) if knows.synced && self.random.random_ratio(1, 8) => {
                statement::upsert(&mut self.random, knows, key, Some(&row), n)
            }
            Some(row) => {
                let to = || {
                    let key = shared.book.fresh();
                    keys.push(key);
                    key
                };
                statement::change(&mut self.random, knows, key, &row, to, n)
            }
        }
    }

    /// Locks rows that it does not write.
    fn lock_only(&mut self) -> bool {
        let strength =
            ["UPDATE", "NO KEY UPDATE", "SHARE", "KEY SHARE"][self.random.random_range(0..4)];
        let from = self.random.random_range(0..self.shared.keyspace);
        let sql = format!(
            "BEGIN; SELECT FROM t WHERE id BETWEEN {from} AND {} FOR {strength} SKIP LOCKED",
            from + self.random.random_range(1..40)
        );
        let locked = self.send(&sql, false);
        let hold = self.random.random_range(1..30);
        std::thread::sleep(Duration::from_millis(hold));
        match &locked {
            Err(Trouble::Broken(_)) => self.session = None,
            _ => self.rollback(),
        }
        locked.is_ok()
    }

    /// Finds out what became of a transaction that was cut off. `None`: nothing is left of it.
    fn resolve(
        &mut self,
        knows: Knows,
        end: End,
        at_end: bool,
        gid: &str,
        changes: Changes,
    ) -> Option<Changes> {
        if !at_end || end == End::Rollback {
            return None;
        }
        let until = Instant::now() + PATIENCE;
        loop {
            if Instant::now() > until {
                self.shared.error("the server did not come back".to_owned());
                return None;
            }
            if !self.open() {
                continue;
            }
            match self.look(knows, end, gid, &changes) {
                Ok(true) => return Some(changes),
                Ok(false) => return None,
                Err(Trouble::Broken(_)) => self.session = None,
                Err(Trouble::Refused(failure)) if self.shared.excused(&failure.sqlstate) => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(Trouble::Refused(failure)) => {
                    self.shared.error(format!("a look back: {failure}"));
                    return None;
                }
                Err(Trouble::Wrong(text)) => {
                    self.shared.error(text);
                    return None;
                }
            }
        }
    }

    /// Whether the transaction is committed; one that is still prepared is ended first.
    fn look(
        &mut self,
        knows: Knows,
        end: End,
        gid: &str,
        changes: &Changes,
    ) -> Result<bool, Trouble> {
        if matches!(end, End::Prepared | End::PreparedRollback) {
            let sql = format!("SELECT 1 FROM pg_prepared_xacts WHERE gid = '{gid}'");
            if !self.select(&sql, false)?.is_empty() {
                let verb = if end == End::Prepared {
                    "COMMIT"
                } else {
                    "ROLLBACK"
                };
                self.send(&format!("{verb} PREPARED '{gid}'"), true)?;
                return Ok(end == End::Prepared);
            }
            if end == End::PreparedRollback {
                return Ok(false);
            }
        }
        for (key, after) in changes {
            let sql = format!(
                "SELECT {}{} FROM t WHERE id = {key}",
                statement::COLUMNS,
                if knows.both { ", new" } else { "" }
            );
            let found = self.select(&sql, knows.both)?.pop().map(|(_, row)| row);
            let before = self.shared.book.peek(*key);
            let same = |one: &Option<super::model::Row>| match (one, &found) {
                (None, None) => true,
                (Some(one), Some(found)) => {
                    let new = match &found.new {
                        super::model::New::Is(new) => one.may_hold(knows.map, new),
                        super::model::New::Unfilled => true,
                    };
                    new && (one.part, one.other, one.fat, &one.old)
                        == (found.part, found.other, found.fat, &found.old)
                }
                _ => false,
            };
            match (same(after), same(&before)) {
                (true, true) => {}
                (true, false) => return Ok(true),
                (false, true) => return Ok(false),
                (false, false) => {
                    return Err(Trouble::Wrong(format!(
                        "key {key} holds {}, neither what was before nor what may be after a cut",
                        found
                            .as_ref()
                            .map_or("nothing".to_owned(), statement::short)
                    )));
                }
            }
        }
        Ok(true)
    }

    fn select(&mut self, sql: &str, both: bool) -> Result<Vec<(i64, super::model::Row)>, Trouble> {
        let Some(client) = &mut self.session else {
            return Err(Trouble::Broken(false));
        };
        let messages = client
            .simple_query(sql)
            .map_err(|error| trouble(&error, false))?;
        Ok(messages
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .map(|row| {
                let cells: Vec<Option<&str>> = (0..row.len()).map(|i| row.get(i)).collect();
                statement::read(&cells, both).unwrap_or((
                    0,
                    super::model::Row {
                        part: 0,
                        other: 0,
                        fat: 0,
                        old: None,
                        new: super::model::New::Unfilled,
                    },
                ))
            })
            .collect())
    }
}

fn trouble(error: &postgres::Error, at_end: bool) -> Trouble {
    let failure = Failure::from(error);
    // No answer at all, or the server's last words.
    if failure.sqlstate.is_empty() || failure.sqlstate.starts_with("57P") {
        Trouble::Broken(at_end)
    } else {
        Trouble::Refused(Box::new(failure))
    }
}
