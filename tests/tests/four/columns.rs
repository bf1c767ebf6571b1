//! add_column, drop_column, rename_column.

use crate::case::{Back, Case, EVERYWHERE, NOT_PARTITIONED, Shape, app, users, with, without};
use pg_migrate_tests::Role;

const HANDLE: &[&str] =
    &["SELECT count(*) FROM users WHERE handle IS DISTINCT FROM lower(username)"];

pub fn cases() -> Vec<Case> {
    let mut cases = added();
    cases.extend(dropped());
    cases.extend(renamed());
    cases
}

fn added() -> Vec<Case> {
    vec![
        Case {
            name: "add_column nullable",
            json: r#"{"add_column": {"table": "users", "column": {"name": "points", "type": "int", "nullable": true, "comment": "earned"}}}"#,
            sql: "ALTER TABLE users ADD COLUMN points int; COMMENT ON COLUMN users.points IS 'earned'",
            apps: || vec![with(users(), &[(Role::New, "points", "7")])],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column with a constant default, not null",
            json: r#"{"add_column": {"table": "users", "column": {"name": "points", "type": "int", "default": "5"}}}"#,
            sql: "ALTER TABLE users ADD COLUMN points int NOT NULL DEFAULT 5",
            apps: || vec![with(users(), &[(Role::New, "points", "7")])],
            expanded: &["SELECT count(*) FROM users WHERE points NOT IN (5, 7)"],
            contracted: &["SELECT count(*) FROM users WHERE points NOT IN (5, 7)"],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column with a volatile default, not null",
            json: r#"{"add_column": {"table": "users", "column": {"name": "token", "type": "uuid", "default": "gen_random_uuid()"}}}"#,
            sql: "ALTER TABLE users ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()",
            apps: || vec![with(users(), &[(Role::New, "token", "gen_random_uuid()")])],
            expanded: &["SELECT count(*) - count(DISTINCT token) FROM users"],
            contracted: &["SELECT count(*) - count(DISTINCT token) FROM users"],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column with up",
            json: r#"{"add_column": {"table": "users", "up": "lower(username)", "column": {"name": "handle", "type": "text", "nullable": true}}}"#,
            plain: Some("ALTER TABLE users ADD COLUMN handle text"),
            apps: || vec![with(users(), &[(Role::New, "handle", "lower($2)")])],
            expanded: HANDLE,
            contracted: HANDLE,
            // Where there are no rows the column is made as it stands, without the expression.
            shapes: &[Shape::Rows, Shape::Partitioned, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column with up, not null, default",
            json: r#"{"add_column": {"table": "users", "up": "lower(username)", "column": {"name": "handle", "type": "text", "default": "'nobody'"}}}"#,
            plain: Some("ALTER TABLE users ADD COLUMN handle text NOT NULL DEFAULT 'nobody'"),
            apps: || vec![with(users(), &[(Role::New, "handle", "lower($2)")])],
            expanded: HANDLE,
            contracted: HANDLE,
            shapes: &[Shape::Rows, Shape::Partitioned, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column unique",
            json: r#"{"add_column": {"table": "users", "up": "'h' || id", "column": {"name": "handle", "type": "text", "unique": true}}}"#,
            plain: Some(
                "ALTER TABLE users ADD COLUMN handle text UNIQUE; UPDATE users SET handle = id; ALTER TABLE users ALTER COLUMN handle SET NOT NULL",
            ),
            apps: || {
                vec![with(
                    users(),
                    &[(Role::New, "handle", "'h' || ($1::bigint)::text")],
                )]
            },
            contracted: &["SELECT count(*) FROM users WHERE handle IS DISTINCT FROM 'h' || id"],
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column with a check",
            json: r#"{"add_column": {"table": "users", "up": "length(username)", "column": {"name": "size", "type": "int",
                      "check": {"name": "users_size_check", "constraint": "size > 0"}}}}"#,
            plain: Some(
                "ALTER TABLE users ADD COLUMN size int CHECK (size > 0); UPDATE users SET size = 1; ALTER TABLE users ALTER COLUMN size SET NOT NULL",
            ),
            apps: || vec![with(users(), &[(Role::New, "size", "length($2::text)")])],
            contracted: &[
                "SELECT count(*) FROM users WHERE size IS DISTINCT FROM length(username)",
            ],
            shapes: &[Shape::Rows, Shape::Partitioned, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "add_column with a reference",
            json: r#"{"add_column": {"table": "users", "up": "team", "column": {"name": "home", "type": "bigint", "nullable": true,
                      "references": {"name": "users_home", "table": "teams", "column": "id", "on_delete": "SET NULL"}}}}"#,
            plain: Some(
                "ALTER TABLE users ADD COLUMN home bigint CONSTRAINT users_home REFERENCES teams (id) ON DELETE SET NULL",
            ),
            apps: || vec![with(users(), &[(Role::New, "home", "($1::bigint) % 100")])],
            contracted: &["SELECT count(*) FROM users WHERE home IS DISTINCT FROM id % 100"],
            shapes: &[Shape::Rows, Shape::Beside],
            ..Case::DEFAULT
        },
        Case {
            name: "several columns in one statement",
            json: r#"{"add_column": {"table": "users", "column": {"name": "a", "type": "int", "nullable": true}}},
                     {"add_column": {"table": "users", "column": {"name": "b", "type": "varchar(10)", "default": "'b'"}}}"#,
            sql: "ALTER TABLE users ADD COLUMN a int, ADD COLUMN b varchar(10) NOT NULL DEFAULT 'b'",
            apps: || {
                vec![with(
                    users(),
                    &[(Role::New, "a", "1"), (Role::New, "b", "'x'")],
                )]
            },
            ..Case::DEFAULT
        },
    ]
}

