//! Operations of one document that build on each other.

use crate::case::{Back, Case, Shape, fixture, users, with};
use pg_migrate_tests::{Role, cluster};

const ROWS: &[Shape] = &[Shape::Rows, Shape::Beside];

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "everything on a table of the same document",
            json: r#"{"create_table": {"name": "orders", "columns": [
                        {"name": "id", "type": "bigint", "pk": true, "generated": {"identity": {"user_specified_values": "BY DEFAULT"}}},
                        {"name": "buyer", "type": "bigint", "nullable": true}, {"name": "note", "type": "varchar(20)", "nullable": true}]}},
                     {"create_index": {"name": "orders_buyer", "table": "orders", "columns": ["buyer"]}},
                     {"create_constraint": {"name": "orders_note", "table": "orders", "type": "check", "columns": ["note"], "check": "note <> ''"}},
                     {"add_foreign_key": {"name": "orders_buyer_fkey", "table": "orders", "columns": ["buyer"], "references": {"table": "users", "columns": ["id"], "on_delete": "CASCADE"}}},
                     {"add_column": {"table": "orders", "column": {"name": "total", "type": "int", "default": "0"}}},
                     {"rename_column": {"table": "orders", "from": "note", "to": "remark"}},
                     {"alter_column": {"table": "orders", "column": "remark", "type": "text", "default": "'none'", "comment": "printed"}},
                     {"set_not_null": {"table": "orders", "column": "buyer"}},
                     {"create_table": {"name": "lines", "columns": [{"name": "n", "type": "int", "pk": true},
                        {"name": "order_id", "type": "bigint", "references": {"name": "lines_order", "table": "orders", "column": "id"}}]}},
                     {"sql": {"up": "CREATE VIEW open_orders AS SELECT id, remark FROM orders WHERE total > 0", "down": "DROP VIEW open_orders"}}"#,
            sql: "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, buyer bigint, note varchar(20));
                  CREATE INDEX orders_buyer ON orders (buyer);
                  ALTER TABLE orders ADD CONSTRAINT orders_note CHECK (note <> '');
                  ALTER TABLE orders ADD CONSTRAINT orders_buyer_fkey FOREIGN KEY (buyer) REFERENCES users (id) ON DELETE CASCADE;
                  ALTER TABLE orders ADD COLUMN total int NOT NULL DEFAULT 0;
                  ALTER TABLE orders RENAME COLUMN note TO remark;
                  ALTER TABLE orders ALTER COLUMN remark TYPE text;
                  ALTER TABLE orders ALTER COLUMN remark SET DEFAULT 'none';
                  COMMENT ON COLUMN orders.remark IS 'printed';
                  ALTER TABLE orders ALTER COLUMN buyer SET NOT NULL;
                  CREATE TABLE lines (n int PRIMARY KEY, order_id bigint NOT NULL CONSTRAINT lines_order REFERENCES orders (id));
                  CREATE VIEW open_orders AS SELECT id, remark FROM orders WHERE total > 0",
            shapes: ROWS,
            ..Case::DEFAULT
        },
        Case {
            name: "everything on a column of the same document",
            sql: "ALTER TABLE users ADD COLUMN home bigint;
                  CREATE INDEX users_home ON users (home, username) WHERE home > 3;
                  UPDATE users SET home = team WHERE home IS NULL AND team IS NOT NULL AND username LIKE 'Seed-%';
                  ALTER TABLE users ADD CONSTRAINT users_home_fkey FOREIGN KEY (home) REFERENCES teams (id);
                  ALTER TABLE users ADD CONSTRAINT users_home_id UNIQUE (home, id);
                  ALTER TABLE users ADD CONSTRAINT home_sane CHECK (home >= 0);
                  ALTER TABLE users ALTER COLUMN home SET DEFAULT 5;
                  COMMENT ON COLUMN users.home IS 'where they live'",
            plain: Some(
                "ALTER TABLE users ADD COLUMN home bigint DEFAULT 5; CREATE INDEX users_home ON users (home, username) WHERE home > 3;
                 ALTER TABLE users ADD CONSTRAINT users_home_fkey FOREIGN KEY (home) REFERENCES teams (id), ADD CONSTRAINT users_home_id UNIQUE (home, id),
                   ADD CONSTRAINT home_sane CHECK (home >= 0); COMMENT ON COLUMN users.home IS 'where they live'",
            ),
            apps: || vec![with(users(), &[(Role::New, "home", "($1::bigint) % 100")])],
            shapes: ROWS,
            // The UPDATE has no way back of its own; what it filled leaves with the column.
            back: Back::Way,
            ..Case::DEFAULT
        },
        Case {
            name: "a filled column, its key and its NOT NULL",
            json: r#"{"add_column": {"table": "users", "column": {"name": "tag", "type": "text", "nullable": true}}},
                     {"backfill": {"table": "users", "set": {"tag": "'t' || id"}, "where": "tag IS NULL", "down": {"tag": "NULL"}}},
                     {"create_constraint": {"name": "users_tag", "table": "users", "type": "unique", "columns": ["tag"]}},
                     {"set_not_null": {"table": "users", "column": "tag"}}"#,
            plain: Some("ALTER TABLE users ADD COLUMN tag text; UPDATE users SET tag = id; ALTER TABLE users ALTER COLUMN tag SET NOT NULL, ADD CONSTRAINT users_tag UNIQUE (tag)"),
            // The application must fill what has no default: there is none here that could.
            shapes: &[],
            ..Case::DEFAULT
        },
        Case {
            name: "an index and a constraint on a renamed column",
            sql: "ALTER TABLE users RENAME COLUMN username TO email;
                  CREATE UNIQUE INDEX users_email ON users (lower(email), id) WHERE email <> '';
                  ALTER TABLE users ADD CONSTRAINT email_sane CHECK (length(email) < 100);
                  ALTER TABLE users ADD CONSTRAINT email_once UNIQUE (email, id)",
            apps: || vec![crate::case::app("users", "username", "email")],
            expanded: &["SELECT count(*) FROM users WHERE username IS DISTINCT FROM email"],
            shapes: ROWS,
            ..Case::DEFAULT
        },
        Case {
            name: "two renames, a drop and an index in one document",
            extra: "ALTER TABLE users ADD COLUMN legacy text",
            sql: "ALTER TABLE users RENAME COLUMN username TO email;
                  ALTER TABLE users RENAME COLUMN amount TO total;
                  ALTER TABLE users DROP COLUMN legacy;
                  CREATE INDEX users_both ON users (team, seen)",
            apps: || {
                vec![with(
                    crate::case::app("users", "username", "email"),
                    &[(Role::Old, "amount", "3"), (Role::New, "total", "3"), (Role::Old, "legacy", "'x'")],
                )]
            },
            shapes: &[Shape::Rows],
            ..Case::DEFAULT
        },
        Case {
            name: "an index, a check and a unique constraint, and then another type",
            extra: "ALTER TABLE users ALTER COLUMN amount DROP DEFAULT",
            sql: "CREATE INDEX users_amount ON users (amount, team) WHERE amount > 7;
                  ALTER TABLE users ADD CONSTRAINT amount_sane CHECK (amount > -1);
                  ALTER TABLE users ADD CONSTRAINT amount_once UNIQUE (amount, id);
                  ALTER TABLE users ALTER COLUMN amount TYPE bigint",
            moves: true,
            apps: || vec![crate::case::amounts()],
            shapes: &[Shape::Rows],
            ..Case::DEFAULT
        },
        Case {
            name: "a touched column is renamed",
            extra: "SELECT migrate.apply('{\"revision\": \"0\", \"operations\": [{\"touch_column\": {\"table\": \"users\", \"column\": \"seen\"}}]}')",
            json: r#"{"rename_column": {"table": "users", "from": "seen", "to": "seen_at"}}"#,
            apps: || {
                let mut spec = crate::case::without(users(), &["seen"]);
                spec.pause = std::time::Duration::from_millis(2);
                vec![spec]
            },
            shapes: &[],
            ..Case::DEFAULT
        },
    ]
}

