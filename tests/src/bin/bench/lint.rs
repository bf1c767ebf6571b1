//! How many statements lint judges in a second, and that its time grows with the script alone.

use crate::report::Report;
use pg_migrate_tests::Cluster;
use std::time::Instant;

/// The longest script is about this long, in bytes.
fn most() -> usize {
    let mega: usize = std::env::var("BENCH_MB")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(10);
    mega * 1024 * 1024
}

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

/// One transaction with a savepoint around each statement, as some tools write them.
fn savepoints(bytes: usize) -> String {
    let mut script = String::with_capacity(bytes + 200);
    script.push_str("BEGIN;\n");
    let mut number = 0;
    while script.len() < bytes {
        number += 1;
        script.push_str(&format!(
            "SAVEPOINT s;\nALTER TABLE other_{number} ADD COLUMN c int;\nRELEASE s;\n"
        ));
    }
    script.push_str("COMMIT;\n");
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
    report.say("Statements judged in a second, by the length of the script, and how long the longest took. Where time grows with the length alone, the figures of a line are the same.");
    let kinds: [(&str, Make); 4] = [
        ("new tables and indexes", tables),
        ("ALTER TABLE of one table", alters),
        ("INSERT", inserts),
        ("savepoints", savepoints),
    ];
    let mut rows = Vec::new();
    for (name, make) in kinds {
        let mut row = vec![name.to_owned()];
        let mut last = 0.0;
        for bytes in [most() / 100, most() / 10, most()] {
            let script = make(bytes);
            let begun = Instant::now();
            let count: i64 = client
                .query_one(
                    "SELECT max(statement)::int8 FROM migrate.lint($1)",
                    &[&script],
                )
                .unwrap()
                .get(0);
            last = begun.elapsed().as_secs_f64();
            #[allow(clippy::cast_precision_loss)] // some hundred thousand
            let speed = count as f64 / last;
            row.push(format!("{speed:.0}"));
        }
        row.push(format!("{last:.1} s"));
        rows.push(row);
    }
    #[allow(clippy::cast_precision_loss)] // some megabytes
    let size = |part: usize| format!("{} MB", most() as f64 / 1024.0 / 1024.0 / part as f64);
    let header = ["script", &size(100), &size(10), &size(1), "the longest"];
    report.table(&header, &rows);
}
