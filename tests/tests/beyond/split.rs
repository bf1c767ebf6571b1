//! split_table: two releases write two tables at once, and keep a record of what they wrote.

mod locks;
mod writers;

use crate::{apply, database, differences, fingerprint, json, rehearsed, same, ways};
use pg_migrate_tests::{Db, Failure};
use std::sync::atomic::{AtomicU64, Ordering};
use writers::{BOTH, NEW, OLD, Record, Row, Writers};

const USERS: &str = "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL, bio text, avatar varchar(40) NOT NULL DEFAULT 'none', seen int,
        CONSTRAINT avatar_is_given CHECK (avatar <> ''));
    CREATE INDEX users_bio ON users (lower(bio)) WHERE bio IS NOT NULL; COMMENT ON COLUMN users.bio IS 'life';
    GRANT SELECT, UPDATE ON users TO pg_monitor;
    INSERT INTO users SELECT g, 'n' || g, 'b' || g, 'a' || g FROM generate_series(1, 6000) g; ANALYZE users";

const SPLIT: &str =
    r#"{"split_table": {"table": "users", "into": "user_profiles", "columns": ["bio", "avatar"]}}"#;

/// As the old release sees it.
fn old_side(db: &Db) -> Record {
    rows(
        db,
        "SELECT id, bio IS NULL, coalesce(bio, ''), avatar, true FROM users",
    )
}

/// As the new one does.
fn new_side(db: &Db) -> Record {
    rows(
        db,
        "SELECT u.id, p.bio IS NULL, coalesce(p.bio, ''), coalesce(p.avatar, 'none'), p.id IS NOT NULL \
         FROM users u LEFT JOIN user_profiles p USING (id)",
    )
}

fn rows(db: &Db, sql: &str) -> Record {
    db.rows(sql)
        .into_iter()
        .map(|row| {
            let value = Row {
                bio: (row[1] == "false" || row[1] == "f").then(|| row[2].clone()),
                avatar: row[3].clone(),
                profile: row[4].starts_with('t'),
            };
            (row[0].parse().unwrap(), value)
        })
        .collect()
}

/// `profiles`: whether the record's rows have one is compared too.
#[track_caller]
fn agrees(what: &str, record: &Record, found: &Record, profiles: bool) {
    let alike = |a: &Row, b: &Row| {
        a.bio == b.bio && a.avatar == b.avatar && (!profiles || a.profile == b.profile)
    };
    let wrong: Vec<_> = record
        .iter()
        .filter(|(id, row)| !found.get(id).is_some_and(|found| alike(row, found)))
        .map(|(id, row)| format!("{id}: {row:?}, found {:?}", found.get(id)))
        .chain(
            found
                .keys()
                .filter(|id| !record.contains_key(id))
                .map(|id| format!("{id} should be gone")),
        )
        .collect();
    assert!(
        wrong.is_empty(),
        "{what}: {} wrong: {:#?}",
        wrong.len(),
        &wrong[..wrong.len().min(5)]
    );
}

fn disagreements(db: &Db) -> i64 {
    db.one("SELECT coalesce(sum(found), 0)::bigint FROM migrate.verify('1')")
}

#[test]
fn both_releases_write_at_once() {
    let db = database(USERS);
    let document = json(SPLIT);
    rehearsed(&db, &document);
    let before = fingerprint(&db);
    let writers = Writers::start(&db, OLD, &old_side(&db));
    writers.stage(OLD, 200);
    apply(&db, &document);
    writers.stage(BOTH, 300);
    // The new release goes before the new table does.
    writers.stage(OLD, 100);
    db.run("CALL migrate.downgrade('base')");
    same("rolled back", &before, &fingerprint(&db));
    writers.stage(OLD, 200);
    apply(&db, &document);
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| db.run("CALL migrate.upgrade()"));
        writers.stage(BOTH, 800);
        driver.join().unwrap();
    });
    writers.stage(NEW, 200);
    db.run("CALL migrate.contract('1')");
    writers.stage(NEW, 300);
    let record = writers.stop();
    agrees("after contract", &record, &new_side(&db), true);
    // Back, while the release that knows the new table writes on.
    let writers = Writers::start(&db, NEW, &record);
    writers.stage(NEW, 200);
    db.run("CALL migrate.downgrade('base')");
    let record = writers.stop();
    agrees("after the downgrade", &record, &old_side(&db), false);
    same("taken back", &before, &fingerprint(&db));
}

