//! DDL on objects other than tables and their indexes.

use super::rare::one;
use super::schema::Table;
use rand::Rng;
use rand::rngs::StdRng;

pub fn on_object(random: &mut StdRng, table: &Table) -> (&'static str, String) {
    let name = &table.name;
    match random.random_range(0..12) {
        0 => ("TRIGGER", format!("DROP TRIGGER IF EXISTS tr ON {name}")),
        1 => ("TRIGGER", format!("ALTER TRIGGER tr ON {name} RENAME TO tr2")),
        2 => ("POLICY", format!("DROP POLICY IF EXISTS po ON {name}")),
        3 => ("POLICY", format!("ALTER POLICY po ON {name} USING (false)")),
        4 => ("RULE", format!("DROP RULE IF EXISTS ru ON {name}")),
        5 => ("RULE", format!("ALTER RULE ru ON {name} RENAME TO ru2")),
        6 => ("STATISTICS", one(random, &["ALTER STATISTICS st0 SET STATISTICS 10", "DROP STATISTICS st0", "ALTER STATISTICS st0 RENAME TO st1"]).into()),
        7 => ("COMMENT", format!("COMMENT ON CONSTRAINT {name}_pkey ON {name} IS 'x'")),
        8 => ("COMMENT", "COMMENT ON SCHEMA public IS 'x'".into()),
        9 => ("PUBLICATION", one(random, &["DROP PUBLICATION pub", "ALTER PUBLICATION pub SET (publish = 'insert')", "CREATE PUBLICATION np FOR ALL TABLES"]).into()),
        10 => ("FUNCTION", one(random, &["DROP FUNCTION stable_f()", "ALTER FUNCTION stable_f() IMMUTABLE", "CREATE OR REPLACE FUNCTION stable_f() RETURNS int LANGUAGE sql STABLE AS 'SELECT 2'", "DROP FUNCTION trigger_f() CASCADE"]).into()),
        _ => ("SCHEMA", one(random, &["CREATE SCHEMA more", "DROP SCHEMA elsewhere", "ALTER SCHEMA elsewhere RENAME TO other_place"]).into()),
    }
}

