//! What holds a backfill back: each cause is made to happen, the reason stands in `progress`, and
//! the job goes on when it is over.

use super::{copy, finish, job, table, unfilled};
use pg_migrate_tests::{Cluster, Db, cluster};
use std::time::Duration;

fn why(db: &Db, job: i64) -> String {
    db.one(&format!(
        "SELECT coalesce(throttle, '') FROM migrate.progress WHERE job = {job}"
    ))
}

/// A batch does nothing, and `progress` says why.
#[track_caller]
fn held(db: &Db, job: i64, because: &str) {
    let rows = db.one::<i64>(&format!(
        "SELECT rows_updated FROM migrate.backfill_batch({job})"
    ));
    let said = why(db, job);
    assert!(
        said.contains(because),
        "{said:?} says nothing of {because:?}"
    );
    assert_eq!(rows, 0, "{said}");
}

#[track_caller]
fn goes_on(db: &Db, job: i64) {
    db.run(&format!("SELECT migrate.backfill_batch({job})"));
    let rows = db.one::<i64>(&format!(
        "SELECT rows_updated FROM migrate.backfill_batch({job})"
    ));
    assert!(rows > 0, "still held: {}", why(db, job));
}

fn small_batches(db: &Db) -> i64 {
    table(db);
    job(db, r#"{"b": "a"}"#, Some("b IS NULL"), 1)
}

#[test]
fn a_standby_that_lags_holds_and_releases() {
    let own = Cluster::own();
    let db = own.database();
    let id = small_batches(&db);
    let standby = own.standby();
    standby.catch_up(&own);
    goes_on(&db, id);
    let there = standby.db("postgres");
    there.run("SELECT pg_wal_replay_pause()");
    db.run(&format!(
        "SELECT migrate.set_throttle('replica_bytes', '64kB', {id}); SELECT migrate.set_throttle('replica_lag', '1s', {id})"
    ));
    db.run("CREATE TABLE noise AS SELECT repeat('x', 1000) FROM generate_series(1, 1000)");
    until(|| {
        db.run("INSERT INTO noise VALUES ('.')");
        db.one::<bool>("SELECT coalesce(max(replay_lag) > '2s', false) FROM pg_stat_replication")
    });
    held(&db, id, "replica_lag 1s");
    db.run(&format!(
        "SELECT migrate.set_throttle('replica_lag', NULL, {id})"
    ));
    held(&db, id, "replica_bytes 64kB");
    there.run("SELECT pg_wal_replay_resume()");
    standby.catch_up(&own);
    until(|| {
        db.one::<bool>("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) < 65536 FROM pg_stat_replication")
    });
    goes_on(&db, id);
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
}

#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not come to that within a minute");
}

#[test]
fn an_old_transaction_holds_if_asked_for() {
    let db = cluster().database();
    let id = small_batches(&db);
    let mut old = db.connect();
    old.batch_execute("BEGIN; SELECT 1").unwrap();
    goes_on(&db, id);
    std::thread::sleep(Duration::from_millis(20));
    db.run(&format!(
        "SELECT migrate.set_throttle('long_transactions', '10ms', {id})"
    ));
    held(&db, id, "in its transaction for");
    db.run(&format!(
        "SELECT migrate.set_throttle('long_transactions', NULL, {id})"
    ));
    goes_on(&db, id);
}

#[test]
fn busy_sessions_hold_if_asked_for() {
    let db = cluster().database();
    let id = small_batches(&db);
    db.run(&format!(
        "SELECT migrate.set_throttle('active_sessions', '0', {id})"
    ));
    let mut busy = db.connect();
    let cancel = busy.cancel_token();
    std::thread::scope(|scope| {
        scope.spawn(|| busy.batch_execute("SELECT pg_sleep(600)"));
        until(|| {
            db.one::<bool>("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active')")
        });
        held(&db, id, "other sessions are active");
        cancel.cancel_query(postgres::NoTls).unwrap();
    });
    db.run(&format!(
        "SELECT migrate.set_throttle('active_sessions', '1000', {id})"
    ));
    goes_on(&db, id);
}