#[test]
fn while_expanded_both_tables_say_the_same() {
    let db = database(USERS);
    let writers = Writers::start(&db, OLD, &old_side(&db));
    apply(&db, &json(SPLIT));
    writers.stage(BOTH, 300);
    db.run("CALL migrate.upgrade()");
    writers.stage(BOTH, 500);
    let record = writers.stop();
    agrees("old table", &record, &old_side(&db), false);
    agrees("new table", &record, &new_side(&db), true);
    assert_eq!(disagreements(&db), 0);
}

/// Rows that are written, or locked, before the backfill comes to them.
#[test]
fn no_row_is_passed_over() {
    let db = database(USERS);
    apply(&db, &json(SPLIT));
    // Only what stays changes; what moved is copied all the same, and at once.
    db.run("UPDATE users SET seen = 1 WHERE id = 7");
    assert_eq!(
        db.rows("SELECT id, bio, avatar FROM user_profiles"),
        [["7", "b7", "a7"]]
    );
    // What the new release deletes before its turn does not come back.
    db.run("INSERT INTO user_profiles (id) VALUES (8); DELETE FROM user_profiles WHERE id = 8");
    let mut holder = db.connect();
    holder
        .batch_execute("BEGIN; SELECT * FROM users WHERE id = 9 FOR UPDATE; UPDATE users SET bio = 'never' WHERE id = 10")
        .unwrap();
    std::thread::scope(|scope| {
        let driver = scope.spawn(|| db.run("CALL migrate.upgrade()"));
        let copied = "SELECT count(*) FROM user_profiles";
        for _ in 0..600 {
            if db.one::<i64>(copied) == 5997 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(
            db.one::<i64>(copied),
            5997,
            "all but the locked and the deleted"
        );
        assert!(!driver.is_finished());
        holder.batch_execute("ROLLBACK").unwrap();
        driver.join().unwrap();
    });
    assert_eq!(
        db.rows("SELECT id, bio FROM user_profiles WHERE id IN (8, 9, 10) ORDER BY 1"),
        [["9", "b9"], ["10", "b10"]]
    );
    assert!(db.one::<bool>("SELECT bio IS NULL AND avatar = 'none' FROM users WHERE id = 8"));
    assert_eq!(disagreements(&db), 0);
}

/// PostgreSQL locks the row of an UPDATE before any trigger runs: two releases that write one row at
/// once may have to be told apart by the deadlock detector. Nothing is lost by it.
#[test]
fn both_releases_write_the_same_rows() {
    let db = database(USERS);
    apply(&db, &json(SPLIT));
    let (written, deadlocks) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (written, deadlocks) = (&written, &deadlocks);
            let mut client = db.connect();
            scope.spawn(move || {
                client
                    .batch_execute("SET deadlock_timeout = '10ms'")
                    .unwrap();
                for n in 0..300_u64 {
                    let id = (n * 7 + thread) % 5 + 1;
                    let table = if thread % 2 == 0 {
                        "users"
                    } else {
                        "user_profiles"
                    };
                    let column = if n % 3 == 0 { "avatar" } else { "bio" };
                    let sql =
                        format!("UPDATE {table} SET {column} = '{thread}-{n}' WHERE id = {id}");
                    match client.execute(sql.as_str(), &[]) {
                        Ok(_) => written.fetch_add(1, Ordering::SeqCst),
                        Err(error) => {
                            let failure = Failure::from(&error);
                            assert_eq!(failure.sqlstate, "40P01", "{failure}");
                            deadlocks.fetch_add(1, Ordering::SeqCst)
                        }
                    };
                }
            });
        }
        db.run("CALL migrate.upgrade()");
    });
    assert_eq!(disagreements(&db), 0);
    assert!(
        written.load(Ordering::SeqCst) > 600,
        "{written:?} written, {deadlocks:?} deadlocks"
    );
    db.run("CALL migrate.contract('1')");
}

