//! `CREATE TRIGGER … EXECUTE FUNCTION migrate.sync_column_trigger(…)` by hand, and what becomes of
//! such triggers: dumped, renamed under, switched off.

use crate::{pair, price, prices, row, sync_users, users};
use pg_migrate_tests::{Db, Failure, cluster};

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

fn by_hand(db: &Db, arguments: &str) {
    db.run(&format!(
        "CREATE TRIGGER \"~~mine\" BEFORE INSERT OR UPDATE ON users FOR EACH ROW
         EXECUTE FUNCTION migrate.sync_column_trigger({arguments})"
    ));
}

/// Arguments; the pairs after a write of the old side, of the new one and of both on a row that holds
/// `ann`; and after a write of neither on an unfilled row.
const ARGUMENTS: &[(&str, [&str; 4])] = &[
    ("'username', 'email'", ["a a", "b b", "d d", "bob bob"]),
    ("'username', 'email', ''", ["a a", "b b", "d d", "bob bob"]),
    (
        "'username', 'email', 'upper(username)'",
        ["a A", "b b", "d d", "bob BOB"],
    ),
    (
        "'username', 'email', '', 'lower(email)'",
        ["a a", "b b", "d d", "bob bob"],
    ),
    (
        "'username', 'email', 'upper(username)', 'email || ''!'''",
        ["a A", "b! b", "d! d", "bob BOB"],
    ),
    (
        "'username', 'email', 'upper(username)', 'lower(email)', 'new'",
        ["a A", "b b", "d d", "bob BOB"],
    ),
    (
        "'username', 'email', '', '', 'raise'",
        ["a a", "b b", "23514", "bob bob"],
    ),
    (
        "'', 'email', 'username || n'",
        ["a a0", "ann b", "c d", "bob bob0"],
    ),
    (
        "'', 'email', 'username || n', '', 'fill'",
        ["a ann0", "ann b", "c d", "bob bob0"],
    ),
];

#[test]
fn all_its_arguments() {
    for (arguments, [old, new, both, neither]) in ARGUMENTS {
        let db = users();
        by_hand(&db, arguments);
        db.run("UPDATE users SET n = 0 WHERE id = 2");
        assert_eq!(pair(&db, 2), *neither, "{arguments}");
        for (set, expected) in [
            ("username = 'a'", old),
            ("email = 'b'", new),
            ("username = 'c', email = 'd'", both),
        ] {
            let sql = format!(
                "DELETE FROM users WHERE id = 1; INSERT INTO users (id, username) VALUES (1, 'ann');
                 UPDATE users SET {set} WHERE id = 1"
            );
            if expected.starts_with('2') {
                assert_eq!(db.error(&sql).sqlstate, **expected, "{arguments}");
            } else {
                db.run(&sql);
                assert_eq!(pair(&db, 1), **expected, "{arguments}: {sql}");
            }
        }
    }
}

#[test]
fn bad_arguments_are_named_when_it_first_fires() {
    for (arguments, sqlstate, part) in [
        ("", "22023", "two column names"),
        ("'username'", "22023", "two column names"),
        ("'username', ''", "22023", "two column names"),
        ("'', 'email'", "22023", "needs an expression"),
        ("'nope', 'email'", "42703", "\"nope\""),
        ("'username', 'nope'", "42703", "\"nope\""),
        ("'email', 'email'", "22023", "same column"),
        ("'username', 'n'", "42804", "cannot be assigned"),
        ("'username', 'full'", "42809", "generated"),
        ("'full', 'email'", "42809", "generated"),
        (
            "'username', 'email', 'nope(username)'",
            "42883",
            "nope(text)",
        ),
        (
            "'username', 'email', 'username ||'",
            "42601",
            "syntax error",
        ),
        ("'username', 'email', 'nope'", "42703", "\"nope\""),
        ("'n', 'email', '', 'point(1, 2)'", "42804", "has type"),
        (
            "'username', 'email', '', '', 'old'",
            "22023",
            "new, raise or fill",
        ),
        (
            "'username', 'email', '', '', 'fill'",
            "22023",
            "two columns",
        ),
        (
            "'', 'email', 'username', '', 'raise'",
            "22023",
            "one column",
        ),
        (
            "'', 'email', 'username', 'email'",
            "22023",
            "without an old column",
        ),
        (
            "'username', 'email', '', '', 'new', 'n'",
            "22023",
            "needs its expression",
        ),
        (
            "'username', 'email', '', '', 'new', 'nope', '1'",
            "42703",
            "\"nope\"",
        ),
    ] {
        let db = users();
        db.run("ALTER TABLE users ADD COLUMN \"full\" text GENERATED ALWAYS AS (username || '.') STORED");
        by_hand(&db, arguments);
        for sql in [
            "UPDATE users SET username = 'z'",
            "INSERT INTO users VALUES (9, 'z')",
        ] {
            let failure = Failure::from(&db.connect().batch_execute(sql).expect_err(arguments));
            assert_eq!(failure.sqlstate, sqlstate, "{arguments}: {failure}");
            assert!(failure.message.contains(part), "{arguments}: {failure}");
            let place = "trigger \"~~mine\" on table \"users\"";
            assert!(failure.context.contains(place), "{arguments}: {failure}");
            if let (Some(expression), true) =
                (arguments.split('\'').nth(5), sqlstate.starts_with("42"))
            {
                let place = format!("In the expression {expression} of the trigger");
                let named = expression.is_empty() || failure.detail.contains(&place);
                assert!(named, "{arguments}: {failure}");
            }
        }
        db.run("DROP TRIGGER \"~~mine\" ON users; UPDATE users SET username = 'z'");
    }
}

