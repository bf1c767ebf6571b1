//! Bad input: what is wrong, where, what to type next; and nothing is left behind.

use pg_migrate_tests::{Cluster, Db, Failure, cluster};

/// A database with a table, and the promise that whatever is refused leaves no trace.
struct Bench {
    db: Db,
    before: Vec<Vec<String>>,
}

impl Bench {
    fn new() -> Self {
        Self::with("")
    }

    /// With something more in the database.
    fn with(more: &str) -> Self {
        let db = cluster().database();
        db.run(
            "CREATE TABLE users (id bigint PRIMARY KEY, username text NOT NULL, age int);
             CREATE VIEW elders AS SELECT id, age FROM users WHERE age > 60;
             CREATE VIEW names AS SELECT 1 AS id;
             INSERT INTO users VALUES (1, 'ann', 30), (2, 'bob', 70);",
        );
        db.run(more);
        let before = traces(&db);
        Self { db, before }
    }

    #[track_caller]
    fn refuses(&self, document: &str) -> Failure {
        self.refuses_sql(&format!(
            "SELECT * FROM migrate.apply({})",
            literal(document)
        ))
    }

    #[track_caller]
    fn refuses_sql(&self, sql: &str) -> Failure {
        let failure = self.db.error(sql);
        assert_eq!(
            traces(&self.db),
            self.before,
            "something was left behind by: {sql}"
        );
        assert!(!failure.message.contains("panicked"), "{failure}");
        assert_ne!(failure.sqlstate, "XX000", "{failure}");
        failure
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn traces(db: &Db) -> Vec<Vec<String>> {
    db.rows(
        "SELECT object, definition FROM migrate.fingerprint()
         UNION ALL SELECT 'revision', revision || state FROM migrate.revision
         UNION ALL SELECT 'step', revision || step FROM migrate.step
         UNION ALL SELECT 'backfill', job::text FROM migrate.backfill
         UNION ALL SELECT 'event', event::text FROM migrate.event ORDER BY 1, 2",
    )
}

#[track_caller]
fn says(failure: &Failure, sqlstate: &str, parts: &[&str]) {
    let text = failure.to_string();
    assert_eq!(failure.sqlstate, sqlstate, "{text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
}

#[test]
fn malformed_json_shows_the_place() {
    let bench = Bench::new();
    let failure = bench.refuses("{\"revision\": \"1\",\n \"operations\": [}");
    says(&failure, "42601", &["Line 2, column 17"]);
}

#[test]
fn malformed_sql_shows_the_line() {
    let bench = Bench::new();
    let failure = bench
        .refuses("-- migrate:revision 1\n-- migrate:up\nALTER TABLE users\n  ADD COLUM x int x;");
    says(&failure, "42601", &["syntax error", "Line 4"]);
}

#[test]
fn an_unknown_field_suggests_the_nearest() {
    let bench = Bench::new();
    let failure = bench.refuses(
        r#"{"revision": "1", "operations": [{"rename_column": {"table": "users", "form": "username", "to": "email"}}]}"#,
    );
    says(
        &failure,
        "22023",
        &["form", "operations[0]", "Did you mean \"from\"?"],
    );
}

#[test]
fn an_unknown_operation_suggests_the_nearest() {
    let bench = Bench::new();
    let failure = bench.refuses(r#"{"revision": "1", "operations": [{"rename_colum": {}}]}"#);
    says(
        &failure,
        "22023",
        &["rename_colum", "Did you mean \"rename_column\"?"],
    );
}

#[test]
fn an_unknown_directive_suggests_the_nearest() {
    let bench = Bench::new();
    let failure = bench.refuses("-- migrate:revison 1\n-- migrate:up\nSELECT 1;");
    says(
        &failure,
        "42601",
        &["revison", "Line 1", "Did you mean \"revision\"?"],
    );
}

#[test]
fn a_missing_table_or_column_suggests_the_nearest() {
    let bench = Bench::new();
    let failure =
        bench.refuses("-- migrate:revision 1\nALTER TABLE user RENAME COLUMN username TO email;");
    says(&failure, "42601", &[]);
    let failure =
        bench.refuses("-- migrate:revision 1\nALTER TABLE usres RENAME COLUMN username TO email;");
    says(&failure, "42P01", &["usres", "Did you mean users?"]);
    let failure =
        bench.refuses("-- migrate:revision 1\nALTER TABLE users RENAME COLUMN usename TO email;");
    says(
        &failure,
        "42703",
        &["usename", "Did you mean \"username\"?"],
    );
}

#[test]
fn an_expression_of_the_wrong_type_is_refused_before_anything_runs() {
    let bench = Bench::new();
    let failure = bench.refuses(
        r#"{"revision": "1", "operations": [{"add_column": {"table": "users", "up": "username || '!'", "column": {"name": "n", "type": "int"}}}]}"#,
    );
    says(&failure, "42804", &["int", "text", "::int"]);
    let failure = bench.refuses(
        r#"{"revision": "1", "operations": [{"backfill": {"table": "users", "set": {"age": "agee + 1"}, "where": "age IS NULL"}}]}"#,
    );
    says(&failure, "42703", &["agee"]);
}

#[test]
fn a_backfill_that_could_not_end_is_refused_before_anything_runs() {
    let bench = Bench::with(
        "CREATE FUNCTION dice() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT (random() * 6)::int'",
    );
    for document in [
        r#"{"revision": "1", "operations": [{"backfill": {"table": "users", "set": {"age": "dice()"}}}]}"#,
        r#"{"revision": "1", "operations": [{"backfill": {"table": "users", "set": {"age": "1"}, "down": {"age": "dice()"}}}]}"#,
        "-- migrate:revision 1\nUPDATE users SET age = dice();",
        "-- migrate:revision 1\nALTER TABLE users ADD COLUMN x int;\nUPDATE users SET age = dice();",
    ] {
        let failure = bench.refuses(document);
        says(
            &failure,
            "22023",
            &[
                "cannot tell which rows are done",
                "another value each time",
                "where",
                "as-written",
            ],
        );
    }
    let failure = bench.refuses(
        r#"{"revision": "1", "operations": [{"backfill": {"table": "users", "set": {"age": "1"}, "where": "dice() = 1"}}]}"#,
    );
    says(&failure, "22023", &["volatile"]);
}

#[test]
fn what_is_dropped_cannot_be_made_again_in_the_same_migration() {
    let bench = Bench::with("DROP VIEW elders");
    for (script, what) in [
        (
            "DROP TABLE users; CREATE TABLE users (id int)",
            "table public.users",
        ),
        (
            "DROP TABLE users; CREATE TABLE IF NOT EXISTS users (id int)",
            "table public.users",
        ),
        (
            "DROP TABLE users; CREATE VIEW users AS SELECT 1",
            "table public.users",
        ),
        (
            "DROP TABLE users; CREATE TABLE people (id int); ALTER TABLE people RENAME TO users",
            "table public.users",
        ),
        (
            "ALTER TABLE users DROP COLUMN age; ALTER TABLE users ADD COLUMN age bigint",
            "column \"age\" of public.users",
        ),
        (
            "ALTER TABLE users DROP COLUMN age, ADD COLUMN IF NOT EXISTS age bigint",
            "column \"age\" of public.users",
        ),
        (
            "ALTER TABLE users DROP COLUMN age; ALTER TABLE users RENAME COLUMN username TO age",
            "column \"age\" of public.users",
        ),
    ] {
        let failure = bench.refuses(&format!("-- migrate:revision 1\n{script};"));
        says(
            &failure,
            "0A000",
            &[what, "in one migration", "two migrations", "contract"],
        );
    }
    let failure = bench.refuses(
        r#"{"revision": "1", "operations": [{"drop_table": {"name": "users"}},
            {"create_table": {"name": "users", "columns": [{"name": "id", "type": "int"}]}}]}"#,
    );
    says(&failure, "0A000", &["two migrations"]);
}

#[test]
fn history_must_fit_together() {
    let bench = Bench::new();
    let failure = bench.refuses(r#"{"revision": "2", "down_revision": "1", "operations": []}"#);
    says(&failure, "42704", &["\"1\"", "migrate.add"]);
    let failure = bench.refuses(r#"{"revision": "2", "down_revision": "2", "operations": []}"#);
    assert!(
        failure.message.contains("cycle") || failure.message.contains("itself"),
        "{failure}"
    );
    let failure = bench.refuses(r#"{"revision": "head", "operations": []}"#);
    says(&failure, "22023", &["head"]);
    let failure = bench.refuses(r#"{"operations": []}"#);
    says(&failure, "22023", &["revision"]);
}

#[test]
fn two_heads_where_one_is_needed() {
    let db = cluster().database();
    db.run(
        r#"SELECT migrate.add('{"revision": "1", "operations": []}');
           SELECT migrate.add('{"revision": "2a", "down_revision": "1", "operations": []}');
           SELECT migrate.add('{"revision": "2b", "down_revision": "1", "branch_labels": "b", "operations": []}');"#,
    );
    let failure = db.error("CALL migrate.upgrade('head')");
    says(&failure, "22023", &["2a", "2b", "heads"]);
    let failure = db.error(
        r#"SELECT migrate.add('{"revision": "2c", "down_revision": "1", "operations": []}')"#,
    );
    says(&failure, "22023", &["2a", "2c", "branch_label"]);
    let failure = db.error(r#"SELECT migrate.add('{"revision": "9", "operations": []}')"#);
    assert!(failure.to_string().contains("branch_labels"), "{failure}");
}

#[test]
fn a_changed_document_shows_what_changed() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int); SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;')");
    let said = db.notices(
        "SELECT migrate.apply(e'-- migrate:revision 1\r\nALTER TABLE t ADD COLUMN a int;')",
    );
    assert!(
        said.iter().any(|line| line.contains("nothing to do")),
        "{said:?}"
    );
    let failure =
        db.error("SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ADD COLUMN b int;')");
    says(
        &failure,
        "55000",
        &["another document", "ADD COLUMN a", "ADD COLUMN b"],
    );
}

#[test]
fn a_call_inside_a_transaction_block_names_the_way_out() {
    let bench = Bench::new();
    for call in [
        "CALL migrate.upgrade()",
        "CALL migrate.contract('1')",
        "CALL migrate.downgrade('-1')",
        "CALL migrate.work()",
    ] {
        let failure = bench.refuses_sql(&format!("BEGIN; {call}"));
        says(
            &failure,
            "25001",
            &[
                "autocommit_block",
                "atomic = False",
                "disable_ddl_transaction!",
                "executeInTransaction=false",
                "-- no-transaction",
            ],
        );
    }
}

#[test]
fn what_is_not_a_table() {
    let bench = Bench::new();
    bench.db.run("CREATE FOREIGN DATA WRAPPER f; CREATE SERVER s FOREIGN DATA WRAPPER f; CREATE FOREIGN TABLE far (id int) SERVER s");
    let bench = Bench {
        before: traces(&bench.db),
        db: bench.db,
    };
    let failure = bench.refuses("-- migrate:revision 1\nALTER TABLE names ADD COLUMN x int;");
    says(&failure, "42809", &["names", "view"]);
    let failure = bench.refuses("-- migrate:revision 1\nALTER TABLE far ADD PRIMARY KEY (id);");
    says(&failure, "0A000", &["not possible online", "as-written"]);
    let failure =
        bench.refuses_sql("SELECT migrate.backfill('names', '{\"id\": \"2\"}', 'id = 1')");
    says(&failure, "42809", &["names"]);
    let failure = bench.refuses_sql("SELECT migrate.sync_column_trigger('names', 'id', 'x')");
    says(&failure, "42809", &["names"]);
}

#[test]
fn a_column_with_a_view_on_it_can_be_renamed_but_not_dropped() {
    let bench = Bench::new();
    let failure = bench.refuses("-- migrate:revision 1\nALTER TABLE users DROP COLUMN age;");
    says(&failure, "2BP01", &["view elders"]);
}

#[test]
fn tables_whose_rows_go_past_a_trigger() {
    let bench = Bench::new();
    bench.db.run(
        "CREATE TABLE parent (id int, v text); CREATE TABLE child () INHERITS (parent);
         CREATE TABLE parts (id int, v text) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (9)",
    );
    let bench = Bench {
        before: traces(&bench.db),
        db: bench.db,
    };
    let failure = bench.refuses("-- migrate:revision 1\nALTER TABLE parent RENAME COLUMN v TO w;");
    says(
        &failure,
        "0A000",
        &["inherit from public.parent", "as-written"],
    );
    let failure = bench.refuses("-- migrate:revision 1\nALTER TABLE part RENAME COLUMN v TO w;");
    says(&failure, "42809", &["partition of public.parts"]);
    let failure = bench
        .refuses_sql("CREATE TEMP TABLE tt (v text); SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE tt RENAME COLUMN v TO w;')");
    says(&failure, "42809", &["temporary table"]);
}

#[test]
fn what_destroys_data_is_flagged() {
    let db = cluster().database();
    db.run("CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE u (id int); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT 1");
    for (sql, flag) in [
        ("DROP TABLE t;", "hides the table"),
        ("-- migrate:immediately\nDROP TABLE t;", "for good"),
        ("ALTER TABLE t DROP COLUMN a;", "hides the column"),
        (
            "-- migrate:immediately\nALTER TABLE t DROP COLUMN a;",
            "for good",
        ),
        ("-- migrate:as-written\nTRUNCATE t;", "for good"),
        ("-- migrate:immediately\nTRUNCATE t;", "for good"),
        ("DELETE FROM t;", "for good"),
        ("DROP VIEW v;", "drops the view"),
        ("UPDATE t SET a = a || 'x';", "locked"),
        ("DROP TABLE t;", "hides the table"),
    ] {
        let warnings = db.rows(&format!(
            "SELECT coalesce(string_agg(warning, ' '), '') FROM migrate.plan($${sql}$$)"
        ));
        assert!(warnings[0][0].contains(flag), "{sql}: {warnings:?}");
    }
}

#[test]
fn a_misspelt_setting() {
    let bench = Bench::new();
    let failure = bench.refuses_sql("SELECT migrate.graph(); SET migrate.lock_timeot = '1s'");
    says(&failure, "42602", &["migrate.lock_timeot"]);
    let failure = bench.refuses_sql("SELECT migrate.graph(); SET migrate.lock_timeout = 'soon'");
    says(&failure, "22023", &["migrate.lock_timeout"]);
}

#[test]
fn no_pg_cron() {
    let bench = Bench::new();
    let failure = bench.refuses_sql("SELECT migrate.schedule()");
    says(&failure, "0A000", &["pg_cron", "start_worker"]);
}

#[test]
fn no_free_worker_slot() {
    // The launcher of logical replication takes the one slot.
    let own = Cluster::with(&[
        ("max_worker_processes", "1"),
        ("max_logical_replication_workers", "1"),
        ("shared_preload_libraries", ""),
    ]);
    let db = own.database();
    let failure = db.error("SELECT migrate.start_worker()");
    says(
        &failure,
        "53000",
        &["no background worker slot", "max_worker_processes"],
    );
    db.run(
        "CREATE TABLE t (id int, a int); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i",
    );
    db.run("SELECT migrate.apply('-- migrate:revision 1\nCREATE INDEX t_a ON t (a);')");
    let failure = db.error("CALL migrate.upgrade()");
    says(
        &failure,
        "53000",
        &["no background worker slot", "plan_sql"],
    );
    // The way out the hint names.
    db.psql("SELECT migrate.plan_sql('1') \\gexec\n");
    assert!(db.one::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"));
}

#[test]
fn a_read_only_standby() {
    let own = Cluster::own();
    let db = own.database();
    db.run("CREATE TABLE t (id int)");
    let standby = own.standby();
    standby.catch_up(&own);
    let there = standby.db(db.name());
    for sql in [
        "SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;')",
        "SELECT migrate.add('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;')",
        "CALL migrate.upgrade()",
        "SELECT migrate.backfill('t', '{\"id\": \"1\"}', 'id IS NULL')",
        "SELECT migrate.stamp('1')",
    ] {
        let failure = there.error(sql);
        println!("{sql}");
        says(&failure, "25006", &["standby", "primary"]);
    }
    // What only reads works there.
    assert!(there.rows("SELECT * FROM migrate.plan('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;')").len() == 1);
    assert!(there.rows("SELECT * FROM migrate.status").is_empty());
}

#[test]
fn unknown_words() {
    let bench = Bench::new();
    bench
        .db
        .run(r#"SELECT migrate.add('{"revision": "1", "operations": []}')"#);
    let bench = Bench {
        before: traces(&bench.db),
        db: bench.db,
    };
    says(
        &bench.refuses_sql("SELECT migrate.repair('1', 'retyr')"),
        "22023",
        &["Did you mean \"retry\"?"],
    );
    says(
        &bench.refuses_sql("SELECT migrate.graph('dott')"),
        "22023",
        &["Did you mean \"dot\"?"],
    );
    says(
        &bench.refuses_sql("CALL migrate.upgrade('2')"),
        "42704",
        &["\"2\""],
    );
    says(
        &bench.refuses_sql("CALL migrate.downgrade('')"),
        "22023",
        &["target"],
    );
    says(
        &bench.refuses_sql("CALL migrate.contract('x')"),
        "42704",
        &["\"x\""],
    );
    says(
        &bench.refuses_sql("SELECT migrate.plan_sql('1', 'expanded')"),
        "22023",
        &["Did you mean \"expand\"?"],
    );
    says(
        &bench.refuses_sql("SELECT * FROM migrate.apply(NULL::text)"),
        "22023",
        &[],
    );
}
