//! The sync trigger and the touch trigger: each rule, each way in, and what would lose data without.

use pg_migrate_tests::{Db, cluster};

fn users() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE users (id int PRIMARY KEY, username text, n int NOT NULL DEFAULT 0);
         INSERT INTO users VALUES (1, 'ann'), (2, 'bob'), (3, NULL);
         ALTER TABLE users ADD COLUMN email text",
    );
    db
}

/// A lossy pair: `price` numeric, `whole` int, and `none` for no price at all.
fn prices() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE m (id int PRIMARY KEY, price numeric, note text);
         INSERT INTO m VALUES (1, 1.7), (2, 2.2), (3, 3.6);
         ALTER TABLE m ADD COLUMN whole int",
    );
    db.run("SELECT migrate.sync_column_trigger('m', 'price', 'whole', 'round(price)', 'coalesce(whole, -1)')");
    db
}

fn sync_users(db: &Db) {
    db.run("SELECT migrate.sync_column_trigger('users', 'username', 'email')");
}

fn row(db: &Db, sql: &str) -> String {
    db.rows(sql)
        .first()
        .map_or(String::new(), |row| row.join(" "))
}

fn pair(db: &Db, id: i32) -> String {
    row(
        db,
        &format!("SELECT username, email FROM users WHERE id = {id}"),
    )
}

fn price(db: &Db, id: i32) -> String {
    row(db, &format!("SELECT price, whole FROM m WHERE id = {id}"))
}

/// Runs a backfill to its end.
fn fill(db: &Db, table: &str, column: &str, expression: &str, predicate: &str) {
    let mut client = db.connect();
    let set = serde_json::json!({ column: expression }).to_string();
    let job: i64 = client
        .query_one(
            "SELECT migrate.backfill($1::text::regclass, $2::text, $3)",
            &[&table, &set, &predicate],
        )
        .expect("a job")
        .get(0);
    for _ in 0..1000 {
        let batch = client
            .query_one("SELECT done FROM migrate.backfill_batch($1)", &[&job])
            .expect("a batch");
        if batch.get::<_, bool>(0) {
            return;
        }
    }
    panic!("the backfill does not end");
}

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
fn replicas_write_through_it_too() {
    let db = users();
    sync_users(&db);
    db.run("SET session_replication_role = replica; UPDATE users SET username = 'r' WHERE id = 1");
    assert_eq!(pair(&db, 1), "r r");
    // What it would be otherwise: the write is lost to the new side.
    db.run("ALTER TABLE users ENABLE TRIGGER \"~~pg_migrate_sync_username~email\"");
    db.run("SET session_replication_role = replica; UPDATE users SET username = 's' WHERE id = 1");
    assert_eq!(pair(&db, 1), "s r");
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
fn every_way_in_goes_through_it() {
    let db = users();
    sync_users(&db);
    db.psql("COPY users (id, username) FROM stdin;\n20\tcopied\n\\.\n");
    assert_eq!(pair(&db, 20), "copied copied");
    let upsert = "ON CONFLICT (id) DO UPDATE SET username = EXCLUDED.username";
    db.run(&format!(
        "INSERT INTO users (id, username) VALUES (1, 'up') {upsert}"
    ));
    assert_eq!(pair(&db, 1), "up up");
    db.run("INSERT INTO users (id, email) VALUES (2, 'up') ON CONFLICT (id) DO UPDATE SET email = EXCLUDED.email");
    assert_eq!(pair(&db, 2), "up up");
    db.run(
        "MERGE INTO users u USING (VALUES (1, 'm1'), (30, 'm2')) v (id, name) ON u.id = v.id
         WHEN MATCHED THEN UPDATE SET email = v.name
         WHEN NOT MATCHED THEN INSERT (id, username) VALUES (v.id, v.name)",
    );
    assert_eq!(pair(&db, 1), "m1 m1");
    assert_eq!(pair(&db, 30), "m2 m2");
}

fn partitioned() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE p (region text, price numeric, whole int, note text) PARTITION BY LIST (region);
         CREATE TABLE p_a PARTITION OF p FOR VALUES IN ('a');
         CREATE TABLE p_b (junk int, note text, whole int, price numeric, region text);
         ALTER TABLE p_b DROP COLUMN junk;
         ALTER TABLE p ATTACH PARTITION p_b FOR VALUES IN ('b')",
    );
    db.run("SELECT migrate.sync_column_trigger('p', 'price', 'whole', 'round(p.price)', 'coalesce(whole, -1)')");
    db
}

