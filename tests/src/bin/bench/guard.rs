//! What `migrate.guard` costs statements of which it has nothing to say.

use crate::report::Report;
use pg_migrate_tests::Cluster;
use postgres::Client;
use std::time::Instant;

/// Short ones, so that what else the machine does meets all sessions alike.
const ROUNDS: usize = 200;
const STATEMENTS: u32 = 150;

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

pub fn run(cluster: &Cluster, report: &mut Report) {
    let db = cluster.database();
    db.run(
        "CREATE TABLE g (id int PRIMARY KEY, a int); INSERT INTO g SELECT i, i FROM generate_series(1, 1000) i",
    );
    let sessions = [
        "",
        "LOAD 'pg_migrate'; SET migrate.guard = off",
        "LOAD 'pg_migrate'; SET migrate.guard = error",
    ];
    let mut clients: Vec<Client> = sessions
        .iter()
        .map(|settings| {
            let mut client = db.connect();
            client.batch_execute(settings).unwrap();
            client
        })
        .collect();
    report.heading("Guard");
    report.say("Microseconds a statement, median of rounds in which three sessions take turns: one without the library, one with the guard off, one with it on. Ratios are medians of those of each round.");
    let mut rows = Vec::new();
    for (name, statement) in [
        ("SELECT by key", "SELECT a FROM g WHERE id = 7"),
        ("UPDATE by key", "UPDATE g SET a = 7 WHERE id = 7"),
        ("SET, a utility statement", "SET work_mem = '4MB'"),
        ("BEGIN and COMMIT", "BEGIN; COMMIT"),
    ] {
        let sessions = clients.len();
        let mut times = vec![Vec::new(); sessions];
        for round in 0..ROUNDS {
            for turn in 0..sessions {
                // Nobody is always the first.
                let session = (round + turn) % sessions;
                let begun = Instant::now();
                for _ in 0..STATEMENTS {
                    clients[session].batch_execute(statement).unwrap();
                }
                times[session].push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(STATEMENTS));
            }
        }
        let to_absent = |session: usize| {
            let mut ratios: Vec<f64> = times[session]
                .iter()
                .zip(&times[0])
                .map(|(with, without)| with / without)
                .collect();
            format!("{:.3}", median(&mut ratios))
        };
        let ratios = [to_absent(1), to_absent(2)];
        let mut row = vec![name.to_owned()];
        row.extend(
            times
                .iter_mut()
                .map(|times| format!("{:.1}", median(times))),
        );
        row.extend(ratios);
        rows.push(row);
    }
    let header = [
        "statement",
        "absent",
        "off",
        "error",
        "off to absent",
        "error to absent",
    ];
    report.table(&header, &rows);
}
