//! The fingerprint sees every kind of change that a migration could make and not take back.

use pg_migrate_tests::{Db, cluster};

const FIXTURE: &str = "
    CREATE SCHEMA side;
    CREATE TABLE t (id int PRIMARY KEY, a int, b text);
    CREATE TABLE plain (a int);
    CREATE INDEX t_expression ON t ((a + 1));
    CREATE VIEW v AS SELECT id, a FROM t;
    CREATE MATERIALIZED VIEW m AS SELECT id FROM t;
    CREATE SEQUENCE s;
    CREATE TYPE mood AS ENUM ('sad', 'glad');
    CREATE TYPE point2 AS (x int, y text);
    CREATE DOMAIN small AS int CONSTRAINT small_check CHECK (VALUE < 10);
    CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql AS 'SELECT i';
    CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION ef() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION ef();
    CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
    CREATE POLICY p ON t USING (a > 0);
    CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING;
    CREATE RULE quiet AS ON DELETE TO plain DO INSTEAD NOTHING;
    CREATE STATISTICS st ON a, b FROM t;
    CREATE PUBLICATION pub FOR TABLE t;
    CREATE TEXT SEARCH CONFIGURATION search (COPY = simple);
    CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '0');
    CREATE OPERATOR === (FUNCTION = int4eq, LEFTARG = int, RIGHTARG = int);";

fn database() -> Db {
    let db = cluster().database();
    db.run(FIXTURE);
    db
}

fn fingerprint(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1")
}

#[test]
fn every_change_is_seen() {
    let db = database();
    let before = fingerprint(&db);
    let mut client = db.connect();
    let mut blind = Vec::new();
    for change in [
        "COMMENT ON SCHEMA side IS 'x'",
        "GRANT USAGE ON SCHEMA side TO PUBLIC",
        "ALTER SCHEMA side RENAME TO other",
        "ALTER TABLE t SET (fillfactor = 50)",
        "ALTER TABLE t SET (toast.autovacuum_enabled = off)",
        "ALTER TABLE t REPLICA IDENTITY FULL",
        "ALTER TABLE plain SET UNLOGGED",
        "ALTER TABLE t FORCE ROW LEVEL SECURITY",
        "ALTER TABLE t INHERIT plain",
        "REVOKE DELETE ON t FROM CURRENT_USER",
        "GRANT SELECT ON t TO PUBLIC",
        "GRANT UPDATE (a) ON t TO PUBLIC",
        "ALTER TABLE t ALTER a SET STATISTICS 7",
        "ALTER TABLE t ALTER b SET STORAGE PLAIN",
        "ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY",
        "ALTER INDEX t_expression ALTER COLUMN 1 SET STATISTICS 100",
        "COMMENT ON INDEX t_pkey IS 'x'",
        "ALTER TABLE t CLUSTER ON t_pkey",
        "ALTER VIEW v SET (security_barrier = true)",
        "ALTER VIEW v ALTER a SET DEFAULT 5",
        "ALTER VIEW v RENAME a TO c",
        "CREATE OR REPLACE VIEW v AS SELECT id, a FROM t WHERE a > 0",
        "COMMENT ON COLUMN v.a IS 'x'",
        "REFRESH MATERIALIZED VIEW m WITH NO DATA",
        "ALTER SEQUENCE s INCREMENT 2",
        "ALTER SEQUENCE s OWNED BY t.a",
        "COMMENT ON SEQUENCE s IS 'x'",
        "GRANT USAGE ON SEQUENCE s TO PUBLIC",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'bad'",
        "ALTER TYPE point2 ADD ATTRIBUTE z int",
        "ALTER TYPE point2 ALTER ATTRIBUTE y TYPE varchar",
        "CREATE TYPE span AS RANGE (subtype = int)",
        "REVOKE USAGE ON TYPE mood FROM PUBLIC",
        "ALTER DOMAIN small SET DEFAULT 3",
        "ALTER DOMAIN small RENAME CONSTRAINT small_check TO other",
        "ALTER DOMAIN small ADD CHECK (VALUE > 0) NOT VALID",
        "CREATE OR REPLACE FUNCTION f(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 1'",
        "ALTER FUNCTION f STABLE",
        "REVOKE EXECUTE ON FUNCTION f FROM PUBLIC",
        "CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int, INITCOND = '1')",
        "ALTER TABLE t DISABLE TRIGGER g",
        "COMMENT ON POLICY p ON t IS 'x'",
        "ALTER POLICY p ON t USING (a > 1)",
        "COMMENT ON RULE r ON v IS 'x'",
        "ALTER TABLE plain DISABLE RULE quiet",
        "ALTER STATISTICS st SET STATISTICS 3",
        "ALTER PUBLICATION pub SET (publish = 'insert')",
        "ALTER PUBLICATION pub SET TABLE t (id, a)",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "ALTER EVENT TRIGGER watch DISABLE",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
        "ALTER TEXT SEARCH CONFIGURATION search DROP MAPPING FOR int",
        "DROP OPERATOR === (int, int)",
        "CREATE CAST (point2 AS mood) WITH INOUT",
        "CREATE COLLATION binary_order (provider = libc, locale = 'C')",
        "CREATE EXTENSION pgcrypto SCHEMA side",
    ] {
        let mut transaction = client.transaction().unwrap();
        if let Err(err) = transaction.batch_execute(change) {
            transaction.rollback().unwrap();
            blind.push(format!("{change}: {err:?}"));
            continue;
        }
        let same: bool = transaction
            .query_one(
                "SELECT coalesce(jsonb_object_agg(object, definition), '{}') = $1 FROM migrate.fingerprint()",
                &[&as_object(&before)],
            )
            .unwrap()
            .get(0);
        transaction.rollback().unwrap();
        if same {
            blind.push(change.to_owned());
        }
    }
    assert!(blind.is_empty(), "not seen: {blind:#?}");
    assert_eq!(fingerprint(&db), before);
}

fn as_object(rows: &[Vec<String>]) -> serde_json::Value {
    rows.iter()
        .map(|row| (row[0].clone(), row[1].clone().into()))
        .collect::<serde_json::Map<String, serde_json::Value>>()
        .into()
}

#[test]
fn a_grant_given_and_taken_leaves_no_trace() {
    let db = database();
    let before = fingerprint(&db);
    for object in [
        "TABLE t",
        "SEQUENCE s",
        "FUNCTION f(int)",
        "SCHEMA side",
        "TYPE mood",
    ] {
        db.run(&format!(
            "CREATE ROLE fingerprint_reader; GRANT ALL ON {object} TO fingerprint_reader;
             REVOKE ALL ON {object} FROM fingerprint_reader; DROP ROLE fingerprint_reader"
        ));
    }
    assert_eq!(fingerprint(&db), before);
}
