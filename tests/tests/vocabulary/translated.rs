//! Constraints with `up` and `down`: old and new application side by side, each with the values it
//! knows, while both write.

use super::{apply, finish, object, same, schema, shop, turns, up};
use pg_migrate_tests::{Db, Report, Role, Traffic, TrafficSpec, cluster};
use std::time::Duration;

fn posts(rows: u32) -> Db {
    let db = cluster().database();
    db.run(&format!(
        "CREATE TABLE posts (id bigint PRIMARY KEY, seen timestamptz DEFAULT now(), title text DEFAULT 'none' COLLATE \"C\");
         COMMENT ON COLUMN posts.title IS 'what it says';
         CREATE INDEX posts_title ON posts (lower(title));
         ALTER TABLE posts ADD CONSTRAINT not_x CHECK (title <> 'x');
         INSERT INTO posts SELECT g, now(), repeat('s', g % 6) || CASE WHEN g % 6 > 3 THEN g::text ELSE '' END FROM generate_series(1, {rows}) g;
         ANALYZE posts"
    ));
    db
}

const BOTH: &[(&str, Role)] = &[("title", Role::Old), ("title_pgm_new", Role::New)];

/// What the old application writes is often too short.
fn spec() -> TrafficSpec {
    let mut spec = TrafficSpec::new("posts", "id", BOTH);
    spec.also = vec![("seen".to_owned(), "now()".to_owned())];
    spec.old_value = |n| Some("o".repeat(usize::try_from(n % 6).unwrap()));
    spec.new_value = |n| Some(format!("new-{n}"));
    spec.up = long;
    spec
}

fn long(text: Option<&str>) -> Option<String> {
    text.map(|text| format!("{text:->4}"))
}

#[track_caller]
fn agrees(db: &Db, report: &Report, columns: &[(&str, Role)]) {
    let first = &report.errors[..report.errors.len().min(3)];
    assert!(report.errors.is_empty(), "{first:#?}");
    let wrong = report.check(db, "posts", "id", columns);
    assert!(
        wrong.is_empty(),
        "{}",
        wrong[..wrong.len().min(10)].join("\n")
    );
    assert!(report.operations > 200, "hardly any traffic");
}

/// Runs `operations` while old and new application write, contracts while one of them does, and
/// takes everything back.
#[track_caller]
fn under_traffic(db: &Db, operations: &str, spec: fn() -> TrafficSpec) {
    let before = schema(db);
    let traffic = Traffic::start(db, spec().threads(6));
    traffic.run_for(Duration::from_millis(200));
    apply(db, operations);
    traffic.new_writers(3);
    db.run("CALL migrate.upgrade()");
    traffic.run_for(Duration::from_millis(300));
    traffic.new_writers(0);
    db.run("CALL migrate.downgrade('base')");
    traffic.run_for(Duration::from_millis(100));
    let report = traffic.stop();
    agrees(db, &report, &BOTH[..1]);
    same("taken back before contract", &before, &schema(db));

    let traffic = Traffic::start(db, spec().threads(6));
    db.run("CALL migrate.upgrade()");
    traffic.new_writers(4);
    traffic.run_for(Duration::from_millis(300));
    traffic.new_writers(6);
    let report = traffic.stop();
    agrees(db, &report, BOTH);
    let found: i64 = db.one("SELECT coalesce(sum(found), 0)::bigint FROM migrate.verify('1')");
    assert_eq!(found, 0);

    // Now there is but one name, and values that both would write.
    let mut only = spec();
    only.columns.truncate(1);
    only.old_value = |n| Some(format!("both-{n}"));
    only.new_value = only.old_value;
    only.up = |text| text.map(str::to_owned);
    let held: String = db.one("SELECT md5(string_agg(title_pgm_new, ',' ORDER BY id)) FROM posts");
    finish(db);
    let now: String = db.one("SELECT md5(string_agg(title, ',' ORDER BY id)) FROM posts");
    assert_eq!(held, now, "the new application's values stay");
    let applied = schema(db);
    db.run("BEGIN; LOCK posts; UPDATE posts SET title = 'kept-' || id; COMMIT");
    let traffic = Traffic::start(db, only);
    traffic.run_for(Duration::from_millis(100));
    db.run("CALL migrate.downgrade('base')");
    traffic.run_for(Duration::from_millis(100));
    let report = traffic.stop();
    agrees(db, &report, &[("title", Role::Old)]);
    same("taken back", &before, &schema(db));
    db.run("CALL migrate.upgrade()");
    finish(db);
    same("up again", &applied, &schema(db));
}

