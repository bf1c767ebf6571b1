//! Foreign keys: every side, every shape, in one migration and in two that are expanded at once.

use super::{apply, database, document, migrate, rehearsed, same, schema, without_positions};
use pg_migrate_tests::Db;

const TREE: &str = "
    CREATE TABLE people (id int PRIMARY KEY, name text, boss int CONSTRAINT people_boss REFERENCES people (id));
    INSERT INTO people SELECT g, 'p' || g, nullif(g / 2, 0) FROM generate_series(1, 100) g;
    CREATE TABLE cars (id int PRIMARY KEY, owner int NOT NULL CONSTRAINT cars_owner REFERENCES people (id) ON DELETE CASCADE ON UPDATE CASCADE);
    INSERT INTO cars SELECT g, g FROM generate_series(1, 100) g;
    ANALYZE";

const LEFT: &str = "ALTER TABLE people ALTER COLUMN id TYPE bigint";
const RIGHT: &str = "ALTER TABLE cars ALTER COLUMN owner TYPE bigint";
const SELF: &str = "ALTER TABLE people ALTER COLUMN boss TYPE bigint";

fn tree() -> Db {
    database(TREE)
}

fn plain(statements: &str) -> super::Schema {
    let db = database(&format!("{TREE};{statements}"));
    without_positions(schema(&db))
}

/// The keys still hold: what nobody has is refused, and what they do on delete and update is done.
fn enforced(db: &Db) {
    assert_eq!(
        db.error("INSERT INTO cars (id, owner) VALUES (9001, 9001)")
            .sqlstate,
        "23503"
    );
    assert_eq!(
        db.error("UPDATE people SET boss = 9001 WHERE id = 3")
            .sqlstate,
        "23503"
    );
    assert_eq!(
        db.error("DELETE FROM people WHERE id = 1").sqlstate,
        "23503"
    );
    db.run("UPDATE people SET id = 1000 WHERE id = 99");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM cars WHERE owner = 1000"),
        1
    );
    db.run("DELETE FROM people WHERE id = 1000");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM cars WHERE owner = 1000"),
        0
    );
    db.run("INSERT INTO people (id, name, boss) VALUES (99, 'p99', 49); INSERT INTO cars (id, owner) VALUES (99, 99)");
}

#[test]
fn two_migrations_at_once_in_any_order() {
    let all = [LEFT, RIGHT, SELF];
    for (first, second) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
        for contracts in [["1", "2"], ["2", "1"]] {
            let db = tree();
            let before = schema(&db);
            apply(&db, "1", all[first]);
            db.run("CALL migrate.upgrade()");
            db.run(&document("2", "1", all[second]));
            db.run("CALL migrate.upgrade()");
            enforced(&db);
            db.run(&format!("CALL migrate.contract('{}')", contracts[0]));
            enforced(&db);
            db.run(&format!("CALL migrate.contract('{}')", contracts[1]));
            enforced(&db);
            same(
                &plain(&format!("{};{}", all[first], all[second])),
                &without_positions(schema(&db)),
            );
            db.run("CALL migrate.downgrade('base')");
            same(&before, &schema(&db));
        }
    }
}

#[test]
fn one_of_two_is_taken_back() {
    let db = tree();
    let before = schema(&db);
    apply(&db, "1", LEFT);
    db.run("CALL migrate.upgrade()");
    db.run(&document("2", "1", RIGHT));
    db.run("CALL migrate.upgrade()");
    // The first is contracted under the second, which then goes back.
    db.run("CALL migrate.contract('1')");
    enforced(&db);
    db.run("CALL migrate.downgrade('1')");
    enforced(&db);
    same(&plain(LEFT), &without_positions(schema(&db)));
    db.run("CALL migrate.downgrade('base')");
    enforced(&db);
    same(&before, &schema(&db));
}

#[test]
fn the_other_side_must_be_ready_to_be_seen() {
    let db = tree();
    apply(&db, "1", LEFT);
    let failure = db.error(&document("2", "1", RIGHT));
    assert_eq!(failure.sqlstate, "55006", "{failure}");
    assert!(failure.hint.contains("migrate.upgrade()"), "{failure}");
    db.run("CALL migrate.upgrade()");
    db.run(&document("2", "1", RIGHT));
}

