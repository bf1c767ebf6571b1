//! The plan's lock, rewrites and scans of statements that run as written, against those that were
//! measured.

use crate::{FIXTURE, document, load};
use pg_migrate_tests::cluster;
use serde_json::Value;
use std::collections::BTreeSet;

const FACTS: &str = include_str!("../../data/lock_facts_pg15.jsonl");

/// What is said of a statement otherwise than it was measured, and why that is right.
const DIFFERENT: &[(&str, &str)] = &[
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
        "alter table p attach partition cand2 for values from (200) to (300)",
        "its CHECK is not looked at: the careful answer",
    ),
    (
        "reindex table users",
        "the locks on the indexes themselves are not told",
    ),
    (
        "reindex index users_email_idx",
        "the lock on the index itself is not told",
    ),
    ("select count(*) from users", "queries are run, not judged"),
    (
        "select * from users where id=1 for update",
        "queries are run, not judged",
    ),
    (
        "select * from users for share",
        "queries are run, not judged",
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

/// The strongest lock, in the words of LOCK TABLE; `NULL`: none.
fn strongest(locks: &Value) -> String {
    let rank = |name: &str| LOCKS.iter().position(|(found, _)| *found == name);
    let best = locks
        .as_object()
        .into_iter()
        .flat_map(|all| all.values())
        .filter_map(|lock| rank(lock.as_str()?))
        .max();
    best.map_or("NULL", |at| LOCKS[at].1).to_owned()
}

fn any(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

#[test]
fn what_the_plan_says_of_a_statement_is_what_was_measured() {
    let db = cluster().database();
    load(&db, FIXTURE);
    let mut client = db.connect();
    let (mut wrong, mut seen, mut excused) = (Vec::new(), 0, BTreeSet::new());
    for line in FACTS.lines() {
        let fact: Value = serde_json::from_str(line).expect("a line of JSON");
        let text = |field: &str| fact[field].as_str().unwrap_or_default().to_owned();
        let (sql, setup) = (text("sql"), text("setup"));
        if fact.get("locks").is_none() {
            // It failed where it was measured.
            continue;
        }
        seen += 1;
        let plan = format!(
            "SELECT coalesce(lock, 'NULL') || ' ' || rewrites || ' ' || scans FROM migrate.plan({}) LIMIT 1",
            document(&format!("-- migrate:as-written\n{sql}"))
        );
        let mut transaction = client.transaction().expect("a transaction");
        transaction.batch_execute(&setup).expect("the setup");
        let found = match transaction.query_opt(&plan, &[]) {
            Ok(Some(row)) => row.get::<_, String>(0),
            Ok(None) => "no step".to_owned(),
            Err(error) => pg_migrate_tests::Failure::from(&error).to_string(),
        };
        transaction.rollback().expect("rolled back");
        let wanted = format!(
            "{} {} {}",
            strongest(&fact["locks"]),
            any(&fact["rewritten"]),
            any(&fact["scanned"])
        );
        if found != wanted {
            match DIFFERENT.iter().find(|(known, _)| *known == sql) {
                Some((known, _)) => drop(excused.insert(*known)),
                None => wrong.push(format!(
                    "{sql}\n    measured: {wanted}\n    planned:  {found}"
                )),
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {seen}\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let idle: Vec<_> = DIFFERENT
        .iter()
        .filter(|(sql, _)| !excused.contains(sql))
        .collect();
    assert!(idle.is_empty(), "these do not differ any more: {idle:#?}");
    assert!(seen > 150, "{seen} facts");
}
