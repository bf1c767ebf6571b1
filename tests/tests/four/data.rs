//! sql, backfill, touch_column.

use crate::case::{Back, Case, NOT_PARTITIONED, Shape, users};

pub fn cases() -> Vec<Case> {
    vec![
        Case {
            name: "sql with down",
            json: r#"{"sql": {"up": "CREATE VIEW names AS SELECT id, username FROM users", "down": "DROP VIEW names"}}"#,
            sql: "CREATE VIEW names AS SELECT id, username FROM users",
            ..Case::DEFAULT
        },
        Case {
            name: "sql at the contract",
            json: r#"{"sql": {"up": "CREATE VIEW names AS SELECT id, username FROM users", "down": "DROP VIEW names", "onComplete": true}}"#,
            plain: Some("CREATE VIEW names AS SELECT id, username FROM users"),
            expanded: &["SELECT count(*) FROM pg_views WHERE viewname = 'names'"],
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "sql without down",
            json: r#"{"sql": {"up": "DO 'BEGIN PERFORM 1; END'"}}"#,
            plain: Some("SELECT 1"),
            shapes: &[Shape::Rows],
            back: Back::None,
            ..Case::DEFAULT
        },
        Case {
            name: "sql that makes objects",
            sql: "CREATE SCHEMA extra; CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE SEQUENCE counter START 5;
                  CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2'; CREATE TABLE extra.moods (id int PRIMARY KEY, mood mood)",
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "backfill",
            extra: "ALTER TABLE users ADD COLUMN size int; ALTER TABLE users ALTER COLUMN size SET DEFAULT -1",
            json: r#"{"backfill": {"table": "users", "set": {"size": "length(username)"}, "where": "size IS NULL", "down": {"size": "-1"}}}"#,
            plain: Some("SELECT 1"),
            expanded: &["SELECT count(*) FROM users WHERE username LIKE 'Seed-%' AND size IS DISTINCT FROM length(username)"],
            taken_back: &["SELECT count(*) FROM users WHERE size <> -1"],
            ..Case::DEFAULT
        },
        Case {
            name: "backfill in SQL",
            extra: "ALTER TABLE users ADD COLUMN size int; ALTER TABLE users ALTER COLUMN size SET DEFAULT -1",
            sql: "UPDATE users SET size = length(username) WHERE size IS NULL",
            plain: Some("SELECT 1"),
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "touch_column",
            extra: "UPDATE users SET seen = 'epoch'",
            json: r#"{"touch_column": {"table": "users", "column": "seen"}}"#,
            plain: Some(""),
            apps: || {
                let mut spec = users();
                spec.also.retain(|(name, _)| name != "seen");
                vec![spec]
            },
            ..Case::DEFAULT
        },
    ]
}
