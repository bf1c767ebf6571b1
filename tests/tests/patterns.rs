//! Every pattern of a migration, up and back, while applications write; what they wrote is compared
//! with their own record of it.

use pg_migrate_tests::{Db, LockWatcher, Report, Role, Traffic, TrafficSpec, cluster};
use std::time::Duration;

fn users(rows: u32) -> Db {
    let db = cluster().database();
    db.run(&format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, username text, seen timestamptz DEFAULT now());
         INSERT INTO users SELECT g, 'seed-' || g FROM generate_series(1, {rows}) g;
         ANALYZE users"
    ));
    db
}

fn spec(columns: &[(&str, Role)]) -> TrafficSpec {
    let mut spec = TrafficSpec::new("users", "id", columns);
    spec.also = vec![("seen".to_owned(), "now()".to_owned())];
    spec
}

#[track_caller]
fn apply(db: &Db, document: &str) {
    db.run(&format!(
        "SELECT migrate.apply($document${document}$document$)"
    ));
}

#[track_caller]
fn agrees(db: &Db, report: &Report, columns: &[(&str, Role)]) {
    assert!(
        report.errors.is_empty(),
        "{:#?}",
        &report.errors[..report.errors.len().min(5)]
    );
    let wrong = report.check(db, "users", "id", columns);
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
    assert!(
        report.operations > 200,
        "hardly any traffic: {}",
        report.operations
    );
}

fn fingerprint(db: &Db) -> Vec<Vec<String>> {
    db.rows("SELECT object, definition FROM migrate.fingerprint() ORDER BY 1")
}

#[track_caller]
fn same(before: &[Vec<String>], after: &[Vec<String>]) {
    let differ: Vec<_> = before
        .iter()
        .filter(|row| !after.contains(row))
        .map(|row| format!("- {row:?}"))
        .chain(
            after
                .iter()
                .filter(|row| !before.contains(row))
                .map(|row| format!("+ {row:?}")),
        )
        .collect();
    assert!(
        differ.is_empty(),
        "the schema is not what it was:\n{}",
        differ.join("\n")
    );
}

/// `migrate.test` finds nothing.
#[track_caller]
fn rehearsed(db: &Db, document: &str) {
    let differences = db.rows(&format!(
        "SELECT * FROM migrate.test($document${document}$document$)"
    ));
    assert!(differences.is_empty(), "{differences:#?}");
}

const RENAME: &str = "-- migrate:revision 1\n-- migrate:message rename username to email\n-- migrate:up\nALTER TABLE users RENAME COLUMN username TO email;";
const BOTH: &[(&str, Role)] = &[("username", Role::Old), ("email", Role::New)];

#[test]
fn safe_rename() {
    let db = users(20_000);
    rehearsed(&db, RENAME);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(BOTH).threads(8));
    let watcher = LockWatcher::start(&db, "users");
    traffic.run_for(Duration::from_millis(300));
    apply(&db, RENAME);
    traffic.new_writers(4);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(300));
    assert_eq!(
        db.one::<i64>("SELECT coalesce(sum(found), 0)::bigint FROM migrate.verify('1')"),
        0
    );
    traffic.new_writers(8);
    db.run("CALL migrate.contract('1')");
    traffic.run_for(Duration::from_millis(300));
    let locks = watcher.stop();
    let report = traffic.stop();
    agrees(&db, &report, &BOTH[1..]);
    assert!(
        db.rows("SELECT 1 FROM pg_trigger WHERE tgrelid = 'users'::regclass")
            .is_empty()
    );
    let hold = locks.longest_hold.map(|hold| hold.held).unwrap_or_default();
    assert!(
        hold < Duration::from_secs(10),
        "a strong lock was held for {hold:?}"
    );

    // And back, the old application deployed again.
    let traffic = Traffic::start(
        &db,
        spec(&[("email", Role::Old), ("username", Role::New)]).threads(4),
    );
    let downgrade = std::thread::scope(|scope| {
        let call = scope.spawn(|| db.connect().batch_execute("CALL migrate.downgrade('base')"));
        call.join().unwrap()
    });
    // The way back contracts at once: applications that still say email fail from then on.
    downgrade.unwrap();
    let _ = traffic.stop();
    same(&before, &fingerprint(&db));
}