#[test]
fn it_goes_every_way() {
    let db = database(USERS);
    let document = json(
        r#"{"split_table": {"table": "public.users", "into": "user_profiles", "key": ["id"], "columns": ["avatar", "bio"],
            "references": {"name": "profile_of"}, "comment": "what users say of themselves"}}"#,
    );
    ways(&db, &document, |db| {
        assert_eq!(
            db.rows("SELECT id, avatar, bio FROM user_profiles WHERE id = 7"),
            [["7", "a7", "b7"]]
        );
        assert_eq!(db.one::<i64>("SELECT count(*) FROM user_profiles"), 6000);
        let there: Vec<String> = db
            .rows("SELECT object, definition FROM migrate.fingerprint() WHERE object LIKE '%user_profiles%' OR definition LIKE '%user_profiles%'")
            .into_iter()
            .flatten()
            .collect();
        let there = there.join("\n");
        for part in [
            "profile_of",
            "ON UPDATE CASCADE ON DELETE CASCADE",
            "avatar_is_given",
            "lower(bio)",
            "WHERE (bio IS NOT NULL)",
            "life",
            "what users say of themselves",
            "pg_monitor",
        ] {
            assert!(there.contains(part), "{part} is missing in:\n{there}");
        }
    });
}

#[test]
fn several_keys_and_unique_columns() {
    let db = database(
        "CREATE TABLE \"My Docs\" (tenant int, \"Nr\" int, title text NOT NULL, body json NOT NULL, token text COLLATE \"C\", place point,
             PRIMARY KEY (tenant, \"Nr\"), UNIQUE (token));
         INSERT INTO \"My Docs\" SELECT g % 3, g, 't' || g, '{\"a\": 1}', 'k' || g, point(g, g) FROM generate_series(1, 500) g; ANALYZE \"My Docs\"",
    );
    let document = json(
        r#"{"split_table": {"table": "\"My Docs\"", "into": "\"Bodies\"", "columns": ["body", "token", "place"]}}"#,
    );
    ways(&db, &document, |db| {
        assert_eq!(
            db.rows("SELECT tenant, \"Nr\", body, token, place FROM \"Bodies\" WHERE \"Nr\" = 5"),
            [["2", "5", "{\"a\": 1}", "k5", "(5,5)"]]
        );
        let error = db.error("UPDATE \"Bodies\" SET token = 'k6' WHERE \"Nr\" = 5");
        assert_eq!(error.sqlstate, "23505");
    });
}

#[test]
fn what_the_new_release_gives_takes_the_place_of_defaults() {
    let db = database(
        "CREATE TABLE users (id int PRIMARY KEY, name text, bio text NOT NULL, avatar text DEFAULT 'none');
         INSERT INTO users SELECT g, 'n', 'b' || g FROM generate_series(1, 10) g; ANALYZE users",
    );
    apply(&db, &json(SPLIT));
    db.run("CALL migrate.upgrade()");
    // In two transactions; the old column cannot be null, so nothing is there before the second.
    db.run("INSERT INTO users (id, name) VALUES (11, 'eleven')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM user_profiles WHERE id = 11"),
        0
    );
    db.run("INSERT INTO user_profiles (id, bio) VALUES (11, 'new')");
    assert_eq!(
        db.rows("SELECT bio, avatar FROM users WHERE id = 11"),
        [["new", "none"]]
    );
    // A row that says something is not replaced: as it will be after the contract.
    let error = db.error("INSERT INTO user_profiles (id, bio) VALUES (11, 'again')");
    assert_eq!(error.sqlstate, "23505");
    assert_eq!(db.rows("SELECT bio FROM users WHERE id = 11"), [["new"]]);
    // A savepoint rolled back leaves no trace of whose turn it was.
    db.run(
        "BEGIN; SAVEPOINT a; UPDATE user_profiles SET bio = 'x' WHERE id = 1; ROLLBACK TO a; \
         UPDATE users SET bio = 'y' WHERE id = 1; UPDATE user_profiles SET avatar = 'z' WHERE id = 1; COMMIT",
    );
    assert_eq!(
        db.rows("SELECT u.bio, u.avatar, p.bio, p.avatar FROM users u JOIN user_profiles p USING (id) WHERE id = 1"),
        [["y", "z", "y", "z"]]
    );
    // The key changes, a replica writes, a foreign row is refused.
    db.run("UPDATE users SET id = 100 WHERE id = 2; SET session_replication_role = replica; \
            UPDATE users SET bio = 'replica' WHERE id = 3; DELETE FROM users WHERE id = 4; RESET session_replication_role");
    assert_eq!(
        db.rows("SELECT id, bio FROM user_profiles WHERE id IN (2, 3, 4, 100) ORDER BY 1"),
        [["3", "replica"], ["100", "b2"]]
    );
    let error = db.error("INSERT INTO user_profiles (id, bio) VALUES (4711, 'nobody')");
    assert_eq!(error.sqlstate, "23503");
    assert_eq!(disagreements(&db), 0);
    db.run("CALL migrate.contract('1'); ");
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(
        db.rows("SELECT bio, avatar FROM users WHERE id = 11"),
        [["new", "none"]]
    );
}

