//! How many statements lint judges in a second, and that its time grows with the script alone.

use crate::report::Report;
use pg_migrate_tests::Cluster;
use std::time::Instant;

/// A script of about this many bytes is the longest.
const MOST: usize = 10 * 1024 * 1024;

type Make = fn(usize) -> String;

fn tables(bytes: usize) -> String {
    let mut script = String::with_capacity(bytes + 200);
    let mut number = 0;
    while script.len() < bytes {
        number += 1;
        script.push_str(&format!(
            "CREATE TABLE made_{number} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());\n\
             CREATE INDEX ON made_{number} (at);\n"
        ));
    }
    script
}

fn alters(bytes: usize) -> String {
    let mut script = String::with_capacity(bytes + 200);
    let mut number = 0;
    while script.len() < bytes {
        number += 1;
        script.push_str(&format!(
            "ALTER TABLE t ADD COLUMN c{number} int DEFAULT {number};\nALTER TABLE t DROP COLUMN c{number};\n"
        ));
    }
    script
}

fn inserts(bytes: usize) -> String {
    let mut script = String::with_capacity(bytes + 200);
    let mut number = 0;
    while script.len() < bytes {
        number += 1;
        script.push_str(&format!(
            "INSERT INTO t VALUES ({number}, 'it''s; a row');\n"
        ));
    }
    script
}

pub fn run(cluster: &Cluster, report: &mut Report) {
    let mut client = cluster.database().connect();
    client
        .batch_execute(
            "CREATE TABLE t (id bigint PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'x')",
        )
        .unwrap();
    report.heading("Lint");
    report.say("Statements judged in a second, by the length of the script.");
    let kinds: [(&str, Make); 3] = [
        ("new tables and indexes", tables),
        ("ALTER TABLE of one table", alters),
        ("INSERT", inserts),
    ];
    let mut rows = Vec::new();
    for (name, make) in kinds {
        let mut row = vec![name.to_owned()];
        for bytes in [MOST / 100, MOST / 10, MOST] {
            let script = make(bytes);
            let begun = Instant::now();
            let count: i64 = client
                .query_one(
                    "SELECT max(statement)::int8 FROM migrate.lint($1)",
                    &[&script],
                )
                .unwrap()
                .get(0);
            #[allow(clippy::cast_precision_loss)] // some hundred thousand
            let speed = count as f64 / begun.elapsed().as_secs_f64();
            row.push(format!("{speed:.0}"));
        }
        rows.push(row);
    }
    report.table(&["script", "0.1 MB", "1 MB", "10 MB"], &rows);
}
