//! What becomes of a row, rule by rule.

use crate::{fill, pair, price, prices, row, sync_users, users};
use pg_migrate_tests::cluster;

#[test]
fn an_insert_gives_one_side_or_both() {
    let db = users();
    sync_users(&db);
    db.run("INSERT INTO users (id, username) VALUES (4, 'old')");
    db.run("INSERT INTO users (id, email) VALUES (5, 'new')");
    db.run("INSERT INTO users (id, username, email) VALUES (6, 'old', 'new')");
    assert_eq!(pair(&db, 4), "old old");
    assert_eq!(pair(&db, 5), "new new");
    assert_eq!(pair(&db, 6), "new new");
}

#[test]
fn an_update_of_one_side_derives_the_other() {
    let db = users();
    sync_users(&db);
    db.run("UPDATE users SET username = 'x' WHERE id = 1");
    db.run("UPDATE users SET email = 'y' WHERE id = 2");
    db.run("UPDATE users SET username = 'p', email = 'q' WHERE id = 3");
    assert_eq!(pair(&db, 1), "x x");
    assert_eq!(pair(&db, 2), "y y");
    assert_eq!(pair(&db, 3), "q q");
}

#[test]
fn column_defaults_are_nobody_s_word() {
    let db = users();
    db.run(
        "ALTER TABLE users ALTER COLUMN username SET DEFAULT 'anon';
         ALTER TABLE users ALTER COLUMN email SET DEFAULT 'nobody'",
    );
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email', NULL, NULL, 'raise')");
    db.run("INSERT INTO users (id) VALUES (10)");
    db.run("INSERT INTO users (id, username) VALUES (11, 'a')");
    db.run("INSERT INTO users (id, email) VALUES (12, 'b')");
    assert_eq!(pair(&db, 10), "anon anon");
    assert_eq!(pair(&db, 11), "a a");
    assert_eq!(pair(&db, 12), "b b");
}

#[test]
fn raise_refuses_two_words() {
    let db = users();
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email', NULL, NULL, 'raise')");
    for sql in [
        "INSERT INTO users (id, username, email) VALUES (4, 'a', 'b')",
        "UPDATE users SET username = 'a', email = 'b' WHERE id = 1",
    ] {
        let failure = db.error(sql);
        assert_eq!(failure.sqlstate, "23514", "{failure}");
        assert!(
            failure.message.contains("\"username\" and \"email\""),
            "{failure}"
        );
        assert!(failure.hint.contains("migrate.side"), "{failure}");
    }
    db.run("INSERT INTO users (id, username, email) VALUES (4, 'a', 'a')");
    db.run("SET migrate.side = 'old'; UPDATE users SET username = 'c', email = 'd' WHERE id = 1");
    assert_eq!(pair(&db, 1), "c c");
}

#[test]
fn any_update_fills() {
    let db = users();
    sync_users(&db);
    db.run("UPDATE users SET n = n + 1");
    assert_eq!(pair(&db, 1), "ann ann");
    assert_eq!(pair(&db, 3), "NULL NULL");
}

#[test]
fn an_unfilled_new_never_maps_back() {
    let db = users();
    sync_users(&db);
    db.run("UPDATE users SET email = lower(email)");
    assert_eq!(pair(&db, 1), "ann ann");
    db.run("TRUNCATE users");
    db.run("ALTER TABLE users DISABLE TRIGGER USER");
    db.run("INSERT INTO users (id, username) VALUES (1, 'ann')");
    db.run("ALTER TABLE users ENABLE ALWAYS TRIGGER \"~~pg_migrate_sync_username~email\"");
    // An ORM that saves every column it has read.
    db.run("UPDATE users SET email = NULL, n = 7 WHERE id = 1");
    assert_eq!(pair(&db, 1), "ann ann");
}

#[test]
fn null_on_purpose_stays_null() {
    let db = prices();
    db.run("UPDATE m SET whole = 5 WHERE id = 1");
    db.run("UPDATE m SET whole = NULL WHERE id = 1");
    assert_eq!(price(&db, 1), "-1 NULL");
    db.run("UPDATE m SET note = 'touched'");
    assert_eq!(price(&db, 1), "-1 NULL");
    assert_eq!(price(&db, 2), "2.2 2");
    db.run("VACUUM (FREEZE) m");
    db.run("UPDATE m SET note = 'again'");
    assert_eq!(price(&db, 1), "-1 NULL", "after freezing");
    db.run("VACUUM (FREEZE, FULL) m");
    db.run("UPDATE m SET note = 'and again'");
    assert_eq!(price(&db, 1), "-1 NULL", "after a rewrite");
    fill(&db, "m", "whole", "round(price)", "whole IS NULL");
    assert_eq!(price(&db, 1), "-1 NULL", "after the backfill");
    db.run("SELECT migrate.sync_filled('m', 'price', 'whole')");
    db.run("UPDATE m SET note = 'later'");
    assert_eq!(price(&db, 1), "-1 NULL", "when it is done");
}

#[test]
fn a_filled_trigger_fills_no_more() {
    let db = prices();
    let mut open = db.connect();
    open.batch_execute("UPDATE m SET note = 'x' WHERE id = 2")
        .expect("an update");
    db.run("SELECT migrate.sync_filled('m', 'price', 'whole')");
    open.batch_execute("UPDATE m SET note = 'x' WHERE id = 3")
        .expect("an update");
    assert_eq!(price(&db, 2), "2.2 2");
    assert_eq!(price(&db, 3), "3.6 NULL");
}