/// A trigger of the user's that changes what is written has the last word on both sides.
#[test]
fn triggers_of_the_user_see_both_writes() {
    let db = database(&format!(
        "{USERS}; CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.bio := upper(NEW.bio); RETURN NEW; END $$;
         CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION shout();
         CREATE FUNCTION again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE users SET bio = bio || '!' WHERE id = NEW.id AND bio NOT LIKE '%!'; RETURN NULL; END $$;
         CREATE TRIGGER again AFTER UPDATE ON users FOR EACH ROW EXECUTE FUNCTION again()"
    ));
    apply(&db, &json(SPLIT));
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE user_profiles SET bio = 'new' WHERE id = 1; UPDATE users SET bio = 'old' WHERE id = 2");
    assert_eq!(
        db.rows("SELECT id, u.bio, p.bio FROM users u JOIN user_profiles p USING (id) WHERE id < 3 ORDER BY 1"),
        [["1", "NEW!", "NEW!"], ["2", "OLD!", "OLD!"]]
    );
    assert_eq!(disagreements(&db), 0);
}

/// Whoever may write one table needs no right in the other.
#[test]
fn writers_need_no_rights_in_the_other_table() {
    let db = database(&format!(
        "{USERS}; DROP ROLE IF EXISTS split_writer; CREATE ROLE split_writer"
    ));
    apply(&db, &json(SPLIT));
    db.run("CALL migrate.upgrade()");
    db.run("GRANT SELECT, UPDATE ON users TO split_writer; SET ROLE split_writer; UPDATE users SET bio = 'mine' WHERE id = 1; RESET ROLE");
    assert_eq!(
        db.one::<String>("SELECT bio FROM user_profiles WHERE id = 1"),
        "mine"
    );
    let error = db.error("SET ROLE split_writer; SELECT * FROM user_profiles");
    assert_eq!(error.sqlstate, "42501");
    // A trigger that somebody else makes gets nobody's rights.
    db.run("RESET ROLE; GRANT USAGE ON SCHEMA migrate TO split_writer; GRANT CREATE ON SCHEMA public TO split_writer; \
            CREATE TABLE secret (id bigint PRIMARY KEY, bio text); INSERT INTO secret VALUES (1, 'kept')");
    let error = db.error(
        "SET ROLE split_writer; CREATE TABLE mine (id bigint PRIMARY KEY, bio text); \
         CREATE TRIGGER t AFTER INSERT OR UPDATE OR DELETE ON mine FOR EACH ROW \
         EXECUTE FUNCTION migrate.sync_split_trigger('source', 'public.secret', '[\"id\"]', '[\"bio\"]'); \
         INSERT INTO mine VALUES (1, 'stolen')",
    );
    assert_eq!(error.sqlstate, "42501", "{error}");
    db.run("DROP TABLE IF EXISTS mine; DROP OWNED BY split_writer; DROP ROLE split_writer");
}

