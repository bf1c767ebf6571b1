//! One writer: a connection, the keys it owns and what it last committed to them.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use postgres::Client;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::outcome::{self, Expected, Operation, Trouble};
use super::record::{Record, Value};
use super::statements::{Kind, Statements};
use super::{Mappings, Role, Shared};
use crate::{Failure, db};

/// More errors than this say nothing new; all are counted.
const KEPT_ERRORS: usize = 100;

pub struct Written {
    pub record: Record,
    pub errors: Vec<String>,
    pub disconnects: u64,
    /// Per phase.
    pub micros: Vec<Vec<u32>>,
}

pub struct Writer {
    index: usize,
    shared: Arc<Shared>,
    random: StdRng,
    /// Role, connection and statements; none after the connection broke.
    session: Option<(Role, Client, Statements)>,
    living: Vec<i64>,
    dead: Vec<i64>,
    next_key: i64,
    counter: u64,
    written: Written,
}

impl Writer {
    pub fn new(index: usize, shared: Arc<Shared>, record: Record, highest: i64) -> Self {
        let threads = shared.spec.threads.max(1) as i64;
        let next_key = highest + 1 + (index as i64 - highest - 1).rem_euclid(threads);
        let mut living: Vec<i64> = record.keys().copied().collect();
        living.sort_unstable();
        Self {
            index,
            random: StdRng::seed_from_u64(shared.spec.seed.wrapping_mul(1000) + index as u64),
            shared,
            session: None,
            living,
            dead: Vec::new(),
            next_key,
            counter: 0,
            written: Written {
                record,
                errors: Vec::new(),
                disconnects: 0,
                micros: Vec::new(),
            },
        }
    }

    pub fn run(mut self) -> Written {
        while !self.shared.stop.load(Ordering::SeqCst) {
            // Read in this order: whoever sees the generation sees the number that came with it.
            let generation = self.shared.generation.load(Ordering::SeqCst);
            let role = self.role();
            self.shared.noticed[self.index].store(generation, Ordering::SeqCst);
            if self.shared.stopped.wanted.load(Ordering::SeqCst) {
                self.stand_still();
            } else if self.open(role) {
                self.step(role);
                self.shared.operations.fetch_add(1, Ordering::Relaxed);
            }
            std::thread::sleep(self.shared.spec.pause);
        }
        self.written
    }

    /// Shows what this writer did, once, and takes its rows for those of one release if asked.
    fn stand_still(&mut self) {
        let stopped = &self.shared.stopped;
        let mut records = stopped.records.lock().unwrap();
        if records.iter().any(|(index, ..)| *index == self.index)
            || !stopped.wanted.load(Ordering::SeqCst)
        {
            return;
        }
        let settle = *stopped.settle.lock().unwrap();
        if let Some(role) = settle {
            let maps = self.shared.mappings();
            for value in self.written.record.values_mut().flatten() {
                value.text = maps.left_to(role, value).map(String::into_boxed_str);
                value.by = role;
            }
        }
        records.push((
            self.index,
            self.written.record.clone(),
            self.written.errors.clone(),
        ));
    }

    fn role(&self) -> Role {
        if self.index < self.shared.new_writers.load(Ordering::SeqCst) {
            Role::New
        } else {
            Role::Old
        }
    }

