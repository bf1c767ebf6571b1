//! Putting the trigger on and off, by function and by hand.

use crate::{pair, price, prices, row, sync_users, users};
use pg_migrate_tests::cluster;

/// Writers that were under way when the trigger came are on the unfilled side, however late they
/// got their transaction id.
#[test]
fn installing_waits_for_writers_and_knows_their_rows() {
    let db = prices();
    db.run("SELECT migrate.drop_sync_trigger('m', 'price', 'whole')");
    let mut installer = db.connect();
    installer
        .batch_execute("BEGIN; CREATE TABLE assigns_an_id (); SET LOCAL lock_timeout = '20s'")
        .expect("a transaction");
    let mut writer = db.connect();
    writer
        .batch_execute("BEGIN; INSERT INTO m (id, price) VALUES (9, 9.9)")
        .expect("a write");
    let waiting = std::thread::spawn(move || {
        installer
            .batch_execute(
                "SELECT migrate.sync_column_trigger('m', 'price', 'whole', 'round(price)', 'coalesce(whole, -1)'); COMMIT",
            )
            .expect("the trigger");
    });
    db.wait_for(
        "the installer",
        20,
        "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'm'::regclass)",
    );
    writer.batch_execute("COMMIT").expect("a commit");
    waiting.join().expect("the installer");
    db.run("UPDATE m SET note = 'x'");
    assert_eq!(price(&db, 9), "9.9 10");
}

#[test]
fn a_trigger_that_would_lose_rows_is_refused() {
    let db = users();
    let call = "FOR EACH ROW EXECUTE FUNCTION migrate.sync_column_trigger('username', 'email')";
    for head in [
        "BEFORE INSERT OR UPDATE OF username ON users",
        "BEFORE UPDATE ON users",
    ] {
        db.run(&format!("CREATE TRIGGER x {head} {call}"));
        let failure = db.error("UPDATE users SET username = 'z'");
        assert_eq!(failure.sqlstate, "0A000", "{failure}");
        assert!(
            failure.message.contains("every INSERT and every UPDATE"),
            "{failure}"
        );
        assert!(
            failure.context.contains("trigger \"x\" on table \"users\""),
            "{failure}"
        );
        db.run("DROP TRIGGER x ON users");
    }
    db.run(&format!(
        "CREATE TRIGGER x AFTER INSERT OR UPDATE ON users {call}"
    ));
    assert_eq!(
        db.error("UPDATE users SET username = 'z'").sqlstate,
        "39P01"
    );
}

#[test]
fn written_by_hand_it_does_the_same() {
    let db = users();
    db.run(
        "CREATE TRIGGER \"~~mine\" BEFORE INSERT OR UPDATE ON users FOR EACH ROW
         EXECUTE FUNCTION migrate.sync_column_trigger('username', 'email', 'upper(username)', 'lower(email)')",
    );
    db.run("UPDATE users SET username = 'eve' WHERE id = 1");
    db.run("UPDATE users SET email = 'KIM' WHERE id = 2");
    assert_eq!(pair(&db, 1), "eve EVE");
    assert_eq!(pair(&db, 2), "kim KIM");
    assert_eq!(
        db.one::<String>("SELECT migrate.drop_sync_trigger('users', 'username', 'email')"),
        "~~mine"
    );
}

#[test]
fn a_column_renamed_under_it_is_a_clear_error() {
    let db = users();
    sync_users(&db);
    db.run("UPDATE users SET n = 1");
    db.run("ALTER TABLE users RENAME COLUMN username TO login");
    let failure = db.error("UPDATE users SET n = 2");
    assert_eq!(failure.sqlstate, "42703", "{failure}");
    assert!(
        failure.message.contains("no column \"username\""),
        "{failure}"
    );
    assert!(failure.hint.contains("drop_sync_trigger"), "{failure}");
    db.run("SELECT migrate.drop_sync_trigger('users', 'username', 'email')");
    db.run("UPDATE users SET n = 2");
}

