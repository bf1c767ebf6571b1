//! The harness itself: what every other test stands on.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pg_migrate_tests::{Cluster, cluster};

#[test]
fn databases_are_fresh_and_apart() {
    let (one, other) = (cluster().database(), cluster().database());
    one.run("CREATE TABLE t (id bigint PRIMARY KEY)");
    assert_eq!(
        other.one::<Option<String>>("SELECT to_regclass('t')::text"),
        None
    );
    assert_eq!(
        one.one::<Option<String>>("SELECT to_regclass('t')::text"),
        Some("t".to_owned())
    );
}

#[test]
fn rows_are_text() {
    let db = cluster().database();
    let rows = db.rows("SELECT 1, NULL, 'a b', true UNION ALL SELECT 2, '', 'c', false");
    assert_eq!(rows, [["1", "NULL", "a b", "t"], ["2", "", "c", "f"]]);
}

#[test]
fn a_failure_carries_every_part() {
    let db = cluster().database();
    let failure = db.error(
        "DO $$BEGIN RAISE 'no such thing' USING ERRCODE='55000', DETAIL='d', HINT='h'; END$$",
    );
    assert_eq!(
        (
            failure.sqlstate.as_str(),
            failure.message.as_str(),
            failure.detail.as_str(),
            failure.hint.as_str()
        ),
        ("55000", "no such thing", "d", "h")
    );
}

#[test]
fn an_unexpected_error_is_shown_in_full() {
    let db = cluster().database();
    let panic = std::panic::catch_unwind(|| {
        db.one::<i32>("SELECT 1/0 AS broken");
    });
    let text = *panic.unwrap_err().downcast::<String>().unwrap();
    assert!(
        text.contains("22012") && text.contains("SELECT 1/0"),
        "{text}"
    );
}

#[test]
fn notices_are_heard() {
    let db = cluster().database();
    let notices = db.notices("DO $$BEGIN RAISE NOTICE 'one' USING HINT='two'; END$$");
    assert_eq!(notices, ["NOTICE: one\nHINT: two"]);
}

#[test]
fn psql_shows_output_and_messages_in_order() {
    let db = cluster().database();
    let text = db.psql("\\pset tuples_only on\n\\pset format unaligned\nSELECT 'first';\nDO $$BEGIN RAISE NOTICE 'second'; END$$;\nSELECT 'third'");
    let at = |word: &str| {
        text.find(word)
            .unwrap_or_else(|| panic!("{word} is missing in {text}"))
    };
    assert!(
        at("first") < at("second") && at("second") < at("third"),
        "{text}"
    );
    let (ok, text) = db.try_psql("SELECT 1/0;\nSELECT 'not reached'");
    assert!(
        !ok && text.contains("division by zero") && !text.contains("not reached"),
        "{text}"
    );
}

#[test]
fn roles_are_respected() {
    let db = cluster().database();
    db.run("CREATE ROLE harness_reader LOGIN; CREATE TABLE t (a int)");
    assert_eq!(
        db.error_as("harness_reader", "SELECT * FROM t").sqlstate,
        "42501"
    );
    assert_eq!(
        db.rows_as("harness_reader", "SELECT current_user"),
        [["harness_reader"]]
    );
}

#[test]
fn a_crash_keeps_what_was_committed() {
    let own = Cluster::own();
    let db = own.database();
    db.run("CREATE TABLE t AS SELECT 1 AS a");
    own.restart_immediate();
    assert_eq!(db.one::<i32>("SELECT a FROM t"), 1);
    assert!(
        own.log()
            .contains("database system was not properly shut down")
    );
}

#[test]
fn a_standby_follows_and_can_be_promoted() {
    let own = Cluster::own();
    let db = own.database();
    let standby = own.standby();
    db.run("CREATE TABLE t AS SELECT 7 AS a");
    standby.catch_up(&own);
    let there = standby.db(db.name());
    assert_eq!(there.one::<i32>("SELECT a FROM t"), 7);
    assert_eq!(there.error("INSERT INTO t VALUES (8)").sqlstate, "25006");
    own.stop_immediate();
    standby.promote();
    there.run("INSERT INTO t VALUES (8)");
}

#[test]
fn settings_reach_a_cluster_of_ones_own() {
    let own = Cluster::with(&[("max_worker_processes", "3")]);
    assert_eq!(
        own.db("postgres").rows("SHOW max_worker_processes"),
        [["3"]]
    );
}

#[test]
fn pg_cron_is_there() {
    let Some(db) = cluster().cron_database() else {
        return;
    };
    assert_eq!(
        db.one::<i64>(
            "SELECT count(*) FROM pg_extension WHERE extname IN ('pg_cron', 'pg_migrate')"
        ),
        2
    );
}

/// A cluster must not outlive its process, however that one ends: this test's binary is started
/// again as a child that only holds a cluster, and is killed.
#[test]
fn a_cluster_ends_with_its_process() {
    if let Some(file) = std::env::var_os("HARNESS_HOLD") {
        let own = Cluster::own();
        std::fs::write(file, own.socket().to_str().unwrap()).unwrap();
        std::thread::sleep(Duration::from_secs(120));
        return;
    }
    for signal in ["-KILL", "-INT", "-TERM"] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "a_cluster_ends_with_its_process"])
            .env("HARNESS_HOLD", file.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let folder = wait_for(60, || {
            std::fs::read_to_string(file.path())
                .ok()
                .filter(|text| !text.is_empty())
        });
        let pid = std::fs::read_to_string(format!("{folder}/data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        child.wait().unwrap();
        wait_for(20, || {
            (!std::fs::exists(format!("/proc/{pid}")).unwrap()).then_some(())
        });
        wait_for(20, || (!std::fs::exists(&folder).unwrap()).then_some(()));
    }
}

fn wait_for<T>(seconds: u64, mut what: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(value) = what() {
            return value;
        }
        assert!(Instant::now() < end, "not so after {seconds} s");
        std::thread::sleep(Duration::from_millis(20));
    }
}
