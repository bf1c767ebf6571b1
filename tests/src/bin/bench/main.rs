//! `make bench`: what a backfill, the sync trigger and a migration cost beside the plain ways to do
//! the same, as ratios measured in one run. `BENCH_ROWS` sets the size (default 1,000,000),
//! `BENCH` the parts to run (default all).

mod fill;
mod report;
mod table;
mod trigger;
mod upgrade;

use pg_migrate_tests::Cluster;
use report::Report;
use table::Shape;

const SETTINGS: [(&str, &str); 4] = [
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("checkpoint_timeout", "30min"),
    ("autovacuum", "off"),
];

fn main() {
    let rows: i64 = std::env::var("BENCH_ROWS")
        .ok()
        .and_then(|text| text.replace(['_', ','], "").parse().ok())
        .unwrap_or(1_000_000);
    let only = std::env::var("BENCH").unwrap_or_default();
    let wanted = |part: &str| only.is_empty() || only.split([',', ' ']).any(|one| one == part);
    let cluster = Cluster::with(&SETTINGS);
    let mut report = Report::default();
    if wanted("fill") {
        fill::run(&cluster, &mut report, &Shape::usual(rows));
    }
    if wanted("trigger") {
        trigger::run(&cluster, &mut report);
    }
    if wanted("upgrade") {
        upgrade::run(&cluster, &mut report, rows);
    }
    if only.is_empty() {
        std::fs::write("BENCHMARKS.md", report.text()).unwrap();
    }
}