#[test]
fn a_contract_that_would_lose_something_is_refused() {
    let db = users(200);
    apply(&db, RENAME);
    db.run("CALL migrate.upgrade()");
    // A write that went past the trigger.
    db.run("ALTER TABLE users DISABLE TRIGGER ALL; UPDATE users SET email = 'lost' WHERE id = 7; ALTER TABLE users ENABLE TRIGGER ALL");
    db.run("ALTER TABLE users ENABLE ALWAYS TRIGGER \"~~pg_migrate_sync_username~email\"");
    let before = fingerprint(&db);
    assert_eq!(
        db.rows("SELECT found FROM migrate.verify('1') WHERE found > 0"),
        [["1"]]
    );
    let failure = db.error("CALL migrate.contract('1')");
    assert!(
        failure.message.contains("1 rows of public.users"),
        "{failure}"
    );
    same(&before, &fingerprint(&db));
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["expanded"]]);
    db.run("UPDATE users SET username = 'found' WHERE id = 7; CREATE INDEX mine ON users (email)");
    let failure = db.error("CALL migrate.contract('1')");
    assert!(
        failure.message.contains("objects made meanwhile"),
        "{failure}"
    );
    db.run("DROP INDEX mine");
    db.run("CALL migrate.contract('1')");
    assert_eq!(db.rows("SELECT email FROM users WHERE id = 7"), [["found"]]);
}

/// A rewrite gives every row a new xmin, by which the trigger tells what is filled: what it leaves
/// empty must not get past the contract.
#[test]
fn a_rewrite_during_the_backfill_does_not_get_past_the_contract() {
    let db = users(20_000);
    apply(&db, RENAME);
    db.run("ALTER TABLE users ALTER COLUMN seen TYPE text");
    db.run("CALL migrate.upgrade()");
    let empty: i64 = db.one("SELECT count(*) FROM users WHERE email IS DISTINCT FROM username");
    if empty > 0 {
        let failure = db.error("CALL migrate.contract('1')");
        assert!(
            failure
                .message
                .contains(&format!("{empty} rows of public.users")),
            "{failure}"
        );
        db.run("UPDATE users SET email = username WHERE email IS NULL");
    }
    db.run("CALL migrate.contract('1')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM users WHERE email = 'seed-' || id"),
        20_000
    );
}

#[test]
fn a_rename_is_taken_back_before_contract() {
    let db = users(5000);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(BOTH));
    apply(&db, RENAME);
    traffic.new_writers(2);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(300));
    traffic.new_writers(0);
    db.run("CALL migrate.downgrade('base')");
    traffic.run_for(Duration::from_millis(200));
    let report = traffic.stop();
    agrees(&db, &report, &BOTH[..1]);
    same(&before, &fingerprint(&db));
    // And up again.
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    assert_eq!(
        report.check(&db, "users", "id", &[("email", Role::Old)]),
        [""; 0]
    );
}

