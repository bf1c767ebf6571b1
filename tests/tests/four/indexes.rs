//! create_index, drop_index.

use crate::case::{Case, NOT_PARTITIONED, Shape};

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "create_index",
            json: r#"{"create_index": {"name": "users_name", "table": "users", "columns": ["username"]}}"#,
            sql: "CREATE INDEX users_name ON users (username)",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "create_index with all fields",
            json: r#"{"create_index": {"name": "users_name", "table": "users", "unique": true, "method": "btree",
                      "columns": [{"column": "username", "sort": "DESC", "nulls": "LAST", "opclass": "text_pattern_ops", "collate": "\"C\""}, "id"],
                      "predicate": "amount > 0", "storage_parameters": "fillfactor = 70"}}"#,
            sql: "CREATE UNIQUE INDEX users_name ON users USING btree (username COLLATE \"C\" text_pattern_ops DESC NULLS LAST, id) WITH (fillfactor = 70) WHERE amount > 0",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "create_index of other kinds",
            json: r#"{"create_index": {"name": "users_hash", "table": "users", "method": "hash", "columns": ["username"]}},
                     {"create_index": {"name": "users_brin", "table": "users", "method": "brin", "columns": ["seen"]}},
                     {"create_index": {"name": "users_words", "table": "users", "definition": "USING gin (to_tsvector('simple', username))"}}"#,
            sql: "CREATE INDEX users_hash ON users USING hash (username); CREATE INDEX users_brin ON users USING brin (seen);
                  CREATE INDEX users_words ON users USING gin (to_tsvector('simple', username))",
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "create_index on an expression",
            sql: "CREATE INDEX users_lower ON users (lower(username), (amount + 1)) INCLUDE (team) WHERE username <> ''",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_index",
            extra: "CREATE INDEX users_name ON users (lower(username)) WHERE amount > 3; COMMENT ON INDEX users_name IS 'gone'",
            json: r#"{"drop_index": {"name": "users_name"}}"#,
            sql: "DROP INDEX users_name",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_index unique",
            extra: "CREATE UNIQUE INDEX users_name ON users (username, id) INCLUDE (team)",
            json: r#"{"drop_index": {"name": "users_name"}}"#,
            sql: "DROP INDEX users_name",
            shapes: &[Shape::Rows],
            ..Case::DEFAULT
        },
    ]
}
