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