#[test]
fn a_rename_carries_everything_over() {
    let db = users(1000);
    db.run(
        "CREATE ROLE carry_reader; ALTER TABLE users ALTER COLUMN username SET NOT NULL, ALTER COLUMN username SET DEFAULT 'nobody',
            ALTER COLUMN username SET STATISTICS 500, ADD CONSTRAINT name_length CHECK (length(username) > 2);
         CREATE UNIQUE INDEX users_username ON users (username) INCLUDE (seen);
         CREATE INDEX users_lower ON users (lower(username)) WHERE username <> 'x';
         CREATE VIEW names AS SELECT id, username FROM users;
         COMMENT ON COLUMN users.username IS 'what they sign in with';
         GRANT SELECT (username) ON users TO carry_reader;
         CREATE TABLE posts (id int PRIMARY KEY, author text REFERENCES users (username));
         CREATE STATISTICS users_stats ON id, username FROM users;",
    );
    rehearsed(&db, RENAME);
    apply(&db, RENAME);
    db.run("CALL migrate.upgrade()");
    // Both names are whole while both applications run.
    db.run("INSERT INTO users (id) VALUES (100001)");
    assert_eq!(
        db.rows("SELECT username, email FROM users WHERE id = 100001"),
        [["nobody", "nobody"]]
    );
    assert_eq!(
        db.error("INSERT INTO users (id, email) VALUES (100002, 'x')")
            .sqlstate,
        "23514"
    );
    assert_eq!(
        db.error("INSERT INTO users (id, email) VALUES (100002, 'seed-1')")
            .sqlstate,
        "23505"
    );
    db.run("CALL migrate.contract('1')");
    let object = |name: &str| -> String {
        db.one(&format!("SELECT string_agg(definition, '') FROM migrate.fingerprint() WHERE object LIKE '{name}'"))
    };
    let column = object("column public.users.email");
    for part in [
        "position 2",
        "not null",
        "default 'nobody'",
        "statistics 500",
        "carry_reader=r",
        "what they sign in with",
    ] {
        assert!(column.contains(part), "{part} is missing in {column}");
    }
    assert!(object("index public.users_username").contains("(email) INCLUDE (seen)"));
    assert!(object("index public.users_lower").contains("lower(email)"));
    assert!(object("constraint name_length on public.users").contains("length(email)"));
    assert!(object("constraint posts_author_fkey on public.posts").contains("users(email)"));
    assert!(object("statistics public.users_stats").contains("email"));
    assert_eq!(
        db.rows("SELECT username FROM names WHERE id = 5"),
        [["seed-5"]]
    );
    assert!(
        db.rows("SELECT 1 FROM pg_indexes WHERE indexname LIKE '%pgm%'")
            .is_empty()
    );
}

#[test]
fn create_table_with_every_kind_of_key() {
    let db = users(10);
    let document = r#"{"revision": "1", "operations": [
        {"create_table": {"name": "items", "comment": "things", "columns": [
            {"name": "id", "type": "uuid", "pk": true, "default": "gen_random_uuid()"},
            {"name": "owner", "type": "bigint", "references": {"name": "items_owner", "table": "users", "column": "id"}},
            {"name": "price", "type": "numeric(10,2)", "check": {"name": "price_positive", "constraint": "price > 0"}},
            {"name": "updated_at", "type": "timestamptz", "default": "now()"}]}},
        {"touch_column": {"table": "items", "column": "updated_at"}},
        {"create_index": {"name": "items_owner", "table": "items", "columns": ["owner"]}},
        {"create_table": {"name": "counted", "columns": [{"name": "id", "type": "bigserial", "pk": true}, {"name": "v", "type": "text", "nullable": true, "unique": true}]}},
        {"create_table": {"name": "numbered", "columns": [{"name": "id", "type": "bigint", "pk": true, "generated": {"identity": {"user_specified_values": "ALWAYS"}}}, {"name": "v", "type": "text", "nullable": true}]}}]}"#;
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]));
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(400));
    agrees(&db, &traffic.stop(), &BOTH[..1]);
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
    db.run("INSERT INTO items (owner, price) SELECT id, 1 FROM users LIMIT 1; INSERT INTO counted (v) VALUES ('a'); INSERT INTO numbered (v) VALUES ('b')");
    assert_eq!(
        db.error("INSERT INTO items (owner, price) VALUES (-5, 1)")
            .sqlstate,
        "23503"
    );
    assert_eq!(db.error("UPDATE items SET price = 0").sqlstate, "23514");
    db.run("UPDATE items SET price = 2");
    assert!(db.one::<bool>(
        "SELECT updated_at > (SELECT max(registered_at) FROM migrate.revision) FROM items"
    ));
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
    // What was in them is set aside, not gone; and comes back.
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_tables WHERE schemaname = 'migrate_aside'"),
        3
    );
    db.rows("SELECT migrate.purge('0')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_tables WHERE schemaname = 'migrate_aside'"),
        0
    );
}

#[test]
fn the_same_in_sql() {
    let db = users(10);
    let document = "-- migrate:revision 1
CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint REFERENCES users (id), total int NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX orders_user ON orders (user_id, id);
CREATE INDEX users_seen ON users (seen DESC) WHERE username IS NOT NULL;
ALTER TABLE users ADD COLUMN points int NOT NULL DEFAULT 0, ADD CONSTRAINT points_positive CHECK (points >= 0);
CREATE VIEW rich AS SELECT id FROM users WHERE points > 100;";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]));
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(400));
    agrees(&db, &traffic.stop(), &BOTH[..1]);
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
    assert_eq!(
        db.error("INSERT INTO orders (user_id) VALUES (-77)")
            .sqlstate,
        "23503"
    );
    assert_eq!(db.error("UPDATE users SET points = -1").sqlstate, "23514");
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
}

