//! When a constraint goes: at contract, unless the migration itself needs it gone before.

use super::{finish, object, plan, same, schema, shop, turns, up};

fn checked() -> pg_migrate_tests::Db {
    let db = shop();
    db.run(
        "UPDATE items SET owner = 1 WHERE owner > 50;
         ALTER TABLE items ADD CONSTRAINT small CHECK (qty < 10), ADD CONSTRAINT labels UNIQUE (label) WITH (fillfactor = 70),
            ADD CONSTRAINT owned FOREIGN KEY (owner) REFERENCES owners",
    );
    db
}

#[test]
fn the_old_application_keeps_the_constraint_until_contract() {
    for (name, violation) in [
        ("small", "UPDATE items SET qty = 50 WHERE id = 1"),
        ("labels", "UPDATE items SET label = 'label2' WHERE id = 1"),
        ("owned", "UPDATE items SET owner = 99 WHERE id = 1"),
    ] {
        let db = checked();
        let operations =
            format!(r#"{{"drop_constraint": {{"table": "items", "name": "{name}"}}}}"#);
        turns(&db, &operations);
        assert_eq!(
            object(&db, &format!("constraint {name} on public.items")),
            "no such object"
        );
        db.run("CALL migrate.downgrade('base')");
        db.run("CALL migrate.upgrade()");
        assert!(db.error(violation).sqlstate.starts_with("23"), "{name}");
        finish(&db);
        db.run(violation);
    }
}

#[test]
fn it_goes_at_once_where_that_is_asked_for() {
    let db = checked();
    up(
        &db,
        r#"{"drop_constraint": {"table": "items", "name": "small", "immediately": true}}"#,
    );
    assert_eq!(super::state(&db), "applied");
    db.run("UPDATE items SET qty = 50 WHERE id = 1");
}

#[test]
fn what_follows_may_need_it_gone_and_the_plan_says_why() {
    for (then, why) in [
        (
            r#"{"create_constraint": {"table": "items", "name": "small", "type": "check", "check": "qty < 20"}}"#,
            "create_constraint makes one of that name",
        ),
        (
            r#"{"alter_column": {"table": "items", "column": "qty", "check": {"name": "small", "constraint": "qty < 20"}}}"#,
            "alter_column makes one of that name",
        ),
        (
            r#"{"backfill": {"table": "items", "set": {"qty": "12"}, "where": "qty = 1", "down": {"qty": "1"}}}"#,
            "backfill changes its column",
        ),
        (
            r#"{"sql": {"up": "UPDATE items SET qty = 12 WHERE qty = 2", "down": "UPDATE items SET qty = 2 WHERE qty = 12"}}"#,
            "a later statement may need that",
        ),
        (
            r#"{"alter_column": {"table": "items", "column": "qty", "type": "bigint"}}"#,
            "alter_column changes the type of its column",
        ),
    ] {
        let db = checked();
        let operations =
            format!(r#"{{"drop_constraint": {{"table": "items", "name": "small"}}}}, {then}"#);
        let steps = plan(&db, &operations);
        let drop = steps
            .iter()
            .find(|step| step[1] == "ALTER TABLE public.items DROP CONSTRAINT small")
            .unwrap_or_else(|| panic!("{steps:#?}"));
        assert_eq!(drop[0], "expand");
        assert!(drop[2].contains(why), "{then}: {}", drop[2]);
        let before = schema(&db);
        up(&db, &operations);
        db.run("CALL migrate.downgrade('base')");
        same(then, &before, &schema(&db));
        db.run("CALL migrate.upgrade()");
        finish(&db);
    }
}

#[test]
fn a_primary_key_is_replaced() {
    let db = checked();
    turns(
        &db,
        r#"{"drop_constraint": {"table": "items", "name": "items_pkey"}},
           {"create_constraint": {"table": "items", "name": "items_key", "type": "primary_key", "columns": ["id", "label"]}}"#,
    );
    assert!(
        object(&db, "constraint items_key on public.items").contains("PRIMARY KEY (id, label)")
    );
}

#[test]
fn a_key_that_foreign_keys_rest_on_stays() {
    let db = checked();
    let before = schema(&db);
    let drop = r#"{"drop_constraint": {"table": "owners", "name": "owners_pkey"}}"#;
    let failure = db.error(&format!(
        "SELECT migrate.apply($document${}$document$)",
        super::document(drop)
    ));
    assert_eq!(failure.sqlstate, "2BP01");
    assert!(
        failure
            .detail
            .contains("foreign key \"owned\" of public.items"),
        "{failure}"
    );
    same("refused", &before, &schema(&db));
    turns(
        &db,
        &format!(r#"{{"drop_constraint": {{"table": "items", "name": "owned"}}}}, {drop}"#),
    );
}
