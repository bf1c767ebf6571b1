//! Recipes run as they are pasted, and end in the schema that the statement itself would have made.

use crate::literal;
use pg_migrate_tests::{Db, cluster};

/// A statement, and the rule whose recipe is pasted.
const SAME: &[(&str, &str)] = &[
    (
        "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
        "set-not-null",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT c CHECK (nn > 0)",
        "check-without-not-valid",
    ),
    (
        "ALTER TABLE users ADD CHECK (nn > 0)",
        "check-without-not-valid",
    ),
    (
        "ALTER TABLE users ADD CHECK (nn > 0 OR id > 0)",
        "check-without-not-valid",
    ),
    (
        "ALTER TABLE orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE DEFERRABLE",
        "foreign-key-without-not-valid",
    ),
    (
        "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users",
        "foreign-key-without-not-valid",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (id, nn)",
        "unique-builds-index",
    ),
    (
        "ALTER TABLE users ADD UNIQUE (id, nn) INCLUDE (email) DEFERRABLE INITIALLY DEFERRED",
        "unique-builds-index",
    ),
    (
        "ALTER TABLE fknv ADD PRIMARY KEY (user_id)",
        "unique-builds-index",
    ),
    (
        "CREATE INDEX i9 ON users (bio)",
        "index-without-concurrently",
    ),
    (
        "CREATE UNIQUE INDEX ON users (id, bio)",
        "index-without-concurrently",
    ),
    ("CREATE INDEX k9 ON p (k)", "index-without-concurrently"),
    (
        "DROP INDEX users_email_idx",
        "drop-index-without-concurrently",
    ),
    ("REINDEX TABLE orders", "reindex-without-concurrently"),
    ("REINDEX INDEX orders_user", "reindex-without-concurrently"),
    (
        "REFRESH MATERIALIZED VIEW mv",
        "refresh-without-concurrently",
    ),
    (
        "ALTER TABLE users ADD COLUMN z1 int CHECK (z1 > 0) UNIQUE DEFERRABLE",
        "inline-check",
    ),
    (
        "ALTER TABLE users ADD COLUMN z2 int UNIQUE",
        "inline-unique",
    ),
    (
        "ALTER TABLE orders ADD COLUMN z3 bigint DEFAULT 1 REFERENCES users",
        "inline-foreign-key",
    ),
    ("UPDATE orders SET qty = 2", "write-without-where"),
    ("DELETE FROM orders", "write-without-where"),
    (
        "ALTER TABLE orders ADD COLUMN z4 uuid NOT NULL DEFAULT gen_random_uuid()",
        "volatile-default",
    ),
    (
        "ALTER TABLE orders ADD COLUMN z5 bigserial",
        "identity-column",
    ),
    (
        "ALTER TABLE orders ADD COLUMN z6 bigint GENERATED ALWAYS AS IDENTITY",
        "identity-column",
    ),
    (
        "ALTER TABLE orders ALTER COLUMN qty TYPE bigint",
        "type-change-rewrites",
    ),
    (
        "ALTER TABLE orders ALTER COLUMN qty TYPE bigint",
        "change-column-type",
    ),
    (
        "ALTER TABLE users ALTER COLUMN email TYPE citext",
        "type-change-rebuilds-indexes",
    ),
    (
        "ALTER TABLE users RENAME COLUMN bio TO life",
        "rename-column",
    ),
    ("ALTER TABLE users DROP COLUMN bio", "drop-column"),
    ("ALTER TABLE orders RENAME TO purchases", "rename-table"),
    ("DROP TABLE orders", "drop-table"),
    ("DROP VIEW v", "drop-view"),
    (
        "ALTER TABLE p ATTACH PARTITION cand FOR VALUES FROM (100) TO (200)",
        "attach-reads-partition",
    ),
    (
        "ALTER TABLE pd ATTACH PARTITION cand FOR VALUES FROM (100) TO (200)",
        "attach-reads-default",
    ),
    (
        "ALTER TABLE p DETACH PARTITION p1",
        "detach-without-concurrently",
    ),
    ("DROP TABLE p1", "drop-partition"),
    (
        "CREATE TABLE p9 PARTITION OF p FOR VALUES FROM (900) TO (1000)",
        "create-partition-of",
    ),
];

