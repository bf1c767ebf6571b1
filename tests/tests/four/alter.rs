//! alter_column, set_not_null, drop_not_null.

use crate::case::{Case, NOT_PARTITIONED, Shape, amounts, users, without};

const NO_NULL: &str = "SELECT count(*) FROM users WHERE nick IS NULL";

pub fn cases() -> Vec<Case> {
    let mut cases = settings();
    cases.extend(types());
    cases
}

fn settings() -> Vec<Case> {
    vec![
        Case {
            name: "set_not_null",
            extra: "ALTER TABLE users ALTER COLUMN username DROP NOT NULL",
            json: r#"{"set_not_null": {"table": "users", "column": "username"}}"#,
            sql: "ALTER TABLE users ALTER COLUMN username SET NOT NULL",
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column not null",
            extra: "ALTER TABLE users ALTER COLUMN username DROP NOT NULL",
            json: r#"{"alter_column": {"table": "users", "column": "username", "nullable": false}}"#,
            plain: Some("ALTER TABLE users ALTER COLUMN username SET NOT NULL"),
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column not null with up",
            extra: "UPDATE users SET amount = NULL WHERE id % 3 = 0",
            json: r#"{"alter_column": {"table": "users", "column": "amount", "nullable": false, "up": "0"}}"#,
            plain: Some("ALTER TABLE users ALTER COLUMN amount SET NOT NULL"),
            apps: || {
                let mut spec = amounts();
                // The old release writes nulls; from the start on it is given the value instead.
                spec.old_value = |n| (n % 4 != 0).then(|| n.to_string());
                spec.up = |text| Some(text.unwrap_or("0").to_owned());
                vec![spec]
            },
            // A null of the old release is there or is a 0, and the record cannot tell which.
            shapes: &[],
            ..Case::DEFAULT
        },
        Case {
            name: "drop_not_null",
            json: r#"{"drop_not_null": {"table": "users", "column": "username"}}"#,
            sql: "ALTER TABLE users ALTER COLUMN username DROP NOT NULL",
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column nullable",
            json: r#"{"alter_column": {"table": "users", "column": "username", "nullable": true}}"#,
            plain: Some("ALTER TABLE users ALTER COLUMN username DROP NOT NULL"),
            shapes: &[Shape::Rows],
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column default",
            json: r#"{"alter_column": {"table": "users", "column": "nick", "default": "'n'"}},
                     {"alter_column": {"table": "users", "column": "amount", "default": null}}"#,
            sql: "ALTER TABLE users ALTER COLUMN nick SET DEFAULT 'n', ALTER COLUMN amount DROP DEFAULT",
            shapes: &[Shape::Rows, Shape::Empty, Shape::Partitioned],
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column comment",
            extra: "COMMENT ON COLUMN users.team IS 'was'",
            json: r#"{"alter_column": {"table": "users", "column": "team", "comment": "is"}},
                     {"alter_column": {"table": "users", "column": "username", "comment": "the name"}}"#,
            sql: "COMMENT ON COLUMN users.team IS 'is'; COMMENT ON COLUMN users.username IS 'the name'",
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column unique",
            json: r#"{"alter_column": {"table": "users", "column": "username", "unique": {"name": "users_name_once"}}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT users_name_once UNIQUE (username)",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column check",
            json: r#"{"alter_column": {"table": "users", "column": "username", "check": {"name": "short", "constraint": "length(username) < 50"}}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT short CHECK (length(username) < 50)",
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column references",
            json: r#"{"alter_column": {"table": "users", "column": "team", "references": {"name": "users_team", "table": "teams", "column": "id"}}}"#,
            sql: "ALTER TABLE users ADD CONSTRAINT users_team FOREIGN KEY (team) REFERENCES teams (id)",
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "several settings of one column",
            extra: "UPDATE users SET nick = NULL WHERE id % 2 = 0",
            json: r#"{"alter_column": {"table": "users", "column": "nick", "nullable": false, "up": "'none'", "default": "'n'", "comment": "short",
                      "check": {"name": "nick_short", "constraint": "length(nick) < 40"}}}"#,
            plain: Some("UPDATE users SET nick = 'none' WHERE nick IS NULL; ALTER TABLE users ALTER COLUMN nick SET NOT NULL, ALTER COLUMN nick SET DEFAULT 'n',
                         ADD CONSTRAINT nick_short CHECK (length(nick) < 40); COMMENT ON COLUMN users.nick IS 'short'"),
            apps: || vec![without(users(), &["nick"])],
            moves: true,
            shapes: &[Shape::Rows, Shape::Partitioned],
            // Until the contract the old release keeps its nulls; the new one has its own column.
            expanded: &["SELECT count(*) FROM users WHERE nick_pgm_new IS NULL"],
            contracted: &[NO_NULL],
            ..Case::DEFAULT
        },
    ]
}

fn types() -> Vec<Case> {
    vec![
        Case {
            name: "alter_column int to bigint",
            extra: "ALTER TABLE users ALTER COLUMN amount DROP DEFAULT; CREATE INDEX users_amount ON users (amount, username); ALTER TABLE users ADD CONSTRAINT positive CHECK (amount >= 0)",
            json: r#"{"alter_column": {"table": "users", "column": "amount", "type": "bigint", "up": "amount", "down": "amount"}}"#,
            sql: "ALTER TABLE users ALTER COLUMN amount TYPE bigint",
            moves: true,
            apps: || vec![amounts()],
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column text to int, lossy",
            extra: "ALTER TABLE users ADD COLUMN code text DEFAULT '7'; UPDATE users SET code = CASE WHEN id % 3 = 0 THEN 'x' || id ELSE id::text END",
            json: r#"{"alter_column": {"table": "users", "column": "code", "type": "int",
                      "up": "CASE WHEN code ~ '^[0-9]{1,9}$' THEN code::int ELSE -1 END", "down": "code::text"}}"#,
            plain: Some(
                "ALTER TABLE users ALTER COLUMN code DROP DEFAULT, ALTER COLUMN code TYPE int USING -1, ALTER COLUMN code SET DEFAULT ('7'::text)::integer",
            ),
            moves: true,
            apps: || {
                let mut spec = amounts();
                spec.columns = vec![
                    ("code".to_owned(), pg_migrate_tests::Role::Old),
                    ("code".to_owned(), pg_migrate_tests::Role::New),
                ];
                spec.old_value = |n| {
                    Some(if n.is_multiple_of(4) {
                        format!("x{n}")
                    } else {
                        n.to_string()
                    })
                };
                spec.new_parameter = Some("($2::text)::int".to_owned());
                spec.at_contract = Some(|text| {
                    let number = text.and_then(|t| t.parse::<i32>().ok()).unwrap_or(-1);
                    Some(number.to_string())
                });
                vec![spec]
            },
            shapes: &[Shape::Rows, Shape::Beside, Shape::Partitioned],
            ..Case::DEFAULT
        },
        Case {
            name: "alter_column type without a copy",
            // The way back makes the column anew.
            moves: true,
            extra: "ALTER TABLE users ALTER COLUMN nick TYPE varchar(40)",
            json: r#"{"alter_column": {"table": "users", "column": "nick", "type": "varchar(100)"}}"#,
            sql: "ALTER TABLE users ALTER COLUMN nick TYPE varchar(100)",
            shapes: &[Shape::Rows, Shape::Empty],
            ..Case::DEFAULT
        },
    ]
}