#[test]
fn drop_table_sets_aside_and_comes_back() {
    let db = users(100);
    db.run("CREATE TABLE posts (id int PRIMARY KEY, author bigint REFERENCES users (id), t text DEFAULT 'x'); INSERT INTO posts SELECT g, g FROM generate_series(1, 50) g;
            CREATE INDEX posts_t ON posts (t); GRANT SELECT ON posts TO public; COMMENT ON TABLE posts IS 'kept'");
    let document = "-- migrate:revision 1\nDROP TABLE posts;";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let plan = db.rows(&format!(
        "SELECT warning FROM migrate.plan('{document}') WHERE warning IS NOT NULL"
    ));
    assert!(
        plan.iter().any(|row| row[0].contains("restorable")),
        "a destructive operation is not flagged: {plan:?}"
    );
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["expanded"]]);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM posts"), 50);
    db.run("CALL migrate.contract('1')");
    assert_eq!(db.error("SELECT * FROM posts").sqlstate, "42P01");
    db.run("CALL migrate.downgrade('-1')");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM posts"), 50);
    same(&before, &fingerprint(&db));
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('1')");
    assert!(db.rows("SELECT migrate.purge('1 day')").is_empty());
    assert_eq!(
        db.rows("SELECT migrate.purge('0')"),
        [["table public.posts"]]
    );
    let failure = db.error("CALL migrate.downgrade('-1')");
    assert!(failure.to_string().contains("purged"), "{failure}");
}

#[test]
fn expand_and_contract_by_hand() {
    let db = users(10_000);
    let spec = {
        let mut spec = spec(&BOTH[..1]);
        spec.old_value = |n| Some(format!("Old-{n}"));
        spec
    };
    let one = r#"{"revision": "1", "operations": [
        {"add_column": {"table": "users", "up": "lower(username)", "column": {"name": "handle", "type": "text"}}}]}"#;
    let two = r#"{"revision": "2", "down_revision": "1", "operations": [
        {"drop_column": {"table": "users", "column": "username", "down": "handle"}}]}"#;
    let before = fingerprint(&db);
    rehearsed(&db, one);
    let traffic = Traffic::start(&db, spec);
    apply(&db, one);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(200));
    let report = traffic.stop();
    agrees(&db, &report, &BOTH[..1]);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM users WHERE handle IS DISTINCT FROM lower(username)"),
        0
    );
    assert!(db.one::<bool>("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'handle'"));
    db.run("CALL migrate.contract('1')");
    rehearsed(&db, two);
    apply(&db, two);
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('2')");
    assert_eq!(db.error("SELECT username FROM users").sqlstate, "42703");
    let three =
        "-- migrate:revision 3 after 2\nALTER TABLE users RENAME COLUMN handle TO username;";
    apply(&db, three);
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('3')");
    assert_eq!(
        db.one::<i64>(
            "SELECT count(*) FROM users WHERE username LIKE 'old-%' OR username LIKE 'seed-%'"
        ),
        db.one::<i64>("SELECT count(*) FROM users")
    );
    db.run("CALL migrate.downgrade('base')");
    same(&before, &fingerprint(&db));
    assert_eq!(report.check(&db, "users", "id", &BOTH[..1]), [""; 0]);
}

#[test]
fn a_column_is_replaced_under_its_own_name() {
    let db = users(10_000);
    db.run("ALTER TABLE users ADD COLUMN amount int; UPDATE users SET amount = id");
    let document = r#"{"revision": "1", "operations": [
        {"alter_column": {"table": "users", "column": "amount", "type": "bigint", "up": "amount", "down": "amount"}}]}"#;
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let mut spec = spec(&[("amount", Role::Old)]);
    spec.old_value = |n| (n % 5 != 0).then(|| n.to_string());
    let traffic = Traffic::start(&db, spec);
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(300));
    db.run("CALL migrate.contract('1')");
    traffic.run_for(Duration::from_millis(300));
    let report = traffic.stop();
    // A statement prepared before the swap is planned again for the other type.
    let wrong: Vec<_> = report
        .errors
        .iter()
        .filter(|text| !text.contains("cached plan must not change result type"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        report.check(&db, "users", "id", &[("amount", Role::Old)]),
        [""; 0]
    );
    assert_eq!(db.one::<String>("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'amount'"), "bigint");
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
    assert_eq!(
        report.check(&db, "users", "id", &[("amount", Role::Old)]),
        [""; 0]
    );
}