/// What a dump says of the schema, in any order.
fn dumped(db: &Db) -> Vec<String> {
    let done = db
        .client_command("pg_dump")
        .args([
            "--schema-only",
            "-N",
            "migrate",
            "-N",
            "migrate_aside",
            "-d",
            db.name(),
        ])
        .output()
        .expect("pg_dump");
    assert!(done.status.success(), "{done:?}");
    let text = String::from_utf8(done.stdout).expect("text");
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| {
            !line.starts_with("--") && !line.starts_with('\\') && !line.trim().is_empty()
        })
        .map(|line| line.trim().trim_end_matches(',').to_owned())
        // What a contract sets aside is kept for a while.
        .filter(|line| !line.starts_with("_pgm_aside_"))
        // DETACH CONCURRENTLY leaves the bounds behind as a CHECK.
        .filter(|line| !line.starts_with("CONSTRAINT p1_k_check"))
        .collect();
    lines.sort();
    lines
}

fn fixture() -> Db {
    let db = cluster().database();
    db.psql(pg_migrate_tests::facts::FIXTURE);
    db
}

#[test]
fn a_recipe_ends_in_the_schema_of_its_statement() {
    let mut wrong = Vec::new();
    for (sql, rule) in SAME {
        let (plain, careful) = (fixture(), fixture());
        plain.psql(sql);
        let recipe: Vec<Vec<String>> = careful.rows(&format!(
            "SELECT recipe FROM migrate.lint({}) WHERE rule = '{rule}' LIMIT 1",
            literal(sql)
        ));
        let Some(recipe) = recipe.first().map(|row| row[0].clone()) else {
            wrong.push(format!("{sql}: {rule} says nothing"));
            continue;
        };
        let (done, said) = careful.try_psql(&recipe);
        if !done {
            wrong.push(format!("{sql}\n{recipe}\n    {said}"));
            continue;
        }
        if recipe.contains("migrate.apply(") {
            let state =
                careful.one::<String>("SELECT state FROM migrate.status WHERE revision = '0001'");
            if state == "expanded" {
                careful.psql("CALL migrate.contract('0001')");
            }
        }
        let (wanted, found) = (dumped(&plain), dumped(&careful));
        let only = |one: &[String], other: &[String]| -> Vec<String> {
            one.iter()
                .filter(|line| !other.contains(line))
                .cloned()
                .collect()
        };
        if wanted != found {
            wrong.push(format!(
                "{sql}\n{recipe}\n    missing: {:#?}\n    more: {:#?}",
                only(&wanted, &found),
                only(&found, &wanted)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

/// What reaches the same schema is not all that a recipe must do: lint has nothing against it.
#[test]
fn a_recipe_has_no_error_of_its_own() {
    let db = fixture();
    let mut wrong = Vec::new();
    for (sql, rule) in SAME {
        let rows = db.rows(&format!(
            "SELECT recipe FROM migrate.lint({}) WHERE rule = '{rule}' LIMIT 1",
            literal(sql)
        ));
        let Some(recipe) = rows.first().map(|row| row[0].clone()) else {
            continue;
        };
        let said = db.rows(&format!(
            "SELECT rule, message FROM migrate.lint({}) WHERE severity = 'error' AND rule <> '{}'",
            literal(&recipe),
            // The recipe for the default partition is not the one for the new one.
            match *rule {
                "attach-reads-default" => "attach-reads-partition",
                _ => "drop-table",
            }
        ));
        if !said.is_empty() {
            wrong.push(format!("{sql}\n{recipe}\n    {said:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_revision_of_a_recipe_follows_what_is_registered() {
    let db = fixture();
    let ask = |text: &str| {
        let sql = "SELECT recipe FROM migrate.lint('ALTER TABLE users RENAME COLUMN bio TO life') WHERE rule = 'rename-column'";
        let recipe = db.one::<String>(sql);
        assert!(recipe.contains(text), "{text}: {recipe}");
    };
    ask("-- migrate:revision 0001\n");
    db.run("SELECT migrate.apply('-- migrate:revision 0007\n-- migrate:up\nSELECT 1;')");
    ask("-- migrate:revision 0008 after 0007\n");
}

#[test]
fn a_text_with_dollars_is_quoted_otherwise() {
    let db = fixture();
    let recipe = db.one::<String>(
        "SELECT recipe FROM migrate.lint('DO $sql$BEGIN PERFORM $$a$$; END$sql$') WHERE rule = 'do-block'",
    );
    assert!(
        recipe.starts_with("SELECT * FROM migrate.trace($_sql$DO $sql$"),
        "{recipe}"
    );
    db.psql(&recipe);
}
