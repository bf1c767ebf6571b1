//! Any input ends in an error or an answer, and never brings a backend down.

use pg_migrate_tests::facts::{FIXTURE, facts};
use pg_migrate_tests::{Cluster, Db, Failure};
use postgres::Client;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::env;

/// How many inputs: PG_MIGRATE_FUZZ, else a number that fits into every run of the tests.
fn inputs() -> usize {
    env::var("PG_MIGRATE_FUZZ")
        .ok()
        .and_then(|number| number.parse().ok())
        .unwrap_or(250)
}

const SCRIPTS: &[&str] = &[
    "-- migrate:revision 0007 after 0006\n-- migrate:message rename\n-- migrate:up\nALTER TABLE users RENAME COLUMN name TO handle;\nCREATE INDEX users_handle_idx ON users (handle);\n-- migrate:down\nDROP INDEX users_handle_idx;\n",
    "{\"revision\": \"1\", \"down_revision\": null, \"operations\": [{\"rename_column\": {\"table\": \"users\", \"from\": \"name\", \"to\": \"handle\"}}, {\"add_column\": {\"table\": \"users\", \"column\": {\"name\": \"m\", \"type\": \"bigint\", \"nullable\": true}, \"up\": \"id * 2\"}}]}",
    "-- +goose Up\n-- +goose StatementBegin\nCREATE FUNCTION g() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;\n-- +goose StatementEnd\n-- +goose Down\nDROP FUNCTION g();\n",
    "BEGIN; SET LOCAL lock_timeout = '1s'; ALTER TABLE users ADD CONSTRAINT x CHECK (age > 0) NOT VALID; COMMIT; ALTER TABLE users VALIDATE CONSTRAINT x;",
    "DO $do$ BEGIN EXECUTE format('ALTER TABLE %I ADD COLUMN %I int', 'users', 'x'); END $do$;",
    "CREATE TABLE q (id int PRIMARY KEY, u bigint REFERENCES users (id), CHECK (id > 0)) PARTITION BY HASH (id); CREATE TABLE q0 PARTITION OF q FOR VALUES WITH (MODULUS 2, REMAINDER 0);",
    "UPDATE users SET age = age + 1 WHERE id BETWEEN 1 AND 10 -- migrate:ignore nothing\n; WITH w AS (SELECT 1) SELECT * FROM w;",
];

const PIECES: &[&str] = &[
    "(",
    ")",
    ";",
    "'",
    "\"",
    "$$",
    "$a$",
    "--",
    "/*",
    "*/",
    "\\",
    "::",
    "E'\\x",
    "U&'\\",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\u{0}",
    "é",
    "\u{fffd}",
    "𝄞",
    "\r\n",
    "NOT NULL",
    "USING",
    "ONLY",
    "CASCADE",
    "CONCURRENTLY",
    "IF EXISTS",
    "migrate",
    "pg_temp",
    "NULL",
    "0",
    "-1",
    "1e999",
    "99999999999999999999",
    "-- migrate:as-written\n",
    "-- migrate:up\n",
    "-- migrate:ignore x y\n",
    "ALTER TABLE",
    "TYPE",
    "DEFAULT",
    "users",
    "public.",
    "%",
];

fn mutated(random: &mut StdRng, corpus: &[String]) -> String {
    let mut text: Vec<char> = corpus
        .choose(random)
        .map_or_else(Vec::new, |seed| seed.chars().collect());
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..=text.len());
        let upto = (at + random.random_range(0..12)).min(text.len());
        match random.random_range(0..7) {
            0 => drop(text.drain(at..upto)),
            1 => {
                let piece = PIECES.choose(random).copied().unwrap_or_default();
                text.splice(at..at, piece.chars());
            }
            2 => {
                let copy: Vec<char> = text[at..upto].to_vec();
                text.splice(at..at, copy);
            }
            3 => {
                let other: Vec<char> = corpus
                    .choose(random)
                    .map_or_else(Vec::new, |seed| seed.chars().collect());
                let from = random.random_range(0..=other.len());
                text.splice(at..upto, other[from..].iter().copied());
            }
            4 if at < text.len() => {
                text[at] = char::from_u32(random.random_range(1..0xD7FF)).unwrap_or('x');
            }
            5 => text.truncate(at),
            _ => {
                let word = text[at..upto].iter().collect::<String>().to_uppercase();
                text.splice(at..upto, word.chars());
            }
        }
    }
    text.into_iter().filter(|letter| *letter != '\0').collect()
}

/// The functions that take a text, where the extension has them.
fn functions(db: &Db) -> Vec<&'static str> {
    [
        "SELECT * FROM migrate.trace($1)",
        "SELECT * FROM migrate.trace_migration($1)",
        "SELECT * FROM migrate.plan($1)",
        "SELECT * FROM migrate.apply($1)",
        "SELECT * FROM migrate.lint($1)",
        "SELECT migrate.lint_report($1, 'json')",
    ]
    .into_iter()
    .filter(|call| {
        let name = call.split("migrate.").nth(1).and_then(|rest| rest.split('(').next());
        db.one::<bool>(&format!(
            "SELECT EXISTS (SELECT 1 FROM pg_proc WHERE pronamespace = 'migrate'::regnamespace AND proname = '{}')",
            name.unwrap_or_default()
        ))
    })
    .collect()
}