const CHECK: &str = r#"{"alter_column": {"table": "posts", "column": "title", "check": {"name": "long", "constraint": "length(title) > 3"},
    "up": "SELECT CASE WHEN length(title) <= 3 THEN lpad(title, 4, '-') ELSE title END", "down": "title"}}"#;

#[test]
fn a_check_that_the_old_application_does_not_know() {
    let db = posts(3000);
    under_traffic(&db, CHECK, spec);
    assert!(object(&db, "constraint long on public.posts").contains("length(title) > 3"));
    let title = object(&db, "column public.posts.title");
    assert!(
        title.contains("default 'none'::text")
            && title.contains("collation \"C\"")
            && title.contains("what it says"),
        "{title}"
    );
    assert!(
        db.error("INSERT INTO posts (id, title) VALUES (0, 'ab')")
            .message
            .contains("long")
    );
}

#[test]
fn a_check_made_by_create_constraint() {
    let db = posts(2000);
    under_traffic(
        &db,
        r#"{"create_constraint": {"table": "posts", "name": "long", "type": "check", "columns": ["title"], "check": "length(title) > 3",
            "up": {"title": "SELECT CASE WHEN length(title) <= 3 THEN lpad(title, 4, '-') ELSE title END"}, "down": {"title": "title"}}}"#,
        spec,
    );
}

#[test]
fn a_check_goes_and_the_old_application_keeps_it() {
    let db = posts(2000);
    db.run("UPDATE posts SET title = lpad(title, 4, 's'); ALTER TABLE posts ADD CONSTRAINT long CHECK (length(title) > 3)");
    // The new application writes what the constraint forbids; the old one never sees it.
    fn spec() -> TrafficSpec {
        let mut spec = super::translated::spec();
        spec.old_value = |n| Some(format!("old-{n}"));
        spec.new_value = |n| Some("n".repeat(usize::try_from(n % 6).unwrap()));
        spec.up = |text| text.map(str::to_owned);
        spec.down = long;
        spec
    }
    under_traffic(
        &db,
        r#"{"drop_constraint": {"table": "posts", "name": "long", "up": "title",
            "down": "SELECT CASE WHEN length(title) <= 3 THEN lpad(title, 4, '-') ELSE title END"}}"#,
        spec,
    );
    assert_eq!(
        object(&db, "constraint long on public.posts"),
        "no such object"
    );
    db.run("INSERT INTO posts (id, title) VALUES (0, 'ab')");
}

#[test]
fn no_nulls_for_the_new_application() {
    let db = posts(2000);
    fn spec() -> TrafficSpec {
        let mut spec = super::translated::spec();
        spec.old_value = |n| (n % 3 > 0).then(|| format!("old-{n}"));
        spec.up = |text| Some(text.unwrap_or("none").to_owned());
        spec
    }
    under_traffic(
        &db,
        r#"{"alter_column": {"table": "posts", "column": "title", "nullable": false, "up": "SELECT coalesce(title, 'none')", "down": "title"}}"#,
        spec,
    );
    assert!(object(&db, "column public.posts.title").contains("not null"));
}

#[test]
fn nulls_that_the_old_application_does_not_see() {
    let db = posts(2000);
    db.run("ALTER TABLE posts ALTER title SET NOT NULL");
    let operations = r#"{"alter_column": {"table": "posts", "column": "title", "nullable": true, "up": "title",
        "down": "SELECT CASE WHEN title IS NULL THEN 'empty' ELSE title END"}}"#;
    turns(&db, operations);
    assert!(!object(&db, "column public.posts.title").contains("not null"));
    db.run("CALL migrate.downgrade('base')");
    db.run("CALL migrate.upgrade()");
    // A row that gives null alone gives nothing: the session says who it is.
    db.run("SET migrate.side = 'new'; INSERT INTO posts (id, title_pgm_new) VALUES (0, NULL); UPDATE posts SET title_pgm_new = NULL WHERE id = 7");
    assert_eq!(
        db.rows("SELECT title, coalesce(title_pgm_new, 'null') FROM posts WHERE id IN (0, 7)"),
        [["empty", "null"], ["empty", "null"]]
    );
    assert!(
        db.error("UPDATE posts SET title = NULL WHERE id = 8")
            .sqlstate
            == "23502"
    );
    finish(&db);
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM posts WHERE title IS NULL"),
        2
    );
}

