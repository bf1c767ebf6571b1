//! Every kind of type, in tables whose columns came and went.

use crate::row;
use pg_migrate_tests::{Db, cluster};
use postgres::Client;

/// Type, a value, another one; both as SQL.
const TYPES: &[(&str, &str, &str)] = &[
    ("smallint", "1", "-2"),
    ("int", "1", "-2147483648"),
    ("bigint", "1", "9223372036854775807"),
    ("numeric", "1.10", "'NaN'"),
    ("numeric(6,2)", "1.1", "-99.99"),
    ("real", "1.5", "'-Infinity'"),
    ("float8", "0.0", "'-0.0'"),
    ("boolean", "true", "false"),
    ("text", "'a'", "''"),
    (
        "text",
        "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i)",
        "repeat('z', 90000)",
    ),
    ("varchar(3)", "'abc'", "'d'"),
    ("char(4)", "'a'", "'bc'"),
    ("\"char\"", "'x'", "'y'"),
    ("name", "'one'", "'two'"),
    ("text COLLATE \"C\"", "'a'", "'A'"),
    ("bytea", "'\\x00ff'", "''"),
    (
        "uuid",
        "'00000000-0000-0000-0000-000000000001'",
        "'00000000-0000-0000-0000-000000000002'",
    ),
    ("date", "'2020-02-29'", "'infinity'"),
    ("timestamptz", "'2020-01-01 00:00+01'", "'-infinity'"),
    (
        "timestamp(0)",
        "'2020-01-01 00:00:00'",
        "'2020-01-01 00:00:01'",
    ),
    ("time", "'10:00'", "'24:00'"),
    ("interval", "'1 mon'", "'30 days'"),
    ("inet", "'10.0.0.1'", "'::1'"),
    ("macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:04'"),
    ("money", "1", "2"),
    ("bit varying(9)", "B'101'", "B''"),
    ("point", "'(1,2)'", "'(2,1)'"),
    ("polygon", "'((0,0),(1,1),(1,0))'", "'((0,0),(2,2),(2,0))'"),
    ("json", "'{\"a\": 1}'", "'{\"a\":1}'"),
    ("jsonb", "'{\"a\": 1, \"a\": 2}'", "'null'"),
    ("xml", "'<a/>'", "'<b/>'"),
    ("tsvector", "'a b'", "'c'"),
    ("int[]", "'{1,NULL}'", "'[0:1]={1,2}'"),
    ("text[]", "'{{a,b},{c,d}}'", "'{}'"),
    ("int4range", "'[1,5)'", "'empty'"),
    ("nummultirange", "'{[1,2),[3,4)}'", "'{}'"),
    ("mood", "'sad'", "'ok'"),
    ("mood[]", "'{ok,sad}'", "'{ok}'"),
    ("pair", "'(1,one)'", "'(,)'"),
    ("pair[]", "'{\"(1,one)\"}'", "'{NULL}'"),
    ("positive", "1", "2"),
    ("positives", "'{1,2}'", "'{3}'"),
    ("whole_pair", "'(1,one)'", "'(2,\"two, too\")'"),
    ("short", "'abc'", "'x'"),
];

fn database() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TYPE mood AS ENUM ('ok', 'sad');
         CREATE TYPE pair AS (n int, t text);
         CREATE DOMAIN positive AS int CHECK (VALUE > 0);
         CREATE DOMAIN positives AS int[] CHECK (0 < ALL (VALUE));
         CREATE DOMAIN whole_pair AS pair CHECK ((VALUE).n IS DISTINCT FROM 0);
         CREATE DOMAIN short AS varchar(3)",
    );
    db
}

