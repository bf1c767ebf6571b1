//! Views and materialized views.

use crate::{apply, as_alone, database, fingerprint, json, rehearsed, same, script, ways};

const V: &str = "CREATE TABLE t (id int PRIMARY KEY, a int, b text);
    INSERT INTO t SELECT g, g % 10, 'x' || g FROM generate_series(1, 1000) g;
    CREATE VIEW v WITH (security_barrier = true) AS SELECT id, a, b AS \"B\" FROM t WHERE a > 0 WITH LOCAL CHECK OPTION;
    ALTER VIEW v ALTER a SET DEFAULT 5; COMMENT ON VIEW v IS 'the view''s'; COMMENT ON COLUMN v.\"B\" IS 'b';
    GRANT SELECT ON v TO pg_monitor WITH GRANT OPTION; GRANT UPDATE (a) ON v TO PUBLIC; REVOKE TRUNCATE ON v FROM CURRENT_USER;
    CREATE VIEW w AS SELECT id, a FROM v; GRANT INSERT ON w TO pg_monitor; COMMENT ON VIEW w IS 'upon it';
    CREATE RULE r AS ON DELETE TO w DO INSTEAD NOTHING;
    CREATE VIEW x AS SELECT v.id, w.a FROM v JOIN w USING (id)";

#[test]
fn views_are_made_and_dropped() {
    let db = database(V);
    let document = json(
        r#"{"create_view": {"name": "n", "columns": ["one", "two"], "options": "security_invoker = true",
             "definition": "SELECT id, b FROM t", "comment": "new"}},
           {"drop_view": {"name": "x"}}, {"drop_view": {"name": "w"}}, {"drop_view": {"name": "nothing", "if_exists": true}}"#,
    );
    ways(&db, &document, |db| {
        assert_eq!(db.one::<i64>("SELECT count(two) FROM n"), 1000);
    });
    for sql in [
        "CREATE VIEW n (one) WITH (security_barrier) AS (SELECT id FROM t) WITH CASCADED CHECK OPTION",
        "CREATE RECURSIVE VIEW n (i) AS VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5",
        "DROP VIEW x, w",
        "DROP VIEW x; DROP VIEW w; DROP VIEW v; ALTER TABLE t DROP COLUMN b",
        "DROP VIEW x; CREATE VIEW x AS SELECT 1 AS changed",
        "DROP VIEW x; DROP VIEW w; CREATE VIEW w AS SELECT id FROM t; CREATE VIEW x AS SELECT * FROM w",
        "COMMENT ON VIEW v IS 'other'; COMMENT ON COLUMN v.a IS 'a'",
    ] {
        ways(&database(V), &script(sql), |_| {});
        as_alone(V, sql);
    }
    let error = database(V).error("SELECT migrate.plan('DROP VIEW v')");
    assert!(error.detail.contains("view w"), "{error}");
}

#[test]
fn a_view_is_replaced_with_what_belongs_to_it() {
    for sql in [
        // PostgreSQL can replace it.
        "CREATE OR REPLACE VIEW v WITH (security_barrier = true) AS SELECT id, a, b AS \"B\", 1 AS more FROM t",
        "CREATE OR REPLACE VIEW v AS SELECT id, a, b AS \"B\" FROM t",
        "CREATE OR REPLACE VIEW fresh AS SELECT 1 AS one",
    ] {
        ways(&database(V), &script(sql), |_| {});
        as_alone(V, sql);
    }
    // It cannot: a column goes, one changes its type, the order changes.
    let db = database(V);
    let document = json(
        r#"{"replace_view": {"name": "v", "definition": "SELECT a::bigint AS a, id, now() AS \"when\" FROM t"}}"#,
    );
    let before = db.rows("SELECT * FROM x ORDER BY 1");
    ways(&db, &document, |db| {
        let object = |name: &str| -> String {
            db.one(&format!(
                "SELECT definition FROM migrate.fingerprint() WHERE object = '{name}'"
            ))
        };
        for part in [
            "security_barrier=true",
            "pg_monitor=r*/postgres",
            "comment the view's",
        ] {
            assert!(
                object("view public.v").contains(part),
                "{part}: {}",
                object("view public.v")
            );
        }
        assert!(object("column public.v.a").contains("default 5"));
        assert!(object("column public.v.a").contains("=w/postgres"));
        assert!(object("view public.w").contains("comment upon it"));
        assert!(object("rule r on public.w").contains("INSTEAD"));
        assert_eq!(db.one::<i64>("SELECT count(*) FROM x"), 1000);
    });
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(db.rows("SELECT * FROM x ORDER BY 1"), before);
}