/// The old release writes `legacy`, the new one does not know it.
const LEGACY: &[(Role, &str, &str)] = &[(Role::Old, "legacy", "upper($2)")];

fn dropped() -> Vec<Case> {
    vec![
        Case {
            name: "drop_column nullable",
            extra: "ALTER TABLE users ADD COLUMN legacy text; UPDATE users SET legacy = upper(username)",
            json: r#"{"drop_column": {"table": "users", "column": "legacy"}}"#,
            sql: "ALTER TABLE users DROP COLUMN legacy",
            apps: || vec![with(users(), LEGACY)],
            taken_back: &[
                "SELECT count(*) FROM users WHERE username LIKE 'Seed-%' AND legacy IS DISTINCT FROM upper(username)",
            ],
            ..Case::DEFAULT
        },
        Case {
            name: "drop_column with down",
            extra: "ALTER TABLE users ADD COLUMN legacy text; UPDATE users SET legacy = upper(username); ALTER TABLE users ALTER COLUMN legacy SET NOT NULL",
            json: r#"{"drop_column": {"table": "users", "column": "legacy", "down": "upper(username)"}}"#,
            plain: Some("ALTER TABLE users DROP COLUMN legacy"),
            apps: || vec![with(users(), LEGACY)],
            expanded: &["SELECT count(*) FROM users WHERE legacy IS DISTINCT FROM upper(username)"],
            taken_back: &["SELECT count(*) FROM users WHERE legacy IS NULL"],
            ..Case::DEFAULT
        },
        Case {
            name: "drop_column not null with a default",
            extra: "ALTER TABLE users ADD COLUMN legacy text NOT NULL DEFAULT 'none'; COMMENT ON COLUMN users.legacy IS 'once'",
            json: r#"{"drop_column": {"table": "users", "column": "legacy"}}"#,
            sql: "ALTER TABLE users DROP COLUMN legacy",
            apps: || vec![with(users(), LEGACY)],
            taken_back: &["SELECT count(*) FROM users WHERE legacy IS NULL"],
            ..Case::DEFAULT
        },
        Case {
            name: "drop_column with what hangs on it",
            extra: "ALTER TABLE users ADD COLUMN legacy bigint DEFAULT 1 REFERENCES teams CHECK (legacy >= 0); CREATE INDEX users_legacy ON users (legacy DESC, username)",
            json: r#"{"drop_column": {"table": "users", "column": "legacy"}}"#,
            sql: "ALTER TABLE users DROP COLUMN legacy",
            apps: || {
                vec![with(
                    users(),
                    &[(Role::Old, "legacy", "($1::bigint) % 100")],
                )]
            },
            shapes: NOT_PARTITIONED,
            ..Case::DEFAULT
        },
        Case {
            name: "drop_column for good",
            extra: "ALTER TABLE users ADD COLUMN legacy text",
            json: r#"{"drop_column": {"table": "users", "column": "legacy", "immediately": true}}"#,
            plain: Some("ALTER TABLE users DROP COLUMN legacy"),
            apps: || vec![with(users(), LEGACY)],
            shapes: &[Shape::Rows],
            back: Back::Before,
            ..Case::DEFAULT
        },
    ]
}