#[test]
fn only_the_owner_installs_it_and_everyone_writes_through_it() {
    let db = users();
    let (owner, writer) = (
        format!("owner_{}", db.name()),
        format!("writer_{}", db.name()),
    );
    db.run(&format!(
        "CREATE ROLE {owner} LOGIN; CREATE ROLE {writer} LOGIN;
         ALTER TABLE users OWNER TO {owner};
         GRANT USAGE ON SCHEMA migrate TO {owner};
         GRANT SELECT, UPDATE, INSERT, TRIGGER ON users TO {writer};
         GRANT USAGE ON SCHEMA migrate TO {writer}"
    ));
    let call = "SELECT migrate.sync_column_trigger('users', 'username', 'email')";
    let failure = db.error_as(&writer, call);
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    db.run_as(&owner, call);
    db.run(&format!("REVOKE USAGE ON SCHEMA migrate FROM {writer}"));
    db.run_as(&writer, "UPDATE users SET username = 'w' WHERE id = 1");
    assert_eq!(pair(&db, 1), "w w");
    assert_eq!(
        db.error_as(
            &writer,
            "SELECT migrate.drop_sync_trigger('users', 'username', 'email')"
        )
        .sqlstate,
        "42501"
    );
}

#[test]
fn wrong_arguments_are_named() {
    let db = users();
    db.run("CREATE VIEW v AS SELECT * FROM users");
    for (arguments, sqlstate, part) in [
        ("'users', 'nope', 'email'", "42703", "\"nope\""),
        ("'users', 'username', 'nope'", "42703", "\"nope\""),
        ("'users', 'email', 'email'", "22023", "same column"),
        ("'users', '', 'email'", "22023", "needs an expression"),
        (
            "'users', '', 'email', 'username', 'email'",
            "22023",
            "down has nothing",
        ),
        (
            "'users', 'username', 'email', NULL, NULL, 'old'",
            "22023",
            "new, raise or fill",
        ),
        (
            "'users', 'username', 'email', NULL, NULL, 'fill'",
            "22023",
            "two columns",
        ),
        ("'v', 'username', 'email'", "42809", "not a table"),
        ("'users', 'username', 'n'", "42804", "cannot be copied"),
    ] {
        let failure = db.error(&format!("SELECT migrate.sync_column_trigger({arguments})"));
        assert_eq!(failure.sqlstate, sqlstate, "{arguments}: {failure}");
        assert!(failure.message.contains(part), "{arguments}: {failure}");
    }
    sync_users(&db);
    let failure = db.error("SELECT migrate.sync_column_trigger('users', 'username', 'email')");
    assert_eq!(failure.sqlstate, "42710", "{failure}");
    assert_eq!(
        db.error("SELECT migrate.drop_sync_trigger('users', 'a', 'b')")
            .sqlstate,
        "42704"
    );
}

#[test]
fn a_dump_keeps_it() {
    let db = users();
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'upper(username)', 'lower(email)')");
    db.run("UPDATE users SET username = 'cat' WHERE id = 1");
    let dump = db
        .client_command("pg_dump")
        .args(["-t", "users"])
        .output()
        .expect("pg_dump");
    assert!(dump.status.success());
    let copy = cluster().database();
    copy.psql(&String::from_utf8_lossy(&dump.stdout));
    assert_eq!(pair(&copy, 1), "cat CAT");
    copy.run("UPDATE users SET n = 1");
    assert_eq!(
        pair(&copy, 2),
        "bob BOB",
        "a row that came unfilled is filled"
    );
    let enabled =
        copy.one::<String>("SELECT tgenabled::text FROM pg_trigger WHERE tgname LIKE '~~%'");
    assert_eq!(enabled, "A");
}

#[test]
fn long_and_odd_names_work() {
    let db = cluster().database();
    let (a, b) = ("x".repeat(63), "Odd \"name\" ~ ä".replace('"', "\"\""));
    db.run(&format!(
        "CREATE TABLE \"T t\" (\"{a}\" text, \"{b}\" text)"
    ));
    let literal = b.replace("\"\"", "\"");
    db.run(&format!("SELECT migrate.sync_column_trigger('\"T t\"', '{a}', '{literal}', '\"{a}\" || ''.''', '\"{b}\"')"));
    db.run(&format!("INSERT INTO \"T t\" (\"{a}\") VALUES ('v')"));
    assert_eq!(row(&db, "SELECT * FROM \"T t\""), "v v.");
    db.run(&format!(
        "SELECT migrate.drop_sync_trigger('\"T t\"', '{a}', '{literal}')"
    ));
}
