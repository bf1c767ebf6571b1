//! `make bench`: what a backfill, the sync trigger and a migration cost beside the plain ways to do
//! the same, as ratios measured in one run, and how cost grows.
//!
//! `BENCH_ROWS` sets the size (default 1,000,000), `BENCH` the parts to run (default all, which also
//! writes BENCHMARKS.md), in `make bench BENCH_ROWS=10000000 BENCH=fill,latency`.

mod cpu;
mod fill;
mod growth;
mod guard;
mod latency;
mod lint;
mod method;
mod report;
mod table;
mod trigger;
mod upgrade;

use pg_migrate_tests::Cluster;
use report::{Report, grouped, verdict};
use std::time::Instant;
use table::Shape;

const SETTINGS: [(&str, &str); 8] = [
    ("fsync", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("autovacuum", "off"),
    ("wal_level", "replica"),
    ("max_locks_per_transaction", "2000"),
    ("jit", "off"),
];

struct Wanted {
    rows: i64,
    parts: String,
}

impl Wanted {
    fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.split([',', ' ']).any(|one| one == part)
    }
}

fn main() {
    let wanted = Wanted {
        rows: std::env::var("BENCH_ROWS")
            .ok()
            .and_then(|text| text.replace(['_', ','], "").parse().ok())
            .unwrap_or(1_000_000),
        parts: std::env::var("BENCH").unwrap_or_default(),
    };
    let begun = Instant::now();
    let cluster = Cluster::with(&SETTINGS);
    let mut report = Report::default();
    introduce(&mut report, &cluster, &wanted);
    filling(&mut report, &cluster, &wanted);
    if wanted.has("trigger") {
        trigger::run(&cluster, &mut report);
    }
    if wanted.has("growth") {
        report.heading("How cost grows");
        growth::rows(&cluster, &mut report, wanted.rows);
        growth::revisions(&cluster, &mut report);
        growth::tables(&cluster, &mut report);
        growth::partitions(&cluster, &mut report);
    }
    if wanted.has("upgrade") {
        upgrade::run(&cluster, &mut report, wanted.rows);
    }
    if wanted.has("guard") {
        guard::run(&cluster, &mut report);
    }
    if wanted.has("lint") {
        lint::run(&cluster, &mut report);
    }
    report.say(&format!("The run took {} s.", begun.elapsed().as_secs()));
    if wanted.parts.is_empty() {
        std::fs::write("BENCHMARKS.md", report.text()).unwrap();
    }
}

fn introduce(report: &mut Report, cluster: &Cluster, wanted: &Wanted) {
    let version: String = cluster.db("postgres").one("SHOW server_version");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let settings: Vec<String> = SETTINGS
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    report.title("Benchmarks");
    report.say(&format!(
        "`make bench BENCH_ROWS={}`: PostgreSQL {version}, {cores} cores, a release build; {}. \
         Ratios are of figures of this one run, taken one after the other on the same machine; CPU seconds are of \
         all processes of the server, and say more than the clock where other work goes on beside.",
        wanted.rows,
        settings.join(", ")
    ));
}

fn filling(report: &mut Report, cluster: &Cluster, wanted: &Wanted) {
    let usual = Shape::usual(wanted.rows);
    let small = Shape {
        rows: wanted.rows / 4,
        ..usual
    };
    let mut ratios = None;
    if wanted.has("fill") {
        report.heading("Filling a column");
        report.say(
            "`email` from `username`; ratios are to one UPDATE: above 1 is faster, or larger.",
        );
        ratios = fill::run(cluster, report, &usual);
    }
    if wanted.has("shapes") {
        report.heading("Other tables");
        for shape in [
            Shape {
                width: 60,
                indexes: 0,
                ..small
            },
            Shape {
                width: 60,
                indexes: 4,
                ..small
            },
            Shape {
                width: 800,
                indexes: 0,
                ..small
            },
            Shape {
                width: 800,
                indexes: 4,
                ..small
            },
            Shape {
                fillfactor: 85,
                ..small
            },
        ] {
            fill::run(cluster, report, &shape);
        }
    }
    let mut waits = None;
    if wanted.has("latency") {
        report.heading("Beside an application");
        waits = latency::run(cluster, report, &usual);
    }
    if let Some(ratios) = ratios {
        let mut lines = vec![
            verdict("speed of one UPDATE", ratios.speed, 2.5, true),
            verdict("the same in CPU seconds", ratios.cpu, 2.5, true),
            verdict("WAL of one UPDATE", ratios.wal, 0.52, false),
            verdict("size of the heap after to before", ratios.heap, 1.18, false),
            verdict("percent of updates on their page", ratios.hot, 80.0, true),
            verdict("speed of the SKIP LOCKED loop", ratios.to_loop, 3.0, true),
        ];
        if let Some(waits) = waits {
            lines.push(verdict(
                "p99 of the application to alone",
                waits.alone,
                1.5,
                false,
            ));
            lines.push(verdict(
                "the same to beside a busy processor",
                waits.busy,
                1.5,
                false,
            ));
        }
        report.heading(&format!("Goals, {} rows", grouped(wanted.rows)));
        report.table(&["figure", "reached", "goal", ""], &lines);
    }
}