fn renamed() -> Vec<Case> {
    let rename = Case {
        name: "rename_column",
        json: r#"{"rename_column": {"table": "users", "from": "username", "to": "email"}}"#,
        sql: "ALTER TABLE users RENAME COLUMN username TO email",
        apps: || vec![app("users", "username", "email")],
        expanded: &["SELECT count(*) FROM users WHERE username IS DISTINCT FROM email"],
        ..Case::DEFAULT
    };
    vec![
        Case {
            shapes: EVERYWHERE,
            ..rename.clone()
        },
        Case {
            name: "rename_column nullable with a default",
            // A null that the new release inserts cannot be told from a column it does not name,
            // and becomes the default: it writes none.
            extra: "ALTER TABLE users ALTER COLUMN username DROP NOT NULL, ALTER COLUMN username SET DEFAULT 'nobody'",
            apps: || {
                let mut spec = app("users", "username", "email");
                spec.old_value = |n| (n % 4 != 0).then(|| format!("Old-{n}"));
                vec![spec]
            },
            ..rename.clone()
        },
        Case {
            name: "rename_column with indexes and a check",
            extra: "CREATE INDEX users_name ON users (lower(username), id) WHERE username <> 'x';
                    CREATE UNIQUE INDEX users_unique ON users (username) INCLUDE (team);
                    ALTER TABLE users ADD CONSTRAINT named CHECK (length(username) > 1)",
            shapes: NOT_PARTITIONED,
            ..rename.clone()
        },
        Case {
            name: "rename_column unique, referenced, in a view",
            extra: "ALTER TABLE users ADD CONSTRAINT users_username_key UNIQUE (username);
                    CREATE TABLE posts (id int PRIMARY KEY, author text REFERENCES users (username) ON UPDATE CASCADE ON DELETE SET NULL);
                    INSERT INTO posts SELECT g, 'Seed-' || g FROM generate_series(1, 200) g WHERE EXISTS (SELECT FROM users);
                    CREATE VIEW names AS SELECT id, username FROM users WHERE team < 50",
            shapes: NOT_PARTITIONED,
            contracted: &["SELECT count(*) FROM posts p WHERE author IS NOT NULL AND NOT EXISTS (SELECT FROM users u WHERE u.email = p.author)"],
            taken_back: &["SELECT count(*) FROM posts p WHERE author IS NOT NULL AND NOT EXISTS (SELECT FROM users u WHERE u.username = p.author)"],
            ..rename.clone()
        },
        Case {
            name: "rename_column with a foreign key",
            extra: "ALTER TABLE users ADD CONSTRAINT users_team FOREIGN KEY (team) REFERENCES teams",
            json: r#"{"rename_column": {"table": "users", "from": "team", "to": "group_id"}}"#,
            sql: "ALTER TABLE users RENAME COLUMN team TO group_id",
            apps: || {
                let mut spec = without(app("users", "team", "group_id"), &["team"]);
                spec.also.push(("username".to_owned(), "'u'".to_owned()));
                spec.old_value = |n| (n % 9 != 0).then(|| (n % 100).to_string());
                spec.new_value = |n| Some((n % 50).to_string());
                vec![spec]
            },
            expanded: &["SELECT count(*) FROM users WHERE team IS DISTINCT FROM group_id"],
            ..rename.clone()
        },
        Case {
            name: "rename_column of the key",
            json: r#"{"rename_column": {"table": "users", "from": "id", "to": "uid"}}"#,
            sql: "ALTER TABLE users RENAME COLUMN id TO uid",
            apps: || {
                let mut spec = users();
                spec.new_key = Some("uid".to_owned());
                vec![spec]
            },
            expanded: &["SELECT count(*) FROM users WHERE id IS DISTINCT FROM uid"],
            shapes: NOT_PARTITIONED,
            ..rename
        },
    ]
}