#[test]
fn a_touched_column_is_renamed_and_dropped() {
    let db = cluster().database();
    db.run(&fixture(Shape::Rows, ""));
    db.run(r#"SELECT migrate.apply('{"revision": "1", "operations": [{"touch_column": {"table": "users", "column": "seen"}}]}')"#);
    let touched = crate::runner::schema(&db, true);
    let write = "UPDATE users SET amount = amount + 1 WHERE id = 7; INSERT INTO users (id, username) VALUES (-1, 'x'); DELETE FROM users WHERE id = -1";
    for (up, late) in [
        ("ALTER TABLE users RENAME COLUMN seen TO seen_at", "seen_at"),
        ("ALTER TABLE users DROP COLUMN seen", "now()"),
    ] {
        db.run(&format!(
            "SELECT migrate.apply('-- migrate:revision 2 after 1\n-- migrate:up\n{up};')"
        ));
        db.run("CALL migrate.upgrade()");
        db.run(write);
        db.run("CALL migrate.contract('2')");
        db.run(
            &format!("UPDATE users SET {late} = 'epoch' WHERE id = 7").replace("now() =", "nick ="),
        );
        db.run(write);
        assert!(db.one::<bool>(&format!(
            "SELECT {late} > now() - interval '1 hour' FROM users WHERE id = 7"
        )));
        db.run("CALL migrate.downgrade('-1')");
        db.run(write);
        assert!(db.one::<bool>("SELECT seen > now() - interval '1 hour' FROM users WHERE id = 7"));
        crate::runner::same(up, &touched, &crate::runner::schema(&db, true));
        db.run("SELECT migrate.repair('2', 'abandon')");
    }
}

/// What cannot be in one document is refused before anything is changed, with what to do.
#[test]
fn what_does_not_build_is_refused() {
    let db = cluster().database();
    db.run(&fixture(
        Shape::Rows,
        "CREATE INDEX users_nick ON users (nick)",
    ));
    let before = crate::runner::schema(&db, true);
    for text in [
        "ALTER TABLE users ALTER COLUMN amount TYPE bigint; ALTER TABLE users RENAME COLUMN amount TO total",
        "ALTER TABLE users RENAME COLUMN amount TO total; ALTER TABLE users ALTER COLUMN total TYPE bigint",
        "CREATE INDEX mine ON users (nick); ALTER TABLE users DROP COLUMN nick",
        "ALTER TABLE users ADD CONSTRAINT mine CHECK (nick <> ''); ALTER TABLE users DROP COLUMN nick",
        "ALTER TABLE users RENAME COLUMN nick TO alias; ALTER TABLE users RENAME COLUMN alias TO handle",
        "ALTER TABLE users RENAME COLUMN nick TO alias; ALTER TABLE users DROP COLUMN alias",
        "ALTER TABLE users DROP COLUMN nick; ALTER TABLE users ADD COLUMN nick int",
        "ALTER TABLE users DROP COLUMN nick; CREATE INDEX mine ON users (nick)",
        "ALTER TABLE users DROP COLUMN nick; ALTER TABLE users ALTER COLUMN nick SET NOT NULL",
        "DROP TABLE users; CREATE TABLE users (id int)",
        "DROP TABLE users; ALTER TABLE users ADD COLUMN x int",
        "ALTER TABLE users ADD COLUMN tag text DEFAULT gen_random_uuid()::text; ALTER TABLE users RENAME COLUMN tag TO label",
        "ALTER TABLE users ADD COLUMN tag text DEFAULT gen_random_uuid()::text; ALTER TABLE users DROP COLUMN tag",
        "ALTER TABLE users RENAME COLUMN nick TO alias; ALTER TABLE users RENAME TO members",
        "ALTER TABLE users RENAME TO members; DROP TABLE members",
        "DROP INDEX users_nick; CREATE INDEX users_nick ON users (nick, id)",
    ] {
        let (ok, said) = match db.connect().batch_execute(&format!(
            "BEGIN; SELECT migrate.apply($document$-- migrate:revision 1\n-- migrate:up\n{text};$document$); ROLLBACK"
        )) {
            Ok(()) => (true, "it is planned".to_owned()),
            Err(error) => (false, pg_migrate_tests::Failure::from(&error).to_string()),
        };
        let clear = said.contains("HINT") && !said.starts_with("XX");
        assert!(!ok && clear, "{text}: {said}");
        crate::runner::same(text, &before, &crate::runner::schema(&db, true));
    }
}