#[test]
fn partitions_have_their_own_columns() {
    let db = partitioned();
    db.run("INSERT INTO p (region, price) VALUES ('a', 1.7), ('b', 2.7)");
    db.run("INSERT INTO p (region, whole) VALUES ('b', 9)");
    let rows = db.rows("SELECT region, price, whole FROM p ORDER BY 1, 2");
    assert_eq!(
        rows,
        [["a", "1.7", "2"], ["b", "2.7", "3"], ["b", "9", "9"]]
    );
    let enabled = db.rows("SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname LIKE '~~%'");
    assert_eq!(enabled, [["A"]]);
}

#[test]
fn a_row_that_changes_its_partition_keeps_both_sides() {
    let db = partitioned();
    db.run("INSERT INTO p (region, price, note) VALUES ('a', 1.7, 'lossy')");
    db.run("INSERT INTO p (region, whole, note) VALUES ('a', 4, 'null')");
    db.run("UPDATE p SET whole = NULL WHERE note = 'null'");
    db.run("UPDATE p SET region = 'b'");
    db.run("SET migrate.side = 'new'; UPDATE p SET region = 'a' WHERE note = 'lossy'");
    let rows = db.rows("SELECT region, price, whole, note FROM p ORDER BY note");
    assert_eq!(
        rows,
        [["a", "1.7", "2", "lossy"], ["b", "-1", "NULL", "null"]]
    );
    db.run("UPDATE p SET region = 'b', price = 8.8 WHERE note = 'lossy'");
    assert_eq!(
        row(&db, "SELECT price, whole FROM p WHERE note = 'lossy'"),
        "8.8 9"
    );
}

#[test]
fn rows_of_a_partition_attached_later_are_unfilled() {
    let db = partitioned();
    db.run(
        "CREATE TABLE p_c (region text, price numeric, whole int, note text);
         INSERT INTO p_c VALUES ('c', 3.3)",
    );
    db.run("ALTER TABLE p ATTACH PARTITION p_c FOR VALUES IN ('c')");
    db.run("UPDATE p SET note = 'x'");
    assert_eq!(row(&db, "SELECT price, whole FROM p"), "3.3 3");
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
fn a_generated_column_is_read_as_its_expression() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE g (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, old int);
         ALTER TABLE g ADD COLUMN new int",
    );
    db.run("SELECT migrate.sync_column_trigger('g', 'old', 'new', 'old + twice', 'new - twice')");
    db.run("INSERT INTO g (id, a, old) VALUES (1, 5, 100)");
    assert_eq!(row(&db, "SELECT twice, old, new FROM g"), "10 100 110");
    let failure = db.error("SELECT migrate.sync_column_trigger('g', 'twice', 'new')");
    assert_eq!(failure.sqlstate, "42809", "{failure}");
}

#[test]
fn an_error_of_an_expression_stays_whole() {
    let db = prices();
    db.run(
        "CREATE FUNCTION picky(numeric) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
             RAISE EXCEPTION 'no' USING ERRCODE = 'MY042', CONSTRAINT = 'taste', DETAIL = 'd', HINT = 'h';
         END $$;
         SELECT migrate.drop_sync_trigger('m', 'price', 'whole');
         SELECT migrate.sync_column_trigger('m', 'price', 'whole', 'picky(price)', 'whole')",
    );
    let mut client = db.connect();
    let error = client
        .batch_execute("UPDATE m SET price = 1 WHERE id = 1")
        .expect_err("picky");
    let error = error.as_db_error().expect("of the server");
    assert_eq!(error.code().code(), "MY042");
    assert_eq!(error.constraint(), Some("taste"));
    assert_eq!(error.hint(), Some("h"));
    assert!(error.where_().is_some_and(|text| text.contains("picky")
        && text.contains("trigger \"~~pg_migrate_sync_price~whole\" on table \"m\"")));
    // The session goes on.
    client
        .batch_execute("UPDATE m SET note = 'x' WHERE id = 1")
        .expect_err("picky again");
    client.batch_execute("SELECT 1").expect("a live session");
}

#[test]
fn a_session_survives_failures_inside_its_transaction() {
    let db = prices();
    db.run(
        "DO $$
         BEGIN
             FOR i IN 1..50 LOOP
                 BEGIN
                     UPDATE m SET price = 'NaN' WHERE id = 1;
                 EXCEPTION WHEN OTHERS THEN
                     UPDATE m SET price = i WHERE id = 1;
                 END;
             END LOOP;
         END $$",
    );
    assert_eq!(price(&db, 1), "50 50");
}

