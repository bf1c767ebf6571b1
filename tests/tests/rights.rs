//! Whose rights what runs with, and names that need quoting.

use pg_migrate_tests::{Db, cluster};

/// A role that owns its tables and was granted the use of the extension, nothing more.
fn owned_database() -> (Db, String) {
    let db = cluster().database();
    let role = format!("{} Öwner", db.name());
    let quoted = format!("\"{role}\"");
    db.run(&format!(
        "CREATE ROLE {quoted} LOGIN; SELECT migrate.grant_to('{role}');
         CREATE SCHEMA \"App s\" AUTHORIZATION {quoted};
         ALTER ROLE {quoted} SET search_path = \"App s\";"
    ));
    db.run_as(
        &role,
        "CREATE TABLE users (id bigint PRIMARY KEY, username text NOT NULL);
         INSERT INTO users SELECT i, 'u' || i FROM generate_series(1, 5000) i;
         CREATE UNIQUE INDEX users_username ON users (username);",
    );
    (db, role)
}

const RENAME: &str = "-- migrate:revision 1\nALTER TABLE users RENAME COLUMN username TO email;\nCREATE INDEX users_lower ON users (lower(email));";

#[test]
fn an_owner_without_superuser_runs_a_whole_migration() {
    let (db, role) = owned_database();
    db.run_as(&role, &format!("SELECT migrate.apply('{RENAME}')"));
    db.run_as(&role, "CALL migrate.upgrade()");
    db.run_as(&role, "CALL migrate.contract('1')");
    assert_eq!(
        db.one::<i64>("SELECT count(email) FROM \"App s\".users"),
        5000
    );
    db.run_as(&role, "CALL migrate.downgrade('base')");
    assert_eq!(
        db.one::<i64>("SELECT count(username) FROM \"App s\".users"),
        5000
    );
}

#[test]
fn a_worker_works_with_the_owners_rights() {
    let (db, role) = owned_database();
    db.run_as(&role, &format!("SELECT migrate.apply('{RENAME}')"));
    db.run_as(&role, "SELECT migrate.start_worker()");
    db.wait_for(
        "the worker",
        60,
        "SELECT state = 'expanded' FROM migrate.status WHERE revision = '1'",
    );
    let strangers = db.rows(&format!(
        "SELECT DISTINCT role FROM migrate.event WHERE role <> '{role}'"
    ));
    assert!(strangers.is_empty(), "{strangers:?}");
    assert_eq!(
        db.one::<String>("SELECT tableowner::text FROM pg_tables WHERE tablename = 'users'"),
        role
    );
}

