//! Traffic and the lock watcher against hand-written SQL: they must pass what is right, and must
//! find what is wrong.

use std::time::Duration;

use pg_migrate_tests::{Cluster, Db, LockWatcher, Role, Traffic, TrafficSpec, cluster};

const BOTH: &[(&str, Role)] = &[("username", Role::Old), ("email", Role::New)];

fn users(db: &Db, rows: u32) {
    db.run(&format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, username text, seen timestamptz DEFAULT now());
         INSERT INTO users SELECT g, 'seed-' || g FROM generate_series(1, {rows}) g"
    ));
}

/// A two-way sync by hand: what the extension does natively.
const SYNC: &str = "
    ALTER TABLE users ADD COLUMN email text;
    CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            IF NEW.email IS NULL THEN NEW.email := NEW.username; ELSE NEW.username := NEW.email; END IF;
        ELSIF NEW.email IS DISTINCT FROM OLD.email THEN NEW.username := NEW.email;
        ELSE NEW.email := NEW.username; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION sync();";

fn spec() -> TrafficSpec {
    let mut spec = TrafficSpec::new("users", "id", BOTH);
    spec.also = vec![("seen".to_owned(), "now()".to_owned())];
    spec
}

#[test]
fn a_right_migration_passes() {
    let db = cluster().database();
    users(&db, 2000);
    let traffic = Traffic::start(&db, spec());
    traffic.run_for(Duration::from_millis(500));
    db.run(SYNC);
    traffic.mark("during");
    traffic.new_writers(2);
    traffic.run_for(Duration::from_millis(500));
    // A plain UPDATE of many rows would deadlock with the application's transactions.
    while db.one::<bool>("SELECT EXISTS (SELECT FROM users WHERE email IS NULL)") {
        db.run(
            "UPDATE users SET seen = seen WHERE id IN
             (SELECT id FROM users WHERE email IS NULL LIMIT 200 FOR UPDATE SKIP LOCKED)",
        );
    }
    traffic.run_for(Duration::from_millis(500));
    traffic.new_writers(4);
    db.run("DROP TRIGGER sync ON users; ALTER TABLE users DROP COLUMN username");
    traffic.run_for(Duration::from_millis(500));
    let report = traffic.stop();
    assert!(report.errors.is_empty(), "{:#?}", report.errors);
    assert_eq!(report.check(&db, "users", "id", &BOTH[1..]), [""; 0]);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM users"),
        report.rows() as i64
    );
    let (before, during) = (report.latency("before"), report.latency("during"));
    assert!(
        before.count > 100 && during.count > 100,
        "{before} {during}"
    );
    assert!(before.p50 > Duration::ZERO && before.p50 <= before.p99 && before.p99 <= before.max);
    assert_eq!(report.operations as usize, before.count + during.count);
}

#[test]
fn a_sync_that_misses_updates_is_found() {
    let db = cluster().database();
    users(&db, 200);
    db.run(&SYNC.replace("INSERT OR UPDATE", "INSERT"));
    let traffic = Traffic::start(&db, spec());
    traffic.new_writers(2);
    std::thread::sleep(Duration::from_secs(1));
    let report = traffic.stop();
    let wrong = report.check(&db, "users", "id", BOTH);
    assert!(
        wrong
            .iter()
            .any(|text| text.contains("Old wrote") && text.contains(".email")),
        "{wrong:?}"
    );
    assert!(
        wrong
            .iter()
            .any(|text| text.contains("New wrote") && text.contains(".username")),
        "{wrong:?}"
    );
}