#[test]
fn an_expression_may_write_the_table_it_is_on() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE r (id int PRIMARY KEY, old int, new int);
         CREATE FUNCTION again(id int, v int) RETURNS int LANGUAGE plpgsql AS $$
         BEGIN
             IF id < 5 THEN INSERT INTO r (id, old) VALUES (id + 1, v * 10); END IF;
             RETURN v + id;
         END $$;
         SELECT migrate.sync_column_trigger('r', 'old', 'new', 'again(id, old) + 0 * id', 'new')",
    );
    db.run("INSERT INTO r (id, old) VALUES (1, 1)");
    let rows = db.rows("SELECT id, old, new FROM r ORDER BY id");
    assert_eq!(
        rows.last().map(|r| r.join(" ")),
        Some("5 10000 10005".to_owned())
    );
    assert_eq!(rows.first().map(|r| r.join(" ")), Some("1 1 2".to_owned()));
}

#[test]
fn an_error_in_an_expression_says_where() {
    let db = users();
    let failure = db.error("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'lower(usrname)', 'email')");
    assert_eq!(failure.sqlstate, "42703", "{failure}");
    assert!(
        failure
            .detail
            .contains("At character 7 of the expression: lower(usrname)"),
        "{failure}"
    );
    let failure = db
        .error("SELECT migrate.sync_column_trigger('users', 'username', 'email', 'n +', 'email')");
    assert_eq!(failure.sqlstate, "42601", "{failure}");
    for (up, sqlstate) in [
        ("count(*)", "42803"),
        ("username; DROP TABLE users", "42601"),
        ("username FROM users", "42601"),
        ("username, n", "42601"),
        ("users::text", "0A000"),
        ("ctid::text", "0A000"),
    ] {
        let up = up.replace('\'', "''");
        let failure = db.error(&format!(
            "SELECT migrate.sync_column_trigger('users', 'username', 'email', '{up}', 'email')"
        ));
        assert_eq!(failure.sqlstate, sqlstate, "{up}: {failure}");
        assert!(failure.detail.contains(&up), "{failure}");
    }
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_trigger WHERE tgname LIKE '~~%'"),
        0
    );
}

#[test]
fn an_expression_means_the_same_under_any_search_path() {
    let db = users();
    db.run(
        "CREATE SCHEMA app;
         CREATE FUNCTION app.shout(text) RETURNS text LANGUAGE sql AS $$ SELECT upper($1) $$;
         CREATE FUNCTION app.plus(text, text) RETURNS text LANGUAGE sql AS $$ SELECT $1 || '+' || $2 $$;
         CREATE OPERATOR app.&&& (FUNCTION = app.plus, LEFTARG = text, RIGHTARG = text)",
    );
    db.run(
        "SET search_path = public, app;
         SELECT migrate.sync_column_trigger('users', 'username', 'email', 'shout(username) &&& ''!''', 'lower(email)')",
    );
    db.run(
        "CREATE SCHEMA evil;
         CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'stolen' $$",
    );
    db.run(
        "SET search_path = evil, pg_catalog; UPDATE public.users SET username = 'x' WHERE id = 1",
    );
    db.run("SET search_path = evil, pg_catalog; UPDATE public.users SET email = 'Y' WHERE id = 2");
    assert_eq!(pair(&db, 1), "x X+!");
    assert_eq!(pair(&db, 2), "y Y");
}

#[test]
fn subqueries_see_the_row() {
    let db = users();
    db.run("CREATE TABLE known (name text, address text); INSERT INTO known VALUES ('ann', 'ann@example.org')");
    db.run(
        "SELECT migrate.sync_column_trigger('users', 'username', 'email',
             '(SELECT address FROM public.known WHERE name = username)',
             '(SELECT CASE WHEN email IS NULL THEN ''none'' ELSE split_part(email, ''@'', 1) END)')",
    );
    db.run("UPDATE users SET n = 1");
    assert_eq!(pair(&db, 1), "ann ann@example.org");
    assert_eq!(pair(&db, 2), "bob NULL");
    db.run("UPDATE users SET email = 'kim@example.org' WHERE id = 3");
    assert_eq!(pair(&db, 3), "kim kim@example.org");
    db.run("INSERT INTO known VALUES ('ann', 'twice')");
    let failure = db.error("UPDATE users SET username = 'bob'; UPDATE users SET username = 'ann'");
    assert_eq!(failure.sqlstate, "21000", "{failure}");
}

