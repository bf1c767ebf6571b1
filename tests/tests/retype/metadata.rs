//! Which type changes leave every file where it is: the plan must know exactly what this server does.

use super::{apply, database, document, same, schema};
use pg_migrate_tests::{Db, Failure};
use postgres::Client;

/// Old type, new type, a value, and the index's operator class if it is not the default one.
const PAIRS: &[(&str, &str, &str, &str)] = &[
    ("varchar(50)", "varchar(100)", "'a'", ""),
    ("varchar(50)", "varchar(20)", "'a'", ""),
    ("varchar(50)", "varchar", "'a'", ""),
    ("varchar(50)", "text", "'a'", ""),
    ("varchar", "text", "'a'", "varchar_pattern_ops"),
    ("text", "varchar", "'a'", ""),
    ("text", "varchar(100)", "'a'", ""),
    ("text", "name", "'a'", ""),
    ("text", "citext", "'a'", ""),
    ("citext", "text", "'a'", ""),
    ("text", "text COLLATE \"C\"", "'a'", ""),
    ("text COLLATE \"C\"", "text", "'a'", ""),
    ("char(10)", "text", "'a'", ""),
    ("char(10)", "char(12)", "'a'", ""),
    ("varchar(10)[]", "varchar(20)[]", "'{a}'", ""),
    ("varchar(10)[]", "text[]", "'{a}'", ""),
    ("varchar[]", "text[]", "'{a}'", ""),
    ("int", "bigint", "1", ""),
    ("int", "oid", "1", ""),
    ("int", "plain_int", "1", ""),
    ("plain_int", "int", "1", ""),
    ("int", "checked_int", "1", ""),
    ("checked_int", "int", "1", ""),
    ("numeric(10,2)", "numeric(12,2)", "1.5", ""),
    ("numeric(10,2)", "numeric(12,3)", "1.5", ""),
    ("numeric(10,2)", "numeric(9,2)", "1.5", ""),
    ("numeric(10,2)", "numeric", "1.5", ""),
    ("numeric", "numeric(12,2)", "1.5", ""),
    ("bit(8)", "bit varying(8)", "B'10101010'", ""),
    ("bit varying(8)", "bit varying(16)", "B'1010'", ""),
    ("bit varying(16)", "bit varying(8)", "B'1010'", ""),
    ("bit varying(8)", "bit varying", "B'1010'", ""),
    ("timestamp(3)", "timestamp(6)", "now()", ""),
    ("timestamp", "timestamp(3)", "now()", ""),
    ("timestamp(3)", "timestamp", "now()", ""),
    ("timestamp", "timestamptz", "now()", ""),
    ("timestamptz", "timestamp", "now()", ""),
    ("timestamptz(3)", "timestamp(6)", "now()", ""),
    ("timestamptz", "timestamp(2)", "now()", ""),
    ("date", "timestamptz", "now()", ""),
    ("time(3)", "time(6)", "'10:00'", ""),
    ("time", "time(3)", "'10:00'", ""),
    ("timetz(3)", "timetz", "'10:00+01'", ""),
    ("interval(3)", "interval", "'1 day'", ""),
    ("interval", "interval(3)", "'1 day'", ""),
    ("interval day to second", "interval", "'1 day'", ""),
    ("cidr", "inet", "'10.0.0.0/8'", ""),
    ("inet", "cidr", "'10.0.0.0/8'", ""),
    ("xml", "text", "'<a/>'", "none"),
    ("json", "jsonb", "'{}'", "none"),
];

/// The files of the table and its indexes.
const FILES: &str = "SELECT string_agg(pg_relation_filenode(c)::text, ' ' ORDER BY c::oid)
    FROM (SELECT 't'::regclass AS c UNION SELECT indexrelid FROM pg_index WHERE indrelid = 't'::regclass) q";

fn filled(client: &mut Client, data_type: &str, value: &str, class: &str) {
    let index = match class {
        "none" => String::new(),
        class => format!("CREATE INDEX ON t (c {class})"),
    };
    run(
        client,
        &format!(
            "DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, c {data_type});
             INSERT INTO t SELECT g, {value} FROM generate_series(1, 20) g; {index}"
        ),
    );
}

#[track_caller]
fn run(client: &mut Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql) {
        panic!("{}\nin: {sql}", Failure::from(&error));
    }
}

