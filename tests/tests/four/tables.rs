//! create_table, rename_table, drop_table.

use crate::case::{Case, NOT_PARTITIONED, Shape, users};

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "create_table",
            json: r#"{"create_table": {"name": "orders", "comment": "what they bought", "columns": [
                    {"name": "id", "type": "bigint", "pk": true, "generated": {"identity": {"user_specified_values": "ALWAYS"}}},
                    {"name": "team_id", "type": "bigint", "nullable": true,
                     "references": {"name": "orders_team", "table": "teams", "column": "id", "on_delete": "CASCADE"}},
                    {"name": "total", "type": "int", "default": "0", "check": {"name": "orders_total_check", "constraint": "total >= 0"}},
                    {"name": "code", "type": "text", "nullable": true, "unique": true, "comment": "printed"}],
                  "constraints": [{"name": "orders_once", "type": "unique", "columns": ["team_id", "total"]}]}}"#,
            sql: "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                    team_id bigint CONSTRAINT orders_team REFERENCES teams (id) ON DELETE CASCADE,
                    total int NOT NULL DEFAULT 0 CHECK (total >= 0), code text UNIQUE,
                    CONSTRAINT orders_once UNIQUE (team_id, total));
                  COMMENT ON TABLE orders IS 'what they bought'; COMMENT ON COLUMN orders.code IS 'printed'",
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "rename_table",
            json: r#"{"rename_table": {"from": "users", "to": "members"}}"#,
            sql: "ALTER TABLE users RENAME TO members",
            apps: || {
                let mut spec = users();
                spec.new_table = Some("members".to_owned());
                vec![spec]
            },
            shapes: &[Shape::Rows, Shape::Empty, Shape::Partitioned],
            ..Case::DEFAULT
        },
        Case {
            name: "drop_table",
            extra: "CREATE TABLE legacy (id int PRIMARY KEY, team bigint REFERENCES teams, t text DEFAULT 'x' CHECK (t <> ''), at timestamptz);
                    INSERT INTO legacy SELECT g, g % 100, 'l' || g FROM generate_series(1, 300) g;
                    CREATE INDEX legacy_t ON legacy (lower(t)); COMMENT ON TABLE legacy IS 'old things'; GRANT SELECT ON legacy TO public",
            json: r#"{"drop_table": {"name": "legacy"}}"#,
            sql: "DROP TABLE legacy",
            shapes: &[Shape::Rows, Shape::Beside],
            expanded: &["SELECT 300 - count(*) FROM legacy"],
            contracted: &["SELECT count(*) FROM pg_class WHERE relname = 'legacy' AND relnamespace = 'public'::regnamespace"],
            taken_back: &["SELECT 300 - count(*) FROM legacy WHERE t = 'l' || id AND team = id % 100"],
            ..Case::DEFAULT
        },
        Case {
            name: "drop_table empty",
            extra: "CREATE TABLE legacy (id serial PRIMARY KEY, t text)",
            json: r#"{"drop_table": {"name": "legacy"}}"#,
            sql: "DROP TABLE legacy",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
    ]
}
