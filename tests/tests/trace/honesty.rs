//! For each statement whose locks, rewrites and scans were measured: a trace sees the same, and what
//! is foretold of it is what the trace sees.

use crate::{Facts, Traced, foretold, strength, traced};
use pg_migrate_tests::cluster;
use pg_migrate_tests::facts::{FIXTURE, Fact, facts};
use std::collections::BTreeSet;

/// What a trace sees otherwise than it was measured, and why that is right.
const SEEN_OTHERWISE: &[(&str, &str)] = &[
    ("alter table users rename to users2", NAMES),
    ("alter index users_email_idx rename to i2", NAMES),
    ("alter view v rename to v2", NAMES),
    ("alter materialized view mv rename to mv2", NAMES),
    ("alter table users set schema s2", NAMES),
    (
        "alter table users add constraint uq unique using index users_name_uq",
        NAMES,
    ),
    ("drop view v", NAMES),
    ("drop materialized view mv", NAMES),
    ("drop schema public cascade", NAMES),
    (
        "create table newt(id bigint primary key, user_id bigint references users(id))",
        "measured by names: the new table counts as scanned",
    ),
    (
        "create table newt (like users including all)",
        "measured by names: the new table counts as scanned",
    ),
    ("alter table nopk add primary key using index nopk_i", HELD),
    ("alter table nopk add primary key (id)", HELD),
    ("truncate orders", EMPTIED),
    ("truncate users cascade", EMPTIED),
    ("alter sequence sq restart with 10", ONE_ROW),
    ("alter sequence users_id_seq as integer", ONE_ROW),
    (
        "alter table users alter column id restart with 1000",
        ONE_ROW,
    ),
];

const NAMES: &str = "measured by names: what was dropped or got another one is missing";
const HELD: &str = "measured as what was new: the setup held the lock before";
const EMPTIED: &str = "new files without rows are no rewrite, and give nothing to read";
const ONE_ROW: &str = "a sequence is one row";

/// What is foretold otherwise than a trace sees it, and why that is right.
const FORETOLD_OTHERWISE: &[(&str, &str)] = &[
    ("select setval('users_id_seq', 5000)", QUERY),
    (
        "do $$ begin execute 'alter table users alter column age type bigint'; end $$",
        "what is inside is not known before it runs",
    ),
    (
        "drop schema public cascade",
        "what CASCADE drops is not known before it runs",
    ),
];

const QUERY: &str = "queries are run, not judged";

fn measured(fact: &Fact) -> Facts {
    Facts {
        lock: strength(Some(&fact.strongest())),
        rewrites: fact.rewrites,
        scans: fact.scans,
    }
}

/// ACCESS SHARE was not measured.
fn seen(row: &Traced) -> Facts {
    let lock = strength(row.lock.as_deref());
    Facts {
        lock: if lock == 1 { 0 } else { lock },
        rewrites: !row.rewrites.is_empty(),
        scans: !row.scans.is_empty(),
    }
}

