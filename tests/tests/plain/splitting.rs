//! Scripts are cut where their statements end, whatever stands in them.

use pg_migrate_tests::cluster;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::Instant;

/// A statement that says its number; `;`, quotes and comments stand where they end nothing.
fn statement(random: &mut StdRng, number: usize) -> String {
    let n = number;
    match random.random_range(0..12) {
        0 => format!("SELECT {n}, 'a;b''c -- no', \"x;\"\"y\" FROM (SELECT 1 AS \"x;\"\"y\") q"),
        1 => format!("SELECT {n}, E'it\\'s;\\\\', U&'\\0061;'"),
        2 => format!("SELECT {n}, $${{;'\"$$, $t${n}; $$ ; $t$"),
        3 => format!("SELECT {n} /* a; /* nested; ' */ still; */ + 1"),
        4 => format!("SELECT {n} -- a comment; with 'quotes\n + 1"),
        5 => format!("DO $body${n}\n BEGIN RAISE DEBUG 'a;b'; END; $body$")
            .replace(&format!("$body${n}\n"), "$body$"),
        6 => format!(
            "CREATE FUNCTION f_{n}(a text DEFAULT ';') RETURNS int LANGUAGE plpgsql AS $f$ BEGIN PERFORM ';'; RETURN {n}; END; $f$"
        ),
        7 => format!(
            "CREATE FUNCTION g_{n}() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN {n} END; END"
        ),
        8 => format!("CREATE PROCEDURE p_{n}() LANGUAGE sql BEGIN ATOMIC SELECT {n}; END"),
        9 => format!(
            "CREATE TABLE t_{n} (\"a;b\" text DEFAULT 'c;d', n int CHECK (n <> ascii(';')))"
        ),
        10 => format!("SELECT {n}, 'first;'\n   ' second;', (array[1,2])[1], (SELECT ';')"),
        _ => format!("CREATE VIEW v_{n} AS SELECT {n} AS \"größe;\", '→;' AS arrow"),
    }
}

/// What may stand between statements.
fn gap(random: &mut StdRng) -> &'static str {
    [
        ";\n",
        ";",
        " ;\n\n",
        ";\r\n",
        ";;\n",
        "; -- end; of 'it\n",
        ";/* between; */ ",
        ";\n/* one /* two; */ */\n",
        ";\n-- \"quoted; comment\n",
        "\n;\t",
    ][random.random_range(0..10)]
}

#[test]
fn no_statement_is_cut_or_lost() {
    let db = cluster().database();
    let mut client = db.connect();
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let count = random.random_range(1..40);
        let wanted: Vec<String> = (0..count).map(|n| statement(&mut random, n)).collect();
        let mut script = String::new();
        if seed % 3 == 0 {
            script.push('\u{feff}');
        }
        for text in &wanted {
            script.push_str(text);
            script.push_str(gap(&mut random));
        }
        if seed % 2 == 0 {
            script = script.replace('\n', "\r\n").replace("\r\r\n", "\r\n");
        }
        let rows = client
            .query("SELECT sql FROM migrate.plan($1) ORDER BY step", &[&script])
            .unwrap_or_else(|error| {
                panic!(
                    "seed {seed}: {}\n{script}",
                    pg_migrate_tests::Failure::from(&error)
                )
            });
        // A view is made under its whole name.
        let found: Vec<String> = rows
            .iter()
            .map(|row| row.get::<_, String>(0).replace("VIEW public.", "VIEW "))
            .collect();
        assert_eq!(found, wanted, "seed {seed}\n{script}");
    }
}

#[test]
fn what_does_not_end_is_said_with_its_place() {
    let db = cluster().database();
    for (script, message, place) in [
        (
            "SELECT 1;\n  SELECT 'a;\nb",
            "a string is not closed",
            "line 3, column 10",
        ),
        (
            "SELECT 1;\nSELECT \"a",
            "a quoted identifier is not closed",
            "line 3, column 8",
        ),
        (
            "SELECT $x$ a $$",
            "the dollar quote $x$ is not closed",
            "line 2, column 8",
        ),
        (
            "SELECT 1 /* a /* b */",
            "a comment is not closed",
            "line 2, column 10",
        ),
        (
            "CREATE TABLE ${schema}.t (id int)",
            "the placeholder ${schema} has no value here",
            "Line 2, column 14",
        ),
        (
            "SELECT 1;\n\\i other.sql\n",
            "a psql command cannot be part of a migration",
            "Line 3, column 1",
        ),
        (
            "CREATE TABLE t (id int;",
            "syntax error",
            "Line 2, column 23",
        ),
    ] {
        let failure = db.error(&format!(
            "SELECT migrate.plan($doc$-- migrate:revision 1\n{script}$doc$)"
        ));
        assert!(failure.message.contains(message), "{script}: {failure}");
        assert!(failure.detail.contains(place), "{script}: {failure}");
    }
}

/// Reading is linear: four times the statements do not take much more than four times as long.
#[test]
fn a_long_script_is_read_in_linear_time() {
    let db = cluster().database();
    let mut client = db.connect();
    let mut read = |count: usize, revision: &str| {
        let mut script = format!("-- migrate:revision {revision}\n");
        for n in 0..count {
            script.push_str(&format!("-- migrate:ignore some-rule\nINSERT INTO t_{n} (id, note) VALUES ({n}, 'it''s; {n}');\n"));
        }
        let begun = Instant::now();
        client
            .execute("SELECT migrate.add($1, down_revision => '{}')", &[&script])
            .expect("read");
        client
            .execute("SELECT migrate.repair($1, 'abandon')", &[&revision])
            .expect("abandoned");
        begun.elapsed()
    };
    read(100, "warm");
    let (short, long) = (read(2_500, "short"), read(10_000, "long"));
    assert!(
        long < short * 10,
        "2,500 statements: {short:?}, 10,000: {long:?}"
    );
}