/// One life of a pair of columns of type `data_type`, written from both sides in every state. A row
/// per wrong one. `a` stands for the old column, `b` for the new one.
fn life(
    db: &Db,
    client: &mut Client,
    data_type: &str,
    one: &str,
    two: &str,
    up: &str,
    down: &str,
) -> Vec<String> {
    let what = format!("{data_type} {up}");
    // One session for all: what it keeps of a table must not outlive the table.
    let run = |client: &mut Client, sql: &str| {
        if let Err(error) = client.batch_execute(sql) {
            panic!("{what}: {error:?}\nin: {sql}");
        }
    };
    run(client, &format!(
        "DROP TABLE IF EXISTS t;
         CREATE TABLE t (gone1 text, id int PRIMARY KEY, gone2 int DEFAULT 7, a {data_type}, gone3 text DEFAULT 'x');
         INSERT INTO t (id, a) VALUES (1, {one}), (2, NULL);
         ALTER TABLE t DROP COLUMN gone1;
         ALTER TABLE t ADD COLUMN b {data_type}, ADD COLUMN late int DEFAULT 5;
         ALTER TABLE t DROP COLUMN gone2, DROP COLUMN gone3;
         ALTER TABLE t ADD COLUMN last text"
    ));
    run(
        client,
        &format!("SELECT migrate.sync_column_trigger('t', 'a', 'b', {up}, {down})"),
    );
    let steps = [
        ("UPDATE t SET late = 6".to_owned(), "1", one),
        ("UPDATE t SET last = 'x'".to_owned(), "2", "NULL"),
        (format!("UPDATE t SET a = {two} WHERE id = 1"), "1", two),
        (format!("UPDATE t SET b = {one} WHERE id = 1"), "1", one),
        ("UPDATE t SET a = NULL WHERE id = 1".to_owned(), "1", "NULL"),
        (format!("UPDATE t SET b = {two} WHERE id = 1"), "1", two),
        ("UPDATE t SET b = NULL WHERE id = 1".to_owned(), "1", "NULL"),
        (format!("INSERT INTO t (id, a) VALUES (3, {one})"), "3", one),
        (format!("INSERT INTO t (id, b) VALUES (4, {two})"), "4", two),
        (
            format!(
                "INSERT INTO t (id, a) VALUES (4, {one}) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a"
            ),
            "4",
            one,
        ),
        (
            format!(
                "WITH v AS (SELECT ({two})::{data_type} AS x) UPDATE t SET a = v.x, b = v.x FROM v WHERE id = 4"
            ),
            "4",
            two,
        ),
        (
            "ALTER TABLE t DROP COLUMN last; UPDATE t SET late = 7".to_owned(),
            "4",
            two,
        ),
        (
            format!(
                "ALTER TABLE t ADD COLUMN last int DEFAULT 3; UPDATE t SET a = {one} WHERE id = 4"
            ),
            "4",
            one,
        ),
    ];
    let mut wrong = Vec::new();
    for (sql, id, value) in steps {
        run(client, &sql);
        let right: bool = client
            .query_one(
                &format!(
                    "SELECT a::text IS NOT DISTINCT FROM ({value})::{data_type}::text
                    AND b::text IS NOT DISTINCT FROM ({value})::{data_type}::text
             FROM t WHERE id = {id}"
                ),
                &[],
            )
            .expect("a row")
            .get(0);
        if !right {
            let found = row(
                db,
                &format!("SELECT left(a::text, 40), left(b::text, 40) FROM t WHERE id = {id}"),
            );
            wrong.push(format!("{what}: after {sql}: {found}"));
        }
    }
    // Nothing else of the rows was touched.
    let others = db.rows("SELECT id, late, last FROM t ORDER BY id");
    if others
        != [
            ["1", "7", "3"],
            ["2", "7", "3"],
            ["3", "7", "3"],
            ["4", "7", "3"],
        ]
    {
        wrong.push(format!("{what}: other columns {others:?}"));
    }
    wrong
}

