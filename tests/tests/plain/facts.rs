//! The plan's lock, rewrites and scans of statements that run as written, against those that were
//! measured.

use crate::{document, load};
use pg_migrate_tests::cluster;
use pg_migrate_tests::facts::{FIXTURE, facts};
use std::collections::BTreeSet;

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
        "reindex table users",
        "the locks on the indexes themselves are not told",
    ),
    (
        "reindex index users_email_idx",
        "the lock on the index itself is not told",
    ),
    ("select count(*) from users", "queries are run, not judged"),
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

#[test]
fn what_the_plan_says_of_a_statement_is_what_was_measured() {
    let db = cluster().database();
    load(&db, FIXTURE);
    let mut client = db.connect();
    let (mut wrong, mut seen, mut excused) = (Vec::new(), 0, BTreeSet::new());
    for fact in facts() {
        let sql = fact.sql.as_str();
        if fact.failed.is_some() {
            continue;
        }
        seen += 1;
        let plan = format!(
            "SELECT coalesce(lock, 'NULL') || ' ' || rewrites || ' ' || scans FROM migrate.plan({}) LIMIT 1",
            document(&format!("-- migrate:as-written\n{sql}"))
        );
        let mut transaction = client.transaction().expect("a transaction");
        transaction.batch_execute(&fact.setup).expect("the setup");
        let found = match transaction.query_opt(&plan, &[]) {
            Ok(Some(row)) => row.get::<_, String>(0),
            Ok(None) => "no step".to_owned(),
            Err(error) => pg_migrate_tests::Failure::from(&error).to_string(),
        };
        transaction.rollback().expect("rolled back");
        let wanted = format!("{} {} {}", fact.strongest(), fact.rewrites, fact.scans);
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