#[test]
fn rows_that_others_touch_are_found() {
    let db = cluster().database();
    users(&db, 300);
    let traffic = Traffic::start(&db, TrafficSpec::new("users", "id", &BOTH[..1]));
    traffic.run_for(Duration::from_millis(300));
    let report = traffic.stop();
    let kept: i64 = db.one("SELECT min(id) FROM users");
    assert_eq!(report.check(&db, "users", "id", &BOTH[..1]), [""; 0]);
    db.run(&format!(
        "UPDATE users SET username = 'x' WHERE id = {kept}"
    ));
    db.run("DELETE FROM users WHERE id = (SELECT max(id) FROM users); INSERT INTO users VALUES (-1, 'y')");
    let wrong = report.check(&db, "users", "id", &BOTH[..1]).join("\n");
    for part in [
        &format!("{kept}.username"),
        "-1: nobody wrote it",
        "was written, is gone",
    ] {
        assert!(wrong.contains(part), "{part} is missing in {wrong}");
    }
}

#[test]
fn a_column_dropped_too_early_is_an_error_of_the_application() {
    let db = cluster().database();
    users(&db, 100);
    db.run(SYNC);
    db.run("UPDATE users SET seen = seen");
    let traffic = Traffic::start(&db, spec());
    traffic.new_writers(2);
    traffic.run_for(Duration::from_millis(200));
    assert_eq!(traffic.errors(), 0);
    db.run("DROP TRIGGER sync ON users; ALTER TABLE users DROP COLUMN username");
    std::thread::sleep(Duration::from_millis(300));
    let report = traffic.stop();
    assert!(
        report
            .errors
            .iter()
            .all(|text| text.starts_with("Old") && text.contains("42703")),
        "{:#?}",
        report.errors
    );
    assert!(!report.errors.is_empty());
    // What was refused is not in the record.
    assert_eq!(report.check(&db, "users", "id", &BOTH[1..]), [""; 0]);
}

#[test]
fn a_wrong_value_is_seen_by_the_next_reader() {
    let db = cluster().database();
    users(&db, 20);
    let traffic = Traffic::start(&db, TrafficSpec::new("users", "id", &BOTH[..1]));
    traffic.run_for(Duration::from_millis(200));
    // Locked first: row by row it could deadlock with the writers' transactions.
    db.run("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE; UPDATE users SET username = 'lost'");
    std::thread::sleep(Duration::from_millis(500));
    let report = traffic.stop();
    assert!(
        report.errors.iter().any(|text| text.contains("lost")),
        "{:#?}",
        report.errors
    );
}

#[test]
fn values_are_mapped() {
    let db = cluster().database();
    db.run("CREATE TABLE money (id int PRIMARY KEY, cents int); INSERT INTO money SELECT g, g FROM generate_series(1, 100) g");
    let mut spec = TrafficSpec::new("money", "id", &[("cents", Role::Old), ("total", Role::New)]);
    spec.old_value = |n| (n % 7 != 0).then(|| n.to_string());
    spec.new_value = |n| Some(format!("{n}.00"));
    spec.up = |text| text.map(|t| format!("{t}.00"));
    spec.down = |text| text.and_then(|t| t.strip_suffix(".00")).map(str::to_owned);
    let traffic = Traffic::start(&db, spec);
    db.run(
        "ALTER TABLE money ADD COLUMN total numeric(20, 2);
         CREATE FUNCTION sync() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
             IF TG_OP = 'INSERT' AND NEW.total IS NULL OR TG_OP = 'UPDATE' AND NEW.total IS NOT DISTINCT FROM OLD.total
             THEN NEW.total := NEW.cents; ELSE NEW.cents := NEW.total; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON money FOR EACH ROW EXECUTE FUNCTION sync();
         UPDATE money SET cents = cents",
    );
    traffic.new_writers(2);
    traffic.run_for(Duration::from_millis(500));
    let report = traffic.stop();
    assert!(report.errors.is_empty(), "{:#?}", report.errors);
    let both = [("cents", Role::Old), ("total", Role::New)];
    assert_eq!(report.check(&db, "money", "id", &both), [""; 0]);
    // The mapping matters.
    assert!(
        !report
            .check(&db, "money", "id", &[("cents", Role::New)])
            .is_empty()
    );
}