#[test]
fn types_that_need_a_cast_get_it_or_an_error() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id serial, a int, b bigint, c varchar(3), d text, e point, f json, g jsonb)");
    db.run("SELECT migrate.sync_column_trigger('t', 'a', 'b')");
    db.run("SELECT migrate.sync_column_trigger('t', 'c', 'd')");
    db.run("INSERT INTO t (a, d) VALUES (1, 'abc')");
    assert_eq!(row(&db, "SELECT a, b, c, d FROM t"), "1 1 abc abc");
    assert_eq!(db.error("UPDATE t SET b = 3000000000").sqlstate, "22003");
    assert_eq!(db.error("UPDATE t SET d = 'too long'").sqlstate, "22001");
    let failure = db.error("SELECT migrate.sync_column_trigger('t', 'a', 'e')");
    assert_eq!(failure.sqlstate, "42804", "{failure}");
    assert!(failure.hint.contains("up and down"), "{failure}");
    // json has no equality; changes are told by the bytes.
    db.run("SELECT migrate.sync_column_trigger('t', 'f', 'g', 'f::jsonb', 'g::json')");
    db.run("UPDATE t SET f = '{\"a\": 1}'");
    assert_eq!(db.one::<String>("SELECT g::text FROM t"), "{\"a\": 1}");
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
fn what_changes_under_an_open_session_is_noticed() {
    let db = users();
    db.run("CREATE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1 || '1' $$");
    db.run(
        "SELECT migrate.sync_column_trigger('users', 'username', 'email', 'f(username)', 'email')",
    );
    let mut open = db.connect();
    open.batch_execute("UPDATE users SET username = 'a' WHERE id = 1")
        .expect("an update");
    assert_eq!(pair(&db, 1), "a a1");
    db.run("CREATE OR REPLACE FUNCTION f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT $1 || '2' $$");
    open.batch_execute("UPDATE users SET username = 'b' WHERE id = 1")
        .expect("an update");
    assert_eq!(pair(&db, 1), "b b2");
    db.run("ALTER TABLE users ALTER COLUMN email TYPE varchar(2)");
    let error = open.batch_execute("UPDATE users SET username = 'long' WHERE id = 1");
    assert!(error.is_err());
    db.run("ALTER TABLE users DROP COLUMN n; ALTER TABLE users ADD COLUMN first int");
    open.batch_execute("UPDATE users SET username = 'c' WHERE id = 1")
        .expect("an update");
    assert_eq!(pair(&db, 1), "c c2");
}

#[test]
fn users_triggers_run_before_it() {
    let db = users();
    db.run(
        "CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN NEW.username := lower(NEW.username); RETURN NEW; END $$;
         CREATE TRIGGER zz_tidy BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy()",
    );
    sync_users(&db);
    db.run("INSERT INTO users (id, username) VALUES (4, 'LOUD')");
    assert_eq!(pair(&db, 4), "loud loud");
    db.run(
        "CREATE TRIGGER \"~~~late\" BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION tidy()",
    );
    db.run("SELECT migrate.drop_sync_trigger('users', 'username', 'email')");
    let notices = db.notices("SELECT migrate.sync_column_trigger('users', 'username', 'email')");
    assert!(
        notices
            .iter()
            .any(|text| text.starts_with("WARNING") && text.contains("~~~late")),
        "{notices:?}"
    );
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

#[test]
fn a_touch_column_says_when_a_row_really_changed() {
    let db = cluster().database();
    for data_type in ["timestamptz", "timestamp", "date", "timestamptz(0)"] {
        db.run(&format!(
            "DROP TABLE IF EXISTS t;
             CREATE TABLE t (id int PRIMARY KEY, a text, g text GENERATED ALWAYS AS (a) STORED, at {data_type});
             CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('at');
             INSERT INTO t VALUES (1, 'x')"
        ));
        db.run("UPDATE t SET a = 'x'");
        assert_eq!(
            db.one::<i64>("SELECT count(at) FROM t"),
            0,
            "{data_type}: nothing changed"
        );
        let mut client = db.connect();
        let right = format!(
            "BEGIN; UPDATE t SET a = 'y'; DO $$ BEGIN ASSERT (SELECT at = now()::{data_type} FROM t); END $$; COMMIT"
        );
        client
            .batch_execute(&right)
            .unwrap_or_else(|error| panic!("{data_type}: {error:?}"));
        db.run("UPDATE t SET a = 'z', at = '2001-01-01'");
        assert_eq!(
            db.one::<i64>("SELECT count(*) FROM t WHERE at = '2001-01-01'"),
            1,
            "{data_type}"
        );
    }
    db.run("CREATE TRIGGER wrong BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION migrate.touch_column('a')");
    let failure = db.error("UPDATE t SET a = 'w'");
    assert_eq!(failure.sqlstate, "42804", "{failure}");
}
