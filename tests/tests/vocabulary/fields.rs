//! Each operation and each of its fields: what the catalog says afterwards.

use super::{object, shop, turns};

/// Runs every turn of the operations on a shop of their own and looks for the parts in an object.
#[track_caller]
fn leaves(operations: &str, object_name: &str, parts: &[&str]) {
    let db = shop();
    turns(&db, operations);
    let found = object(&db, object_name);
    for part in parts {
        assert!(found.contains(part), "\"{part}\" is missing in: {found}");
    }
}

#[test]
fn a_table_with_everything() {
    let db = shop();
    turns(
        &db,
        r#"{"create_table": {"name": "rooms", "comment": "the rooms", "columns": [
            {"name": "id", "type": "bigint", "pk": true, "generated": {"identity": {"sequence_options": "START 5 INCREMENT 2"}}},
            {"name": "floor", "type": "int", "generated": {"identity": {"user_specified_values": "BY DEFAULT"}}},
            {"name": "number", "type": "serial", "unique": true},
            {"name": "name", "type": "text", "default": "'none'", "comment": "its name",
             "check": {"name": "rooms_named", "constraint": "length(name) > 1", "no_inherit": true}},
            {"name": "shout", "type": "text", "nullable": true, "generated": {"expression": "upper(name)"}},
            {"name": "owner", "type": "int", "nullable": true, "references": {"name": "rooms_owner", "table": "owners", "column": "id",
             "on_delete": "SET NULL", "on_update": "CASCADE", "match_type": "FULL", "deferrable": true, "initially_deferred": true}},
            {"name": "code", "type": "text", "nullable": true}, {"name": "zip", "type": "int", "nullable": true}],
          "constraints": [
            {"name": "rooms_unique", "type": "unique", "columns": ["code", "zip"], "nulls_not_distinct": true, "deferrable": true,
             "initially_deferred": true, "index_parameters": {"storage_parameters": "fillfactor = 70", "include_columns": ["name"], "tablespace": "pg_default"}},
            {"name": "rooms_check", "type": "check", "check": "zip > 0 OR code IS NULL", "no_inherit": true},
            {"name": "rooms_place", "type": "foreign_key", "columns": ["code", "zip"], "references": {"table": "owners", "columns": ["code", "zip"],
             "match_type": "SIMPLE", "on_delete": "SET NULL", "on_update": "RESTRICT", "on_delete_set_columns": ["zip"]}},
            {"name": "rooms_apart", "type": "exclude", "deferrable": true,
             "exclude": {"index_method": "btree", "elements": "number WITH =", "predicate": "number > 10"},
             "index_parameters": {"storage_parameters": "fillfactor = 60"}}]}}"#,
    );
    let has = |name: &str, parts: &[&str]| {
        let found = object(&db, name);
        for part in parts {
            assert!(
                found.contains(part),
                "{name}: \"{part}\" is missing in: {found}"
            );
        }
    };
    has("table public.rooms", &["comment the rooms"]);
    has("column public.rooms.id", &["identity a"]);
    has("sequence public.rooms_id_seq", &["start 5", "increment 2"]);
    has("column public.rooms.floor", &["identity d"]);
    has(
        "column public.rooms.name",
        &["not null", "default 'none'", "comment its name"],
    );
    has("column public.rooms.shout", &["generated upper(name)"]);
    has("constraint rooms_named on public.rooms", &["NO INHERIT"]);
    has(
        "constraint rooms_owner on public.rooms",
        &[
            "MATCH FULL",
            "ON UPDATE CASCADE",
            "ON DELETE SET NULL",
            "DEFERRABLE INITIALLY DEFERRED",
        ],
    );
    has(
        "constraint rooms_unique on public.rooms",
        &[
            "NULLS NOT DISTINCT",
            "INCLUDE (name)",
            "DEFERRABLE INITIALLY DEFERRED",
        ],
    );
    has("index public.rooms_unique", &["fillfactor='70'"]);
    has("constraint rooms_check on public.rooms", &["NO INHERIT"]);
    has(
        "constraint rooms_place on public.rooms",
        &["ON UPDATE RESTRICT", "ON DELETE SET NULL (zip)"],
    );
    has(
        "constraint rooms_apart on public.rooms",
        &[
            "EXCLUDE USING btree (number WITH =)",
            "WHERE ((number > 10))",
            "DEFERRABLE",
        ],
    );
    has("index public.rooms_apart", &["fillfactor='60'"]);
}

