//! Every way in which rows are written, and what else fires.

use crate::{pair, price, prices, row, sync_users, users};
use pg_migrate_tests::{Db, cluster};

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
fn logical_apply_goes_through_it() {
    let source = cluster().database();
    source.run(
        "CREATE TABLE users (id int PRIMARY KEY, username text);
         INSERT INTO users VALUES (40, 'before'), (41, 'gone')",
    );
    source.run("CREATE PUBLICATION p FOR TABLE users");
    let slot = format!("slot_{}", source.name());
    source.run(&format!(
        "SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"
    ));
    let db = users();
    sync_users(&db);
    let (socket, port) = (source.cluster().socket().display(), source.cluster().port());
    db.run(&format!(
        "CREATE SUBSCRIPTION {slot} CONNECTION 'host={socket} port={port} user=postgres dbname={}'
         PUBLICATION p WITH (create_slot = false, slot_name = '{slot}')",
        source.name()
    ));
    db.wait_for(
        "the first copy",
        60,
        "SELECT EXISTS (SELECT FROM users WHERE id = 40)",
    );
    let copied = pair(&db, 40);
    // What this side writes to its own column, and what comes for the other one.
    db.wait_for(
        "the end of the copy",
        60,
        "SELECT every(srsubstate = 'r') FROM pg_subscription_rel",
    );
    db.run("UPDATE users SET email = 'mine' WHERE id = 41");
    source.run("INSERT INTO users VALUES (50, 'far')");
    source.run("UPDATE users SET username = 'away' WHERE id >= 41");
    db.wait_for(
        "apply",
        60,
        "SELECT EXISTS (SELECT FROM users WHERE id = 50 AND username = 'away')",
    );
    let arrived = [pair(&db, 50), pair(&db, 41), copied];
    db.run(&format!("ALTER SUBSCRIPTION {slot} DISABLE"));
    db.run(&format!("ALTER SUBSCRIPTION {slot} SET (slot_name = NONE)"));
    db.run(&format!("DROP SUBSCRIPTION {slot}"));
    source.wait_for(
        "the slot",
        30,
        &format!("SELECT NOT active FROM pg_replication_slots WHERE slot_name = '{slot}'"),
    );
    source.run(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    assert_eq!(arrived, ["away away", "away away", "before before"]);
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
fn the_backfill_of_one_pair_fills_the_other_pair_too() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE two (id int PRIMARY KEY, a text, b text);
         INSERT INTO two SELECT i, 'a' || i, 'b' || i FROM generate_series(1, 100) i;
         ALTER TABLE two ADD COLUMN aa text, ADD COLUMN bb text",
    );
    db.run("SELECT migrate.sync_column_trigger('two', 'a', 'aa'), migrate.sync_column_trigger('two', 'b', 'bb')");
    for (new, old) in [("aa", "a"), ("bb", "b")] {
        let job: i64 = db.one(&format!(
            "SELECT migrate.backfill('two', '{{\"{new}\": \"{old}\"}}'::jsonb, '{new} IS NULL')"
        ));
        db.run(&format!("CALL migrate.run_backfill({job})"));
    }
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM two WHERE aa = a AND bb = b"),
        100
    );
}
