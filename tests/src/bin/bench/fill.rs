//! Ways to fill a column of a large table, side by side.

use crate::report::{Report, ratio};
use crate::table::{Shape, prepare};
use pg_migrate_tests::Cluster;
use postgres::Client;
use std::time::{Duration, Instant};

type Method = fn(&mut Client);

const METHODS: [(&str, Method); 3] = [
    ("one UPDATE", one_update),
    ("keyset, 10,000 rows a batch", keyset),
    ("pg_migrate", ours),
];

/// What one method did.
struct Measure {
    name: &'static str,
    time: Duration,
    wal: f64,
    heap: f64,
    hot: f64,
}

pub fn run(cluster: &Cluster, report: &mut Report, shape: &Shape) {
    report.heading("Filling a column");
    report.say(&format!(
        "{} rows of about {} bytes, {} indexes, fillfactor {}; ratios to one UPDATE.",
        shape.rows,
        shape.width,
        shape.indexes + 1,
        shape.fillfactor
    ));
    let measured: Vec<Measure> = METHODS
        .iter()
        .map(|&(name, method)| measure(&mut cluster.database().connect(), shape, name, method))
        .collect();
    let Some(first) = measured.first() else {
        return;
    };
    let rows: Vec<Vec<String>> = measured
        .iter()
        .map(|m| {
            vec![
                m.name.to_owned(),
                format!("{:.1}", m.time.as_secs_f64()),
                ratio(first.time.as_secs_f64(), m.time.as_secs_f64()),
                format!("{:.0}", m.wal),
                ratio(m.wal, first.wal),
                format!("{:.2}x", m.heap),
                format!("{:.0}%", m.hot),
            ]
        })
        .collect();
    let header = [
        "method",
        "seconds",
        "speed",
        "WAL B/row",
        "ratio",
        "heap",
        "HOT",
    ];
    report.table(&header, &rows);
}

fn number(client: &mut Client, sql: &str) -> f64 {
    client.query_one(sql, &[]).unwrap().get(0)
}

fn measure(client: &mut Client, shape: &Shape, name: &'static str, method: Method) -> Measure {
    prepare(client, shape);
    let heap = number(client, "SELECT pg_relation_size('t')::float8");
    let written = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
    let wal = number(client, written);
    let begun = Instant::now();
    method(client);
    let time = begun.elapsed();
    let wal = number(client, written) - wal;
    let wrong: i64 = client
        .query_one(
            "SELECT count(*) FROM t WHERE email IS DISTINCT FROM username",
            &[],
        )
        .unwrap()
        .get(0);
    assert_eq!(wrong, 0, "{name} left {wrong} rows unfilled");
    client
        .batch_execute("SELECT pg_stat_force_next_flush()")
        .unwrap();
    let hot = number(
        client,
        "SELECT coalesce(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 0)::float8 FROM pg_stat_user_tables WHERE relname = 't'",
    );
    let heap = number(client, "SELECT pg_relation_size('t')::float8") / heap;
    #[allow(clippy::cast_precision_loss)]
    let wal = wal / shape.rows as f64;
    Measure {
        name,
        time,
        wal,
        heap,
        hot,
    }
}

fn one_update(client: &mut Client) {
    client
        .batch_execute("UPDATE t SET email = username")
        .unwrap();
}

fn keyset(client: &mut Client) {
    let mut last: i64 = 0;
    loop {
        let row = client
            .query_one(
                "WITH batch AS (SELECT id FROM t WHERE id > $1 ORDER BY id LIMIT 10000),
                      done AS (UPDATE t SET email = username FROM batch WHERE t.id = batch.id)
                 SELECT max(id) FROM batch",
                &[&last],
            )
            .unwrap();
        match row.get::<_, Option<i64>>(0) {
            Some(id) => last = id,
            None => return,
        }
    }
}

fn ours(client: &mut Client) {
    let job: i64 = client
        .query_one(
            "SELECT migrate.backfill('t', '{\"email\": \"username\"}'::jsonb, 'email IS NULL')",
            &[],
        )
        .unwrap()
        .get(0);
    client
        .batch_execute(&format!("CALL migrate.run_backfill({job})"))
        .unwrap();
}
