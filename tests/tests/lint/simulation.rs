//! What earlier statements of a script mean for later ones.

use crate::{asked, lint, rules, schema};
use pg_migrate_tests::cluster;

fn has(script: &str, rule: &str) -> bool {
    rules(schema(), script).iter().any(|found| found == rule)
}

#[test]
fn statements_have_numbers_and_lines() {
    let script = "-- first\nSELECT 1;\n\n/* two\nlines */ SELECT 2;\nDO $$\nBEGIN\nEND$$; SELECT 3";
    let mut found = lint(schema(), "DISTINCT statement, line", script);
    found.sort();
    assert_eq!(found, [["1", "2"], ["2", "5"], ["3", "6"], ["4", "8"]]);
}

#[test]
fn a_table_of_the_script_is_known_by_its_schema() {
    let script = "CREATE SCHEMA fresh; CREATE TABLE fresh.users (id int); ALTER TABLE fresh.users ADD COLUMN z uuid DEFAULT gen_random_uuid();";
    assert!(!has(script, "volatile-default"));
    let other =
        format!("{script} ALTER TABLE public.users ADD COLUMN z uuid DEFAULT gen_random_uuid();");
    assert!(has(&other, "volatile-default"));
}

#[test]
fn search_path_says_which_table_is_meant() {
    let add = "ALTER TABLE users ADD COLUMN z uuid DEFAULT gen_random_uuid();";
    let made =
        "CREATE SCHEMA fresh; SET search_path TO fresh, public; CREATE TABLE users (id int);";
    assert!(!has(&format!("{made} {add}"), "volatile-default"));
    assert!(has(
        &format!("{made} SET search_path = public; {add}"),
        "volatile-default"
    ));
    assert!(has(
        &format!("{made} SELECT set_config('search_path', 'public', false); {add}"),
        "volatile-default"
    ));
    // It ends with lint.
    let after = schema().one::<String>(
        "SELECT current_setting('search_path') FROM migrate.lint('SET search_path = s2') LIMIT 1",
    );
    assert_eq!(after, "\"$user\", public");
}

#[test]
fn a_renamed_table_is_found_by_its_new_name() {
    let script =
        "ALTER TABLE users RENAME TO people; ALTER TABLE people ALTER COLUMN age TYPE bigint;";
    let found = lint(schema(), "statement, rule", script);
    let hit = ["2".to_owned(), "type-change-rewrites".to_owned()];
    assert!(found.contains(&hit.to_vec()), "{found:?}");
    let gone = "ALTER TABLE users RENAME TO people; ALTER TABLE IF EXISTS users ADD COLUMN z int;";
    let found = lint(schema(), "rule, message", gone);
    let last = found.last().expect("a row");
    assert_eq!(last[0], "safe", "{found:?}");
}

#[test]
fn a_dropped_and_remade_table_is_new() {
    let script = "DROP TABLE orders; CREATE TABLE orders (id int); CREATE INDEX ON orders (id);";
    assert!(!has(script, "index-without-concurrently"));
}

#[test]
fn a_truncated_table_is_empty_until_it_is_filled() {
    let alter = "ALTER TABLE orders ALTER COLUMN qty TYPE bigint;";
    assert!(!has(
        &format!("TRUNCATE orders; {alter}"),
        "type-change-rewrites"
    ));
    assert!(has(
        &format!("TRUNCATE orders; INSERT INTO orders VALUES (1, 1, 1); {alter}"),
        "type-change-rewrites"
    ));
}

#[test]
fn types_follow_the_script() {
    let to_bigint = "ALTER TABLE users ALTER COLUMN email TYPE text; ALTER TABLE users ALTER COLUMN email TYPE varchar(10);";
    let found = lint(schema(), "statement, rule", to_bigint);
    assert!(found.contains(&vec!["2".into(), "type-change-rewrites".into()]));
    assert!(!found.contains(&vec!["1".into(), "type-change-rewrites".into()]));
}

#[test]
fn one_transaction_may_be_around_the_script() {
    let script =
        "ALTER TABLE users ADD COLUMN z int; ALTER TABLE orders ADD COLUMN z int; VACUUM users;";
    let found = asked(
        schema(),
        "SET migrate.lint_transaction = on",
        "rule",
        script,
    );
    for rule in ["several-locks", "not-in-transaction"] {
        assert!(found.iter().any(|name| name == rule), "{rule}: {found:?}");
    }
}

#[test]
fn the_way_back_begins_anew() {
    let script = "-- migrate:up\nCREATE TABLE fresh (a int);\nCREATE INDEX ON fresh (a);\n-- migrate:down\nDROP TABLE fresh;";
    let found = lint(schema(), "statement, rule", script);
    assert!(
        found.contains(&vec!["3".into(), "drop-table".into()]),
        "{found:?}"
    );
    assert!(!found.contains(&vec!["2".into(), "index-without-concurrently".into()]));
}