#[test]
fn every_type_is_copied() {
    let db = database();
    let mut client = db.connect();
    let wrong: Vec<String> = TYPES
        .iter()
        .flat_map(|(data_type, one, two)| {
            life(&db, &mut client, data_type, one, two, "NULL", "NULL")
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_type_goes_through_an_expression() {
    let db = database();
    let mut client = db.connect();
    let wrong: Vec<String> = TYPES
        .iter()
        .flat_map(|(data_type, one, two)| {
            let through = |column: &str| format!("'CASE WHEN id IS NOT NULL THEN {column} END'");
            life(
                &db,
                &mut client,
                data_type,
                one,
                two,
                &through("a"),
                &through("b"),
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_value_that_its_domain_forbids_is_refused() {
    let db = database();
    db.run("CREATE DOMAIN free AS int; CREATE TABLE d (id int PRIMARY KEY, a int, b positive, c int, d free)");
    db.run("SELECT migrate.sync_column_trigger('d', 'a', 'b')");
    db.run("SELECT migrate.sync_column_trigger('d', 'c', 'd', 'c + 1', 'd - 1')");
    let mut open = db.connect();
    open.batch_execute("INSERT INTO d (id, a, c) VALUES (1, 1, 1)")
        .expect("a row");
    let failure = db.error("UPDATE d SET a = -1");
    assert_eq!(failure.sqlstate, "23514", "{failure}");
    assert!(
        failure
            .context
            .contains("copy for column \"b\" (positive) from \"a\" (integer)"),
        "{failure}"
    );
    // A domain that had no constraint when the session first wrote.
    db.run("ALTER DOMAIN free ADD CONSTRAINT small CHECK (VALUE < 10)");
    let error = open
        .batch_execute("UPDATE d SET c = 50")
        .expect_err("the domain's constraint");
    assert_eq!(
        error
            .as_db_error()
            .map(|e| e.code().code().to_owned())
            .as_deref(),
        Some("23514")
    );
    open.batch_execute("UPDATE d SET c = 5")
        .expect("a small one");
    assert_eq!(row(&db, "SELECT a, b, c, d FROM d"), "1 1 5 6");
}

/// Tables in which the new column is the last one: with no other null, with more columns than a
/// header without a null bitmap has room for, with a null and with a dropped column before it.
const ENDS: &[&str] = &[
    "CREATE TABLE t (id int PRIMARY KEY, late int DEFAULT 5, a {T}, b {T})",
    "CREATE TABLE t (id int PRIMARY KEY, late int DEFAULT 5, c1 bool DEFAULT true, c2 text DEFAULT 'x', c3 int8 DEFAULT 3,
        c4 int2 DEFAULT 4, c5 \"char\" DEFAULT '5', c6 text DEFAULT repeat('6', 200), a {T}, b {T})",
    "CREATE TABLE t (gone int, id int PRIMARY KEY, n text, late int DEFAULT 5, c1 bool DEFAULT true, a {T}, b {T});
     ALTER TABLE t DROP COLUMN gone",
];

/// The same values as everywhere, written into the last column; and the heap is sound.
#[test]
fn a_last_column_of_every_type() {
    let db = database();
    let amcheck = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')";
    let sound = db.one::<bool>(amcheck);
    if sound {
        db.run("CREATE EXTENSION amcheck");
    }
    let mut client = db.connect();
    let mut wrong = Vec::new();
    for (data_type, one, two) in TYPES {
        for (end, up) in ENDS.iter().flat_map(|end| {
            [
                (end, "NULL"),
                (end, "'CASE WHEN id IS NOT NULL THEN a END'"),
            ]
        }) {
            client
                .batch_execute(&format!(
                    "DROP TABLE IF EXISTS t; {}",
                    end.replace("{T}", data_type)
                ))
                .expect("a table");
            client
                .batch_execute(&format!(
                    "SELECT migrate.sync_column_trigger('t', 'a', 'b', {up})"
                ))
                .expect("a trigger");
            for (sql, value) in [
                (format!("INSERT INTO t (id, a) VALUES (1, {one})"), one),
                (format!("UPDATE t SET a = {two}"), two),
                (format!("UPDATE t SET b = {one}"), one),
                (format!("UPDATE t SET a = {two}, late = 6"), two),
                ("UPDATE t SET a = NULL".to_owned(), &"NULL"),
                (format!("UPDATE t SET a = {one}"), one),
                ("UPDATE t SET b = NULL".to_owned(), &"NULL"),
                (
                    format!(
                        "INSERT INTO t (id, b) VALUES (2, {two}); UPDATE t SET b = {two} WHERE id = 1"
                    ),
                    two,
                ),
            ] {
                client.batch_execute(&sql).expect("a write");
                let as_text = format!("({value})::{data_type}::text");
                let row = client
                    .query_one(
                        &format!(
                            "SELECT bool_and(a::text IS NOT DISTINCT FROM {as_text} AND b::text IS NOT DISTINCT FROM {as_text}),
                                    bool_and(late IN (5, 6) AND to_jsonb(t) ->> 'c1' IS DISTINCT FROM 'false'),
                                    bool_and(to_jsonb(t) ->> 'c6' IS NULL OR to_jsonb(t) ->> 'c6' = repeat('6', 200))
                             FROM t"
                        ),
                        &[],
                    )
                    .expect("the rows");
                if (0..3).any(|part| !row.get::<_, bool>(part)) {
                    wrong.push(format!("{data_type} {up} in {end}: after {sql}"));
                }
            }
            if sound {
                let found = client
                    .query("SELECT msg FROM verify_heapam('t')", &[])
                    .expect("amcheck");
                wrong.extend(
                    found
                        .iter()
                        .map(|row| format!("{data_type} in {end}: {}", row.get::<_, String>(0))),
                );
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