#[test]
fn a_primary_key_of_several_columns() {
    leaves(
        r#"{"create_table": {"name": "pairs", "columns": [{"name": "a", "type": "int", "pk": true}, {"name": "b", "type": "int", "pk": true}]}}"#,
        "constraint pairs_pkey on public.pairs",
        &["PRIMARY KEY (a, b)"],
    );
    leaves(
        r#"{"create_table": {"name": "pairs", "columns": [{"name": "a", "type": "int"}, {"name": "b", "type": "int"}],
            "constraints": [{"name": "pair_key", "type": "primary_key", "columns": ["a", "b"], "deferrable": true}]}}"#,
        "constraint pair_key on public.pairs",
        &["PRIMARY KEY (a, b) DEFERRABLE"],
    );
}

#[test]
fn tables_are_renamed_and_dropped() {
    leaves(
        r#"{"rename_table": {"from": "items", "to": "things"}}"#,
        "column public.things.qty",
        &["integer"],
    );
    leaves(
        r#"{"drop_table": {"name": "items"}}"#,
        "table public.items",
        &["no such object"],
    );
}

#[test]
fn columns_come_go_and_change_their_names() {
    leaves(
        r#"{"add_column": {"table": "items", "up": "SELECT upper(label)", "column": {"name": "shout", "type": "text", "comment": "loud",
            "check": {"name": "shout_long", "constraint": "length(shout) > 3", "no_inherit": true}}}}"#,
        "column public.items.shout",
        &["text", "not null", "comment loud"],
    );
    leaves(
        r#"{"add_column": {"table": "items", "column": {"name": "keeper", "type": "int", "nullable": true, "unique": true,
            "references": {"name": "items_keeper", "table": "owners", "column": "id", "match_type": "FULL", "deferrable": true}}}}"#,
        "constraint items_keeper on public.items",
        &["MATCH FULL DEFERRABLE"],
    );
    leaves(
        r#"{"drop_column": {"table": "items", "column": "label", "down": "'label' || id"}}"#,
        "column public.items.label",
        &["no such object"],
    );
    leaves(
        r#"{"rename_column": {"table": "items", "from": "label", "to": "title"}}"#,
        "column public.items.title",
        &["text"],
    );
}