/// Stored expressions speak of their row by no name that a rename could take away.
#[test]
fn it_goes_on_when_its_table_and_schema_are_renamed() {
    let db = users();
    by_hand(
        &db,
        "'username', 'email', 'pg_catalog.upper(new_row.username)', 'lower(\"email\")'",
    );
    db.run("UPDATE users SET username = 'eve' WHERE id = 1");
    assert_eq!(pair(&db, 1), "eve EVE");
    db.run("ALTER TABLE users RENAME TO people; ALTER SCHEMA public RENAME TO app");
    db.run("UPDATE app.people SET email = 'KIM' WHERE id = 2");
    assert_eq!(
        row(&db, "SELECT username, email FROM app.people WHERE id = 2"),
        "kim KIM"
    );
    assert_eq!(
        db.one::<String>("SELECT migrate.drop_sync_trigger('app.people', 'username', 'email')"),
        "~~mine"
    );
}

#[test]
fn whole_databases_are_dumped_and_restored() {
    let db = prices();
    db.run("UPDATE m SET whole = 1 WHERE id = 3; UPDATE m SET whole = NULL WHERE id = 3");
    db.run(
        "CREATE TABLE done (id int PRIMARY KEY, a text, b text);
         SELECT migrate.sync_column_trigger('done', 'a', 'b');
         INSERT INTO done VALUES (1, 'x', 'x');
         ALTER TABLE done DISABLE TRIGGER USER;
         UPDATE done SET b = NULL;
         ALTER TABLE done ENABLE ALWAYS TRIGGER \"~~pg_migrate_sync_a~b\";
         SELECT migrate.sync_filled('done', 'a', 'b');
         CREATE TABLE p (k int, a text, b text) PARTITION BY LIST (k);
         CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
         SELECT migrate.sync_column_trigger('p', 'a', 'b', 'upper(a)', 'lower(b)');
         INSERT INTO p (k, a) VALUES (1, 'x')",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("dump");
    for format in ["custom", "plain"] {
        let dump = db
            .client_command("pg_dump")
            .args(["--format", format])
            .output()
            .expect("pg_dump");
        assert!(dump.status.success(), "{dump:?}");
        std::fs::write(&file, &dump.stdout).expect("a file");
        let copy = cluster().empty_database();
        if format == "custom" {
            let restored = copy
                .client_command("pg_restore")
                .args(["--exit-on-error", "--dbname", copy.name()])
                .stdin(std::fs::File::open(&file).expect("the dump"))
                .output()
                .expect("pg_restore");
            assert!(restored.status.success(), "{restored:?}");
        } else {
            copy.psql(&String::from_utf8_lossy(&dump.stdout));
        }
        assert_eq!(
            price(&copy, 3),
            "-1 NULL",
            "{format}: restoring changes no row"
        );
        copy.run(
            "UPDATE m SET note = 'x'; UPDATE m SET whole = 5 WHERE id = 2;
             UPDATE m SET price = 7.7 WHERE id = 1",
        );
        assert_eq!(price(&copy, 1), "7.7 8", "{format}");
        assert_eq!(price(&copy, 2), "5 5", "{format}");
        // That its backfill was done is in the dump.
        copy.run("UPDATE done SET id = 2");
        assert_eq!(row(&copy, "SELECT a, b FROM done"), "x NULL", "{format}");
        copy.run("INSERT INTO p (k, b) VALUES (1, 'Y')");
        let rows = copy.rows("SELECT a, b FROM p ORDER BY a");
        assert_eq!(rows, [["x", "X"], ["y", "Y"]], "{format}");
        let enabled =
            copy.rows("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname LIKE '~~%'");
        assert_eq!(enabled, [["A"]], "{format}");
    }
}

#[test]
fn verify_notices_what_was_switched_off_or_dropped() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE t (k int, a text, PRIMARY KEY (k)) PARTITION BY RANGE (k);
         CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10);
         INSERT INTO t VALUES (1, 'x')",
    );
    db.run("SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t RENAME COLUMN a TO b;')");
    db.run("CALL migrate.upgrade()");
    let found = || {
        let rows = db.rows(
            "SELECT \"check\" FROM migrate.verify('1') WHERE found > 0 AND \"check\" LIKE '%sync trigger%'",
        );
        rows.concat()
    };
    assert!(found().is_empty(), "{:?}", found());
    let name = "\"~~pg_migrate_sync_a~b\"";
    for (table, off) in [
        ("t", "DISABLE TRIGGER USER"),
        ("t", "ENABLE TRIGGER ALL"),
        ("t1", "DISABLE TRIGGER USER"),
        ("t1", "ENABLE REPLICA TRIGGER \"~~pg_migrate_sync_a~b\""),
    ] {
        db.run(&format!("ALTER TABLE {table} {off}"));
        let checks = found();
        assert!(
            checks
                .iter()
                .any(|check| check.contains("do not fire always")),
            "{table} {off}: {checks:?}"
        );
        db.run(&format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {name}"));
        assert!(found().is_empty(), "{table} {off}: {:?}", found());
    }
    db.run(
        "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
         CREATE TRIGGER \"~~~late\" BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION late()",
    );
    let checks = found();
    assert!(
        checks.iter().any(|check| check.contains("run after")),
        "{checks:?}"
    );
    db.run("DROP TRIGGER \"~~~late\" ON t");
    db.run("SELECT migrate.drop_sync_trigger('t', 'a', 'b')");
    let checks = found();
    assert!(
        checks
            .iter()
            .any(|check| check.contains("\"b\" is missing")),
        "{checks:?}"
    );
}
