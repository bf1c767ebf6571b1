//! Any text ends in findings or in an error.

use crate::schema;
use pg_migrate_tests::Failure;
use postgres::Client;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};

const SEEDS: &str = include_str!("kinds.sql");

const FORMATS: [&str; 4] = ["text", "json", "github", "sarif"];

/// Whether it was read. The findings as rows and as a text are of one mind about that.
fn fed(client: &mut Client, text: &str) -> bool {
    let rows = client.query("SELECT rule FROM migrate.lint($1)", &[&text]);
    let format = FORMATS[text.len() % FORMATS.len()];
    let report = client.query_one(
        "SELECT migrate.lint_report($1, $2, $3)",
        &[&text, &format, &text],
    );
    for failed in [rows.as_ref().err(), report.as_ref().err()]
        .into_iter()
        .flatten()
    {
        let failure = Failure::from(failed);
        assert!(!failure.sqlstate.is_empty(), "{failure}\n{text:?}");
        assert_ne!(failure.sqlstate, "XX000", "{failure}\n{text:?}");
    }
    assert_eq!(rows.is_ok(), report.is_ok(), "{text:?}");
    if let Ok(row) = report {
        let told: String = row.get(0);
        if matches!(format, "json" | "sarif") {
            serde_json::from_str::<serde_json::Value>(&told).expect("JSON");
        }
    }
    rows.is_ok()
}

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
        match fed(&mut client, &text) {
            true => answers += 1,
            false => errors += 1,
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

/// What no client would send as a script.
#[test]
fn random_bytes_end_in_findings_or_an_error() {
    let mut client = schema().connect();
    let mut random = StdRng::seed_from_u64(7);
    let words: Vec<&str> = SEEDS.split_whitespace().collect();
    for case in 0..600 {
        let length = random.random_range(0..300);
        let text = match case % 3 {
            // Whatever is UTF-8 of it.
            0 => {
                let bytes: Vec<u8> = (0..length).map(|_| random.random_range(1..=255)).collect();
                String::from_utf8_lossy(&bytes).into_owned()
            }
            1 => (0..length)
                .map(|_| char::from(random.random_range(1u8..127)))
                .collect(),
            // Words of the grammar in no order.
            _ => (0..length / 4)
                .map(|_| words[random.random_range(0..words.len())])
                .collect::<Vec<_>>()
                .join(" "),
        };
        fed(&mut client, &text);
    }
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
fn other_encodings_are_refused_in_words() {
    let db = schema();
    for encoding in ["SQL_ASCII", "LATIN1"] {
        let name = format!("lint_{}", encoding.to_lowercase());
        db.run(&format!(
            "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        ));
        let other = db.cluster().db(&name);
        other.run("CREATE EXTENSION pg_migrate; CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
        for call in ["SELECT * FROM migrate.lint", "SELECT migrate.lint_report"] {
            let sql = format!(
                "SELECT set_config('client_encoding', 'SQL_ASCII', false); {call}(E'SELECT \\xe9\\xff')"
            );
            assert_eq!(other.error(&sql).sqlstate, "0A000", "{sql}");
        }
        let found = other
            .rows("SELECT rule FROM migrate.lint('ALTER TABLE t ALTER COLUMN a TYPE bigint')")
            .concat();
        assert!(found.contains(&"type-change-rewrites".to_owned()));
    }
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
                format!(
                    "ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM ({}1{}) TO (200)",
                    open.repeat(depth),
                    close.repeat(depth)
                ),
                format!(
                    "ALTER TABLE users ALTER COLUMN age TYPE int USING ({}1{})",
                    open.repeat(depth),
                    close.repeat(depth)
                ),
            ] {
                for call in [
                    "SELECT rule FROM migrate.lint($1)",
                    "SELECT migrate.lint_report($1, 'sarif')",
                ] {
                    let mut client = db.connect();
                    if let Err(error) = client.query(call, &[&script]) {
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
    let scripts: [fn(usize) -> String; 12] = [
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
        |n| {
            format!(
                "BEGIN;\n{}COMMIT;",
                (0..n)
                    .map(|i| {
                        format!("SAVEPOINT s; ALTER TABLE other{i} ADD COLUMN c int; RELEASE s;\n")
                    })
                    .collect::<String>()
            )
        },
        |n| {
            let open = (0..n)
                .map(|i| {
                    format!("SAVEPOINT s{i}; ALTER TABLE users ALTER COLUMN age SET DEFAULT {i};\n")
                })
                .collect::<String>();
            let back = (0..n)
                .rev()
                .map(|i| format!("ROLLBACK TO s{i};\n"))
                .collect::<String>();
            format!("BEGIN;\n{open}{back}COMMIT;")
        },
        |n| {
            let values = (0..n)
                .map(|i| format!("ALTER TYPE mood ADD VALUE 'v{i}';\n"))
                .collect::<String>();
            format!("BEGIN;\n{values}{}COMMIT;", "SELECT 'other';\n".repeat(n))
        },
        |n| {
            let names: Vec<String> = (0..n).map(|i| format!("other{i}")).collect();
            format!("DROP TABLE {};", names.join(", "))
        },
        |n| {
            let changes: Vec<String> = (0..n).map(|i| format!("ADD COLUMN c{i} int")).collect();
            format!("ALTER TABLE users {};", changes.join(", "))
        },
        |n| {
            (0..n)
                .map(|i| {
                    format!("CREATE TYPE e{i} AS ENUM ('a');\nALTER TABLE users ADD COLUMN c{i} e{i} DEFAULT 'a';\n")
                })
                .collect()
        },
    ];
    for (number, script) in scripts.iter().enumerate() {
        time(&script(500));
        let short = time(&script(500)).max(Duration::from_millis(20));
        let long = time(&script(4000));
        assert!(long < short * 16, "script {number}: {short:?} and {long:?}");
    }
}
