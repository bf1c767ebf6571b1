//! Lint's lock, rewrite and scan of each statement, against those that were measured.

use crate::literal;
use pg_migrate_tests::facts::{Comparison, DIFFERENT, Different, FIXTURE, facts, strongest};
use pg_migrate_tests::{Db, Failure, cluster};
use std::collections::{BTreeMap, BTreeSet};

fn measured() -> Db {
    let db = cluster().database();
    db.psql(FIXTURE);
    db
}

#[test]
fn what_lint_says_of_a_statement_is_what_was_measured() {
    let mut client = measured().connect();
    let mut comparison = Comparison::but(&[DIFFERENT]);
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
        comparison.compare(sql, &wanted, &found);
    }
    comparison.end();
}

/// Of which the locks on single tables are said otherwise, and why.
const LOCKS_DIFFERENT: &[Different] = &[
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
    let mut comparison = Comparison::but(&[LOCKS_DIFFERENT]);
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
        comparison.compare(sql, &format!("{wanted:?}"), &format!("{said:?}"));
    }
    comparison.end();
}
