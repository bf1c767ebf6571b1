//! Ways to fill a column of a large table, side by side: what each costs the server.

use crate::cpu;
use crate::method::{self, Method};
use crate::report::{Report, ratio};
use crate::table::{Shape, prepare};
use pg_migrate_tests::{Cluster, Db};
use std::time::Instant;

/// What one method did.
struct Measure {
    name: &'static str,
    seconds: f64,
    cpu: f64,
    /// Bytes a row, and full-page images.
    wal: f64,
    images: f64,
    /// Size after to size before.
    heap: f64,
    indexes: f64,
    /// Percent of updates that stayed on their page.
    hot: f64,
}

const HEADER: [&str; 11] = [
    "method",
    "seconds",
    "CPU s",
    "speed",
    "by CPU",
    "WAL B/row",
    "ratio",
    "FPIs",
    "HOT",
    "heap",
    "indexes",
];

/// Figures that others build upon.
pub struct Ratios {
    pub speed: f64,
    pub cpu: f64,
    pub wal: f64,
    pub heap: f64,
    pub hot: f64,
    /// To the SKIP LOCKED loop.
    pub to_loop: f64,
}

pub fn run(cluster: &Cluster, report: &mut Report, shape: &Shape) -> Option<Ratios> {
    report.say(&format!("**{shape}**"));
    let measured: Vec<Measure> = method::ALL
        .iter()
        .map(|method| measure(&cluster.database(), shape, method))
        .collect();
    let first = measured.first()?;
    let rows: Vec<Vec<String>> = measured.iter().map(|m| m.row(first)).collect();
    report.table(&HEADER, &rows);
    let (slow, ours) = (measured.get(2)?, measured.get(3)?);
    Some(Ratios {
        speed: first.seconds / ours.seconds,
        cpu: first.cpu / ours.cpu,
        wal: ours.wal / first.wal,
        heap: ours.heap,
        hot: ours.hot,
        to_loop: slow.seconds / ours.seconds,
    })
}

impl Measure {
    fn row(&self, first: &Measure) -> Vec<String> {
        vec![
            self.name.to_owned(),
            format!("{:.1}", self.seconds),
            format!("{:.1}", self.cpu),
            ratio(first.seconds, self.seconds),
            ratio(first.cpu, self.cpu),
            format!("{:.0}", self.wal),
            ratio(self.wal, first.wal),
            format!("{:.0}", self.images),
            format!("{:.0} %", self.hot),
            format!("{:.2}x", self.heap),
            match self.indexes.is_finite() {
                true => format!("{:.2}x", self.indexes),
                false => "none".to_owned(),
            },
        ]
    }
}

fn measure(db: &Db, shape: &Shape, method: &Method) -> Measure {
    prepare(&mut db.connect(), shape);
    let heap: f64 = db.one("SELECT pg_relation_size('t')::float8");
    let indexes: f64 = db.one("SELECT pg_indexes_size('t')::float8");
    // Counters of what came before are on their way for up to a second.
    std::thread::sleep(std::time::Duration::from_millis(1200));
    db.run("SELECT pg_stat_reset_shared('wal')");
    let written = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8";
    let wal: f64 = db.one(written);
    let used = cpu::seconds(db.cluster());
    let begun = Instant::now();
    (method.run)(db);
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = cpu::seconds(db.cluster()) - used;
    let wal = db.one::<f64>(written) - wal;
    let wrong: i64 = db.one("SELECT count(*) FROM t WHERE email IS DISTINCT FROM username");
    assert_eq!(wrong, 0, "{} left {wrong} rows unfilled", method.name);
    std::thread::sleep(std::time::Duration::from_millis(1200));
    #[allow(clippy::cast_precision_loss)]
    let measure = Measure {
        name: method.name,
        seconds,
        cpu,
        wal: wal / shape.rows as f64,
        images: db.one("SELECT wal_fpi::float8 FROM pg_stat_wal"),
        heap: db.one::<f64>("SELECT pg_relation_size('t')::float8") / heap,
        indexes: db.one::<f64>("SELECT pg_indexes_size('t')::float8") / indexes,
        hot: db.one(
            "SELECT coalesce(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 0)::float8 FROM pg_stat_user_tables WHERE relname = 't'",
        ),
    };
    db.run("DROP TABLE t");
    measure
}
