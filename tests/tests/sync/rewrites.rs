//! What rewrites, empties or adds to the table past the trigger while rows are still unfilled.

use crate::{fill, price, prices, row};
use pg_migrate_tests::{Db, cluster};

/// None of these goes through the trigger; unfilled rows stay unfilled and NULLs on purpose stay too,
/// except where `forgets`: there they count as unfilled.
const REWRITES: &[(&str, bool)] = &[
    ("VACUUM FULL m", false),
    ("CLUSTER m USING m_pkey", false),
    ("VACUUM (FREEZE) m", false),
    ("ALTER TABLE m ALTER COLUMN id TYPE bigint", false),
    ("ALTER TABLE m ADD COLUMN r float8 DEFAULT random()", false),
    ("ALTER TABLE m SET UNLOGGED", false),
    ("ALTER TABLE m ADD COLUMN c int DEFAULT 1", false),
    (
        "BEGIN; SAVEPOINT a; ALTER TABLE m ALTER COLUMN id TYPE bigint; RELEASE a; COMMIT",
        false,
    ),
    (
        "ALTER TABLE m DISABLE TRIGGER USER; ALTER TABLE m ENABLE ALWAYS TRIGGER \"~~pg_migrate_sync_price~whole\"",
        true,
    ),
];

#[test]
fn rewritten_rows_are_still_unfilled() {
    for (rewrite, forgets) in REWRITES {
        for by_backfill in [false, true] {
            let db = prices();
            db.run("UPDATE m SET whole = NULL, price = NULL WHERE id = 3; UPDATE m SET whole = 4 WHERE id = 3; UPDATE m SET whole = NULL WHERE id = 3");
            assert_eq!(price(&db, 3), "-1 NULL", "{rewrite}");
            if rewrite.starts_with("BEGIN") || !rewrite.contains("; ") {
                let mut client = db.connect();
                for statement in rewrite.split("; ") {
                    client.batch_execute(statement).expect("a rewrite");
                }
            } else {
                db.run(rewrite);
            }
            if by_backfill {
                fill(&db, "m", "whole", "round(price)", "whole IS NULL");
            } else {
                db.run("UPDATE m SET note = 'x'");
            }
            let place = format!("{rewrite}, by backfill: {by_backfill}");
            assert_eq!(price(&db, 1), "1.7 2", "{place}");
            assert_eq!(price(&db, 2), "2.2 2", "{place}");
            let purpose = if *forgets { "-1 -1" } else { "-1 NULL" };
            assert_eq!(price(&db, 3), purpose, "{place}");
            // Written after the rewrite, it is on purpose again.
            db.run("UPDATE m SET whole = NULL WHERE id = 1");
            db.run("UPDATE m SET note = 'y'");
            assert_eq!(price(&db, 1), "-1 NULL", "{place}");
        }
    }
}

/// Both sides null tell nothing: where the new side wants something else, it gets that.
#[test]
fn rewritten_nulls_of_both_sides_are_filled() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE n (id int PRIMARY KEY, old text, note text);
         INSERT INTO n VALUES (1, NULL), (2, NULL), (3, 'ann');
         ALTER TABLE n ADD COLUMN new text;
         SELECT migrate.sync_column_trigger('n', 'old', 'new', $$coalesce(old, 'none')$$);
         ALTER TABLE n ALTER COLUMN id TYPE bigint;
         UPDATE n SET note = 'x' WHERE id = 1",
    );
    fill(&db, "n", "new", "coalesce(old, 'none')", "new IS NULL");
    let all = "SELECT string_agg(new, ' ' ORDER BY id) FROM n";
    assert_eq!(db.one::<String>(all), "none none ann");
}

/// Whoever owns the table rewrites it, with no right in the extension's schema.
#[test]
fn an_owner_without_rights_in_the_schema_rewrites_too() {
    let db = prices();
    let owner = format!("owner_{}", db.name());
    db.run(&format!(
        "CREATE ROLE {owner} LOGIN; ALTER TABLE m OWNER TO {owner}; GRANT CREATE, USAGE ON SCHEMA public TO {owner};
         REVOKE USAGE ON SCHEMA migrate FROM PUBLIC"
    ));
    db.run_as(&owner, "ALTER TABLE m ALTER COLUMN id TYPE bigint");
    db.run_as(&owner, "UPDATE m SET note = 'x'");
    assert_eq!(price(&db, 1), "1.7 2");
    let failure = db.error("SELECT migrate.table_rewritten()");
    assert_eq!(failure.sqlstate, "39P03", "{failure}");
}

#[test]
fn a_truncated_table_begins_anew() {
    let db = prices();
    db.run("TRUNCATE m; INSERT INTO m (id, price) VALUES (1, 1.7)");
    assert_eq!(price(&db, 1), "1.7 2");
    db.run("UPDATE m SET whole = NULL; UPDATE m SET note = 'x'");
    assert_eq!(price(&db, 1), "-1 NULL");
}

fn with_default() -> Db {
    let db = cluster().database();
    db.run(
        "CREATE TABLE d (id int PRIMARY KEY, old text, note text);
         INSERT INTO d VALUES (1, 'ann'), (2, 'bob'), (3, NULL);
         ALTER TABLE d ADD COLUMN new text DEFAULT 'none'",
    );
    db.run("SELECT migrate.sync_column_trigger('d', 'old', 'new')");
    db
}

/// The default with which the new column came stands in every row that nobody filled.
#[test]
fn the_default_of_an_added_column_is_not_filled() {
    let db = with_default();
    let pair = |id: i32| row(&db, &format!("SELECT old, new FROM d WHERE id = {id}"));
    db.run("UPDATE d SET note = 'x' WHERE id = 1");
    assert_eq!(pair(1), "ann ann");
    db.run("VACUUM FULL d");
    db.run("UPDATE d SET new = lower(new) WHERE id = 2");
    assert_eq!(pair(2), "bob bob", "it never maps back");
    db.run("UPDATE d SET new = 'none' WHERE id = 1; UPDATE d SET note = 'y' WHERE id = 1");
    assert_eq!(pair(1), "none none", "but it may be written");
    db.run("SELECT migrate.sync_filled('d', 'old', 'new')");
    db.run("UPDATE d SET note = 'z' WHERE id = 3");
    assert_eq!(pair(3), "NULL none", "nothing is filled when it is done");
}