#[test]
fn tables_that_disagree_are_not_contracted() {
    let db = database(USERS);
    apply(&db, &json(SPLIT));
    db.run("CALL migrate.upgrade()");
    db.run("BEGIN; ALTER TABLE users DISABLE TRIGGER USER; UPDATE users SET bio = 'lost' WHERE id = 5; COMMIT");
    assert!(disagreements(&db) > 0);
    let error = db.error("CALL migrate.contract('1')");
    assert!(error.message.contains("disagree"), "{error}");
}

#[test]
fn what_cannot_be_split_is_refused() {
    let db = database(&format!(
        "{USERS}; CREATE TABLE parts (id int PRIMARY KEY, bio text) PARTITION BY RANGE (id);
         CREATE TABLE hidden (id int PRIMARY KEY, bio text); ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
         CREATE TABLE loose (id int, bio text);
         CREATE TABLE counted (id int PRIMARY KEY, bio text, n serial)"
    ));
    let plan = |operation: &str| db.error(&format!("SELECT migrate.plan($${}$$)", json(operation)));
    let of = |table: &str, more: &str| {
        format!(
            r#"{{"split_table": {{"table": "{table}", "into": "halves", "columns": ["bio"]{more}}}}}"#
        )
    };
    let cases = [
        (of("parts", ""), "partitioned table"),
        (of("hidden", ""), "row level security"),
        (of("loose", ""), "no primary key"),
        (of("users", r#", "key": ["seen"]"#), "may be null"),
        (of("users", r#", "key": ["name"]"#), "no unique index"),
        (
            of("counted", "").replace("[\"bio\"]", "[\"n\"]"),
            "counted by a sequence",
        ),
        (
            of("users", "").replace("[\"bio\"]", "[\"id\"]"),
            "part of the key",
        ),
        (
            of("users", "").replace("[\"bio\"]", "[\"boi\"]"),
            "does not exist",
        ),
        (
            of("users", "").replace("[\"bio\"]", "[]"),
            "no column is to move",
        ),
        (of("users", "").replace("halves", "loose"), "already exists"),
    ];
    for (operation, message) in cases {
        let error = plan(&operation);
        assert!(error.message.contains(message), "{operation}: {error}");
    }
    db.run("ALTER TABLE users ADD CHECK (bio <> name); CREATE INDEX on_both ON users (name, bio)");
    let error = plan(&of("users", ""));
    assert!(
        error.detail.contains("index on_both") && error.detail.contains("users_check"),
        "{error}"
    );
    db.run("ALTER TABLE users DROP CONSTRAINT users_check; DROP INDEX on_both; CREATE VIEW v AS SELECT bio FROM users");
    let error = plan(&of("users", ""));
    assert!(error.detail.contains("view v"), "{error}");
}

/// What comes behind it in the document, and a migration on top of it.
#[test]
fn others_build_on_the_new_table() {
    let db = database(USERS);
    let before = fingerprint(&db);
    apply(
        &db,
        &json(&format!(
            r#"{SPLIT}, {{"create_index": {{"table": "user_profiles", "name": "by_avatar", "columns": [{{"column": "avatar"}}]}}}}"#
        )),
    );
    apply(
        &db,
        r#"{"revision": "2", "down_revision": "1", "operations": [{"add_column": {"table": "user_profiles",
            "column": {"name": "motto", "type": "text", "nullable": true}, "up": "lower(bio)"}}]}"#,
    );
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE users SET bio = 'Written' WHERE id = 1; INSERT INTO users VALUES (-1, 'n', 'Fresh')");
    assert_eq!(
        db.rows("SELECT bio, motto FROM user_profiles WHERE id IN (-1, 1, 2) ORDER BY id"),
        [["Fresh", "fresh"], ["Written", "written"], ["b2", "b2"]]
    );
    db.run("CALL migrate.contract('1')");
    db.run("CALL migrate.contract('2')");
    db.run("DELETE FROM users WHERE id = -1");
    db.run("CALL migrate.downgrade('base')");
    let found = differences(&before, &fingerprint(&db));
    assert!(found.is_empty(), "{found:#?}");
    assert_eq!(
        db.one::<String>("SELECT bio FROM users WHERE id = 1"),
        "Written"
    );
}