#[test]
fn indexes_are_created_and_dropped_concurrently() {
    let db = users(20_000);
    let up = "-- migrate:revision 1\nCREATE INDEX users_name ON users (username);\nCREATE UNIQUE INDEX users_id_name ON users (id, username);";
    let down = "-- migrate:revision 2 after 1\nDROP INDEX users_name;";
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]).threads(8));
    let watcher = LockWatcher::start(&db, "users");
    apply(&db, up);
    db.run("CALL migrate.upgrade()");
    assert_eq!(
        db.rows("SELECT lock FROM migrate.steps WHERE revision = '1'"),
        [["SHARE UPDATE EXCLUSIVE"], ["SHARE UPDATE EXCLUSIVE"]]
    );
    apply(&db, down);
    db.run("CALL migrate.upgrade()");
    db.run("CALL migrate.contract('2')");
    assert!(
        db.rows("SELECT 1 FROM pg_indexes WHERE indexname = 'users_name'")
            .is_empty()
    );
    db.run("CALL migrate.downgrade('-1')");
    assert!(
        db.one::<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'users_name'::regclass")
    );
    db.run("CALL migrate.downgrade('base')");
    let locks = watcher.stop();
    let report = traffic.stop();
    agrees(&db, &report, &BOTH[..1]);
    assert!(
        locks
            .longest_hold
            .is_none_or(|hold| hold.held < Duration::from_secs(10))
    );
    same(&before, &fingerprint(&db));
}

#[test]
fn not_null_in_steps() {
    let db = users(20_000);
    let document = "-- migrate:revision 1\nALTER TABLE users ALTER COLUMN username SET NOT NULL;";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]));
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(400));
    agrees(&db, &traffic.stop(), &BOTH[..1]);
    assert!(db.one::<bool>("SELECT attnotnull FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'username'"));
    assert!(
        db.rows("SELECT 1 FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype = 'c'")
            .is_empty()
    );
    // The scan ran under a lock that lets writers through; the strong lock did not scan.
    let kinds = db.rows("SELECT kind, lock FROM migrate.steps ORDER BY step");
    assert_eq!(
        kinds,
        [
            ["ddl", "ACCESS EXCLUSIVE"],
            ["validate", "SHARE UPDATE EXCLUSIVE"],
            ["ddl", "ACCESS EXCLUSIVE"]
        ]
    );
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
}

#[test]
fn data_migrations() {
    let db = users(10_000);
    db.run(
        "ALTER TABLE users ADD COLUMN total int, ADD COLUMN total_cents bigint, ADD COLUMN team_id bigint;
         UPDATE users SET total = id; CREATE TABLE teams (id bigint PRIMARY KEY, member bigint UNIQUE);
         INSERT INTO teams SELECT 1000000 + g, g FROM generate_series(1, 10000) g;",
    );
    let document = "-- migrate:revision 1
UPDATE users SET total_cents = total * 100;
UPDATE users SET team_id = (SELECT t.id FROM teams t WHERE t.member = users.id) WHERE team_id IS NULL AND username LIKE 'seed-%';";
    rehearsed(&db, document);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]).threads(8));
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    let report = traffic.stop();
    agrees(&db, &report, &BOTH[..1]);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM users WHERE total IS NOT NULL AND total_cents IS DISTINCT FROM total * 100"), 0);
    assert_eq!(db.one::<i64>("SELECT count(*) FROM users WHERE username LIKE 'seed-%' AND team_id IS DISTINCT FROM 1000000 + id"), 0);
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
}