#[test]
fn constraints_and_columns_that_are_dropped_no_longer_count() {
    let script = "ALTER TABLE users DROP CONSTRAINT chk_nn; ALTER TABLE users ALTER COLUMN chk SET NOT NULL;";
    assert!(has(script, "set-not-null"));
}

#[test]
fn a_comment_silences_one_rule_for_one_statement() {
    let db = schema();
    let script = "-- migrate:ignore drop-table, drop-table-locks-target nobody uses it\nDROP TABLE owned;\nDROP TABLE orders;";
    let found = lint(db, "statement, rule", script);
    let hit = |number: &str| found.contains(&vec![number.to_owned(), "drop-table".to_owned()]);
    assert!(!hit("1") && hit("2"), "{found:?}");
    let behind =
        "DROP TABLE owned; -- migrate:ignore drop-table nobody uses it\nDROP TABLE orders;";
    let found = lint(db, "statement, rule", behind);
    assert!(
        !found.contains(&vec!["1".to_owned(), "drop-table".to_owned()]),
        "{found:?}"
    );
    assert!(
        found.contains(&vec!["2".to_owned(), "drop-table".to_owned()]),
        "{found:?}"
    );
}

#[test]
fn settings_turn_rules_off_and_change_severities() {
    // Of its own: nobody else looks at its table meanwhile.
    let db = cluster().database();
    db.run("CREATE TABLE orders (id bigint)");
    let ask = |set: &str| asked(&db, set, "rule || ' ' || severity", "DROP TABLE orders");
    let is = |found: &[String], wanted: &str| found.iter().any(|text| text == wanted);
    assert!(is(&ask(""), "drop-table error"));
    let found = ask("SET migrate.lint_severity = 'drop-table=advice, cascade = safe'");
    assert!(is(&found, "drop-table advice"), "{found:?}");
    let off =
        "SET migrate.lint_off = 'drop-table, lock-timeout-missing, statement-timeout-missing'";
    assert_eq!(ask(off), ["safe safe"]);
    for (set, hint) in [
        (
            "SET migrate.lint_off = 'drop-tabel'",
            "Did you mean drop-table?",
        ),
        (
            "SET migrate.lint_severity = 'drop-table=fatal'",
            "Write drop-table=error",
        ),
    ] {
        let failure = db.error(&format!("{set}; SELECT * FROM migrate.lint('SELECT 1')"));
        assert!(failure.hint.starts_with(hint), "{failure}");
        assert_eq!(failure.sqlstate, "22023");
    }
}

#[test]
fn long_work_on_a_small_table_can_be_a_warning() {
    let script = "ALTER TABLE users ALTER COLUMN age TYPE bigint";
    for (small, severity) in [("0", "error"), ("100MB", "warning")] {
        let set = format!("SET migrate.lint_small = '{small}'");
        let found = asked(schema(), &set, "rule || ' ' || severity", script);
        let wanted = format!("type-change-rewrites {severity}");
        assert!(found.contains(&wanted), "{small}: {found:?}");
    }
}

#[test]
fn what_is_rolled_back_did_not_happen() {
    let script = "BEGIN; DROP TABLE users; CREATE TABLE users (age int); ALTER TABLE orders DROP COLUMN qty; ROLLBACK;
                  ALTER TABLE users ALTER COLUMN age TYPE bigint; ALTER TABLE orders ALTER COLUMN qty TYPE smallint;";
    let found = lint(schema(), "statement, rule", script);
    for number in ["6", "7"] {
        let hit = vec![number.to_owned(), "type-change-rewrites".to_owned()];
        assert!(found.contains(&hit), "{found:?}");
    }
}

/// The rules found, each with the number of its statement.
fn found(script: &str) -> Vec<(String, String)> {
    lint(schema(), "statement, rule", script)
        .into_iter()
        .map(|row| (row[0].clone(), row[1].clone()))
        .collect()
}

fn hits(script: &str, statement: &str, rule: &str) -> bool {
    found(script).contains(&(statement.to_owned(), rule.to_owned()))
}

#[test]
fn what_a_savepoint_takes_back_did_not_happen() {
    let script = "BEGIN; CREATE TABLE fresh (a int); SAVEPOINT s; DROP TABLE users; CREATE TABLE users (age int); ROLLBACK TO s;
                  ALTER TABLE users ALTER COLUMN age TYPE bigint; ALTER TABLE fresh ALTER COLUMN a TYPE bigint; COMMIT;";
    assert!(hits(script, "7", "type-change-rewrites"));
    assert!(
        !hits(script, "8", "type-change-rewrites"),
        "made before the savepoint"
    );
    let kept = script.replace("ROLLBACK TO s", "RELEASE s");
    assert!(!hits(&kept, "7", "type-change-rewrites"));
    // A transaction takes back what its savepoints have given to it.
    let whole =
        kept.replace("COMMIT", "ROLLBACK") + " ALTER TABLE users ALTER COLUMN age TYPE bigint;";
    assert!(hits(&whole, "10", "type-change-rewrites"));
    // Back to where a table was gone already.
    let gone = "DROP TABLE orders; BEGIN; CREATE TABLE orders (a int); ROLLBACK; ALTER TABLE IF EXISTS orders ADD COLUMN z uuid DEFAULT gen_random_uuid();";
    assert!(!hits(gone, "5", "volatile-default"), "{:?}", found(gone));
}

