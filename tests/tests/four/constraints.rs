//! create_constraint, drop_constraint, add_foreign_key.

use crate::case::{Case, EVERYWHERE, NOT_PARTITIONED, Shape};

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "create_constraint unique",
            json: r#"{"create_constraint": {"name": "once", "table": "users", "type": "unique", "columns": ["username", "team"],
                      "nulls_not_distinct": true, "deferrable": true, "initially_deferred": true}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT once UNIQUE NULLS NOT DISTINCT (username, team) DEFERRABLE INITIALLY DEFERRED",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "create_constraint check",
            json: r#"{"create_constraint": {"name": "sane", "table": "users", "type": "check", "columns": ["username", "team"],
                      "check": "length(username) > 1 AND team >= 0"}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT sane CHECK (length(username) > 1 AND team >= 0)",
            ..Case::DEFAULT
        },
        Case {
            name: "create_constraint foreign_key",
            json: r#"{"create_constraint": {"name": "users_team", "table": "users", "type": "foreign_key", "columns": ["team"],
                      "references": {"table": "teams", "columns": ["id"], "on_delete": "CASCADE", "on_update": "CASCADE"}}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT users_team FOREIGN KEY (team) REFERENCES teams (id) ON UPDATE CASCADE ON DELETE CASCADE",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "create_constraint primary_key",
            extra: "ALTER TABLE users DROP CONSTRAINT users_pkey, ALTER COLUMN id DROP NOT NULL; CREATE UNIQUE INDEX users_id ON users (id)",
            json: r#"{"create_constraint": {"name": "users_pkey", "table": "users", "type": "primary_key", "columns": ["id"]}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY (id)",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "add_foreign_key",
            json: r#"{"add_foreign_key": {"name": "users_team", "table": "users", "columns": ["team"],
                      "references": {"table": "teams", "columns": ["id"]}, "deferrable": true}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT users_team FOREIGN KEY (team) REFERENCES teams DEFERRABLE",
            plain: Some(
                "ALTER TABLE users ADD CONSTRAINT users_team FOREIGN KEY (team) REFERENCES teams (id) DEFERRABLE",
            ),
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_constraint check",
            extra: "ALTER TABLE users ADD CONSTRAINT sane CHECK (length(username) > 1); COMMENT ON CONSTRAINT sane ON users IS 'why'",
            json: r#"{"drop_constraint": {"table": "users", "name": "sane"}}"#,
            sql: "ALTER TABLE users DROP CONSTRAINT sane",
            shapes: EVERYWHERE,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_constraint foreign key",
            extra: "ALTER TABLE users ADD CONSTRAINT users_team FOREIGN KEY (team) REFERENCES teams ON DELETE SET NULL",
            json: r#"{"drop_constraint": {"table": "users", "name": "users_team"}}"#,
            sql: "ALTER TABLE users DROP CONSTRAINT users_team",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_constraint unique",
            extra: "ALTER TABLE users ADD CONSTRAINT once UNIQUE (username) INCLUDE (team)",
            json: r#"{"drop_constraint": {"table": "users", "name": "once"}}"#,
            sql: "ALTER TABLE users DROP CONSTRAINT once",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_constraint primary key",
            extra: "CREATE UNIQUE INDEX users_id ON users (id)",
            json: r#"{"drop_constraint": {"table": "users", "name": "users_pkey"}}"#,
            sql: "ALTER TABLE users DROP CONSTRAINT users_pkey",
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
    ]
}