#[test]
fn foreign_key_in_two_transactions() {
    let db = users(5000);
    db.run("CREATE TABLE posts (id int PRIMARY KEY, author bigint); INSERT INTO posts SELECT g, g FROM generate_series(1, 5000) g");
    let document = "-- migrate:revision 1\nALTER TABLE posts ADD CONSTRAINT posts_author FOREIGN KEY (author) REFERENCES users (id) ON DELETE CASCADE;";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]));
    // Orphans the traffic makes until the constraint is there would fail its validation.
    traffic.run_for(Duration::from_millis(200));
    apply(&db, document);
    db.run("DELETE FROM posts p WHERE NOT EXISTS (SELECT FROM users u WHERE u.id = p.author)");
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(400));
    agrees(&db, &traffic.stop(), &BOTH[..1]);
    assert!(
        db.one::<bool>("SELECT convalidated FROM pg_constraint WHERE conname = 'posts_author'")
    );
    let xids = db.rows("SELECT DISTINCT phase FROM migrate.steps ORDER BY 1");
    assert_eq!(xids, [["expand"], ["migrate"]]);
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
}

#[test]
fn unique_and_check_constraints() {
    let db = users(5000);
    let document = "-- migrate:revision 1
ALTER TABLE users ADD CONSTRAINT users_name_key UNIQUE (username), ADD CONSTRAINT name_short CHECK (length(username) < 100);";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, spec(&BOTH[..1]));
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(400));
    agrees(&db, &traffic.stop(), &BOTH[..1]);
    assert_eq!(
        db.error("INSERT INTO users SELECT -1, username FROM users LIMIT 1")
            .sqlstate,
        "23505"
    );
    assert_eq!(
        db.error("INSERT INTO users VALUES (-1, repeat('x', 200))")
            .sqlstate,
        "23514"
    );
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
}

#[test]
fn rename_table_leaves_a_view_until_contract() {
    let db = users(1000);
    let document = "-- migrate:revision 1\nALTER TABLE users RENAME TO members;";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, {
        let mut spec = spec(&BOTH[..1]);
        // A view has no unique index to infer a conflict from.
        spec.upserts = false;
        spec
    });
    apply(&db, document);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(300));
    let report = traffic.stop();
    assert!(report.errors.is_empty(), "{:#?}", report.errors);
    assert_eq!(report.check(&db, "members", "id", &BOTH[..1]), [""; 0]);
    db.run("CALL migrate.contract('1')");
    assert_eq!(db.error("SELECT * FROM users").sqlstate, "42P01");
    db.run("CALL migrate.downgrade('-1')");
    // The way back leaves the view for those who say members, as the way up did.
    let left = db.rows("SELECT 1 FROM pg_views WHERE viewname = 'members'");
    assert!(left.is_empty());
    same(&before, &fingerprint(&db));
}

#[test]
fn a_way_back_that_does_not_restore_is_told() {
    let db = users(10);
    let document = r#"{"revision": "1", "operations": [
        {"add_column": {"table": "users", "column": {"name": "x", "type": "int", "nullable": true}}},
        {"sql": {"up": "ALTER TABLE users ADD COLUMN y int DEFAULT 3", "down": "ALTER TABLE users DROP COLUMN y, ALTER COLUMN username SET DEFAULT 'z'"}}]}"#;
    let before = fingerprint(&db);
    let found = db.rows(&format!(
        "SELECT object, found FROM migrate.test('{}')",
        document.replace('\'', "''")
    ));
    assert!(
        found
            .iter()
            .any(|row| row[0] == "column public.users.username" && row[1].contains("default 'z'")),
        "{found:?}"
    );
    same(&before, &fingerprint(&db));
    assert!(db.rows("SELECT 1 FROM migrate.revision").is_empty());
}

#[test]
fn a_way_back_written_by_hand() {
    let db = users(100);
    let document = "-- migrate:revision 1
-- migrate:up
-- migrate:as-written
ALTER TABLE users ADD COLUMN score int DEFAULT 7;
INSERT INTO users (id, username) VALUES (-1, 'made by the migration');
-- migrate:down
DELETE FROM users WHERE id = -1;
-- migrate:as-written
ALTER TABLE users DROP COLUMN score;";
    rehearsed(&db, document);
    let before = fingerprint(&db);
    apply(&db, document);
    assert_eq!(db.rows("SELECT state FROM migrate.status"), [["applied"]]);
    assert_eq!(db.rows("SELECT score FROM users WHERE id = -1"), [["7"]]);
    db.run("CALL migrate.downgrade('-1')");
    assert_eq!(db.one::<i64>("SELECT count(*) FROM users"), 100);
    same(&before, &fingerprint(&db));
    // In JSON.
    let json = r#"{"revision": "2", "down_revision": "1", "operations": [{"sql": {"up": "UPDATE users SET seen = NULL"}}],
                   "down_operations": [{"sql": {"up": "UPDATE users SET seen = now()", "down": "SELECT 1"}}]}"#;
    db.run("CALL migrate.upgrade()");
    apply(&db, json);
    db.run("CALL migrate.downgrade('-1')");
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM users WHERE seen IS NULL"),
        0
    );
}