/// A cluster of its own, whose log tells of every crash.
struct Bench {
    own: Cluster,
    db: Db,
    calls: Vec<&'static str>,
}

impl Bench {
    fn new() -> Self {
        let own = Cluster::own();
        let db = own.database();
        db.psql(FIXTURE);
        let calls = functions(&db);
        Self { own, db, calls }
    }

    fn client(&self) -> Client {
        let mut client = self.db.connect();
        client
            .batch_execute("SET statement_timeout = '20s'; SET client_min_messages = error")
            .expect("settings");
        client
    }

    /// Calls every function, each in a transaction that is rolled back.
    fn feed(&self, client: &mut Client, input: &str) {
        for call in &self.calls {
            let mut transaction = client.transaction().expect("a transaction");
            let outcome = transaction.query(*call, &[&input]);
            if let Err(error) = outcome {
                let failure = Failure::from(&error);
                assert!(
                    !failure.sqlstate.is_empty()
                        && failure.sqlstate != "XX000"
                        && !failure.message.contains("panicked"),
                    "{call}: {failure}\nin: {input:?}\n{}",
                    self.own
                        .log()
                        .lines()
                        .rev()
                        .take(20)
                        .collect::<Vec<_>>()
                        .join("\n")
                );
            }
            transaction.rollback().expect("rolled back");
        }
    }

    fn nobody_died(&self) {
        let log = self.own.log();
        for word in ["was terminated by signal", "PANIC", "panicked"] {
            assert!(!log.contains(word), "{word} in the log");
        }
    }
}

#[test]
fn mutations_of_real_scripts() {
    let bench = Bench::new();
    let mut corpus: Vec<String> = SCRIPTS.iter().map(|text| (*text).to_owned()).collect();
    corpus.extend(facts().into_iter().map(|fact| fact.sql));
    let mut random = StdRng::seed_from_u64(5);
    let mut client = bench.client();
    for _ in 0..inputs() {
        let input = mutated(&mut random, &corpus);
        bench.feed(&mut client, &input);
    }
    bench.nobody_died();
}

#[test]
fn arbitrary_text() {
    let bench = Bench::new();
    let mut random = StdRng::seed_from_u64(6);
    let mut client = bench.client();
    for _ in 0..inputs() / 5 {
        let length = random.random_range(0..200);
        let input: String = (0..length)
            .filter_map(|_| char::from_u32(random.random_range(1..0x2FFF)))
            .collect();
        bench.feed(&mut client, &input);
    }
    bench.nobody_died();
}

/// Bytes that are no text of the database's encoding are refused at the door.
#[test]
fn bytes_that_are_no_text() {
    let bench = Bench::new();
    for call in &bench.calls {
        let sql = call.replace("$1", "convert_from('\\xff41', 'UTF8')");
        assert_eq!(bench.db.error(&sql).sqlstate, "22021");
    }
    bench.nobody_died();
}

#[test]
fn deep_nesting() {
    let bench = Bench::new();
    let mut client = bench.client();
    let deep = 60_000;
    for (open, inner, close) in [
        ("(", "1", ")"),
        ("(SELECT ", "1", ")"),
        ("-", "1", ""),
        ("NOT ", "true", ""),
        ("a[", "1", "]"),
        ("CASE WHEN true THEN ", "1", " END"),
        ("abs(", "1", ")"),
    ] {
        let expression = format!("{}{inner}{}", open.repeat(deep), close.repeat(deep));
        for script in [
            format!("SELECT {expression}"),
            format!("ALTER TABLE users ADD CHECK ({expression})"),
            format!("ALTER TABLE users ADD COLUMN z int DEFAULT {expression}"),
            format!("UPDATE users SET age = {expression}"),
            format!("CREATE INDEX ON users (({expression}))"),
        ] {
            bench.feed(&mut client, &script);
        }
    }
    for script in [
        "{\"operations\":".repeat(deep),
        "[".repeat(deep),
        format!(
            "{{\"revision\": \"1\", \"operations\": {}{}}}",
            "[".repeat(deep),
            "]".repeat(deep)
        ),
        "SELECT 1 UNION ".repeat(deep) + "SELECT 1",
        "/*".repeat(deep),
        format!("SELECT {}", "1 + ".repeat(deep) + "1"),
        format!("SELECT 1 WHERE {}true", "true AND ".repeat(deep)),
        format!("CREATE SCHEMA s {}", "CREATE TABLE t (a int) ".repeat(1000)),
        "SELECT 1;".repeat(2000),
    ] {
        bench.feed(&mut client, &script);
    }
    bench.nobody_died();
}