    /// A release that is deployed anew is a new process: it opens a connection of its own.
    fn open(&mut self, role: Role) -> bool {
        if self.session.as_ref().is_some_and(|(of, ..)| *of == role) {
            return true;
        }
        self.session = None;
        let mut config = self.shared.db.lock().unwrap().config();
        config.application_name(match role {
            Role::Old => "application old",
            Role::New => "application new",
        });
        let session = db::connect(&config).and_then(|mut client| {
            let statements = Statements::prepare(&mut client, &self.shared.spec, role)?;
            Ok((role, client, statements))
        });
        match session {
            Ok(session) => self.session = Some(session),
            // Refused while the server is down; any answer of a running server is an error.
            Err(failure) if failure.sqlstate.is_empty() || failure.sqlstate.starts_with("57P") => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(failure) if self.refused(role, &failure) => {}
            Err(failure) => {
                self.error(format!("{role:?} could not start: {failure}"));
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        self.session.is_some()
    }

    fn step(&mut self, role: Role) {
        let phase = self.shared.phase.load(Ordering::SeqCst);
        let many = self.shared.spec.transactions && self.random.random_ratio(1, 10);
        let rollback = many && self.random.random_ratio(1, 3);
        let mut taken = HashSet::new();
        let count = if many { 3 } else { 1 };
        let operations: Vec<Operation> = (0..count)
            .filter_map(|_| self.choose(role, &mut taken))
            .collect();
        let Some((_, client, statements)) = &mut self.session else {
            return;
        };
        let expected = Expected {
            record: &self.written.record,
            maps: self.shared.mappings(),
            role,
        };
        let started = Instant::now();
        let result = if many {
            outcome::in_transaction(client, statements, &operations, rollback, &expected)
        } else {
            operations.iter().try_for_each(|operation| {
                let count = statements.execute(
                    client,
                    operation.kind,
                    operation.key,
                    outcome::text(operation),
                );
                outcome::judge(operation, count, &expected)
            })
        };
        let micros = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        match result {
            Ok(()) => {
                if !rollback {
                    operations
                        .into_iter()
                        .for_each(|operation| self.committed(operation));
                }
            }
            Err(Trouble::Refused(_, failure)) if self.refused(role, &failure) => {}
            Err(Trouble::Refused(kind, failure)) => {
                let sql = self
                    .session
                    .as_ref()
                    .zip(kind)
                    .map_or("COMMIT", |((_, _, statements), kind)| statements.sql(kind));
                let text = format!("{role:?}: {failure}\nin: {sql}");
                self.error(text);
            }
            Err(Trouble::Wrong(text)) => {
                self.error(format!("{role:?}: {text}"));
                // It went through for the server: take what is there, so that one error counts once.
                if !many {
                    operations
                        .into_iter()
                        .for_each(|operation| self.committed(operation));
                }
            }
            Err(Trouble::Broken) => {
                self.written.disconnects += 1;
                self.session = None;
                // Before its commit a transaction that was to be rolled back has left nothing.
                if !rollback {
                    self.resolve(role, operations);
                }
            }
        }
        let times = &mut self.written.micros;
        if times.len() <= phase {
            times.resize(phase + 1, Vec::new());
        }
        times[phase].push(micros);
    }

    fn choose(&mut self, role: Role, taken: &mut HashSet<i64>) -> Option<Operation> {
        let die = self.random.random_range(0..100);
        let spec = &self.shared.spec;
        let mut kind = match die {
            0..20 => Kind::Insert,
            20..33 if spec.deletes => Kind::Delete,
            33..48 => Kind::Read,
            48..60 if !spec.also.is_empty() => Kind::Touch,
            60..68 if spec.upserts => Kind::Upsert,
            _ => Kind::Update,
        };
        if self.living.is_empty() {
            kind = Kind::Insert;
        }
        let (at, key) = match kind {
            Kind::Insert if !self.dead.is_empty() && self.random.random_ratio(1, 4) => {
                let at = self.random.random_range(0..self.dead.len());
                (at, self.dead[at])
            }
            Kind::Insert => {
                let key = self.next_key;
                self.next_key += self.shared.spec.threads.max(1) as i64;
                (0, key)
            }
            _ => {
                let at = self.random.random_range(0..self.living.len());
                (at, self.living[at])
            }
        };
        if !taken.insert(key) {
            return None;
        }
        let after = match kind {
            Kind::Delete => None,
            Kind::Read | Kind::Touch => self.written.record.get(&key).cloned().flatten(),
            Kind::Insert | Kind::Update | Kind::Upsert => {
                self.counter += 1;
                let n = self.counter * self.shared.spec.threads.max(1) as u64 + self.index as u64;
                let text = match role {
                    Role::Old => (self.shared.spec.old_value)(n),
                    Role::New => (self.shared.spec.new_value)(n),
                };
                Some(Value {
                    by: role,
                    text: text.map(String::into_boxed_str),
                })
            }
        };
        Some(Operation {
            kind,
            key,
            at,
            after,
        })
    }

    fn committed(&mut self, operation: Operation) {
        let key = operation.key;
        match operation.kind {
            Kind::Read | Kind::Touch => return,
            Kind::Insert => {
                self.dead.retain(|dead| *dead != key);
                self.living.push(key);
            }
            Kind::Delete => {
                // Another delete of the same transaction may have moved it.
                let at = match self.living.get(operation.at) {
                    Some(living) if *living == key => Some(operation.at),
                    _ => self.living.iter().position(|living| *living == key),
                };
                if let Some(at) = at {
                    self.living.swap_remove(at);
                }
                self.dead.push(key);
            }
            Kind::Update | Kind::Upsert => {}
        }
        self.written.record.insert(key, operation.after);
    }

    /// Finds out by reading whether what was under way when the connection broke was committed.
    fn resolve(&mut self, role: Role, operations: Vec<Operation>) {
        let end = Instant::now() + Duration::from_secs(120);
        let mut committed = None;
        while committed.is_none() {
            if Instant::now() > end {
                return self.error("the server did not come back within two minutes".to_owned());
            }
            if !self.open(role) {
                continue;
            }
            match self.look(&operations) {
                Ok(verdict) => committed = Some(verdict),
                Err(None) => self.session = None,
                Err(Some(text)) => return self.error(text),
            }
        }
        if committed == Some(true) {
            operations
                .into_iter()
                .for_each(|operation| self.committed(operation));
        }
    }

    /// Whether the operations are in the table; `Err(None)` when the connection broke again.
    fn look(&mut self, operations: &[Operation]) -> Result<bool, Option<String>> {
        let Some((role, client, statements)) = &mut self.session else {
            return Err(None);
        };
        let maps = self.shared.mappings();
        let mut verdict = None;
        for operation in operations
            .iter()
            .filter(|o| !matches!(o.kind, Kind::Read | Kind::Touch))
        {
            let found =
                statements.read(client, operation.key).map_err(|error| {
                    match Failure::from(&error) {
                        failure if outcome::broken(&failure) => None,
                        failure => Some(format!("{role:?}: {failure}")),
                    }
                })?;
            let before = self.written.record.get(&operation.key).cloned().flatten();
            let as_seen = |value: &Option<Value>| value.as_ref().map(|v| maps.seen_by(*role, v));
            let (old, new) = (as_seen(&before), as_seen(&operation.after));
            let this = match (found == new, found == old) {
                (true, _) => true,
                (_, true) => false,
                // A row that was never filled on the new side is as it was before.
                _ if *role == Role::New && found == Some(None) => false,
                _ => {
                    let key = operation.key;
                    return Err(Some(format!(
                        "key {key}: {found:?} is neither {old:?} nor {new:?}"
                    )));
                }
            };
            if verdict.is_some_and(|earlier| earlier != this) {
                return Err(Some(format!(
                    "key {}: half of a transaction was committed",
                    operation.key
                )));
            }
            verdict = Some(this);
        }
        Ok(verdict.unwrap_or(false))
    }

    /// Whether the new release was refused something that is gone on purpose.
    fn refused(&self, role: Role, failure: &Failure) -> bool {
        let expected = self.shared.expected.lock().unwrap();
        let refused = role == Role::New && expected.contains(&failure.sqlstate);
        if refused {
            self.shared.refused.fetch_add(1, Ordering::Relaxed);
        }
        refused
    }

    fn error(&mut self, text: String) {
        let phase = self.shared.phase.load(Ordering::SeqCst);
        let text = match self.shared.names.lock().unwrap().get(phase) {
            Some(name) => format!("{text}\nduring: {name}"),
            None => text,
        };
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        if self.written.errors.len() < KEPT_ERRORS {
            self.written.errors.push(text);
        }
    }
}

impl Shared {
    fn mappings(&self) -> Mappings {
        self.spec.mappings()
    }
}
