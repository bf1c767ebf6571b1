//! What both releases lock, and TRUNCATE.

use super::{SPLIT, USERS, disagreements};
use crate::{apply, database, json};
use pg_migrate_tests::Failure;
use std::time::Duration;

/// Both releases write one row at the same instant: PostgreSQL has locked both halves before any
/// trigger could ask for them in another order. One of the two ends with 40P01 and has written
/// nothing; repeated, both go through.
#[test]
fn a_deadlock_loses_nothing() {
    // Each waits in a trigger of its row, which is locked by then, until the other is there too.
    let db = database(&format!(
        "{USERS}; CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF current_setting('test.meets', true) = 'on' THEN PERFORM pg_advisory_xact_lock_shared(4711); END IF;
             RETURN NEW; END $$;
         CREATE TRIGGER meet BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION meet()"
    ));
    apply(&db, &json(SPLIT));
    db.run("CALL migrate.upgrade()");
    db.run(
        "CREATE TRIGGER meet BEFORE UPDATE ON user_profiles FOR EACH ROW EXECUTE FUNCTION meet()",
    );
    let mut gate = db.connect();
    gate.batch_execute("SELECT pg_advisory_lock(4711)").unwrap();
    let writer = |sql: &'static str| {
        let mut client = db.connect();
        client
            .batch_execute("SET test.meets = 'on'; SET deadlock_timeout = '50ms'")
            .unwrap();
        std::thread::spawn(move || {
            let mut failed = Vec::new();
            // Who comes back at once may get in the way of the other again.
            while let Err(error) = client.batch_execute(sql) {
                failed.push(Failure::from(&error));
                assert!(failed.len() < 50, "{failed:#?}");
                std::thread::sleep(Duration::from_millis(20));
            }
            failed
        })
    };
    let writers = [
        writer("UPDATE users SET bio = 'old release' WHERE id = 1"),
        writer("UPDATE user_profiles SET avatar = 'new release' WHERE id = 1"),
    ];
    db.wait_for(
        "both in their triggers",
        30,
        "SELECT count(*) = 2 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
    );
    for table in ["users", "user_profiles"] {
        let free = db.rows(&format!(
            "SELECT id FROM {table} WHERE id = 1 FOR NO KEY UPDATE SKIP LOCKED"
        ));
        assert!(free.is_empty(), "the row of {table} is locked by now");
    }
    gate.batch_execute("SELECT pg_advisory_unlock(4711)")
        .unwrap();
    let failed: Vec<Failure> = writers
        .into_iter()
        .flat_map(|writer| writer.join().unwrap())
        .collect();
    assert!(!failed.is_empty(), "one of the two had to give way");
    assert!(
        failed.iter().all(|one| one.sqlstate == "40P01"),
        "{failed:#?}"
    );
    // Neither's value is lost.
    for table in ["users", "user_profiles"] {
        assert_eq!(
            db.rows(&format!("SELECT bio, avatar FROM {table} WHERE id = 1")),
            [["old release", "new release"]],
            "{table}"
        );
    }
    assert_eq!(disagreements(&db), 0);
}

/// The plan says so before anything runs.
#[test]
fn the_plan_tells_of_deadlocks() {
    let db = database(USERS);
    let warned = db.rows(&format!(
        "SELECT warning FROM migrate.plan($${}$$) WHERE sql LIKE '%sync_split%' AND phase = 'expand'",
        json(SPLIT)
    ));
    assert!(warned[0][0].contains("40P01"), "{warned:?}");
}

#[test]
fn the_new_table_is_not_truncated_alone() {
    let db = database(USERS);
    apply(&db, &json(SPLIT));
    db.run("CALL migrate.upgrade()");
    let refused = |sql: &str| {
        let failure = db.error(sql);
        assert_eq!(failure.sqlstate, "55006", "{failure}");
        assert!(failure.message.contains("user_profiles"), "{failure}");
        assert!(failure.hint.contains("both tables"), "{failure}");
    };
    refused("TRUNCATE user_profiles");
    refused("SET session_replication_role = replica; TRUNCATE user_profiles");
    // PostgreSQL says this itself.
    assert_eq!(db.error("TRUNCATE users").sqlstate, "0A000");
    assert_eq!(disagreements(&db), 0);
    db.run("DELETE FROM user_profiles WHERE id = 1");
    assert!(db.one::<bool>("SELECT bio IS NULL AND avatar = 'none' FROM users WHERE id = 1"));
    for both in ["TRUNCATE users, user_profiles", "TRUNCATE users CASCADE"] {
        db.run("INSERT INTO users (id, name, bio) VALUES (1, 'n', 'b') ON CONFLICT DO NOTHING");
        db.run(both);
        let left = db.rows("SELECT 1 FROM users UNION ALL SELECT 1 FROM user_profiles");
        assert!(left.is_empty(), "{both}");
    }
    // An empty table has nothing that could stay.
    db.run("TRUNCATE user_profiles");
    db.run("INSERT INTO users (id, name, bio) VALUES (1, 'n', 'b')");
    // After the contract it is a table like any other.
    db.run("CALL migrate.contract('1')");
    db.run("TRUNCATE user_profiles");
}