#[test]
fn what_has_no_way_back_is_said_before_anything_is_undone() {
    let db = users(100);
    apply(&db, &format!("{RENAME}\nDELETE FROM users WHERE id = 1;"));
    db.run("CALL migrate.upgrade()");
    let before = fingerprint(&db);
    for _ in 0..2 {
        let failure = db.error("CALL migrate.downgrade('base')");
        assert!(failure.detail.contains("DELETE FROM users"), "{failure}");
        same(&before, &fingerprint(&db));
        assert_eq!(db.rows("SELECT state FROM migrate.status"), [["expanded"]]);
    }
    db.run("CALL migrate.contract('1')");
    let failure = db.error("CALL migrate.downgrade('base')");
    assert!(
        failure.message.contains("cannot be taken back"),
        "{failure}"
    );
}

#[test]
fn the_plan_as_sql_runs_by_hand() {
    let db = users(3000);
    db.psql(&format!(
        "SELECT migrate.plan_sql($document${RENAME}\nCREATE INDEX users_seen ON users (seen);$document$, 'expand') \\gexec\n",
    ));
    assert_eq!(db.one::<i64>("SELECT count(*) FROM pg_attribute WHERE attrelid = 'users'::regclass AND attname = 'email'"), 1);
    let db = users(3000);
    db.psql(&format!("SELECT migrate.plan_sql($document${RENAME}\nCREATE INDEX users_seen ON users (seen);$document$) \\gexec\n"));
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM users WHERE email = 'seed-' || id"),
        3000
    );
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM pg_indexes WHERE indexname = 'users_seen'"),
        1
    );
}

#[test]
fn a_partitioned_table() {
    let db = cluster().database();
    db.run(
        "CREATE TABLE users (id bigint, at date NOT NULL DEFAULT '2024-01-01', username text, seen timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE users_a PARTITION OF users FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE users_b (at date NOT NULL, seen timestamptz, id bigint NOT NULL, username text);
         ALTER TABLE users ATTACH PARTITION users_b FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
         CREATE INDEX users_name ON users (username);
         INSERT INTO users SELECT g, date '2024-01-01' + (g % 700)::int, 'seed-' || g FROM generate_series(1, 10000) g",
    );
    rehearsed(&db, RENAME);
    let before = fingerprint(&db);
    let traffic = Traffic::start(&db, {
        let mut spec = spec(BOTH);
        spec.upserts = false; // the key alone is not unique
        spec
    });
    apply(&db, RENAME);
    traffic.new_writers(2);
    db.run("CALL migrate.upgrade()");
    db.run("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE; UPDATE users SET at = '2025-06-06' WHERE at < '2024-03-01'");
    traffic.run_for(Duration::from_millis(300));
    traffic.new_writers(4);
    db.run("CALL migrate.contract('1')");
    traffic.run_for(Duration::from_millis(300));
    let mut report = traffic.stop();
    // PostgreSQL tells a writer whose row the statement above has moved to try again.
    report
        .errors
        .retain(|text| !text.contains("moved to another partition"));
    agrees(&db, &report, &BOTH[1..]);
    db.run("CALL migrate.downgrade('-1')");
    same(&before, &fingerprint(&db));
    let drop = "-- migrate:revision 2 after 1\nALTER TABLE users DROP COLUMN username;";
    db.run("CALL migrate.upgrade(); ");
    db.run("CALL migrate.contract('1')");
    apply(&db, &drop.replace("username", "email"));
    db.run("CALL migrate.contract('2')");
    let applied = fingerprint(&db);
    db.run("CALL migrate.downgrade('-1')");
    assert!(fingerprint(&db).len() > applied.len());
}
