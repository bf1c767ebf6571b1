//! What statements were measured to lock, rewrite and read on PostgreSQL 15, and the schema on which
//! they were.

use serde_json::Value;
use std::collections::BTreeMap;

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
