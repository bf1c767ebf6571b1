//! Lint's lock, rewrite and scan of each statement, against those that were measured.

use crate::literal;
use pg_migrate_tests::facts::{FIXTURE, facts, strongest};
use pg_migrate_tests::{Db, Failure, cluster};
use std::collections::{BTreeMap, BTreeSet};

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

fn measured() -> Db {
    let db = cluster().database();
    db.psql(FIXTURE);
    db
}

#[test]
fn what_lint_says_of_a_statement_is_what_was_measured() {
    let mut client = measured().connect();
    let (mut wrong, mut seen, mut excused) = (Vec::new(), 0, BTreeSet::new());
    for fact in facts() {
        let sql = fact.sql.as_str();
        let mut transaction = client.transaction().expect("a transaction");
        if fact.failed.is_none() {
            transaction.batch_execute(&fact.setup).expect("the setup");
        }
        let rows = transaction.query(
            &format!(
                "SELECT lock, rewrites, scans, ARRAY(SELECT value FROM jsonb_each_text(locks)) FROM migrate.lint({})",
                literal(sql)
            ),
            &[],
        );
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}\n{}", Failure::from(&error)),
        };
        transaction.rollback().expect("rolled back");
        assert!(!rows.is_empty(), "nothing is said of: {sql}");
        if fact.failed.is_some() {
            continue;
        }
        seen += 1;
        let mut modes: Vec<String> = rows
            .iter()
            .filter_map(|row| row.get::<_, Option<String>>(0))
            .collect();
        for row in &rows {
            modes.extend(row.get::<_, Vec<String>>(3));
        }
        let found = format!(
            "{} {} {}",
            strongest(modes.iter().map(String::as_str)),
            rows[0].get::<_, bool>(1),
            rows[0].get::<_, bool>(2)
        );
        let wanted = format!("{} {} {}", fact.strongest(), fact.rewrites, fact.scans);
        if found != wanted {
            match DIFFERENT.iter().find(|(known, _)| *known == sql) {
                Some((known, _)) => drop(excused.insert(*known)),
                None => wrong.push(format!(
                    "{sql}\n    measured: {wanted}\n    said:     {found}"
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

/// Of which the locks on single tables are said otherwise, and why.
const LOCKS_DIFFERENT: &[(&str, &str)] = &[
    ("alter table users rename to users2", "measured by names"),
    ("alter table users set schema s2", "measured by names"),
    ("alter view v rename to v2", "measured by names"),
    (
        "alter materialized view mv rename to mv2",
        "measured by names",
    ),
    ("drop view v", "measured by names: it is gone afterwards"),
    (
        "drop materialized view mv",
        "measured by names: it is gone afterwards",
    ),
    (
        "drop table owned",
        "measured by names: it is gone afterwards",
    ),
    (
        "drop table users cascade",
        "measured by names: it is gone afterwards",
    ),
    ("drop table p1", "measured by names: it is gone afterwards"),
    (
        "alter table nopk add primary key using index nopk_i",
        "the lock was held from the setup",
    ),
    (
        "alter table nopk add primary key (id)",
        "the lock was held from the setup",
    ),
    (
        "do $$ begin execute 'alter table users alter column age type bigint'; end $$",
        "what is inside is not known",
    ),
    (
        "drop function trgf() cascade",
        "what CASCADE drops is not known",
    ),
    ("drop type mood cascade", "what CASCADE drops is not known"),
];

/// Not only the strongest lock: each of them, on its table.
#[test]
fn each_lock_is_told_with_its_table() {
    let mut client = measured().connect();
    let (mut wrong, mut excused, mut seen) = (Vec::new(), BTreeSet::new(), 0);
    for fact in facts().into_iter().filter(|fact| fact.failed.is_none()) {
        let sql = fact.sql.as_str();
        let mut transaction = client.transaction().expect("a transaction");
        transaction.batch_execute(&fact.setup).expect("the setup");
        let tables: BTreeSet<String> = transaction
            .query(
                "SELECT relname::text FROM pg_class WHERE relkind IN ('r', 'p', 'm', 'v') AND relnamespace = 'public'::regnamespace",
                &[],
            )
            .expect("tables")
            .iter()
            .map(|row| row.get(0))
            .collect();
        let said: BTreeMap<String, String> = transaction
            .query(
                &format!("SELECT key, value FROM (SELECT locks FROM migrate.lint({}) LIMIT 1) q, jsonb_each_text(locks)", literal(sql)),
                &[],
            )
            .expect("an answer")
            .iter()
            .map(|row| (row.get::<_, String>(0).trim_start_matches("public.").to_owned(), row.get(1)))
            .filter(|(name, _): &(String, String)| tables.contains(name))
            .collect();
        transaction.rollback().expect("rolled back");
        let wanted: BTreeMap<String, String> = fact
            .locks
            .iter()
            .filter(|(name, _)| tables.contains(*name))
            .map(|(name, lock)| (name.clone(), lock.clone()))
            .collect();
        seen += 1;
        if said != wanted {
            match LOCKS_DIFFERENT.iter().find(|(known, _)| *known == sql) {
                Some((known, _)) => drop(excused.insert(*known)),
                None => wrong.push(format!(
                    "{sql}\n    measured: {wanted:?}\n    said:     {said:?}"
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
    let idle: Vec<_> = LOCKS_DIFFERENT
        .iter()
        .filter(|(sql, _)| !excused.contains(sql))
        .collect();
    assert!(idle.is_empty(), "these do not differ any more: {idle:#?}");
}
