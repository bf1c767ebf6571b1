//! How cost grows: with rows, with revisions in history, with tables and with partitions. What is
//! linear keeps its figure per piece; what does not depend on something keeps its figure.

use crate::cpu;
use crate::method;
use crate::report::{Report, grouped};
use crate::table::{Shape, prepare};
use pg_migrate_tests::{Cluster, Db};
use postgres::Client;
use std::time::Instant;

pub fn rows(cluster: &Cluster, report: &mut Report, rows: i64) {
    let mut lines = Vec::new();
    for rows in [rows / 8, rows / 4, rows / 2, rows] {
        let db = cluster.database();
        prepare(&mut db.connect(), &Shape::usual(rows));
        let used = cpu::seconds(db.cluster());
        let begun = Instant::now();
        (method::OURS.run)(&db);
        let seconds = begun.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let each = (cpu::seconds(db.cluster()) - used) * 1e6 / rows as f64;
        db.run("DROP TABLE t");
        lines.push(vec![
            grouped(rows),
            format!("{seconds:.2}"),
            format!("{each:.2}"),
        ]);
    }
    report.say("**Rows**: the backfill of a table.");
    report.table(&["rows", "seconds", "CPU µs a row"], &lines);
}

/// Milliseconds, the middle one of five.
fn ms(client: &mut Client, sql: impl Fn(usize) -> String) -> f64 {
    let mut times: Vec<f64> = (0..5)
        .map(|turn| {
            let sql = sql(turn);
            let begun = Instant::now();
            client.batch_execute(&sql).unwrap();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[2]
}

/// `count` applied revisions in a row, made from one that was applied.
fn history(db: &Db, count: i64) {
    db.run("CREATE TABLE t (id int)");
    db.run("SELECT migrate.apply('-- migrate:revision r1\nALTER TABLE t ADD COLUMN first int;')");
    db.run("CALL migrate.upgrade()");
    if db.one::<bool>("SELECT state <> 'applied' FROM migrate.revision") {
        db.run("CALL migrate.contract('r1')");
    }
    db.run(&format!(
        "INSERT INTO migrate.revision (revision, down_revision, message, document, checksum, state, inverse, touches, owner, login, search_path)
         SELECT 'r' || i, ARRAY['r' || i - 1], message, replace(document, 'r1', 'r' || i), checksum || i, state, inverse, touches, owner, login, search_path
         FROM migrate.revision, generate_series(2, {count}) i WHERE revision = 'r1'"
    ));
    db.run("VACUUM ANALYZE migrate.revision, migrate.step");
}

pub fn revisions(cluster: &Cluster, report: &mut Report) {
    let mut lines = Vec::new();
    for count in [1, 10, 100, 1_000, 10_000] {
        let db = cluster.database();
        history(&db, count);
        let mut client = db.connect();
        let document = |turn: usize| {
            let (this, before) = match turn {
                0 => (format!("n{turn}"), format!("r{count}")),
                _ => (format!("n{turn}"), format!("n{}", turn - 1)),
            };
            format!(
                "-- migrate:revision {this} after {before}\nALTER TABLE t ADD COLUMN c{turn} int;"
            )
        };
        let plan = ms(&mut client, |_| {
            format!("SELECT * FROM migrate.plan($d${}$d$)", document(0))
        });
        let apply = ms(&mut client, |turn| {
            format!("SELECT migrate.apply($d${}$d$)", document(turn))
        });
        let status = ms(&mut client, |_| "SELECT * FROM migrate.status".to_owned());
        let recent = ms(&mut client, |_| {
            "SELECT * FROM migrate.status WHERE state <> 'applied'".to_owned()
        });
        let nothing = ms(&mut client, |_| "CALL migrate.upgrade()".to_owned());
        let figures = [plan, apply, nothing, status, recent];
        let mut line = vec![grouped(count)];
        line.extend(figures.map(|figure| format!("{figure:.1}")));
        lines.push(line);
    }
    report.say("**Revisions in history**: milliseconds of each call, the middle one of five.");
    let header = [
        "revisions",
        "plan",
        "apply",
        "upgrade, nothing to do",
        "status",
        "status, not applied",
    ];
    report.table(&header, &lines);
}

fn rename(db: &Db, table: &str) -> [f64; 3] {
    let mut client = db.connect();
    let mut timed = |sql: &str| {
        let begun = Instant::now();
        client.batch_execute(sql).unwrap();
        begun.elapsed().as_secs_f64() * 1000.0
    };
    [
        timed(&format!(
            "SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE {table} RENAME COLUMN a TO b;')"
        )),
        timed("CALL migrate.upgrade()"),
        timed("CALL migrate.contract('1')"),
    ]
}

fn renames(report: &mut Report, what: &str, lines: Vec<(i64, [f64; 3])>) {
    let lines: Vec<Vec<String>> = lines
        .into_iter()
        .map(|(count, figures)| {
            let mut line = vec![grouped(count)];
            line.extend(figures.map(|figure| format!("{figure:.0}")));
            line
        })
        .collect();
    report.table(&[what, "apply", "upgrade", "contract"], &lines);
}

pub fn tables(cluster: &Cluster, report: &mut Report) {
    let mut lines = Vec::new();
    for count in [10_i64, 1_000, 10_000] {
        let db = cluster.database();
        let mut client = db.connect();
        for first in (1..=count).step_by(500) {
            let last = count.min(first + 499);
            client
                .batch_execute(&format!(
                    "DO $$ BEGIN FOR i IN {first}..{last} LOOP
                       EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a text, c int CHECK (c > 0))', i);
                     END LOOP; END $$"
                ))
                .unwrap();
        }
        db.run("INSERT INTO t1 SELECT i, 'v' || i, 1 FROM generate_series(1, 1000) i");
        db.run("VACUUM ANALYZE t1");
        db.run("VACUUM ANALYZE pg_class, pg_attribute, pg_constraint, pg_depend, pg_index");
        lines.push((count, rename(&db, "t1")));
    }
    report.say("**Tables in the database**: milliseconds for the rename of a column of one of them, 1,000 rows.");
    renames(report, "tables", lines);
}

pub fn partitions(cluster: &Cluster, report: &mut Report) {
    let mut lines = Vec::new();
    for count in [10_i64, 100, 1_000] {
        let db = cluster.database();
        db.run("CREATE TABLE p (id int NOT NULL, a text) PARTITION BY RANGE (id)");
        for first in (0..count).step_by(100) {
            db.run(&format!(
                "DO $$ BEGIN FOR i IN {first}..{} LOOP
                   EXECUTE format('CREATE TABLE p%s PARTITION OF p FOR VALUES FROM (%s) TO (%s)', i, i * 100, (i + 1) * 100);
                 END LOOP; END $$",
                count.min(first + 100) - 1
            ));
        }
        db.run(&format!(
            "INSERT INTO p SELECT i, 'v' || i FROM generate_series(0, {count} * 100 - 1) i; ANALYZE p"
        ));
        lines.push((count, rename(&db, "p")));
    }
    report.say("**Partitions**: milliseconds for the rename of a column of a partitioned table, 100 rows in each.");
    renames(report, "partitions", lines);
}
