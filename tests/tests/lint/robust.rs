//! Any text ends in findings or in an error.

use crate::schema;
use pg_migrate_tests::Failure;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

const SEEDS: &str = include_str!("kinds.sql");

/// One session does it all: a crash would end it.
#[test]
fn mangled_scripts_end_in_findings_or_an_error() {
    let mut client = schema().connect();
    let pid: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .expect("a pid")
        .get(0);
    let mut random = StdRng::seed_from_u64(5);
    let seeds: Vec<&str> = SEEDS.split(";\n").collect();
    let cases = std::env::var("FUZZ_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(3000);
    let (mut answers, mut errors) = (0, 0);
    for _ in 0..cases {
        let mut text = String::new();
        for _ in 0..random.random_range(1..4) {
            text.push_str(seeds[random.random_range(0..seeds.len())]);
            text.push_str([";", ";\n", " ", ""][random.random_range(0..4)]);
        }
        let mut letters: Vec<char> = text.chars().collect();
        for _ in 0..random.random_range(0..6) {
            let at = random.random_range(0..letters.len().max(1));
            match random.random_range(0..5) {
                0 if at < letters.len() => drop(letters.remove(at)),
                1 => letters.insert(
                    at.min(letters.len()),
                    char::from(random.random_range(1u8..127)),
                ),
                2 => letters.insert(
                    at.min(letters.len()),
                    ['\'', '"', '$', '(', ')', ';', '\\', 'é', '\u{1F600}', '-']
                        [random.random_range(0..10)],
                ),
                3 => letters.truncate(at),
                _ => {
                    let other = random.random_range(0..letters.len().max(1));
                    if at < letters.len() && other < letters.len() {
                        letters.swap(at, other);
                    }
                }
            }
        }
        let text: String = letters.into_iter().collect();
        match client.query("SELECT rule FROM migrate.lint($1)", &[&text]) {
            Ok(_) => answers += 1,
            Err(error) => {
                let failure = Failure::from(&error);
                assert!(!failure.sqlstate.is_empty(), "{failure}\n{text}");
                assert_ne!(failure.sqlstate, "XX000", "{failure}\n{text}");
                errors += 1;
            }
        }
    }
    let after: i32 = client
        .query_one("SELECT pg_backend_pid()", &[])
        .expect("a pid")
        .get(0);
    assert_eq!(pid, after);
    assert!(
        answers > cases / 10 && errors > cases / 10,
        "{answers} answers, {errors} errors"
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let db = schema();
    for (sql, state) in [
        (
            "SELECT * FROM migrate.lint(convert_from('\\xff00fe'::bytea, 'UTF8'))",
            "22021",
        ),
        ("SELECT * FROM migrate.lint(NULL)", "22023"),
    ] {
        assert_eq!(db.error(sql).sqlstate, state, "{sql}");
    }
    assert!(db.rows("SELECT * FROM migrate.lint('')").is_empty());
    assert!(
        db.rows("SELECT * FROM migrate.lint(' ; ;; -- x')")
            .is_empty()
    );
}

#[test]
fn deep_nesting_meets_the_limit_of_the_stack() {
    let db = schema();
    for (open, close) in [
        ("(", ")"),
        ("(SELECT ", ")"),
        ("NOT ", ""),
        ("CASE WHEN true THEN ", " END"),
        ("- ", ""),
        ("ARRAY[", "]"),
    ] {
        for depth in [100, 5_000, 200_000] {
            let text = format!("SELECT {}1{}", open.repeat(depth), close.repeat(depth));
            for script in [
                text.clone(),
                format!("CREATE VIEW w AS {text}"),
                format!(
                    "ALTER TABLE users ADD COLUMN z int DEFAULT ({}1{})",
                    open.repeat(depth),
                    close.repeat(depth)
                ),
                format!(
                    "ALTER TABLE users ADD CHECK ({}true{})",
                    open.repeat(depth),
                    close.repeat(depth)
                ),
            ] {
                let mut client = db.connect();
                if let Err(error) = client.query("SELECT rule FROM migrate.lint($1)", &[&script]) {
                    let failure = Failure::from(&error);
                    assert!(
                        matches!(
                            failure.sqlstate.as_str(),
                            "54001" | "42601" | "53200" | "54000"
                        ),
                        "{failure}: {open} {depth}"
                    );
                }
            }
        }
    }
}

fn time(script: &str) -> Duration {
    let mut client = schema().connect();
    let begun = Instant::now();
    let count: i64 = client
        .query_one("SELECT count(*) FROM migrate.lint($1)", &[&script])
        .expect("an answer")
        .get(0);
    assert!(count > 0);
    begun.elapsed()
}

/// Eight times as long a script takes no more than twice eight times as long.
#[test]
fn time_grows_with_the_length_of_the_script() {
    let scripts: [fn(usize) -> String; 6] = [
        |n| {
            (0..n)
                .map(|i| format!("CREATE TABLE t{i} (id bigint PRIMARY KEY, a text);\n"))
                .collect()
        },
        |n| {
            (0..n)
                .map(|i| format!("ALTER TABLE users ADD COLUMN c{i} int;\n"))
                .collect()
        },
        |n| {
            format!(
                "INSERT INTO orders VALUES {};",
                vec!["(1, 2, 3)"; n * 5].join(",\n")
            )
        },
        |n| {
            (0..n)
                .map(|i| {
                    format!("-- migrate:ignore drop-table reason\nDROP TABLE IF EXISTS gone{i};\n")
                })
                .collect()
        },
        |n| {
            format!(
                "BEGIN;\n{}COMMIT;",
                (0..n)
                    .map(|i| format!("ALTER TABLE other{i} ADD COLUMN c int;\n"))
                    .collect::<String>()
            )
        },
        |n| {
            format!(
                "CREATE TABLE t ({});",
                (0..n)
                    .map(|i| format!("c{i} int"))
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        },
    ];
    for (number, script) in scripts.iter().enumerate() {
        time(&script(500));
        let short = time(&script(500)).max(Duration::from_millis(20));
        let long = time(&script(4000));
        assert!(long < short * 16, "script {number}: {short:?} and {long:?}");
    }
}