#[test]
fn values_that_are_made_unique() {
    let db = shop();
    turns(
        &db,
        r#"{"alter_column": {"table": "items", "column": "note", "unique": {"name": "notes_differ"},
            "up": "note || '-' || (random() * 1000000000)::integer", "down": "note"}}"#,
    );
    assert!(object(&db, "constraint notes_differ on public.items").contains("UNIQUE (note)"));
    assert_eq!(
        db.one::<i64>("SELECT count(*) FROM items WHERE note LIKE 'n%-%'"),
        200
    );
    // And away again, with a value for those who still count on it.
    db.run(
        r#"SELECT migrate.apply('{"name": "2", "down_revision": "1", "operations": [{"drop_constraint": {"table": "items", "name": "notes_differ",
            "up": "note", "down": "note || ''-'' || id"}}]}')"#,
    );
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE items SET note_pgm_new = 'same' WHERE id IN (1, 2)");
    assert_eq!(
        db.rows("SELECT note FROM items WHERE id IN (1, 2) ORDER BY 1"),
        [["same-1"], ["same-2"]]
    );
    db.run("CALL migrate.contract('2')");
    assert_eq!(
        db.rows("SELECT DISTINCT note FROM items WHERE id IN (1, 2)"),
        [["same"]]
    );
}

const PLACE: &str = r#"{"create_constraint": {"type": "check", "table": "items", "name": "priced", "columns": ["qty", "note"],
    "check": "note = 'free' OR qty > 0",
    "up": {"note": "note", "qty": "SELECT CASE WHEN note IS DISTINCT FROM 'free' AND qty <= 0 THEN 99 ELSE qty END"},
    "down": {"note": "note", "qty": "CASE WHEN qty = 99 THEN 0 ELSE qty END"}}}"#;

#[test]
fn a_value_follows_the_other_columns_it_depends_on() {
    let db = shop();
    turns(&db, PLACE);
    db.run("CALL migrate.downgrade('base')");
    db.run("CALL migrate.upgrade()");
    // The old application makes an item free, and then not.
    db.run("UPDATE items SET note = 'free', qty = 0 WHERE id = 1");
    assert_eq!(
        db.rows("SELECT qty, qty_pgm_new FROM items WHERE id = 1"),
        [["0", "0"]]
    );
    db.run("UPDATE items SET note = 'dear' WHERE id = 1");
    assert_eq!(
        db.rows("SELECT qty, qty_pgm_new FROM items WHERE id = 1"),
        [["0", "99"]]
    );
    // What the new application gave it does not follow anything.
    db.run(
        "UPDATE items SET qty_pgm_new = 7 WHERE id = 2; UPDATE items SET note = 'x' WHERE id = 2",
    );
    assert_eq!(
        db.rows("SELECT qty, qty_pgm_new FROM items WHERE id = 2"),
        [["7", "7"]]
    );
    finish(&db);
    assert!(object(&db, "column public.items.qty").contains("not null, default 1"));
}