#[test]
fn pending_migrations_find_their_order() {
    let db = tree();
    db.run(&format!(
        "SELECT migrate.add($d$-- migrate:revision 1\n-- migrate:up\n{LEFT}$d$);
         SELECT migrate.add($d$-- migrate:revision 2 after 1\n-- migrate:up\n{RIGHT}$d$);
         SELECT migrate.add($d$-- migrate:revision 3 after 2\n-- migrate:up\n{SELF}$d$)"
    ));
    db.run("CALL migrate.upgrade()");
    for revision in ["2", "3", "1"] {
        enforced(&db);
        db.run(&format!("CALL migrate.contract('{revision}')"));
    }
    same(
        &plain(&format!("{LEFT};{RIGHT};{SELF}")),
        &without_positions(schema(&db)),
    );
}

#[test]
fn composite_keys() {
    let setup = "
        CREATE TABLE parts (maker int, number int, name text, PRIMARY KEY (maker, number), UNIQUE (number, maker));
        CREATE TABLE uses (id int PRIMARY KEY, number int, maker int, old_maker int,
            CONSTRAINT uses_part FOREIGN KEY (maker, number) REFERENCES parts (maker, number) MATCH FULL ON UPDATE CASCADE,
            CONSTRAINT uses_turned FOREIGN KEY (number, old_maker) REFERENCES parts (number, maker) ON DELETE SET NULL (old_maker),
            CONSTRAINT uses_again FOREIGN KEY (maker, number) REFERENCES parts (maker, number) DEFERRABLE INITIALLY DEFERRED);
        INSERT INTO parts SELECT g % 10, g, 'p' FROM generate_series(1, 200) g;
        INSERT INTO uses SELECT g, g, g % 10, g % 10 FROM generate_series(1, 200) g;
        COMMENT ON CONSTRAINT uses_part ON uses IS 'both or none'";
    for change in [
        "ALTER TABLE parts ALTER maker TYPE bigint",
        "ALTER TABLE parts ALTER maker TYPE bigint, ALTER number TYPE bigint",
        "ALTER TABLE uses ALTER number TYPE bigint, ALTER maker TYPE bigint",
        "ALTER TABLE uses ALTER old_maker TYPE bigint",
        "ALTER TABLE parts ALTER maker TYPE bigint; ALTER TABLE uses ALTER number TYPE bigint, ALTER maker TYPE bigint; ALTER TABLE parts ALTER number TYPE bigint",
    ] {
        let db = database(setup);
        let before = schema(&db);
        rehearsed(&db, change);
        migrate(&db, "1", change);
        let other = database(setup);
        other.run(change);
        same(
            &without_positions(schema(&other)),
            &without_positions(schema(&db)),
        );
        for (statement, sqlstate) in [
            (
                "INSERT INTO uses (id, number, maker, old_maker) VALUES (900, 1, 5, NULL)",
                "23503",
            ),
            (
                "INSERT INTO uses (id, number, maker, old_maker) VALUES (900, NULL, 5, NULL)",
                "23503",
            ),
            ("UPDATE uses SET old_maker = 77 WHERE id = 3", "23503"),
        ] {
            assert_eq!(db.error(statement).sqlstate, sqlstate, "{statement}");
        }
        db.run("UPDATE uses SET maker = NULL, number = NULL WHERE id = 7; DELETE FROM parts WHERE number = 7");
        db.run("CALL migrate.downgrade('base')");
        same(&before, &schema(&db));
    }
}

#[test]
fn unvalidated_ones_stay_unvalidated() {
    let setup = "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int, c int);
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1), (2, 2);
        ALTER TABLE b ADD CONSTRAINT b_a FOREIGN KEY (a) REFERENCES a NOT VALID, ADD CONSTRAINT b_c CHECK (a > 0 AND c > 0) NOT VALID";
    for change in [
        "ALTER TABLE a ALTER id TYPE bigint",
        "ALTER TABLE b ALTER a TYPE bigint",
    ] {
        let db = database(setup);
        migrate(&db, "1", change);
        let other = database(&format!("{setup};{change}"));
        same(
            &without_positions(schema(&other)),
            &without_positions(schema(&db)),
        );
    }
}