/// An archiver that cannot get rid of anything.
#[test]
fn an_archive_that_falls_behind_holds() {
    let own = Cluster::with(&[("archive_mode", "on"), ("archive_command", "false")]);
    let db = own.database();
    let id = small_batches(&db);
    db.run(&format!(
        "SELECT migrate.set_throttle('archiver_backlog', '1', {id})"
    ));
    goes_on(&db, id);
    for _ in 0..3 {
        db.run("CREATE TABLE x (); DROP TABLE x");
        db.run("SELECT pg_switch_wal()");
    }
    held(&db, id, "wait to be archived");
    db.run(&format!(
        "SELECT migrate.set_throttle('archiver_backlog', '100', {id})"
    ));
    goes_on(&db, id);
}

/// The rate is measured between the batches of one session.
#[test]
fn a_flood_of_wal_holds_until_it_is_over() {
    let db = cluster().database();
    let id = small_batches(&db);
    db.run(&format!(
        "SELECT migrate.set_throttle('wal_rate', '1MB', {id})"
    ));
    let mut session = db.connect();
    let batch = format!("SELECT rows_updated FROM migrate.backfill_batch({id})");
    session.query_one(&batch, &[]).unwrap();
    db.run("CREATE TABLE flood AS SELECT repeat(g::text, 100) FROM generate_series(1, 100000) g");
    session.query_one(&batch, &[]).unwrap();
    let said = why(&db, id);
    assert!(
        said.contains("MB of WAL a second (wal_rate 1MB)"),
        "{said:?}"
    );
    db.run(&format!(
        "SELECT migrate.set_throttle('wal_rate', '100GB', {id})"
    ));
    goes_on(&db, id);
}

/// A standby whose commits are waited for stops writing them down.
#[test]
fn commits_that_take_long_hold() {
    let own = Cluster::with(&[("fsync", "on")]);
    let db = own.database();
    let id = small_batches(&db);
    db.run(&format!(
        "SELECT migrate.set_throttle('commit_latency', '1 us', {id})"
    ));
    let mut session = db.connect();
    let batch = format!("SELECT rows_updated FROM migrate.backfill_batch({id})");
    // The first batch has nothing before it.
    session.query_one(&batch, &[]).unwrap();
    session.query_one(&batch, &[]).unwrap();
    let said = why(&db, id);
    assert!(
        said.contains("a commit takes") && said.contains("(commit_latency 1 us)"),
        "{said:?}"
    );
    db.run(&format!(
        "SELECT migrate.set_throttle('commit_latency', '1s', {id})"
    ));
    goes_on(&db, id);
    let standby = own.standby();
    standby.catch_up(&own);
    own.configure(&[("synchronous_standby_names", "*")]);
    until(|| db.one::<bool>("SELECT bool_or(sync_state = 'sync') FROM pg_stat_replication"));
    let receiver: i32 = standby
        .db("postgres")
        .one("SELECT pid FROM pg_stat_wal_receiver");
    let receiver = Stopped::new(receiver);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| db.run("CREATE TABLE waits ()"));
        until(|| {
            db.one::<bool>("SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND clock_timestamp() - query_start > '1s')")
        });
        held(&db, id, "a commit has been waiting for a standby");
        drop(receiver);
        waiting.join().unwrap();
    });
    goes_on(&db, id);
}

/// A process that is stopped while this lives.
struct Stopped(i32);

impl Stopped {
    fn new(pid: i32) -> Self {
        signal("STOP", pid);
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", self.0);
    }
}

fn signal(name: &str, pid: i32) {
    let status = std::process::Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(status.is_ok_and(|status| status.success()));
}

