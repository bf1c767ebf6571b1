//! What only a server knows, at this moment.

use crate::{lint, rules, schema};
use pg_migrate_tests::{Cluster, cluster};

#[test]
fn size_duration_and_the_operation_are_told() {
    let db = schema();
    let found = db.rows(
        "SELECT relation, lock, rewrites, scans, blocks, size, duration, operation ->> 'alter_column' IS NOT NULL, locks ->> 'public.many' \
         FROM migrate.lint('ALTER TABLE many ALTER COLUMN a TYPE bigint') WHERE rule = 'type-change-rewrites'",
    );
    let row = &found[0];
    assert_eq!(
        row[..5],
        ["many", "ACCESS EXCLUSIVE", "t", "t", "reads and writes"]
    );
    assert!(
        row[5].starts_with("300000 rows, ") && row[5].ends_with(" MB"),
        "{row:?}"
    );
    assert_eq!(row[6], "under a second");
    assert_eq!(row[7..], ["t", "ACCESS EXCLUSIVE"]);
}

#[test]
fn who_holds_the_lock_is_told() {
    let db = cluster().database();
    db.run("CREATE TABLE held (a int); INSERT INTO held VALUES (1)");
    let mut other = db.connect();
    other
        .batch_execute("BEGIN; SELECT * FROM held")
        .expect("a reader");
    let found = lint(&db, "rule, message", "ALTER TABLE held ADD COLUMN b int");
    let row = found.iter().find(|row| row[0] == "lock-held-now");
    let message = &row.expect("told")[1];
    assert!(
        message.contains("pid ") && message.contains("AccessShareLock"),
        "{message}"
    );
    // A reader does not stand in the way of a lock that lets readers through.
    assert!(!rules(&db, "CREATE INDEX ON held (a)").contains(&"lock-held-now".to_owned()));
    other.batch_execute("COMMIT").expect("committed");
    assert!(!rules(&db, "ALTER TABLE held ADD COLUMN b int").contains(&"lock-held-now".to_owned()));
}

#[test]
fn lint_does_not_wait_for_a_lock() {
    let db = cluster().database();
    db.run("CREATE TABLE held (a int); CREATE VIEW of_held AS SELECT * FROM held; INSERT INTO held VALUES (1)");
    let mut other = db.connect();
    other
        .batch_execute("BEGIN; LOCK TABLE held IN ACCESS EXCLUSIVE MODE")
        .expect("locked");
    let script = "ALTER TABLE held ADD COLUMN b int; ALTER TABLE held ALTER COLUMN a TYPE bigint; \
                  UPDATE held SET a = 1; SELECT * FROM held; CREATE INDEX ON held (a); DROP TABLE held; DROP VIEW of_held;";
    let mut client = db.connect();
    // A wait would end in an error.
    client
        .batch_execute("SET lock_timeout = '20s'; SET statement_timeout = '60s'")
        .expect("set");
    let rows = client
        .query("SELECT rule, severity FROM migrate.lint($1)", &[&script])
        .expect("an answer");
    let found: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    for rule in [
        "table-locked-now",
        "lock-held-now",
        "type-change-rewrites",
        "index-without-concurrently",
    ] {
        assert!(found.contains(&rule.to_owned()), "{rule}: {found:?}");
    }
}

#[test]
fn an_old_transaction_is_told_once() {
    let cluster = Cluster::with(&[("max_prepared_transactions", "2")]);
    let db = cluster.database();
    db.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let script = "ALTER TABLE t ADD COLUMN b int; ALTER TABLE t ADD COLUMN c int;";
    assert!(!rules(&db, script).contains(&"old-transaction".to_owned()));
    let mut other = db.connect();
    other
        .batch_execute("BEGIN; SELECT 1")
        .expect("a transaction");
    // What is old is a matter of a minute.
    std::thread::sleep(std::time::Duration::from_secs(62));
    let found = rules(&db, script);
    let count = found
        .iter()
        .filter(|rule| *rule == "old-transaction")
        .count();
    assert_eq!(count, 1, "{found:?}");
}

#[test]
fn lint_works_on_a_standby_and_in_a_read_only_transaction() {
    let cluster = Cluster::own();
    let db = cluster.database();
    db.psql(pg_migrate_tests::facts::FIXTURE);
    let script = "ALTER TABLE users ALTER COLUMN age TYPE bigint; ALTER TABLE users ALTER COLUMN email TYPE varchar(100);
                  ALTER TABLE users ALTER COLUMN email TYPE citext; ALTER TABLE users ADD COLUMN z float DEFAULT random();
                  ALTER TABLE users ALTER COLUMN chk SET NOT NULL; SELECT count(*) FROM users;
                  ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200);";
    let ask = format!("SELECT statement, rule FROM migrate.lint($s${script}$s$) ORDER BY 1, 2");
    let wanted = db.rows(&ask);
    let mut client = db.connect();
    client
        .batch_execute("SET default_transaction_read_only = on")
        .expect("set");
    let count = client.query(ask.as_str(), &[]).expect("an answer").len();
    assert_eq!(count, wanted.len());
    let standby = cluster.standby();
    standby.catch_up(&cluster);
    let found = standby.db(db.name()).rows(&ask);
    assert_eq!(found, wanted);
}

#[test]
fn standbys_and_slots_that_will_lag_are_named() {
    let cluster = Cluster::own();
    let db = cluster.database();
    // One row to a page.
    db.run(
        "CREATE TABLE wide (a int, filler text) WITH (fillfactor = 10, autovacuum_enabled = off);
         INSERT INTO wide SELECT i, repeat('x', 900) FROM generate_series(1, 36000) i",
    );
    let script = "ALTER TABLE wide ALTER COLUMN a TYPE bigint";
    let told = |db| {
        lint(db, "rule, message", script)
            .into_iter()
            .find(|row| row[0] == "standbys-will-lag")
            .map(|row| row[1].clone())
    };
    assert_eq!(told(&db), None);
    db.run("SELECT pg_create_physical_replication_slot('archive', true)");
    let message = told(&db).expect("told");
    assert!(message.contains("inactive slot archive"), "{message}");
}