#[test]
fn a_crash_leaves_no_doubt_about_what_was_committed() {
    let own = Cluster::own();
    let db = own.database();
    users(&db, 500);
    let traffic = Traffic::start(&db, TrafficSpec::new("users", "id", &BOTH[..1]).threads(8));
    for _ in 0..3 {
        traffic.run_for(Duration::from_millis(400));
        own.restart_immediate();
    }
    db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'application%'");
    traffic.run_for(Duration::from_millis(400));
    let report = traffic.stop();
    assert!(report.errors.is_empty(), "{:#?}", report.errors);
    assert!(report.disconnects >= 8, "{}", report.disconnects);
    assert_eq!(report.check(&db, "users", "id", &BOTH[..1]), [""; 0]);
}

#[test]
fn waits_and_holds_are_measured() {
    let db = cluster().database();
    users(&db, 100);
    let watcher = LockWatcher::start(&db, "users");
    let traffic = Traffic::start(&db, TrafficSpec::new("users", "id", &BOTH[..1]));
    traffic.run_for(Duration::from_millis(200));
    let mut config = db.config();
    config.application_name("pg_migrate by hand");
    let mut migration = config.connect(postgres::NoTls).unwrap();
    migration
        .batch_execute(
            "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.3); COMMIT",
        )
        .unwrap();
    traffic.run_for(Duration::from_millis(100));
    let report = traffic.stop();
    let locks = watcher.stop();
    let hold = locks.longest_hold.expect("the hold was seen");
    let wait = locks.longest_table_wait.expect("the wait was seen");
    assert!(
        locks
            .longest_wait
            .is_some_and(|longest| longest.waited >= wait.waited)
    );
    assert_eq!(hold.mode, "AccessExclusiveLock");
    let long = |time: Duration| time >= Duration::from_millis(250);
    assert!(long(hold.held) && long(wait.waited), "{hold:?} {wait:?}");
    assert_eq!(wait.what, "relation");
    // At the last look at a wait its blocker may be gone already.
    assert!(
        wait.behind.is_empty() || wait.behind.contains("pg_migrate by hand"),
        "{wait:?}"
    );
    assert!(report.latency("before").max >= Duration::from_millis(250));
}

#[test]
fn an_application_that_blocks_another_is_not_the_migration() {
    let db = cluster().database();
    users(&db, 100);
    let watcher = LockWatcher::start(&db, "users");
    let mut other = db.connect();
    other
        .batch_execute("BEGIN; LOCK TABLE users IN EXCLUSIVE MODE; SELECT pg_sleep(0.1); COMMIT")
        .unwrap();
    let pid: i32 = other
        .query_one("SELECT pg_backend_pid()", &[])
        .unwrap()
        .get(0);
    watcher.also(pid);
    other
        .batch_execute("BEGIN; LOCK TABLE users IN SHARE MODE; SELECT pg_sleep(0.1); COMMIT")
        .unwrap();
    let locks = watcher.stop();
    assert_eq!(
        locks.longest_hold.map(|hold| hold.mode),
        Some("ShareLock".to_owned())
    );
    assert!(locks.looks > 10);
}

#[test]
fn a_deploy_waits_for_what_the_old_release_has_under_way() {
    let db = cluster().database();
    users(&db, 100);
    db.run(SYNC);
    let traffic = Traffic::start(&db, spec());
    traffic.run_for(Duration::from_millis(200));
    let mut blocker = db.connect();
    blocker
        .batch_execute("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    db.wait_for(
        "every writer waits",
        20,
        "SELECT count(*) = 4 FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'application%' AND wait_event_type = 'Lock'",
    );
    std::thread::scope(|scope| {
        let deploy = scope.spawn(|| traffic.new_writers(4));
        std::thread::sleep(Duration::from_millis(300));
        assert!(!deploy.is_finished());
        blocker.batch_execute("COMMIT").unwrap();
    });
    let report = traffic.stop();
    assert!(report.errors.is_empty(), "{:#?}", report.errors);
}