#[test]
fn a_savepoint_gives_locks_back() {
    let script = "BEGIN; SAVEPOINT s; ALTER TABLE users ADD COLUMN z int; ROLLBACK TO SAVEPOINT s; DELETE FROM orders; COMMIT;";
    assert!(!hits(script, "5", "write-in-ddl-transaction"));
    let kept = script.replace("ROLLBACK TO SAVEPOINT s", "RELEASE SAVEPOINT s");
    assert!(hits(&kept, "5", "write-in-ddl-transaction"));
    let inner = "BEGIN; ALTER TABLE users ADD COLUMN z int; SAVEPOINT s; ALTER TABLE orders ADD COLUMN z int; ROLLBACK TO s; ALTER TABLE orders ADD COLUMN z int; COMMIT;";
    assert!(hits(inner, "6", "several-locks"), "users is locked still");
}

#[test]
fn a_savepoint_gives_settings_back() {
    let path = "CREATE SCHEMA fresh; BEGIN; SAVEPOINT s; SET search_path = fresh; ROLLBACK TO s; CREATE INDEX ON users (id); COMMIT;";
    assert!(hits(path, "6", "index-without-concurrently"));
    let local = "CREATE SCHEMA fresh; BEGIN; SET LOCAL search_path = fresh; CREATE TABLE users (id int); COMMIT; CREATE INDEX ON users (id);";
    assert!(hits(local, "6", "index-without-concurrently"));
    let rolled = "CREATE SCHEMA fresh; BEGIN; SET search_path = fresh; ROLLBACK; CREATE INDEX ON users (id);";
    assert!(hits(rolled, "5", "index-without-concurrently"));
    let limit = "BEGIN; SAVEPOINT s; SET lock_timeout = '1s'; ROLLBACK TO s; ALTER TABLE users ADD COLUMN z int; COMMIT;";
    assert!(hits(limit, "5", "lock-timeout-missing"));
    let kept = limit.replace("ROLLBACK TO s", "RELEASE s");
    assert!(!hits(&kept, "5", "lock-timeout-missing"));
    let reset = "SET lock_timeout = '1s'; RESET lock_timeout; ALTER TABLE users ADD COLUMN z int;";
    assert!(hits(reset, "3", "lock-timeout-zero") || hits(reset, "3", "lock-timeout-missing"));
}

#[test]
fn one_transaction_around_the_script_is_taken_back_too() {
    let script = "DROP TABLE users; CREATE TABLE users (age int); ROLLBACK; ALTER TABLE users ALTER COLUMN age TYPE bigint;";
    let found = asked(
        schema(),
        "SET migrate.lint_transaction = on",
        "statement || ' ' || rule",
        script,
    );
    assert!(
        found.contains(&"4 type-change-rewrites".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_table_that_is_renamed_is_still_the_one_that_is_locked() {
    let script = "BEGIN; ALTER TABLE orders RENAME TO purchases; ALTER TABLE purchases ADD COLUMN z int; COMMIT;";
    assert!(!hits(script, "3", "several-locks"), "{:?}", found(script));
    let other = "BEGIN; ALTER TABLE orders RENAME TO purchases; ALTER TABLE users ADD COLUMN z int; COMMIT;";
    assert!(hits(other, "3", "several-locks"));
}

#[test]
fn a_type_of_the_script_has_the_same_value_in_each_row() {
    let made = "CREATE TYPE status AS ENUM ('new', 'old');";
    for (column, rewrites) in [
        ("status status DEFAULT 'new' NOT NULL", false),
        ("status public.status", false),
        ("status status[] DEFAULT '{}'", false),
        ("status status DEFAULT pick()", true),
        ("status nosuch DEFAULT 'new'", true),
    ] {
        let script = format!("{made} ALTER TABLE users ADD COLUMN {column};");
        assert_eq!(hits(&script, "2", "volatile-default"), rewrites, "{column}");
    }
    // What is taken back is not there.
    let back = "BEGIN; CREATE TYPE status AS ENUM ('new'); ROLLBACK; ALTER TABLE users ADD COLUMN s status DEFAULT 'new';";
    assert!(hits(back, "4", "volatile-default"));
}
