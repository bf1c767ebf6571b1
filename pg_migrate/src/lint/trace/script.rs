//! A script, or a migration's steps, statement by statement in one transaction that is rolled back.

use super::observe::{Observation, gathered, observe};
use super::others::{self, Meeting};
use crate::catalog;
use crate::fault::{Fault, Result, state};
use crate::lint::of_own;
use crate::pg::lock_table::{self, Entry, Target};
use crate::pg::messages::Listening;
use crate::pg::parser::tree::Node;
use crate::pg::parser::{self, Statement};
use crate::pg::{settings, spi, subtransaction};

/// What came of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Done,
    Failed,
    /// It cannot be run here; `detail` says why.
    NotRun,
    /// One before it failed.
    NotReached,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Done => "done",
            State::Failed => "failed",
            State::NotRun => "not run",
            State::NotReached => "not reached",
        }
    }
}

/// A statement and what was seen of it.
#[derive(Debug, Clone)]
pub struct Row {
    /// From 1.
    pub statement: usize,
    /// Of its first token in the script, from 1; steps have none.
    pub line: Option<usize>,
    /// PostgreSQL's name of the statement, or phase and kind of the step.
    pub kind: String,
    pub sql: String,
    pub state: State,
    /// Of a statement that was not run or failed: what is known of it otherwise.
    pub seen: Observation,
    pub detail: Option<String>,
}

/// Why a statement of this kind cannot be run in a trace; `None`: it can.
fn refused(statement: &Statement) -> Option<&'static str> {
    if matches!(statement.node, Node::Transaction(_)) {
        return Some("a trace is one transaction, which is rolled back at its end");
    }
    if statement.node == Node::CopyFromStdin {
        return Some("it reads from the client");
    }
    if !statement.transactional {
        return Some("it cannot run inside a transaction block, which a trace is");
    }
    match statement.action.tag.as_str() {
        "PREPARE" | "DEALLOCATE" | "DEALLOCATE ALL" => {
            Some("no rollback takes back what it does to the session's prepared statements")
        }
        "LOAD" => Some("no rollback takes a library out of the session"),
        "CHECKPOINT" => Some("no rollback takes a checkpoint back"),
        tag if tag.starts_with("DISCARD") => Some("no rollback gives back what it discards"),
        "COPY" if writes_outside(statement) => {
            Some("no rollback takes back what it writes outside")
        }
        _ => None,
    }
}

/// COPY to anywhere, or from a program.
fn writes_outside(statement: &Statement) -> bool {
    statement.action.what != "FROM" || statement.text.to_lowercase().contains("program")
}

/// Runs every statement of the script, and rolls everything back.
pub fn trace(sql: &str) -> Result<Vec<Row>> {
    let statements = parser::split(sql, 1)?;
    rolled_back(|| {
        let mut rows = Vec::new();
        let mut failed = false;
        for (number, statement) in (1..).zip(&statements) {
            let row = if failed {
                row(
                    number,
                    statement,
                    State::NotReached,
                    Observation::default(),
                    None,
                )
            } else {
                one(number, statement)?
            };
            failed |= row.state == State::Failed;
            rows.push(row);
        }
        if !failed {
            rows.extend(at_commit(rows.len() + 1)?);
        }
        Ok(rows)
    })
}

/// The same of what `run` does: a row for each step that it runs through `watched`.
pub fn traced(run: impl FnOnce() -> Result<()>) -> Result<Vec<Row>> {
    rolled_back(|| {
        let (steps, outcome) = gathered(run);
        let mut rows: Vec<Row> = (1..)
            .zip(steps)
            .map(|(statement, (kind, sql, seen))| Row {
                statement,
                line: None,
                kind,
                sql,
                state: State::Done,
                seen,
                detail: None,
            })
            .collect();
        match outcome {
            Ok(()) => {}
            Err(fault) if fault.is_interruption() || rows.is_empty() => return Err(fault),
            Err(fault) => rows.push(Row {
                statement: rows.len() + 1,
                line: None,
                kind: "step".to_owned(),
                sql: String::new(),
                state: State::Failed,
                seen: Observation::default(),
                detail: Some(told(&fault)),
            }),
        }
        Ok(rows)
    })
}