#[test]
fn columns_are_altered() {
    for (fields, object_name, parts) in [
        (
            r#""default": "'x'""#,
            "column public.items.label",
            "default 'x'",
        ),
        (
            r#""comment": "its label""#,
            "column public.items.label",
            "comment its label",
        ),
        (
            r#""nullable": false"#,
            "column public.items.label",
            "not null",
        ),
        (
            r#""type": "varchar(40)""#,
            "column public.items.label",
            "character varying(40)",
        ),
        (
            r#""unique": {"name": "u"}"#,
            "constraint u on public.items",
            "UNIQUE (label)",
        ),
        (
            r#""check": {"name": "k", "constraint": "label <> ''", "no_inherit": true}"#,
            "constraint k on public.items",
            "NO INHERIT",
        ),
        // Values that stay as they are need no second column.
        (
            r#""unique": {"name": "u"}, "up": "label", "down": "\"label\"""#,
            "constraint u on public.items",
            "UNIQUE (label)",
        ),
        (
            r#""type": "varchar(40)", "nullable": false, "default": "'x'", "comment": "c", "unique": {"name": "u"},
               "check": {"name": "k", "constraint": "label <> ''"}"#,
            "column public.items.label",
            "character varying(40), not null, default 'x'::character varying",
        ),
    ] {
        leaves(
            &format!(r#"{{"alter_column": {{"table": "items", "column": "label", {fields}}}}}"#),
            object_name,
            &[parts],
        );
    }
    let db = shop();
    db.run("ALTER TABLE items ALTER label SET DEFAULT 'x'; COMMENT ON COLUMN items.label IS 'c'");
    turns(
        &db,
        r#"{"alter_column": {"table": "items", "column": "label", "default": null, "comment": null}}"#,
    );
    let label = object(&db, "column public.items.label");
    assert!(
        !label.contains("default") && !label.contains("comment"),
        "{label}"
    );
}

#[test]
fn a_reference_is_added_to_a_column() {
    leaves(
        r#"{"alter_column": {"table": "items", "column": "owner", "references": {"name": "f", "table": "owners", "column": "id",
            "on_delete": "CASCADE", "deferrable": true, "initially_deferred": true},
            "up": "SELECT CASE WHEN EXISTS (SELECT 1 FROM owners WHERE owners.id = owner) THEN owner ELSE NULL END", "down": "owner"}}"#,
        "constraint f on public.items",
        &[
            "FOREIGN KEY (owner)",
            "ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED",
        ],
    );
}

#[test]
fn indexes_with_everything() {
    leaves(
        r#"{"create_index": {"name": "i", "table": "items", "unique": true, "method": "btree", "predicate": "qty > 0",
            "storage_parameters": "fillfactor = 70, deduplicate_items = off", "columns": [
            {"column": "label", "collate": "\"C\"", "sort": "DESC", "nulls": "LAST", "opclass": {"name": "text_pattern_ops"}}, {"column": "id"}]}}"#,
        "index public.i",
        &[
            "UNIQUE",
            "label COLLATE \"C\" text_pattern_ops DESC NULLS LAST",
            "fillfactor='70'",
            "WHERE (qty > 0)",
        ],
    );
    let db = shop();
    db.run("ALTER TABLE items ADD words tsvector");
    turns(
        &db,
        r#"{"create_index": {"name": "i", "table": "items", "method": "gist",
            "columns": [{"column": "words", "opclass": {"name": "tsvector_ops", "params": ["siglen=64"]}}]}}"#,
    );
    assert!(object(&db, "index public.i").contains("siglen='64'"));
    let db = shop();
    db.run("CREATE INDEX i ON items (lower(label)) WHERE qty > 1");
    turns(&db, r#"{"drop_index": {"name": "i"}}"#);
    assert_eq!(object(&db, "index public.i"), "no such object");
}

#[test]
fn constraints_are_created() {
    for (fields, parts) in [
        (
            r#""type": "unique", "columns": ["id", "label"], "nulls_not_distinct": true, "deferrable": true,
               "index_parameters": {"include_columns": ["note"], "storage_parameters": "fillfactor = 70"}"#,
            "UNIQUE NULLS NOT DISTINCT (id, label) INCLUDE (note) DEFERRABLE",
        ),
        (
            r#""type": "check", "columns": ["qty"], "check": "qty >= 0", "no_inherit": true"#,
            "CHECK ((qty >= 0)) NO INHERIT",
        ),
    ] {
        leaves(
            &format!(r#"{{"create_constraint": {{"name": "k", "table": "items", {fields}}}}}"#),
            "constraint k on public.items",
            &[parts],
        );
    }
    let db = shop();
    db.run("UPDATE items SET owner = least(owner, 50), owner_code = 'code' || least(owner, 50)");
    turns(
        &db,
        r#"{"create_constraint": {"name": "k", "table": "items", "type": "foreign_key", "columns": ["owner_code", "owner"], "references": {"table": "owners",
            "columns": ["code", "zip"], "match_type": "FULL", "on_delete": "SET NULL", "on_delete_set_columns": ["owner"], "on_update": "CASCADE"}}}"#,
    );
    let key = object(&db, "constraint k on public.items");
    assert!(
        key.contains("FOREIGN KEY (owner_code, owner) REFERENCES public.owners(code, zip) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL (owner)"),
        "{key}"
    );
    let db = shop();
    db.run("ALTER TABLE items DROP CONSTRAINT items_pkey");
    turns(
        &db,
        r#"{"create_constraint": {"name": "items_pk", "table": "items", "type": "primary_key", "columns": ["id"],
            "index_parameters": {"storage_parameters": "fillfactor = 80"}}}"#,
    );
    assert!(object(&db, "index public.items_pk").contains("fillfactor='80'"));
    // On a table without rows an exclusion constraint takes no time.
    let db = shop();
    db.run("CREATE TABLE plans (a int)");
    turns(
        &db,
        r#"{"create_constraint": {"name": "apart", "table": "plans", "type": "exclude", "exclude": {"elements": "a WITH ="}}}"#,
    );
}