/// The extension belongs to a role that may not see how far standbys are.
#[test]
fn what_cannot_be_read_holds() {
    let own = Cluster::own();
    let db = own.database();
    let id = small_batches(&db);
    let _standby = own.standby();
    until(|| db.one::<bool>("SELECT bool_or(state = 'streaming') FROM pg_stat_replication"));
    goes_on(&db, id);
    db.run(
        "CREATE ROLE plain;
         GRANT USAGE ON SCHEMA migrate TO plain;
         DO $$ DECLARE r regclass; BEGIN
           FOR r IN SELECT oid FROM pg_class WHERE relnamespace = 'migrate'::regnamespace AND relkind IN ('r', 'v') LOOP
             EXECUTE format('ALTER TABLE %s OWNER TO plain', r);
           END LOOP; END $$;
         UPDATE pg_extension SET extowner = 'plain'::regrole WHERE extname = 'pg_migrate';",
    );
    held(&db, id, "cannot be read");
    db.run(&format!(
        "SELECT migrate.set_throttle('replica_lag', NULL, {id}); SELECT migrate.set_throttle('archiver_backlog', '5', {id})"
    ));
    held(&db, id, "archiver_backlog cannot be read");
    db.run("GRANT pg_monitor TO plain");
    db.run(&format!(
        "SELECT migrate.set_throttle('replica_lag', '10s', {id})"
    ));
    goes_on(&db, id);
}

#[test]
fn a_condition_of_the_users_own() {
    let db = cluster().database();
    let id = small_batches(&db);
    db.run("CREATE TABLE ops (go boolean); INSERT INTO ops VALUES (false)");
    db.run(&format!(
        "SELECT migrate.set_throttle('condition', '(SELECT go FROM ops) -- the switch', {id})"
    ));
    held(&db, id, "the condition does not hold");
    db.run("UPDATE ops SET go = true");
    goes_on(&db, id);
    db.run("DROP TABLE ops");
    held(&db, id, "the condition cannot be read");
    db.run(&format!(
        "SELECT migrate.set_throttle('condition', NULL, {id})"
    ));
    finish(&db, id);
    assert_eq!(unfilled(&db), 0);
}

/// Somebody waits for rows that a batch has locked: the batch ends instead of filling its time.
#[test]
fn a_batch_ends_for_those_who_wait_for_it() {
    let db = cluster().database();
    table(&db);
    db.run("CREATE FUNCTION slow(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM pg_sleep(0.002); RETURN $1; END $$");
    let id = job(&db, r#"{"b": "slow(a)"}"#, Some("b IS NULL"), 60_000);
    let mut filler = db.connect();
    let mut application = db.connect();
    std::thread::scope(|scope| {
        let batch = scope.spawn(|| {
            let sql = format!("SELECT rows_updated FROM migrate.backfill_batch({id})");
            filler.query_one(&sql, &[]).unwrap().get::<_, i64>(0)
        });
        until(|| {
            db.one::<bool>("SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND granted AND pid <> pg_backend_pid())")
        });
        // Of the first block, which is filled first.
        application
            .batch_execute("UPDATE t SET n = 1 WHERE id = 1")
            .unwrap();
        let rows = batch.join().unwrap();
        assert!((1..20_000).contains(&rows), "{rows} rows in the batch");
    });
    db.run(&format!("SELECT migrate.cancel({id})"));
}

#[test]
fn limits_are_of_a_job_or_of_all_and_read_before_they_are_kept() {
    let db = cluster().database();
    table(&db);
    let id = copy(&db, 1);
    db.run("SELECT migrate.set_throttle('condition', 'false')");
    held(&db, id, "condition");
    db.run(&format!(
        "SELECT migrate.set_throttle('condition', 'true', {id})"
    ));
    goes_on(&db, id);
    for (name, limit, text) in [
        ("replica-lag", "10s", "there is no throttle"),
        ("replica_lag", "soon", "no limit for replica_lag"),
        ("replica_lag", "-1s", "no limit for replica_lag"),
        ("wal_rate", "fast", "no limit for wal_rate"),
        ("active_sessions", "many", "no limit for active_sessions"),
        ("lock_waiters", "perhaps", "no limit for lock_waiters"),
        ("condition", "no such column", "syntax error"),
    ] {
        let failure = db.error(&format!(
            "SELECT migrate.set_throttle('{name}', '{limit}', {id})"
        ));
        assert!(failure.message.contains(text), "{failure:?}");
    }
    let failure = db.error("SELECT migrate.set_throttle('wal_rate', '1MB', 999)");
    assert!(failure.message.contains("does not exist"), "{failure:?}");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM migrate.throttle"),
        2,
        "nothing of it was kept"
    );
}