#[test]
fn a_superuser_drives_with_the_owners_rights() {
    let (db, role) = owned_database();
    // The expression tells who evaluates it.
    db.run_as(
        &role,
        "CREATE FUNCTION who(text) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT current_user::text';
         SELECT migrate.apply('{\"revision\": \"1\", \"operations\": [
            {\"add_column\": {\"table\": \"users\", \"column\": {\"name\": \"seen\", \"type\": \"text\", \"nullable\": true}}},
            {\"backfill\": {\"table\": \"users\", \"set\": {\"seen\": \"who(username)\"}, \"where\": \"seen IS NULL\"}}]}')",
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(
        db.rows("SELECT DISTINCT seen FROM \"App s\".users"),
        [[role]]
    );
}

/// A trigger that is deferred to the commit must not fire with the rights of whoever commits.
#[test]
fn deferred_triggers_fire_with_the_owners_rights() {
    let (db, role) = owned_database();
    db.run_as(
        &role,
        "CREATE TABLE seen (who text);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO \"App s\".seen VALUES (current_user); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER tell AFTER UPDATE ON users DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION tell();
         SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE users ADD COLUMN n int;\nUPDATE users SET n = 1 WHERE n IS NULL;')",
    );
    db.run("CALL migrate.upgrade()");
    assert_eq!(db.rows("SELECT DISTINCT who FROM \"App s\".seen"), [[role]]);
}

#[test]
fn nobody_without_the_grant_may_do_anything() {
    let db = cluster().database();
    let role = format!("{}_stranger", db.name());
    db.run(&format!(
        "CREATE ROLE {role} LOGIN; CREATE TABLE t (id int)"
    ));
    for sql in [
        "SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE t ADD COLUMN a int;')",
        "SELECT * FROM migrate.status",
        "CALL migrate.upgrade()",
    ] {
        assert_eq!(db.error_as(&role, sql).sqlstate, "42501", "{sql}");
    }
    // With the grant it still cannot touch a table that is not its own.
    db.run(&format!("SELECT migrate.grant_to('{role}')"));
    let failure = db.error_as(
        &role,
        "SELECT migrate.apply('-- migrate:revision 1\nALTER TABLE public.t ADD COLUMN a int;')",
    );
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    assert!(db.rows("SELECT * FROM migrate.revision").is_empty());
}

#[test]
fn nobody_takes_over_anothers_migration() {
    let (db, role) = owned_database();
    let other = format!("{}_other", db.name());
    db.run(&format!(
        "CREATE ROLE {other} LOGIN; SELECT migrate.grant_to('{other}')"
    ));
    db.run_as(&role, &format!("SELECT migrate.apply('{RENAME}')"));
    for sql in [
        "CALL migrate.upgrade()",
        "CALL migrate.contract('1')",
        "CALL migrate.downgrade('base')",
        "SELECT migrate.repair('1', 'abandon')",
        "SELECT migrate.backfill_batch((SELECT min(job) FROM migrate.backfill))",
    ] {
        if sql.contains("backfill_batch")
            && db.one::<i64>("SELECT count(*) FROM migrate.backfill") == 0
        {
            continue;
        }
        let failure = db.error_as(&other, sql);
        assert_eq!(failure.sqlstate, "42501", "{sql}: {failure}");
    }
    // What drives the queue of everybody passes over it.
    db.run_as(&other, "CALL migrate.work()");
    assert_eq!(
        db.one::<String>("SELECT state FROM migrate.revision"),
        "migrating"
    );
}

#[test]
fn direct_writes_to_the_state_are_refused() {
    let (db, role) = owned_database();
    db.run_as(&role, &format!("SELECT migrate.apply('{RENAME}')"));
    for table in db.rows(
        "SELECT c.oid::regclass FROM pg_class c WHERE relnamespace = 'migrate'::regnamespace AND relkind = 'r'",
    ) {
        for verb in ["DELETE FROM", "TRUNCATE", "INSERT INTO"] {
            let tail = if verb == "INSERT INTO" { " DEFAULT VALUES" } else { "" };
            let failure = db.error_as(&role, &format!("{verb} {}{tail}", table[0]));
            assert_eq!(failure.sqlstate, "42501", "{verb} {}: {failure}", table[0]);
        }
    }
    db.run_as(&role, "SELECT * FROM migrate.status; SELECT * FROM migrate.history; SELECT * FROM migrate.steps; SELECT * FROM migrate.progress; SELECT * FROM migrate.heads");
}

#[test]
fn grants_are_given_by_the_extensions_owner_only() {
    let (db, role) = owned_database();
    let failure = db.error_as(&role, "SELECT migrate.grant_to('public')");
    assert_eq!(failure.sqlstate, "42501", "{failure}");
    assert_eq!(
        db.error("SELECT migrate.grant_to('nobody such')").sqlstate,
        "42704"
    );
}

#[test]
fn names_of_every_kind_work_everywhere() {
    let db = cluster().database();
    let long = "x".repeat(63);
    let names = [
        "Upper Case",
        "with \"quotes\"",
        "select",
        "ünïcödé",
        "semi;colon'",
        long.as_str(),
    ];
    for (number, name) in names.iter().enumerate() {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let schema = format!(
            "\"s{number} {}\"",
            &name
                .chars()
                .take(20)
                .collect::<String>()
                .replace('"', "\"\"")
        );
        db.run(&format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {schema}.{quoted} (id int PRIMARY KEY, {quoted} text NOT NULL);
             INSERT INTO {schema}.{quoted} SELECT i, 'v' || i FROM generate_series(1, 100) i;
             CREATE INDEX ON {schema}.{quoted} ({quoted})"
        ));
        let to = format!("{} new", name.chars().take(50).collect::<String>());
        let to_quoted = format!("\"{}\"", to.replace('"', "\"\""));
        let document = format!(
            "-- migrate:revision n{number}{}\nALTER TABLE {schema}.{quoted} RENAME COLUMN {quoted} TO {to_quoted};\nCREATE INDEX {quoted} ON {schema}.{quoted} ((lower({to_quoted})));",
            if number == 0 {
                String::new()
            } else {
                format!(" after n{}", number - 1)
            },
        );
        let document = document.replace(
            &format!("CREATE INDEX {quoted} ON"),
            "CREATE INDEX \"an Index\" ON",
        );
        db.run(&format!("SELECT migrate.apply($doc${document}$doc$)"));
        db.run("CALL migrate.upgrade()");
        db.run(&format!(
            "INSERT INTO {schema}.{quoted} (id, {quoted}) VALUES (1001, 'old app')"
        ));
        db.run(&format!(
            "INSERT INTO {schema}.{quoted} (id, {to_quoted}) VALUES (1002, 'new app')"
        ));
        db.run(&format!("CALL migrate.contract('n{number}')"));
        assert_eq!(
            db.one::<i64>(&format!("SELECT count({to_quoted}) FROM {schema}.{quoted}")),
            102
        );
    }
    db.run("CALL migrate.downgrade('base')");
    assert_eq!(
        db.one::<i64>("SELECT count(\"Upper Case\") FROM \"s0 Upper Case\".\"Upper Case\""),
        102
    );
}