#[test]
fn constraints_are_renamed() {
    let db = shop();
    db.run(
        "ALTER TABLE items ADD CONSTRAINT k CHECK (qty >= 0), ADD CONSTRAINT u UNIQUE (label);
         COMMENT ON CONSTRAINT u ON items IS 'one each'",
    );
    turns(
        &db,
        r#"{"rename_constraint": {"table": "items", "from": "k", "to": "K \"2\""}},
           {"rename_constraint": {"table": "items", "from": "u", "to": "v"}}"#,
    );
    assert!(object(&db, "constraint \"K \"\"2\"\"\" on public.items").contains("qty"));
    assert!(object(&db, "constraint v on public.items").contains("comment one each"));
    assert!(object(&db, "index public.v").contains("UNIQUE"));
}

#[test]
fn the_replica_identity_comes_back() {
    let db = shop();
    db.run("CREATE UNIQUE INDEX \"By Label\" ON items (label, id); ALTER TABLE items ALTER label SET NOT NULL");
    for (before, wanted, found) in [
        (
            "FULL",
            r#"{"type": "nothing", "index": ""}"#,
            "replica identity n",
        ),
        ("NOTHING", r#"{"type": "FULL"}"#, "replica identity f"),
        ("FULL", r#"{"type": "default"}"#, "replica identity d"),
        (
            "DEFAULT",
            r#"{"type": "index", "index": "By Label"}"#,
            "replica identity i",
        ),
        (
            "USING INDEX \"By Label\"",
            r#"{"type": "index", "index": "items_pkey"}"#,
            "replica identity i",
        ),
        (
            "USING INDEX \"By Label\"",
            r#"{"type": "full"}"#,
            "replica identity f",
        ),
    ] {
        db.run(&format!("ALTER TABLE items REPLICA IDENTITY {before}"));
        turns(
            &db,
            &format!(r#"{{"set_replica_identity": {{"table": "items", "identity": {wanted}}}}}"#),
        );
        let table = object(&db, "table public.items");
        assert!(table.contains(found), "{before}, {wanted}: {table}");
        db.run("CALL migrate.downgrade('base')");
        db.run("SELECT migrate.repair('1', 'abandon')");
    }
}

#[test]
fn sql_runs_when_it_says() {
    let db = shop();
    turns(
        &db,
        r#"{"sql": {"up": "CREATE TABLE extra (a int)", "down": "DROP TABLE extra"}},
           {"sql": {"up": "ALTER TABLE items ADD COLUMN late int", "down": "ALTER TABLE items DROP COLUMN late", "onComplete": true}}"#,
    );
    assert!(!object(&db, "table public.extra").contains("no such"));
    assert!(object(&db, "column public.items.late").contains("integer"));
    db.run("CALL migrate.downgrade('base')");
    db.run("CALL migrate.upgrade()");
    assert_eq!(object(&db, "column public.items.late"), "no such object");
}
