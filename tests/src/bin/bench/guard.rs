//! What `migrate.guard` costs statements of which it has nothing to say.

use crate::report::{Report, ratio};
use pg_migrate_tests::Cluster;
use postgres::Client;
use std::time::Instant;

const ROUNDS: usize = 15;
const STATEMENTS: u32 = 2000;

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
    report.say("Microseconds a statement, median of rounds in which three sessions take turns: one without the library, one with the guard off, one with it on.");
    let mut rows = Vec::new();
    for (name, statement) in [
        ("SELECT by key", "SELECT a FROM g WHERE id = 7"),
        ("UPDATE by key", "UPDATE g SET a = 7 WHERE id = 7"),
        ("SET, a utility statement", "SET work_mem = '4MB'"),
    ] {
        let mut times = vec![Vec::new(); clients.len()];
        for _ in 0..ROUNDS {
            for (client, times) in clients.iter_mut().zip(&mut times) {
                let begun = Instant::now();
                for _ in 0..STATEMENTS {
                    client.batch_execute(statement).unwrap();
                }
                times.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(STATEMENTS));
            }
        }
        let medians: Vec<f64> = times
            .iter_mut()
            .map(|times| {
                times.sort_by(f64::total_cmp);
                times[times.len() / 2]
            })
            .collect();
        let mut row = vec![name.to_owned()];
        row.extend(medians.iter().map(|time| format!("{time:.1}")));
        row.push(ratio(medians[2], medians[0]));
        rows.push(row);
    }
    report.table(&["statement", "absent", "off", "error", "ratio"], &rows);
}
