//! A whole migration, from `apply` to the end of `contract`.

use crate::report::Report;
use crate::table::{Shape, prepare};
use pg_migrate_tests::Cluster;
use std::time::Instant;

pub fn run(cluster: &Cluster, report: &mut Report, rows: i64) {
    let mut client = cluster.database().connect();
    prepare(&mut client, &Shape::usual(rows));
    client
        .batch_execute("ALTER TABLE t DROP COLUMN email")
        .unwrap();
    client
        .batch_execute("SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN username TO email;')")
        .unwrap();
    let begun = Instant::now();
    client.batch_execute("CALL migrate.upgrade()").unwrap();
    let upgrade = begun.elapsed();
    let begun = Instant::now();
    client.batch_execute("CALL migrate.contract('1')").unwrap();
    report.heading("Rename of a column with an index");
    report.say(&format!(
        "{rows} rows: expand to expanded {:.1} s, contract {:.2} s.",
        upgrade.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    ));
}