pub fn fixed(random: &mut StdRng) -> (&'static str, String) {
    let (kind, all): (&'static str, &[&str]) = match random.random_range(0..7) {
        // What hardly ever fits where it is put together at random.
        6 => (
            "FITTING",
            &[
                "ALTER TABLE loose ADD CONSTRAINT nu UNIQUE USING INDEX loose_c0",
                "ALTER TABLE loose ADD CONSTRAINT nu PRIMARY KEY USING INDEX loose_c0",
                "ALTER TABLE loose ADD CONSTRAINT nu PRIMARY KEY USING INDEX loose_id",
                "ALTER TABLE loose ADD CONSTRAINT nn CHECK (id IS NOT NULL), ADD PRIMARY KEY USING INDEX loose_id",
                "ALTER TABLE loose REPLICA IDENTITY USING INDEX loose_c0",
                "ALTER TABLE heir NO INHERIT base",
                "ALTER TABLE alike INHERIT base",
                "ALTER TABLE typed NOT OF",
                "ALTER TABLE untyped OF pair",
                "ALTER TABLE referring ALTER CONSTRAINT referring_c0_fkey DEFERRABLE",
                "ALTER TABLE referring DROP CONSTRAINT referring_c0_fkey",
                "ALTER TABLE refers ALTER COLUMN id TYPE bigint",
                "ALTER TABLE derived ALTER COLUMN c1 DROP EXPRESSION",
                "ALTER TABLE derived ALTER COLUMN c0 TYPE bigint",
                "ALTER TABLE derived ALTER COLUMN c2 SET GENERATED ALWAYS",
                "ALTER TABLE derived ALTER COLUMN c2 DROP IDENTITY",
                "ALTER TABLE loose ALTER COLUMN c0 ADD GENERATED ALWAYS AS IDENTITY",
                "ALTER TABLE listed2 ATTACH PARTITION deeper FOR VALUES FROM (5000) TO (6000)",
                "ALTER TABLE t0 RENAME COLUMN c0 TO renamed",
            ],
        ),
        0 => (
            "VIEW",
            &[
                "ALTER VIEW v0 RENAME TO v1",
                "ALTER VIEW v0 SET (security_barrier = true)",
                "ALTER VIEW v0 ALTER COLUMN id SET DEFAULT 1",
                "ALTER VIEW v0 OWNER TO CURRENT_USER",
                "ALTER VIEW v0 SET SCHEMA elsewhere",
                "DROP VIEW v0",
                "CREATE OR REPLACE VIEW v0 AS SELECT id, 1 AS more FROM t0",
            ],
        ),
        1 => (
            "MATERIALIZED",
            &[
                "REFRESH MATERIALIZED VIEW m0",
                "REFRESH MATERIALIZED VIEW CONCURRENTLY m0",
                "REFRESH MATERIALIZED VIEW m0 WITH NO DATA",
                "ALTER MATERIALIZED VIEW m0 RENAME TO m1",
                "ALTER MATERIALIZED VIEW m0 RENAME COLUMN id TO idd",
                "ALTER MATERIALIZED VIEW m0 SET (fillfactor = 50)",
                "ALTER MATERIALIZED VIEW m0 SET TABLESPACE pg_default",
                "ALTER MATERIALIZED VIEW m0 ALTER COLUMN id SET STATISTICS 5",
                "CREATE INDEX ni ON m0 (id)",
                "DROP MATERIALIZED VIEW m0",
                "REINDEX TABLE m0",
                "CLUSTER m0 USING m0_id",
                "CREATE MATERIALIZED VIEW m2 AS SELECT id FROM m0 WITH NO DATA",
            ],
        ),
        2 => (
            "SEQUENCE",
            &[
                "ALTER SEQUENCE free RESTART",
                "ALTER SEQUENCE free INCREMENT BY 2 CACHE 10",
                "ALTER SEQUENCE free AS int",
                "ALTER SEQUENCE free RENAME TO freed",
                "ALTER SEQUENCE free OWNED BY t0.id",
                "ALTER SEQUENCE free SET SCHEMA elsewhere",
                "DROP SEQUENCE free",
                "DROP SEQUENCE IF EXISTS nosuch",
                "GRANT USAGE ON SEQUENCE free TO public",
            ],
        ),
        3 => (
            "DOMAIN",
            &[
                "ALTER DOMAIN positive DROP CONSTRAINT positive_check",
                "ALTER DOMAIN plain_domain SET DEFAULT 5",
                "ALTER DOMAIN plain_domain DROP NOT NULL",
                "ALTER DOMAIN plain_domain SET NOT NULL",
                "ALTER DOMAIN positive RENAME CONSTRAINT positive_check TO pc",
                "ALTER DOMAIN positive RENAME TO pos",
                "ALTER DOMAIN careful_domain VALIDATE CONSTRAINT later",
                "ALTER DOMAIN careful_domain ADD CHECK (VALUE < 1000000)",
                "DROP DOMAIN careful_domain",
                "DROP DOMAIN positive CASCADE",
                "CREATE DOMAIN nd AS positive NOT NULL",
            ],
        ),
        4 => (
            "TYPE",
            &[
                "ALTER TYPE pair ADD ATTRIBUTE z int CASCADE",
                "ALTER TYPE pair ADD ATTRIBUTE z int",
                "ALTER TYPE pair DROP ATTRIBUTE y CASCADE",
                "ALTER TYPE pair ALTER ATTRIBUTE x TYPE bigint CASCADE",
                "ALTER TYPE pair ALTER ATTRIBUTE y TYPE varchar CASCADE",
                "ALTER TYPE pair RENAME ATTRIBUTE x TO xx CASCADE",
                "ALTER TYPE alone ALTER ATTRIBUTE x TYPE bigint",
                "ALTER TYPE alone RENAME TO alone2",
                "ALTER TYPE color RENAME VALUE 'red' TO 'rouge'",
                "ALTER TYPE color OWNER TO CURRENT_USER",
                "DROP TYPE alone",
                "DROP TYPE color CASCADE",
                "CREATE TYPE nt AS (a int)",
                "CREATE TABLE n OF pair",
            ],
        ),
        _ => (
            "OTHER",
            &[
                "CREATE CAST (color AS int) WITHOUT FUNCTION",
                "CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)",
                "CREATE EVENT TRIGGER et ON ddl_command_start EXECUTE FUNCTION nosuch()",
                "SET CONSTRAINTS ALL DEFERRED",
                "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO public",
                "GRANT USAGE ON SCHEMA elsewhere TO public",
                "REVOKE ALL ON FUNCTION stable_f() FROM public",
                "SELECT 1",
                "EXPLAIN SELECT * FROM t0",
                "EXPLAIN ANALYZE SELECT * FROM t0",
                "NOTIFY somebody",
                "CREATE COLLATION nc FROM \"C\"",
                "CREATE TEXT SEARCH CONFIGURATION tc (COPY = english)",
                "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)",
                "DROP OWNED BY nobody_here",
                "ALTER TABLE listed ATTACH PARTITION lone FOR VALUES IN (7)",
                "ALTER TABLE listed ATTACH PARTITION fitting FOR VALUES IN (8)",
                "ALTER TABLE listed ATTACH PARTITION fitting FOR VALUES IN (8)",
                "CREATE TABLE np PARTITION OF listed FOR VALUES IN (9)",
                "ALTER TABLE listed DETACH PARTITION listed1",
                "DROP TABLE listed1",
            ],
        ),
    };
    (kind, one(random, all).to_owned())
}