#[test]
fn the_backfill_never_goes_through_the_reverse_mapping() {
    let db = prices();
    fill(&db, "m", "whole", "round(price)", "whole IS NULL");
    assert_eq!(price(&db, 1), "1.7 2");
    assert_eq!(price(&db, 2), "2.2 2");
    // Nor does what the old application writes elsewhere.
    db.run("UPDATE m SET note = 'x'");
    assert_eq!(price(&db, 1), "1.7 2");
    // A user's UPDATE of the same shape does.
    db.run("UPDATE m SET whole = 9 WHERE id = 1");
    assert_eq!(price(&db, 1), "9 9");
}

#[test]
fn the_backfill_does_not_stamp_the_touch_column() {
    let db = prices();
    db.run(
        "ALTER TABLE m ADD COLUMN changed timestamptz;
         CREATE TRIGGER touch BEFORE UPDATE ON m FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('changed')",
    );
    fill(&db, "m", "whole", "round(price)", "whole IS NULL");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM m WHERE changed IS NULL AND whole IS NOT NULL"),
        3
    );
}

#[test]
fn a_known_side_is_the_one_written() {
    let db = prices();
    db.run("SET migrate.side = 'new'; UPDATE m SET whole = NULL WHERE id = 1");
    assert_eq!(
        price(&db, 1),
        "-1 NULL",
        "a new application is taken at its word"
    );
    db.run("SET migrate.side = 'new'; UPDATE m SET note = 'x' WHERE id = 2");
    assert_eq!(price(&db, 2), "2.2 2");
    db.run("SET migrate.side = 'old'; UPDATE m SET whole = 77, note = 'y' WHERE id = 2");
    assert_eq!(price(&db, 2), "2.2 2");
    db.run("SET migrate.side = 'old'; UPDATE m SET whole = 77 WHERE id = 3");
    assert_eq!(
        price(&db, 3),
        "3.6 4",
        "no null is put back where none was meant"
    );
    db.run("SET migrate.side = 'old'; INSERT INTO m (id, price, whole) VALUES (7, 7.7, 1)");
    db.run("SET migrate.side = 'new'; INSERT INTO m (id, price, whole) VALUES (8, 7.7, 1)");
    assert_eq!(price(&db, 7), "7.7 8");
    assert_eq!(price(&db, 8), "1 1");
    let mut client = db.connect();
    client
        .batch_execute("LOAD 'pg_migrate'")
        .expect("the library");
    client
        .batch_execute("SET migrate.side = 'left'")
        .expect_err("a value of its own");
}

#[test]
fn values_out_of_line_are_told_apart() {
    let db = users();
    sync_users(&db);
    db.run("UPDATE users SET username = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i) WHERE id = 1");
    db.run("UPDATE users SET n = 1 WHERE id = 1");
    db.run("UPDATE users SET email = email || 'x' WHERE id = 1");
    assert!(
        db.one::<bool>("SELECT username = email AND length(email) = 32001 FROM users WHERE id = 1")
    );
    // The same value, written anew, is no change.
    db.run("UPDATE users SET email = 'short' WHERE id = 1");
    db.run("UPDATE users SET username = 'shor' || 't', email = 'other' WHERE id = 1");
    assert_eq!(pair(&db, 1), "other other");
}

#[test]
fn one_column_follows_an_expression_until_it_is_written() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE c (id int PRIMARY KEY, first text, last text, n int);
         INSERT INTO c VALUES (1, 'Ann', 'Lee'), (2, 'Bob', 'Ray'), (3, 'Cy', NULL);
         ALTER TABLE c ADD COLUMN full_name text",
    );
    db.run("SELECT migrate.sync_column_trigger('c', '', 'full_name', 'first || '' '' || last')");
    let full = |id: i32| row(&db, &format!("SELECT full_name FROM c WHERE id = {id}"));
    db.run("UPDATE c SET n = 1 WHERE id = 1");
    assert_eq!(full(1), "Ann Lee");
    db.run("UPDATE c SET last = 'Fox' WHERE id = 1");
    assert_eq!(full(1), "Ann Fox");
    db.run("UPDATE c SET full_name = 'The Fox' WHERE id = 1");
    db.run("UPDATE c SET last = 'Wolf' WHERE id = 1");
    assert_eq!(
        full(1),
        "The Fox",
        "what the new application wrote is not lost"
    );
    db.run("UPDATE c SET full_name = NULL WHERE id = 1");
    db.run("UPDATE c SET n = 2 WHERE id = 1");
    fill(
        &db,
        "c",
        "full_name",
        "first || ' ' || last",
        "full_name IS NULL",
    );
    assert_eq!(full(1), "NULL", "nor the NULL it wrote");
    assert_eq!(full(2), "Bob Ray");
    assert_eq!(full(3), "NULL");
    db.run("UPDATE c SET last = 'Dee' WHERE id = 3");
    assert_eq!(full(3), "Cy Dee");
    db.run("INSERT INTO c (id, first, last) VALUES (4, 'Di', 'Eff')");
    assert_eq!(full(4), "Di Eff");
}

#[test]
fn fill_leaves_no_null() {
    let db = users();
    db.run("SELECT migrate.sync_column_trigger('users', '', 'username', 'coalesce(username, ''anon'')', NULL, 'fill')");
    db.run("UPDATE users SET username = NULL WHERE id = 1");
    db.run("INSERT INTO users (id) VALUES (9)");
    assert_eq!(pair(&db, 1), "anon NULL");
    assert_eq!(pair(&db, 9), "anon NULL");
    fill(
        &db,
        "users",
        "username",
        "coalesce(username, 'anon')",
        "username IS NULL",
    );
    assert_eq!(pair(&db, 3), "anon NULL");
}
