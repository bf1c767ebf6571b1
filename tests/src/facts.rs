//! What statements were measured to lock, rewrite and read on PostgreSQL 15, and the schema on which
//! they were.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

pub const FIXTURE: &str = include_str!("../data/lock_facts_fixture.sql");

const FACTS: &str = include_str!("../data/lock_facts_pg15.jsonl");

/// Locks, weakest first: as `pg_locks` calls them and as LOCK TABLE does.
const LOCKS: [(&str, &str); 8] = [
    ("AccessShareLock", "ACCESS SHARE"),
    ("RowShareLock", "ROW SHARE"),
    ("RowExclusiveLock", "ROW EXCLUSIVE"),
    ("ShareUpdateExclusiveLock", "SHARE UPDATE EXCLUSIVE"),
    ("ShareLock", "SHARE"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE"),
    ("ExclusiveLock", "EXCLUSIVE"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE"),
];

/// Where a lock stands among the others, in the words of LOCK TABLE.
pub fn rank(mode: &str) -> Option<usize> {
    LOCKS.iter().position(|(_, words)| *words == mode)
}

/// The strongest of these locks; `NULL`: none.
pub fn strongest<'a>(modes: impl Iterator<Item = &'a str>) -> String {
    let best = modes.filter_map(rank).max();
    best.map_or("NULL", |at| LOCKS[at].1).to_owned()
}

#[derive(Debug, Clone)]
pub struct Fact {
    pub sql: String,
    /// What ran before it in the same transaction.
    pub setup: String,
    /// Why it failed where it was measured; nothing else is known of it then.
    pub failed: Option<String>,
    /// Relations by their names as they are in the search path, and their locks in the words of
    /// LOCK TABLE.
    pub locks: BTreeMap<String, String>,
    pub rewrites: bool,
    pub scans: bool,
}

impl Fact {
    pub fn strongest(&self) -> String {
        strongest(self.locks.values().map(String::as_str))
    }
}

fn any(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

/// All of them, in their order.
pub fn facts() -> Vec<Fact> {
    FACTS
        .lines()
        .map(|line| {
            let fact: Value = serde_json::from_str(line).expect("a line of JSON");
            let text = |field: &str| fact[field].as_str().unwrap_or_default().to_owned();
            let locks = fact["locks"].as_object().into_iter().flatten();
            Fact {
                sql: text("sql"),
                setup: text("setup"),
                failed: fact.get("locks").is_none().then(|| text("error")),
                locks: locks
                    .filter_map(|(name, lock)| {
                        let lock = LOCKS
                            .iter()
                            .find(|(known, _)| Some(*known) == lock.as_str())?;
                        Some((name.clone(), lock.1.to_owned()))
                    })
                    .collect(),
                rewrites: any(&fact["rewritten"]),
                scans: any(&fact["scanned"]),
            }
        })
        .collect()
}

/// A statement of which something is said otherwise than it was measured, and why that is right.
pub type Different = (&'static str, &'static str);

/// Those of whoever tells locks, rewrites and scans from what a statement says.
pub const DIFFERENT: &[Different] = &[
    (
        "alter table users rename to users2",
        "measured by names: the new name counts as a scan",
    ),
    (
        "alter materialized view mv rename to mv2",
        "measured by names: the new name counts as a scan",
    ),
    (
        "alter table users set schema s2",
        "measured by names: the table has another one afterwards",
    ),
    (
        "alter table nopk add primary key using index nopk_i",
        "the lock was held from the setup",
    ),
    (
        "alter table nopk add primary key (id)",
        "the lock was held from the setup",
    ),
    ("drop view v", "measured by names: it is gone afterwards"),
    (
        "drop materialized view mv",
        "measured by names: it is gone afterwards",
    ),
    (
        "create table newt(id bigint primary key, user_id bigint references users(id))",
        "measured by names: the new table counts as scanned",
    ),
    (
        "create table newt (like users including all)",
        "measured by names: the new table counts as scanned",
    ),
    ("truncate orders", "new files without rows are no rewrite"),
    (
        "truncate users cascade",
        "new files without rows are no rewrite",
    ),
    ("alter sequence sq restart with 10", "one page"),
    ("alter sequence users_id_seq as integer", "one page"),
    (
        "alter table users alter column id restart with 1000",
        "one page",
    ),
    (
        "select setval('users_id_seq', 5000)",
        "what functions lock is not known",
    ),
    (
        "do $$ begin execute 'alter table users alter column age type bigint'; end $$",
        "what is inside is not known",
    ),
    (
        "drop schema public cascade",
        "what CASCADE drops is not known",
    ),
];

/// What is said of statements, against what was measured.
#[derive(Debug)]
pub struct Comparison {
    different: Vec<Different>,
    excused: BTreeSet<&'static str>,
    wrong: Vec<String>,
    seen: usize,
}

impl Comparison {
    pub fn but(different: &[&[Different]]) -> Self {
        Self {
            different: different.concat(),
            excused: BTreeSet::new(),
            wrong: Vec::new(),
            seen: 0,
        }
    }

    pub fn compare(&mut self, sql: &str, measured: &str, said: &str) {
        self.seen += 1;
        if measured == said {
            return;
        }
        match self.different.iter().find(|(known, _)| *known == sql) {
            Some((known, _)) => drop(self.excused.insert(known)),
            None => self.wrong.push(format!(
                "{sql}\n    measured: {measured}\n    said:     {said}"
            )),
        }
    }

    /// Panics with what is wrong, and with differences that are none.
    #[track_caller]
    pub fn end(self) {
        assert!(
            self.wrong.is_empty(),
            "{} of {}\n{}",
            self.wrong.len(),
            self.seen,
            self.wrong.join("\n")
        );
        let idle: Vec<_> = self
            .different
            .iter()
            .filter(|(sql, _)| !self.excused.contains(sql))
            .collect();
        assert!(idle.is_empty(), "these do not differ any more: {idle:#?}");
        assert!(self.seen > 150, "{} facts", self.seen);
    }
}