/// Compares both ways over all statements and reports every difference that has no reason.
#[test]
fn what_is_foretold_is_what_happens() {
    let db = cluster().database();
    db.psql(FIXTURE);
    let mut client = db.connect();
    let mut wrong: Vec<String> = Vec::new();
    let mut excused = BTreeSet::new();
    let (mut statements, mut compared) = (0, 0);
    for fact in facts() {
        let sql = fact.sql.as_str();
        statements += 1;
        let mut transaction = client.transaction().expect("a transaction");
        transaction.batch_execute(&fact.setup).expect("the setup");
        let rows = match traced(&mut transaction, sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{sql}: {}", pg_migrate_tests::Failure::from(&error)),
        };
        let row = &rows[0];
        if let Some(error) = &fact.failed {
            let same = match row.state.as_str() {
                "failed" => row.detail.contains(error.as_str()),
                "not run" => error.contains("transaction block") || sql.starts_with("copy"),
                _ => false,
            };
            if !same {
                wrong.push(format!("{sql}\n    measured: fails: {error}\n    {row:?}"));
            }
            transaction.rollback().expect("rolled back");
            continue;
        }
        let (wanted, found) = (measured(&fact), seen(row));
        compared += 1;
        if row.state == "not run" {
            // Only what would outlive the rollback.
            assert!(sql.starts_with("prepare"), "{row:?}");
        } else if found != wanted || row.state != "done" {
            match SEEN_OTHERWISE.iter().find(|(known, _)| *known == sql) {
                Some((known, _)) => drop(excused.insert(*known)),
                None => wrong.push(format!(
                    "{sql}\n    measured: {wanted:?} {:?}\n    traced:   {found:?} {} {:?}",
                    fact.locks, row.locks, row.detail
                )),
            }
        }
        for (name, mode) in &fact.locks {
            let known = row
                .locks
                .as_object()
                .into_iter()
                .flatten()
                .find(|(found, _)| found.rsplit('.').next() == Some(name.as_str()));
            let same =
                known.map(|(_, found)| strength(found.as_str())) == Some(strength(Some(mode)));
            if same {
                continue;
            }
            if let Some((other, _)) = SEEN_OTHERWISE.iter().find(|(other, _)| *other == sql) {
                excused.insert(*other);
            } else {
                wrong.push(format!(
                    "{sql}\n    measured: {name} {mode}\n    traced:   {}",
                    row.locks
                ));
            }
        }
        match foretold(&mut transaction, sql) {
            Ok(told) if told == found => {}
            Ok(told) => match FORETOLD_OTHERWISE.iter().find(|(known, _)| *known == sql) {
                Some((known, _)) => drop(excused.insert(*known)),
                None => wrong.push(format!(
                    "{sql}\n    traced:   {found:?}\n    foretold: {told:?}"
                )),
            },
            Err(error) => wrong.push(format!(
                "{sql}\n    {}",
                pg_migrate_tests::Failure::from(&error)
            )),
        }
        transaction.rollback().expect("rolled back");
    }
    assert!(
        wrong.is_empty(),
        "{} differences in {statements} statements\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let idle: Vec<_> = SEEN_OTHERWISE
        .iter()
        .chain(FORETOLD_OTHERWISE)
        .filter(|(sql, _)| !excused.contains(sql))
        .collect();
    assert!(idle.is_empty(), "these do not differ any more: {idle:#?}");
    assert!(
        statements == 206 && compared > 180,
        "{statements}, {compared}"
    );
}

/// Statements on the same schema, with a setup, that were foretold wrongly once.
const FOUND: &[(&str, &str)] = &[
    ("", "create index on only orders(qty)"),
    ("", "create index on only p(k)"),
    ("", "alter table p set unlogged"),
    ("", "alter table p set tablespace pg_default"),
    (
        "create index p_id on p(id)",
        "alter table p alter column id type int",
    ),
    (
        "create index p1_id on p1(id)",
        "alter table p alter column id type oid",
    ),
    (
        "",
        "alter table users alter column nn set not null, alter column nn drop not null",
    ),
    (
        "",
        "alter table users drop constraint chk_nn, alter column chk set not null",
    ),
    (HOLLOW, "reindex index hollow_a"),
    (HOLLOW, "cluster hollow using hollow_a"),
    (HOLLOW, "create index on hollow(b)"),
    (HOLLOW, "alter table hollow alter column a type oid"),
    (HOLLOW, "alter table hollow alter column a set not null"),
    (HOLLOW, "alter table hollow add unique (a)"),
    (
        HOLLOW,
        "alter table hollow set unlogged, enable row level security",
    ),
    (
        "create index p_id on only p(id); create index p1_id on p1(id)",
        "alter index p_id attach partition p1_id",
    ),
    ("", "refresh materialized view mv with no data"),
    (
        "create materialized view none as select id from users where id < 0; create unique index none_id on none(id)",
        "reindex table none",
    ),
    (
        PAIR,
        "alter type pair alter attribute x type bigint cascade",
    ),
    (
        PAIR,
        "alter type pair alter attribute y type varchar cascade",
    ),
    (PAIR, "alter type pair rename attribute x to z cascade"),
    (PAIR, "alter type pair rename to couple"),
    ("", "alter sequence sq rename to sq2"),
    ("create schema s3", "alter sequence sq set schema s3"),
    (
        "create index p_id on p(id)",
        "alter table p attach partition cand2 for values from (200) to (300)",
    ),
    (
        "create index p_id on p(id) with (fillfactor = 60); create index cand2_id on cand2(id)",
        "alter table p attach partition cand2 for values from (200) to (300)",
    ),
    (
        "alter table p add constraint to_users foreign key (id) references users (id)",
        "alter table p attach partition cand2 for values from (200) to (300)",
    ),
];

/// A table whose rows are all of one that inherits from it.
const HOLLOW: &str = "create table hollow(a int, b varchar(9)); create table heir(check (a > 0)) inherits (hollow); \
     insert into heir select 1 from generate_series(1, 10); create unique index hollow_a on hollow(a)";

/// A table that is made of a composite type.
const PAIR: &str = "create type pair as (x int, y text); create table typed of pair; insert into typed values (1, 'a')";

#[test]
fn what_was_found_stays_found() {
    let db = cluster().database();
    db.psql(FIXTURE);
    let mut client = db.connect();
    let mut wrong = Vec::new();
    for (setup, sql) in FOUND {
        let mut transaction = client.transaction().expect("a transaction");
        transaction.batch_execute(setup).expect("the setup");
        let rows = traced(&mut transaction, sql).expect("a trace");
        assert_eq!(rows[0].state, "done", "{sql}: {:?}", rows[0]);
        let told = foretold(&mut transaction, sql).expect("findings");
        let found = seen(&rows[0]);
        if told != found {
            wrong.push(format!(
                "{setup}; {sql}\n    traced:   {found:?}\n    foretold: {told:?}"
            ));
        }
        transaction.rollback().expect("rolled back");
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}