/// Whether the plain statement gives any of them a new file. One that PostgreSQL does not cast by
/// itself counts as if.
fn moves_files(client: &mut Client, statement: &str) -> bool {
    let files = |client: &mut Client| client.query_one(FILES, &[]).unwrap().get::<_, String>(0);
    run(client, "BEGIN");
    let before = files(client);
    let worked = client.batch_execute(statement).is_ok();
    let moved = !worked || files(client) != before;
    run(client, "ROLLBACK");
    moved
}

fn types() -> Db {
    database(
        "CREATE EXTENSION citext; CREATE DOMAIN plain_int AS int; CREATE DOMAIN checked_int AS int CHECK (value > 0)",
    )
}

#[test]
fn the_plan_knows_which_changes_move_no_file() {
    let db = types();
    let mut client = db.connect();
    let mut wrong = Vec::new();
    let mut in_place = 0;
    for zone in ["UTC", "Europe/Paris"] {
        run(&mut client, &format!("SET TimeZone TO '{zone}'"));
        for (old, new, value, class) in PAIRS {
            if zone != "UTC" && !old.contains("time") && !new.contains("time") {
                continue;
            }
            filled(&mut client, old, value, class);
            let statement = format!("ALTER TABLE t ALTER COLUMN c TYPE {new}");
            let moved = moves_files(&mut client, &statement);
            let plan =
                format!("SELECT string_agg(sql, E'\\n') FROM migrate.plan($s${statement}$s$)");
            let plan: String = client.query_one(&plan, &[]).unwrap().get(0);
            if plan.contains("_pgm_new") == moved {
                in_place += i32::from(!moved);
            } else {
                wrong.push(format!(
                    "{zone}: {old} to {new}: moved {moved}, planned {plan}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(in_place > 20, "{in_place}");
}

#[test]
fn a_change_in_place_moves_no_file() {
    let db = types();
    let mut client = db.connect();
    for (number, (old, new, value, class)) in [
        ("varchar(50)", "text", "'a'", ""),
        // Their operator classes differ: an index would be built anew.
        ("timestamp", "timestamptz", "now()", "none"),
        ("plain_int", "int", "1", ""),
    ]
    .into_iter()
    .enumerate()
    {
        run(&mut client, "SET TimeZone TO 'UTC'");
        filled(&mut client, old, value, class);
        let before: String = db.one(FILES);
        let revision = number.to_string();
        let statement = format!("ALTER TABLE t ALTER COLUMN c TYPE {new}");
        let parent = match number {
            0 => String::new(),
            _ => (number - 1).to_string(),
        };
        run(&mut client, &document(&revision, &parent, &statement));
        assert_eq!(db.one::<String>(FILES), before, "{old} to {new}");
        let state: String = db.one(&format!(
            "SELECT state FROM migrate.status WHERE revision = '{revision}'"
        ));
        assert_eq!(state, "applied", "{old} to {new}");
    }
}

#[test]
fn a_time_zone_is_that_of_the_migration_not_of_the_writers() {
    let db = database(
        "CREATE TABLE t (id int PRIMARY KEY, c timestamp); INSERT INTO t VALUES (1, '2026-07-01 12:00')",
    );
    db.run(&format!(
        "ALTER DATABASE {} SET TimeZone TO 'Europe/Paris'",
        db.name()
    ));
    apply(&db, "1", "ALTER TABLE t ALTER COLUMN c TYPE timestamptz");
    db.run("CALL migrate.upgrade()");
    db.run("SET TimeZone TO 'Asia/Tokyo'; INSERT INTO t VALUES (2, '2026-07-01 12:00'); UPDATE t SET id = id + 10");
    db.run("CALL migrate.contract('1')");
    let different: i64 =
        db.one("SELECT count(DISTINCT c) FROM t WHERE c = '2026-07-01 10:00 UTC'::timestamptz");
    assert_eq!(different, 1);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM t"), 2);
    db.run(&format!(
        "ALTER DATABASE {} SET TimeZone TO 'Asia/Tokyo'",
        db.name()
    ));
    db.run("CALL migrate.downgrade('base')");
    let different: i64 =
        db.one("SELECT count(DISTINCT c) FROM t WHERE c = '2026-07-01 12:00'::timestamp");
    assert_eq!(different, 1);
}

#[test]
fn what_would_be_checked_again_is_validated_afterwards() {
    let setup = "
        CREATE TABLE codes (code varchar(10) PRIMARY KEY CHECK (code <> ''));
        ALTER TABLE codes ADD CONSTRAINT codes_old CHECK (code <> 'old') NOT VALID;
        CREATE TABLE uses (id int PRIMARY KEY, code varchar(10) CONSTRAINT uses_code REFERENCES codes ON UPDATE CASCADE);
        COMMENT ON CONSTRAINT uses_code ON uses IS 'which';
        INSERT INTO codes VALUES ('a'), ('b'); INSERT INTO uses VALUES (1, 'a');
        CREATE VIEW short AS SELECT code FROM codes WHERE length(code) < 5;
        CREATE POLICY p ON codes USING (code <> 'secret');
        CREATE PUBLICATION of_codes FOR TABLE codes WHERE (code <> 'x')";
    for change in [
        "ALTER TABLE codes ALTER COLUMN code TYPE varchar(20)",
        "ALTER TABLE codes ALTER COLUMN code TYPE text",
        "ALTER TABLE uses ALTER COLUMN code TYPE text",
    ] {
        let db = database(setup);
        let before = schema(&db);
        let file: String = db.one("SELECT pg_relation_filenode('codes')::text");
        let plan = db.rows(&format!(
            "SELECT phase, kind, sql FROM migrate.plan('{change}')"
        ));
        let text = format!("{plan:?}");
        let rechecks = text.matches("VALIDATE CONSTRAINT").count();
        // A foreign key is checked again only where its operators may be others.
        let expected = match change {
            "ALTER TABLE codes ALTER COLUMN code TYPE varchar(20)" => 1,
            "ALTER TABLE codes ALTER COLUMN code TYPE text" => 2,
            _ => 1,
        };
        assert_eq!(rechecks, expected, "{change}: {plan:#?}");
        apply(&db, "1", change);
        db.run("CALL migrate.upgrade()");
        assert_eq!(
            db.one::<String>("SELECT pg_relation_filenode('codes')::text"),
            file
        );
        let plain = database(
            &setup
                .replace(
                    "code varchar(10) PRIMARY KEY",
                    &match change {
                        c if c.contains("uses") => "code varchar(10) PRIMARY KEY".to_owned(),
                        c => format!("code {} PRIMARY KEY", c.rsplit(' ').next().unwrap()),
                    },
                )
                .replace(
                    "code varchar(10) CONSTRAINT",
                    match change {
                        c if c.contains("uses") => "code text CONSTRAINT",
                        _ => "code varchar(10) CONSTRAINT",
                    },
                ),
        );
        same(&schema(&plain), &schema(&db));
        db.run("CALL migrate.downgrade('base')");
        same(&before, &schema(&db));
    }
}

#[test]
fn a_function_body_that_names_the_column_is_carried() {
    let db = database(
        "CREATE TABLE t (id int PRIMARY KEY, c varchar(10)); INSERT INTO t VALUES (1, 'a');
         CREATE FUNCTION c_of(int) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT c FROM t WHERE id = $1; END",
    );
    let before = schema(&db);
    super::migrate(&db, "1", "ALTER TABLE t ALTER COLUMN c TYPE varchar(20)");
    assert_eq!(db.one::<String>("SELECT c_of(1)"), "a");
    db.run("UPDATE t SET c = 'twelve chars'");
    assert_eq!(db.one::<String>("SELECT c_of(1)"), "twelve chars");
    db.run("UPDATE t SET c = 'b'");
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(db.one::<String>("SELECT c_of(1)"), "b");
    same(&before, &schema(&db));
}

#[test]
fn an_empty_table_changes_at_once_with_what_hangs_on_it() {
    let db = database(
        "CREATE TABLE t (id serial PRIMARY KEY, c int); CREATE VIEW v AS SELECT id, c FROM t;
         CREATE POLICY p ON t USING (id > 0)",
    );
    let before = schema(&db);
    db.run(&document(
        "1",
        "",
        "ALTER TABLE t ALTER COLUMN id TYPE bigint",
    ));
    let state: String = db.one("SELECT state FROM migrate.status WHERE revision = '1'");
    assert_eq!(state, "applied");
    db.run("CALL migrate.downgrade('base')");
    same(&before, &schema(&db));
}