/// Everything in a subtransaction that is rolled back, with an ear for the server's messages and a
/// limit to the wait for a lock.
fn rolled_back(body: impl FnOnce() -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    let before = advisory();
    let rows = subtransaction::rehearse(|| {
        let listening = Listening::new();
        let scope = settings::Scope::new();
        if settings::value("lock_timeout").as_deref() == Some("0")
            && let Some(limit) = settings::value("migrate.lock_timeout")
        {
            scope.set("lock_timeout", &limit);
        }
        let rows = body();
        drop(scope);
        drop(listening);
        rows
    });
    for entry in advisory() {
        let known = |old: &Entry| old.target == entry.target && old.mode == entry.mode;
        if !before.iter().any(known) {
            lock_table::release_of_session(&entry);
        }
    }
    rows
}

/// Advisory locks of this session.
fn advisory() -> Vec<Entry> {
    lock_table::read()
        .into_iter()
        .filter(|entry| entry.mine && entry.granted && matches!(entry.target, Target::Advisory(..)))
        .collect()
}

fn row(
    number: usize,
    statement: &Statement,
    state: State,
    seen: Observation,
    detail: Option<String>,
) -> Row {
    Row {
        statement: number,
        line: Some(statement.line),
        kind: statement.action.tag.clone(),
        sql: statement.text.clone(),
        state,
        seen,
        detail,
    }
}

fn one(number: usize, statement: &Statement) -> Result<Row> {
    if let Some(why) = refused(statement) {
        let seen = expected(statement)?;
        return Ok(row(
            number,
            statement,
            State::NotRun,
            seen,
            Some(why.to_owned()),
        ));
    }
    match observe(&statement.text, || spi::execute(&statement.text)) {
        Ok(seen) => Ok(row(number, statement, State::Done, seen, None)),
        Err(fault) if fault.is_interruption() => Err(fault),
        Err(fault) => {
            let seen = expected(statement)?;
            Ok(row(
                number,
                statement,
                State::Failed,
                seen,
                Some(told(&fault)),
            ))
        }
    }
}

/// What is known of a statement that was not run to its end, and who would be in its way.
fn expected(statement: &Statement) -> Result<Observation> {
    let mut seen = Observation::default();
    let judged = match subtransaction::rehearse(|| of_own(&statement.text)) {
        Err(fault) if fault.is_interruption() => return Err(fault),
        // Then nothing is known of it.
        judged => judged.unwrap_or_default(),
    };
    let Some(deed) = judged.first().map(|finding| finding.deed.clone()) else {
        return Ok(seen);
    };
    seen.lock = deed.lock;
    let mut ours = Vec::new();
    let mut names = Vec::new();
    for (relation, lock) in &deed.locks {
        seen.locks.insert(relation.clone(), *lock);
        if let Some(oid) = catalog::resolve(relation)? {
            let target = Target::Relation(oid);
            ours.push((target, u8::try_from(lock.number()).unwrap_or(8)));
            names.push((target, relation.clone()));
        }
    }
    if let Some((relation, _)) = deed.locks.first() {
        seen.rewrites
            .extend(deed.rewrites.then(|| relation.clone()));
        seen.scans.extend(deed.scans.then(|| relation.clone()));
    }
    let table = lock_table::read();
    let mut met = others::meeting(&table, &ours, true, Meeting::Holds);
    met.extend(others::meeting(&table, &ours, false, Meeting::Waits));
    seen.blocked = others::lines(&met, |target| {
        names
            .iter()
            .find(|(known, _)| known == target)
            .map(|(_, name)| name.clone())
    })?;
    Ok(seen)
}

/// What constraints say that were deferred to the end of the transaction.
fn at_commit(number: usize) -> Result<Option<Row>> {
    match subtransaction::attempt(|| spi::execute("SET CONSTRAINTS ALL IMMEDIATE")) {
        Ok(()) => Ok(None),
        Err(fault) if fault.is_interruption() => Err(fault),
        Err(fault) => Ok(Some(Row {
            statement: number,
            line: None,
            kind: "COMMIT".to_owned(),
            sql: String::new(),
            state: State::Failed,
            seen: Observation::default(),
            detail: Some(told(&fault)),
        })),
    }
}

fn told(fault: &Fault) -> String {
    let mut text = format!("{} ({})", fault.message, fault.sqlstate);
    if let Some(detail) = &fault.detail {
        text.push_str(&format!(": {detail}"));
    }
    if fault.sqlstate == state::LOCK_NOT_AVAILABLE {
        text.push_str(": a trace waits for a lock as long as lock_timeout says, or migrate.lock_timeout where that is 0");
    }
    text
}
