//! Random DDL over random schemas: what is foretold of each statement against what a trace sees.
//! PG_MIGRATE_RANDOM_DDL: how many statements; PG_MIGRATE_SEED: where to begin.

use crate::{Facts, Traced, foretold, strength, traced};
use pg_migrate_tests::{Db, cluster};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::env;

mod objects;
mod rare;
mod schema;
mod statements;

use schema::Schema;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().and_then(|number| number.parse().ok())
}

/// Statements over one schema, before another one is made.
const OVER_ONE_SCHEMA: u64 = 60;

/// SHARE: writes wait.
const STRONG: usize = 5;

/// What is wrong with what was foretold; `None`: nothing.
fn dishonest(told: &Facts, row: &Traced) -> Option<&'static str> {
    let lock = strength(row.lock.as_deref());
    let rewrites = !row.rewrites.is_empty();
    let works = rewrites || !row.scans.is_empty();
    if works && lock >= STRONG && !(told.rewrites || told.scans) {
        return Some("called safe, and it reads or writes a table under a strong lock");
    }
    if rewrites && !told.rewrites {
        return Some("it rewrites, and that was not foretold");
    }
    // What the query of a view finds is not known before it runs.
    let computed = row.kind == "REFRESH MATERIALIZED VIEW";
    if told.rewrites && !works && !computed {
        return Some("called a rewrite, and it touches the catalog alone");
    }
    // The locks of a rebuilt index itself are not foretold.
    let rebuilt = row.kind == "REINDEX";
    if lock >= STRONG && told.lock < lock && !rebuilt {
        return Some("its lock is stronger than was foretold");
    }
    None
}

/// Whether it was said that the statement does what its text does not tell.
fn warned(client: &mut postgres::Client, sql: &str) -> bool {
    let found = client.query_one(
        "SELECT count(*) > 0 FROM migrate.lint($1) WHERE rule IN ('cascade', 'drop-schema', 'unnamed-tables')",
        &[&sql],
    );
    found.is_ok_and(|row| row.get(0))
}

#[derive(Default)]
struct Tally {
    statements: u64,
    done: u64,
    strong: u64,
    wrong: Vec<String>,
    kinds: BTreeMap<String, (u64, u64)>,
}

fn over_one_schema(db: &Db, seed: u64, statements: u64, tally: &mut Tally) {
    let mut random = StdRng::seed_from_u64(seed);
    let schema = Schema::random(&mut random);
    for sql in schema.statements() {
        db.run(&sql);
    }
    let mut client = db.connect();
    client
        .batch_execute("SET client_min_messages = error; SET statement_timeout = '60s'")
        .expect("settings");
    for _ in 0..statements {
        let (kind, sql) = statements::random(&mut random, &schema);
        let mut transaction = client.transaction().expect("a transaction");
        let told = foretold(&mut transaction, &sql);
        let rows = traced(&mut transaction, &sql);
        transaction.rollback().expect("rolled back");
        tally.statements += 1;
        let entry = tally.kinds.entry(kind.to_owned()).or_default();
        entry.1 += 1;
        let (told, rows) = match (told, rows) {
            (Ok(told), Ok(rows)) => (told, rows),
            (Err(error), _) | (_, Err(error)) => {
                let failure = pg_migrate_tests::Failure::from(&error);
                tally
                    .wrong
                    .push(format!("seed {seed}: {sql}\n    {failure}"));
                continue;
            }
        };
        let Some(row) = rows.first().filter(|row| row.state == "done") else {
            continue;
        };
        entry.0 += 1;
        tally.done += 1;
        let works = !(row.rewrites.is_empty() && row.scans.is_empty());
        tally.strong += u64::from(works && strength(row.lock.as_deref()) >= STRONG);
        if let Some(why) = dishonest(&told, row).filter(|_| !warned(&mut client, &sql)) {
            tally.wrong.push(format!(
                "seed {seed}: {sql}\n    {why}\n    foretold: lock {} rewrites {} scans {}\n    traced: {:?} rewrites {:?} scans {:?} {:?}",
                told.lock, told.rewrites, told.scans, row.locks, row.rewrites, row.scans, row.evidence
            ));
        }
        // Now and then it is done in earnest, so that the schema wanders.
        if random.random_bool(0.1) {
            drop(client.batch_execute(&sql));
        }
    }
}

#[test]
fn no_statement_is_called_safe_that_is_not() {
    let wanted = number("PG_MIGRATE_RANDOM_DDL").unwrap_or(300);
    let first = number("PG_MIGRATE_SEED").unwrap_or(1);
    let mut tally = Tally::default();
    let mut seed = first;
    while tally.statements < wanted {
        let db = cluster().database();
        let left = (wanted - tally.statements).min(OVER_ONE_SCHEMA);
        over_one_schema(&db, seed, left, &mut tally);
        seed += 1;
    }
    println!(
        "{} statements, {} ran, {} strong and slow",
        tally.statements, tally.done, tally.strong
    );
    for (kind, (done, all)) in &tally.kinds {
        println!("  {kind}: {done} of {all} ran");
    }
    assert!(
        tally.wrong.is_empty(),
        "{} of {}\n{}",
        tally.wrong.len(),
        tally.done,
        tally.wrong.join("\n")
    );
    assert!(
        tally.done * 2 > tally.statements && tally.strong * 8 > tally.done,
        "the generator makes too few statements that tell anything: {} ran of {}, {} of them slow",
        tally.done,
        tally.statements,
        tally.strong
    );
}

fn pick<'a, T>(random: &mut StdRng, list: &'a [T]) -> &'a T {
    list.choose(random).expect("a list that is not empty")
}
