//! Several migrations expanded at once: on different columns, on the same, and one upon the other.

use crate::case::{Shape, amounts, app, fixture, users, with, without};
use crate::runner::{Schema, no_errors, same, schema};
use pg_migrate_tests::{Db, Failure, Role, Traffic, TrafficSpec, cluster};

const NAME: &str = "ALTER TABLE users RENAME COLUMN username TO email";
const NICK: &str = "ALTER TABLE users RENAME COLUMN nick TO alias";
const HANDLE: &str = r#"{"add_column": {"table": "users", "up": "lower(username)", "column": {"name": "handle", "type": "text"}}}"#;

fn database(extra: &str) -> Db {
    let db = cluster().database();
    db.run(&fixture(Shape::Rows, extra));
    db
}

fn sql(revision: &str, after: &str, text: &str) -> String {
    let after = if after.is_empty() {
        String::new()
    } else {
        format!(" after {after}")
    };
    format!("-- migrate:revision {revision}{after}\n-- migrate:up\n{text};")
}

fn json(revision: &str, after: &str, operations: &str) -> String {
    format!(
        r#"{{"revision": "{revision}", "down_revision": "{after}", "operations": [{operations}]}}"#
    )
    .replace(r#""down_revision": "", "#, "")
}

fn start(db: &Db, document: &str) {
    db.run(&format!(
        "SELECT migrate.apply($document${document}$document$)"
    ));
    db.run("CALL migrate.upgrade()");
}

/// Refused before anything is changed.
#[track_caller]
fn refused(db: &Db, document: &str) -> Failure {
    let before = schema(db, true);
    let failure = db.error(&format!(
        "SELECT migrate.apply($document${document}$document$)"
    ));
    same("refused", &before, &schema(db, true));
    failure
}

/// Refused because migration `other` must come first, with the column named.
#[track_caller]
fn behind(db: &Db, document: &str, other: &str, column: &str) {
    let failure = refused(db, document);
    let place = format!("{document}: {failure}");
    assert_eq!(failure.sqlstate, "55006", "{place}");
    // It names both.
    let own = document
        .split_once("revision ")
        .or_else(|| document.split_once("\"revision\": \""))
        .map(|(_, rest)| rest.split([' ', '\n', '"']).next().unwrap());
    for named in [own.unwrap(), other] {
        assert!(
            failure.message.contains(&format!("\"{named}\"")),
            "{named}: {place}"
        );
    }
    assert!(failure.message.contains(column), "{place}");
    assert!(
        failure
            .hint
            .contains(&format!("CALL migrate.contract('{other}')")),
        "{place}"
    );
}

/// The old release knows username and nick, the new one email and alias.
fn both_renamed() -> TrafficSpec {
    let nick = "'n' || ($1::bigint)::text";
    with(
        without(app("users", "username", "email"), &["nick"]),
        &[(Role::Old, "nick", nick), (Role::New, "alias", nick)],
    )
}

#[track_caller]
fn agrees(db: &Db, traffic: &Traffic, settle: Option<Role>, columns: &[(&str, Role)], zero: &str) {
    traffic.stand_still(settle, |report| {
        no_errors(report);
        let wrong = report.check(db, "users", "id", columns);
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(db.one::<i64>(zero), 0, "{zero}");
    });
}

fn two_renames(contracts: [&str; 2]) {
    let db = database("");
    let before = schema(&db, true);
    let traffic = Traffic::start(&db, both_renamed());
    start(&db, &sql("1", "", NAME));
    start(&db, &sql("2", "1", NICK));
    traffic.new_writers(1);
    traffic.run_operations(60);
    agrees(
        &db,
        &traffic,
        None,
        &[("username", Role::Old), ("email", Role::New)],
        "SELECT count(*) FROM users WHERE nick IS DISTINCT FROM 'n' || id OR alias IS DISTINCT FROM nick",
    );
    traffic.new_writers(2);
    for id in contracts {
        db.run(&format!("CALL migrate.contract('{id}')"));
        traffic.run_operations(40);
    }
    let alias = "SELECT count(*) FROM users WHERE alias IS DISTINCT FROM 'n' || id";
    agrees(
        &db,
        &traffic,
        Some(Role::New),
        &[("email", Role::New)],
        alias,
    );
    let renamed = schema(&db, true);
    traffic.expect_refusals(&["42703"]);
    db.run("CALL migrate.downgrade('base')");
    traffic.new_writers(0);
    traffic.run_operations(40);
    let nick = "SELECT count(*) FROM users WHERE nick IS DISTINCT FROM 'n' || id";
    agrees(
        &db,
        &traffic,
        Some(Role::Old),
        &[("username", Role::Old)],
        nick,
    );
    same("downgraded", &before, &schema(&db, true));
    traffic.stop();
    db.run("CALL migrate.upgrade()");
    for id in contracts {
        db.run(&format!("CALL migrate.contract('{id}')"));
    }
    same("up again", &renamed, &schema(&db, true));
}

#[test]
fn two_renames_contracted_in_order() {
    two_renames(["1", "2"]);
}

#[test]
fn two_renames_contracted_in_reverse() {
    two_renames(["2", "1"]);
}

#[test]
fn a_rename_and_a_type_change() {
    for contracts in [["1", "2"], ["2", "1"]] {
        let db = database(
            "CREATE INDEX users_amount ON users (amount); CREATE INDEX users_name ON users (username)",
        );
        let before = schema(&db, false);
        let traffic = Traffic::start(&db, app("users", "username", "email"));
        start(&db, &sql("1", "", NAME));
        start(
            &db,
            &sql(
                "2",
                "1",
                "ALTER TABLE users ALTER COLUMN amount TYPE bigint",
            ),
        );
        traffic.new_writers(2);
        for id in contracts {
            db.run(&format!("CALL migrate.contract('{id}')"));
            traffic.run_operations(40);
        }
        let lost =
            "SELECT count(*) FROM users WHERE username LIKE 'Seed%' AND amount IS DISTINCT FROM id";
        let lost = lost.replace("username", "email");
        agrees(
            &db,
            &traffic,
            Some(Role::New),
            &[("email", Role::New)],
            &lost,
        );
        traffic.stop();
        db.run("CALL migrate.downgrade('base')");
        same("downgraded", &before, &schema(&db, false));
    }
}

/// Taken back in the middle, and one contracted while the other is expanded.
#[test]
fn a_downgrade_in_the_middle() {
    let db = database("");
    let before = schema(&db, true);
    let traffic = Traffic::start(&db, both_renamed());
    start(&db, &sql("1", "", NAME));
    let one = schema(&db, true);
    start(&db, &sql("2", "1", NICK));
    let two = schema(&db, true);
    traffic.run_operations(40);
    db.run("CALL migrate.downgrade('-1')");
    same("one is left", &one, &schema(&db, true));
    traffic.run_operations(40);
    start(&db, &sql("2", "1", NICK));
    same("both again", &two, &schema(&db, true));
    traffic.new_writers(1);
    traffic.run_operations(40);
    traffic.new_writers(0);
    db.run("CALL migrate.downgrade('base')");
    traffic.run_operations(40);
    let nick = "SELECT count(*) FROM users WHERE nick IS DISTINCT FROM 'n' || id";
    agrees(
        &db,
        &traffic,
        Some(Role::Old),
        &[("username", Role::Old)],
        nick,
    );
    same("none is left", &before, &schema(&db, true));
    db.run("CALL migrate.upgrade()");
    traffic.new_writers(2);
    db.run("CALL migrate.contract('1')");
    traffic.run_operations(40);
    agrees(
        &db,
        &traffic,
        Some(Role::New),
        &[("email", Role::New)],
        "SELECT count(*) FROM users WHERE nick IS DISTINCT FROM alias",
    );
    traffic.expect_refusals(&["42703"]);
    db.run("CALL migrate.downgrade('base')");
    traffic.new_writers(0);
    traffic.run_operations(40);
    agrees(
        &db,
        &traffic,
        Some(Role::Old),
        &[("username", Role::Old)],
        nick,
    );
    same("none is left", &before, &schema(&db, true));
}

/// A column upon a new column upon a renamed one.
fn upon(contracts: [&str; 3]) {
    let db = database("");
    let before = schema(&db, true);
    let mut spec = users();
    spec.columns = app("users", "username", "email").columns;
    let spec = with(
        spec,
        &[
            (Role::New, "handle", "lower($2)"),
            (Role::New, "avatar", "left(lower($2), 1)"),
        ],
    );
    let traffic = Traffic::start(&db, spec);
    start(&db, &sql("1", "", NAME));
    // Speaks of the new name, which outlives the other migration's contract.
    start(&db, &json("2", "1", &HANDLE.replace("username", "email")));
    // Its trigger's name would sort before that of the column it reads.
    let avatar = r#"{"add_column": {"table": "users", "up": "left(handle, 1)", "column": {"name": "avatar", "type": "text"}}},
                    {"create_index": {"name": "users_handle", "table": "users", "columns": ["handle"]}}"#;
    start(&db, &json("3", "2", avatar));
    traffic.run_operations(60);
    traffic.new_writers(1);
    traffic.run_operations(60);
    let zero = "SELECT count(*) FROM users WHERE handle IS DISTINCT FROM lower(email) OR avatar IS DISTINCT FROM left(handle, 1)";
    agrees(
        &db,
        &traffic,
        None,
        &[("username", Role::Old), ("email", Role::New)],
        zero,
    );
    traffic.new_writers(2);
    for id in contracts {
        db.run(&format!("CALL migrate.contract('{id}')"));
        traffic.run_operations(40);
    }
    agrees(
        &db,
        &traffic,
        Some(Role::New),
        &[("email", Role::New)],
        zero,
    );
    traffic.stop();
    let after = schema(&db, true);
    db.run("CALL migrate.downgrade('-1')");
    db.run("CALL migrate.downgrade('base')");
    same("downgraded", &before, &schema(&db, true));
    db.run("CALL migrate.upgrade()");
    for id in contracts {
        db.run(&format!("CALL migrate.contract('{id}')"));
    }
    same("up again", &after, &schema(&db, true));
}

#[test]
fn a_chain_contracted_in_order() {
    upon(["1", "2", "3"]);
}

#[test]
fn a_chain_contracted_in_reverse() {
    upon(["3", "2", "1"]);
}

/// The last of the chain is taken back and begun again, before and after the contract of the first;
/// so is the middle with all that stands on it.
#[test]
fn a_chain_taken_back_in_the_middle() {
    let db = database("");
    let before = schema(&db, true);
    let traffic = Traffic::start(&db, app("users", "username", "email"));
    let nullable = r#""type": "text", "nullable": true"#;
    let handle = HANDLE
        .replace("username", "email")
        .replace(r#""type": "text""#, nullable);
    let handle = json("2", "1", &handle);
    let avatar = json(
        "3",
        "2",
        r#"{"add_column": {"table": "users", "up": "left(handle, 1)", "column": {"name": "avatar", "type": "text", "nullable": true}}},
           {"create_index": {"name": "users_handle", "table": "users", "columns": ["handle"]}}"#,
    );
    start(&db, &sql("1", "", NAME));
    start(&db, &handle);
    let two = schema(&db, true);
    start(&db, &avatar);
    let three = schema(&db, true);
    traffic.new_writers(1);
    traffic.run_operations(40);
    db.run("CALL migrate.downgrade('-1')");
    same("the last is taken back", &two, &schema(&db, true));
    traffic.run_operations(40);
    start(&db, &avatar);
    same("the last again", &three, &schema(&db, true));
    traffic.new_writers(2);
    db.run("CALL migrate.contract('1')");
    let contracted = schema(&db, true);
    traffic.run_operations(40);
    db.run("CALL migrate.downgrade('1')");
    traffic.run_operations(40);
    db.run("CALL migrate.upgrade()");
    same("both again", &contracted, &schema(&db, true));
    traffic.run_operations(40);
    let zero = "SELECT count(*) FROM users WHERE handle IS DISTINCT FROM lower(email) OR avatar IS DISTINCT FROM left(handle, 1)";
    db.run("CALL migrate.contract('2')");
    db.run("UPDATE users SET handle = lower(email), avatar = left(lower(email), 1)");
    db.run("CALL migrate.downgrade('2')");
    start(&db, &avatar);
    traffic.run_operations(40);
    db.run("CALL migrate.contract('3')");
    traffic.stand_still(Some(Role::New), |report| {
        no_errors(report);
        let wrong = report.check(&db, "users", "id", &[("email", Role::New)]);
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
    let lost = format!("{zero} AND email LIKE 'Seed%'");
    let lost = lost
        .replace("WHERE handle", "WHERE (handle")
        .replace("1) AND", "1)) AND");
    assert_eq!(db.one::<i64>(&lost), 0, "{lost}");
    traffic.stop();
    db.run("CALL migrate.downgrade('base')");
    same("downgraded", &before, &schema(&db, true));
}

/// Two type changes of one table expanded at once, and two of the same column, which are not.
#[test]
fn two_type_changes() {
    let team = "ALTER TABLE users ALTER COLUMN team TYPE numeric";
    let amount = "ALTER TABLE users ALTER COLUMN amount TYPE bigint";
    for contracts in [["1", "2"], ["2", "1"]] {
        let db = database(
            "CREATE INDEX ON users (amount); CREATE INDEX ON users (team); ALTER TABLE users ADD CHECK (amount >= 0)",
        );
        let before = schema(&db, false);
        let traffic = Traffic::start(&db, amounts());
        start(&db, &sql("1", "", team));
        start(&db, &sql("2", "1", amount));
        behind(
            &db,
            &sql(
                "3",
                "2",
                "ALTER TABLE users ALTER COLUMN amount TYPE numeric",
            ),
            "2",
            "amount",
        );
        behind(
            &db,
            &sql("3", "2", "ALTER TABLE users RENAME COLUMN team TO crew"),
            "1",
            "team",
        );
        traffic.run_operations(40);
        // The one in the middle of the other's life goes and comes again.
        db.run("CALL migrate.downgrade('-1')");
        traffic.run_operations(40);
        start(&db, &sql("2", "1", amount));
        for id in contracts {
            db.run(&format!("CALL migrate.contract('{id}')"));
            traffic.run_operations(40);
        }
        agrees(
            &db,
            &traffic,
            Some(Role::New),
            &[("amount", Role::New)],
            "SELECT count(*) FROM users WHERE team IS DISTINCT FROM id % 100",
        );
        db.run("CALL migrate.downgrade('base')");
        traffic.run_operations(40);
        no_errors(&traffic.stop());
        same("downgraded", &before, &schema(&db, false));
    }
}

#[test]
fn what_touches_a_renamed_column_waits_for_the_contract() {
    let db = database("ALTER TABLE users ADD CONSTRAINT users_pair UNIQUE (amount, username, id)");
    start(&db, &sql("1", "", NAME));
    for column in ["username", "email"] {
        for text in [
            "ALTER TABLE users RENAME COLUMN {} TO mail",
            "ALTER TABLE users ALTER COLUMN {} TYPE varchar(400)",
            "ALTER TABLE users ALTER COLUMN {} DROP NOT NULL",
            "ALTER TABLE users ADD CONSTRAINT long CHECK (length({}) < 100)",
            "ALTER TABLE users ADD CONSTRAINT one UNIQUE ({}, team)",
            "CREATE INDEX more ON users (team, lower({}))",
            "CREATE INDEX more ON users (team) WHERE {} <> 'x'",
            "ALTER TABLE users DROP COLUMN {}",
            "UPDATE users SET {} = 'x' WHERE {} IS NULL",
        ] {
            behind(
                &db,
                &sql("2", "1", &text.replace("{}", column)),
                "1",
                column,
            );
        }
    }
    // The old name is gone after the contract: an expression may not speak of it.
    behind(&db, &json("2", "1", HANDLE), "1", "username");
    behind(
        &db,
        &sql("2", "1", "ALTER TABLE users RENAME TO members"),
        "1",
        "users",
    );
    behind(&db, &sql("2", "1", "DROP TABLE users"), "1", "users");
    // They share an index with it.
    behind(
        &db,
        &sql("2", "1", "ALTER TABLE users RENAME COLUMN amount TO total"),
        "1",
        "amount",
    );
    behind(
        &db,
        &sql(
            "2",
            "1",
            "ALTER TABLE users ALTER COLUMN amount TYPE bigint",
        ),
        "1",
        "amount",
    );
    db.run("CALL migrate.contract('1')");
    start(
        &db,
        &sql(
            "2",
            "1",
            "CREATE INDEX more ON users (team, lower(email)); ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
        ),
    );
    db.run("CALL migrate.downgrade('base')");
}

#[test]
fn what_touches_a_column_that_is_filled_dropped_or_retyped() {
    let db = database("ALTER TABLE users ADD COLUMN legacy text");
    start(&db, &json("1", "", HANDLE));
    let behind_it = |text: &str, column: &str| behind(&db, &sql("2", "1", text), "1", column);
    behind_it("ALTER TABLE users RENAME COLUMN handle TO tag", "handle");
    behind_it("ALTER TABLE users DROP COLUMN handle", "handle");
    behind_it(
        "ALTER TABLE users ALTER COLUMN handle TYPE int USING 1",
        "handle",
    );
    // Its expression speaks of it by its name.
    behind_it(
        "ALTER TABLE users RENAME COLUMN username TO email",
        "username",
    );
    behind_it("ALTER TABLE users DROP COLUMN username", "username");
    start(
        &db,
        &sql(
            "2",
            "1",
            "ALTER TABLE users ADD CONSTRAINT one_handle UNIQUE (handle, id); CREATE INDEX tags ON users (handle)",
        ),
    );
    db.run("CALL migrate.downgrade('base')");

    let db = database("ALTER TABLE users ADD COLUMN legacy text");
    start(
        &db,
        &sql(
            "1",
            "",
            "ALTER TABLE users DROP COLUMN legacy; ALTER TABLE users ALTER COLUMN amount TYPE bigint",
        ),
    );
    behind(
        &db,
        &sql("2", "1", "CREATE INDEX old ON users (legacy)"),
        "1",
        "legacy",
    );
    behind(
        &db,
        &sql("2", "1", "CREATE INDEX old ON users (amount)"),
        "1",
        "amount",
    );
    behind(
        &db,
        &sql(
            "2",
            "1",
            "ALTER TABLE users ALTER COLUMN amount SET DEFAULT 3",
        ),
        "1",
        "amount",
    );
    db.run("CALL migrate.contract('1')");
    start(&db, &sql("2", "1", "CREATE INDEX old ON users (amount)"));
}

/// Two heads, expanded at once, then merged.
#[test]
fn two_branches() {
    let db = database("");
    let before = schema(&db, true);
    let traffic = Traffic::start(&db, both_renamed());
    start(&db, r#"{"revision": "0", "operations": []}"#);
    let one = &sql("a", "0", NAME);
    start(&db, one);
    let label = "after 0\n-- migrate:branch-label nick";
    start(&db, &sql("b", "0", NICK).replace("after 0", label));
    start(
        &db,
        &sql("m", "a, b", "CREATE INDEX users_team ON users (team)"),
    );
    traffic.new_writers(1);
    traffic.run_operations(60);
    traffic.new_writers(2);
    db.run("CALL migrate.contract('b')");
    db.run("CALL migrate.contract('a')");
    traffic.run_operations(40);
    agrees(
        &db,
        &traffic,
        Some(Role::New),
        &[("email", Role::New)],
        "SELECT count(*) FROM users WHERE alias IS DISTINCT FROM 'n' || id",
    );
    traffic.stop();
    db.run("CALL migrate.downgrade('0')");
    same("downgraded", &before, &schema(&db, true));
}

/// On different tables nothing is in the way of anything.
#[test]
fn different_tables() {
    let db = database(
        "CREATE TABLE posts (id bigint PRIMARY KEY, author bigint REFERENCES users ON DELETE CASCADE, body text); INSERT INTO posts SELECT g, g, 'b' FROM generate_series(1, 500) g",
    );
    let before: Schema = schema(&db, false);
    let traffic = Traffic::start(&db, app("users", "username", "email"));
    start(&db, &sql("1", "", NAME));
    start(
        &db,
        &sql(
            "2",
            "1",
            "ALTER TABLE posts RENAME COLUMN body TO text; ALTER TABLE posts ALTER COLUMN author SET NOT NULL",
        ),
    );
    start(
        &db,
        &sql(
            "3",
            "2",
            "ALTER TABLE teams RENAME TO groups; CREATE INDEX users_amount ON users (amount)",
        ),
    );
    traffic.new_writers(2);
    for id in ["3", "1", "2"] {
        db.run(&format!("CALL migrate.contract('{id}')"));
    }
    traffic.run_operations(40);
    no_errors(&traffic.stop());
    db.run("CALL migrate.downgrade('base')");
    same("downgraded", &before, &schema(&db, false));
}
