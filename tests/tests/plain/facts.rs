//! The plan's lock, rewrites and scans of statements that run as written, against those that were
//! measured.

use crate::{document, load};
use pg_migrate_tests::cluster;
use pg_migrate_tests::facts::{Comparison, DIFFERENT, Different, FIXTURE, facts};

/// What is said otherwise here alone.
const OWN: &[Different] = &[
    (
        "reindex table users",
        "the locks on the indexes themselves are not told",
    ),
    (
        "reindex index users_email_idx",
        "the lock on the index itself is not told",
    ),
    ("select count(*) from users", "queries are run, not judged"),
    (
        "select * from users for share",
        "queries are run, not judged",
    ),
];

#[test]
fn what_the_plan_says_of_a_statement_is_what_was_measured() {
    let db = cluster().database();
    load(&db, FIXTURE);
    let mut client = db.connect();
    let mut comparison = Comparison::but(&[DIFFERENT, OWN]);
    for fact in facts() {
        let sql = fact.sql.as_str();
        if fact.failed.is_some() {
            continue;
        }
        let plan = format!(
            "SELECT coalesce(lock, 'NULL') || ' ' || rewrites || ' ' || scans FROM migrate.plan({}) LIMIT 1",
            document(&format!("-- migrate:as-written\n{sql}"))
        );
        let mut transaction = client.transaction().expect("a transaction");
        transaction.batch_execute(&fact.setup).expect("the setup");
        let found = match transaction.query_opt(&plan, &[]) {
            Ok(Some(row)) => row.get::<_, String>(0),
            Ok(None) => "no step".to_owned(),
            Err(error) => pg_migrate_tests::Failure::from(&error).to_string(),
        };
        transaction.rollback().expect("rolled back");
        let wanted = format!("{} {} {}", fact.strongest(), fact.rewrites, fact.scans);
        comparison.compare(sql, &wanted, &found);
    }
    comparison.end();
}