#[test]
fn what_cannot_be_carried_is_named() {
    let db = database(V);
    db.run("CREATE MATERIALIZED VIEW m AS SELECT a FROM w");
    let document = json(r#"{"replace_view": {"name": "v", "definition": "SELECT id FROM t"}}"#);
    let before = fingerprint(&db);
    let error = db.error(&format!("SELECT migrate.apply($${document}$$)"));
    assert!(error.detail.contains("materialized view m"), "{error}");
    db.run("DROP MATERIALIZED VIEW m");
    // A view upon it needs a column that goes.
    let error = db.error(&format!("SELECT migrate.apply($${document}$$)"));
    assert!(error.detail.contains("In view public.w"), "{error}");
    db.run("CREATE MATERIALIZED VIEW m AS SELECT a FROM w");
    same("refused", &before, &fingerprint(&db));
}

#[test]
fn a_column_can_be_dropped_once_no_view_reads_it() {
    let db = database(V);
    db.run("DROP VIEW x; DROP VIEW w");
    let document = json(
        r#"{"replace_view": {"name": "v", "definition": "SELECT id, a FROM t"}},
           {"drop_column": {"table": "t", "column": "b"}}"#,
    );
    ways(&db, &document, |_| {});
    let db = database(V);
    db.run("DROP VIEW x; DROP VIEW w");
    let error = db.error(
        r#"SELECT migrate.plan('{"revision": "1", "operations": [{"replace_view": {"name": "v", "definition": "SELECT id, b FROM t"}},
            {"drop_column": {"table": "t", "column": "b"}}]}')"#,
    );
    assert!(error.message.contains("cannot be dropped"), "{error}");
}

#[test]
fn a_view_of_a_renamed_column_is_made_when_it_is_there() {
    let db = database(
        "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t SELECT g, g FROM generate_series(1, 100) g",
    );
    let document = script(
        "ALTER TABLE t RENAME COLUMN a TO amount; CREATE VIEW v AS SELECT id, amount FROM t",
    );
    ways(&db, &document, |db| {
        assert_eq!(db.one::<i64>("SELECT sum(amount) FROM v"), 5050);
    });
}

const M: &str = "CREATE TABLE t (id int PRIMARY KEY, a int);
    INSERT INTO t SELECT g, g % 10 FROM generate_series(1, 1000) g;
    CREATE MATERIALIZED VIEW m WITH (fillfactor = 70) AS SELECT a, count(*) FROM t GROUP BY a;
    COMMENT ON MATERIALIZED VIEW m IS 'sums'; GRANT SELECT ON m TO pg_monitor; ALTER MATERIALIZED VIEW m ALTER a SET STATISTICS 7";

#[test]
fn materialized_views_are_filled_outside_the_brief_step() {
    let db = database(M);
    let document = json(
        r#"{"create_materialized_view": {"name": "n", "definition": "SELECT id FROM t"}},
           {"create_index": {"name": "n_id", "table": "n", "columns": [{"column": "id"}], "unique": true}},
           {"create_index": {"name": "m_a", "table": "m", "columns": [{"column": "a"}], "unique": true}}"#,
    );
    ways(&db, &document, |db| {
        assert_eq!(db.one::<i64>("SELECT count(*) FROM n"), 1000);
    });
    for sql in [
        "CREATE MATERIALIZED VIEW n (i) WITH (fillfactor = 50) AS SELECT id FROM t WITH NO DATA",
        "CREATE MATERIALIZED VIEW n AS SELECT id FROM t WITH DATA; CREATE INDEX ON n (id)",
        "DROP MATERIALIZED VIEW m",
        "CREATE UNIQUE INDEX m_a ON m (a); REFRESH MATERIALIZED VIEW m",
    ] {
        ways(&database(M), &script(sql), |_| {});
        as_alone(M, sql);
    }
}

#[test]
fn a_refresh_does_not_stop_readers_or_is_refused() {
    let db = database(M);
    let refresh = script("REFRESH MATERIALIZED VIEW m");
    let error = db.error(&format!("SELECT migrate.plan($${refresh}$$)"));
    assert!(error.message.contains("while others read it"), "{error}");
    db.run("CREATE UNIQUE INDEX m_a ON m (a); INSERT INTO t VALUES (2000, 77)");
    rehearsed(&db, &refresh);
    apply(&db, &refresh);
    // A reader in a transaction of its own is not in its way, nor it in the reader's.
    let mut reader = db.connect();
    reader.batch_execute("BEGIN; SELECT * FROM m").unwrap();
    let mut driver = db.connect();
    driver
        .batch_execute("SET statement_timeout = '20s'")
        .unwrap();
    driver.batch_execute("CALL migrate.upgrade()").unwrap();
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(db.one::<i64>("SELECT count FROM m WHERE a = 77"), 1);
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(db.one::<i64>("SELECT count FROM m WHERE a = 77"), 1);
}