#[test]
fn several_columns_are_translated_together() {
    let db = shop();
    let operations = r#"{"create_constraint": {"type": "foreign_key", "table": "items", "name": "place", "columns": ["owner_code", "owner"],
        "references": {"table": "owners", "columns": ["code", "zip"], "on_delete": "SET NULL", "on_delete_set_columns": ["owner"]},
        "up": {"owner_code": "CASE WHEN owner > 50 THEN 'code50' ELSE replace(owner_code, 'old-', '') END", "owner": "CASE WHEN owner > 50 THEN 50 ELSE owner END"},
        "down": {"owner_code": "CASE WHEN owner = 50 THEN 'old-' || owner_code ELSE owner_code END", "owner": "owner"}}}"#;
    turns(&db, operations);
    let key = object(&db, "constraint place on public.items");
    assert!(
        key.contains("FOREIGN KEY (owner_code, owner)") && key.contains("SET NULL (owner)"),
        "{key}"
    );
    db.run("CALL migrate.downgrade('base')");
    db.run("CALL migrate.upgrade()");
    db.run("INSERT INTO items (id, owner, owner_code) VALUES (1000, 77, 'code77')");
    // down reads the new value of the other column.
    db.run("INSERT INTO items (id, owner_pgm_new, owner_code_pgm_new) VALUES (1001, 50, 'code50')");
    assert_eq!(
        db.rows("SELECT owner, owner_code, owner_pgm_new, owner_code_pgm_new FROM items WHERE id >= 1000 ORDER BY id"),
        [["77", "code77", "50", "code50"], ["50", "old-code50", "50", "code50"]]
    );
    assert_eq!(
        db.error(
            "INSERT INTO items (id, owner_pgm_new, owner_code_pgm_new) VALUES (1002, 51, 'code51')"
        )
        .sqlstate,
        "23503"
    );
    finish(&db);
    assert_eq!(
        db.rows("SELECT owner, owner_code FROM items WHERE id = 1000"),
        [["50", "code50"]]
    );

    // The constraint goes again, by a multi-column operation.
    db.run(
        r#"SELECT migrate.apply('{"name": "2", "down_revision": "1", "operations": [{"drop_multicolumn_constraint": {"table": "items", "name": "place",
            "up": {"owner_code": "owner_code", "owner": "owner"},
            "down": {"owner_code": "CASE WHEN owner > 50 THEN ''code50'' ELSE owner_code END", "owner": "least(owner, 50)"}}}]}')"#,
    );
    let before = schema(&db);
    db.run("CALL migrate.upgrade()");
    db.run("UPDATE items SET owner_pgm_new = 88, owner_code_pgm_new = 'new88' WHERE id = 1");
    assert_eq!(
        db.rows("SELECT owner, owner_code FROM items WHERE id = 1"),
        [["50", "code50"]]
    );
    db.run("CALL migrate.contract('2')");
    assert_eq!(
        db.rows("SELECT owner, owner_code FROM items WHERE id = 1"),
        [["88", "new88"]]
    );
    assert_eq!(
        object(&db, "constraint place on public.items"),
        "no such object"
    );
    db.run("CALL migrate.downgrade('-1')");
    assert!(object(&db, "constraint place on public.items").contains("FOREIGN KEY"));
    let _ = before;
}

#[test]
fn several_changes_of_one_column_at_once() {
    let db = shop();
    let operations = r#"{"alter_column": {"table": "items", "column": "note", "type": "varchar(80)", "default": "'unknown'", "nullable": false,
        "comment": "in full", "unique": {"name": "notes_differ"}, "check": {"name": "long_enough", "constraint": "length(note) > 3"},
        "up": "SELECT CASE WHEN note IS NULL OR length(note) <= 3 THEN 'note-' || id ELSE note || id END", "down": "note"}}"#;
    turns(&db, operations);
    let note = object(&db, "column public.items.note");
    for part in [
        "character varying(80)",
        "not null",
        "default 'unknown'",
        "comment in full",
    ] {
        assert!(note.contains(part), "{part}: {note}");
    }
    assert!(object(&db, "constraint long_enough on public.items").contains("length((note)"));
    assert!(object(&db, "constraint notes_differ on public.items").contains("UNIQUE (note)"));
}

#[test]
fn what_hangs_on_the_column_comes_along() {
    let db = shop();
    db.run("CREATE INDEX by_note ON items (note, id) WHERE qty > 0; ALTER TABLE items ADD CONSTRAINT short CHECK (length(note) < 100)");
    up(
        &db,
        r#"{"alter_column": {"table": "items", "column": "note", "check": {"name": "filled", "constraint": "note <> ''"},
            "up": "coalesce(nullif(note, ''), 'x')", "down": "note"}}"#,
    );
    finish(&db);
    assert!(object(&db, "index public.by_note").contains("(note, id) WHERE (qty > 0)"));
    assert!(object(&db, "constraint short on public.items").contains("length(note) < 100"));
}

#[test]
fn an_index_over_two_translated_columns_is_carried_once() {
    let db = shop();
    db.run("CREATE INDEX pair ON items (qty, note); ALTER TABLE items ADD CONSTRAINT pairs UNIQUE (note, id, qty)");
    turns(
        &db,
        r#"{"create_constraint": {"table": "items", "name": "k", "type": "check", "columns": ["qty", "note"], "check": "qty > 0 AND note <> ''",
            "up": {"qty": "abs(qty) + 1", "note": "coalesce(nullif(note, ''), 'x')"}, "down": {"qty": "qty - 1", "note": "note"}}}"#,
    );
    assert!(object(&db, "index public.pair").contains("(qty, note)"));
    assert!(object(&db, "constraint pairs on public.items").contains("UNIQUE (note, id, qty)"));
    assert!(object(&db, "constraint k on public.items").contains("qty > 0"));
}
