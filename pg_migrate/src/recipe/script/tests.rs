use super::operations;
use crate::document::model::{Operation, Sql};
use crate::fault::state;
use crate::pg::parser::tree::*;
use serde_json::{Value, json};

fn name(name: &str) -> Name {
    Name {
        schema: None,
        name: name.into(),
    }
}

fn relation(table: &str) -> Relation {
    Relation {
        name: name(table),
        ..Relation::default()
    }
}

fn statement(text: &str, node: Node) -> Statement {
    Statement {
        text: text.into(),
        offset: 0,
        line: 1,
        node,
        transactional: true,
    }
}

/// The operations as JSON, without what is null, false or empty.
fn made(node: Node) -> Value {
    let found = operations(&statement("TEXT", node), false, false).unwrap();
    lean(serde_json::to_value(found).unwrap())
}

fn lean(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(lean).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, lean(value)))
            .filter(|(_, value)| !matches!(value, Value::Null | Value::Bool(false)))
            .filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

fn alter(kinds: Vec<CommandKind>) -> Node {
    let commands = kinds
        .into_iter()
        .map(|kind| Command {
            text: "COMMAND".into(),
            kind,
        })
        .collect();
    Node::AlterTable(AlterTable {
        table: relation("users"),
        commands,
    })
}

fn add_column(column: Column) -> Node {
    alter(vec![CommandKind::AddColumn {
        column,
        if_not_exists: false,
    }])
}

fn as_written() -> Value {
    json!([{ "sql": { "up": "TEXT" } }])
}

#[test]
fn what_has_no_recipe_stays_as_written() {
    assert_eq!(made(Node::Other), as_written());
    let mut only = relation("users");
    only.only = true;
    let rename = Node::RenameTable {
        table: only,
        to: "people".into(),
    };
    assert_eq!(made(rename), as_written());
    let mut vacuum = statement("VACUUM t", Node::Other);
    vacuum.transactional = false;
    let found = operations(&vacuum, false, false).unwrap();
    assert!(matches!(
        &found[..],
        [Operation::Sql(Sql {
            no_transaction: true,
            ..
        })]
    ));
}

#[test]
fn as_written_turns_recipes_off_and_remembers_what_is_made() {
    let table = Node::CreateTable(CreateTable {
        name: name("Order"),
        without_foreign_keys: Some("cut".into()),
        foreign_keys: vec![Constraint::default()],
        ..CreateTable::default()
    });
    let found = operations(&statement("CREATE", table), true, false).unwrap();
    assert_eq!(
        lean(serde_json::to_value(found).unwrap()),
        json!([{ "sql": { "up": "CREATE", "creates": { "kind": "table", "name": "\"Order\"" } } }])
    );
}

#[test]
fn names_become_sql_text_and_columns_stay_bare() {
    let rename = Node::RenameColumn {
        table: Relation {
            name: Name {
                schema: Some("App".into()),
                name: "user".into(),
            },
            ..Relation::default()
        },
        from: "Name".into(),
        to: "full name".into(),
    };
    assert_eq!(
        made(rename),
        json!([{ "rename_column": { "table": "\"App\".\"user\"", "from": "Name", "to": "full name" } }])
    );
    let rename = Node::RenameTable {
        table: relation("a"),
        to: "B".into(),
    };
    assert_eq!(
        made(rename),
        json!([{ "rename_table": { "from": "a", "to": "\"B\"" } }])
    );
}

#[test]
fn transactions_and_copy_are_refused() {
    let fault = operations(
        &statement("BEGIN", Node::Transaction("BEGIN".into())),
        true,
        false,
    )
    .unwrap_err();
    assert_eq!(fault.message, "BEGIN cannot be part of a migration");
    let copy = statement("COPY t FROM STDIN", Node::CopyFromStdin);
    let fault = operations(&copy, false, false).unwrap_err();
    assert_eq!(fault.sqlstate, state::FEATURE_NOT_SUPPORTED);
}

fn drop(kind: DropKind, cascade: bool) -> Node {
    Node::Drop(Drop {
        kind,
        names: vec![name("a"), name("b")],
        if_exists: true,
        cascade,
    })
}

#[test]
fn drops_are_one_operation_each_and_never_cascade() {
    assert_eq!(
        made(drop(DropKind::Index, false)),
        json!([{ "drop_index": { "name": "a", "if_exists": true } }, { "drop_index": { "name": "b", "if_exists": true } }])
    );
    let now = operations(
        &statement("DROP", drop(DropKind::Table, false)),
        false,
        true,
    )
    .unwrap();
    assert!(matches!(&now[1], Operation::DropTable(op) if op.immediately && op.name == "b"));
    for kind in [DropKind::Table, DropKind::Index, DropKind::Other] {
        let fault = operations(&statement("DROP", drop(kind, true)), false, false).unwrap_err();
        assert_eq!(fault.sqlstate, state::DEPENDENT_OBJECTS);
    }
    assert_eq!(made(drop(DropKind::Other, false)), as_written());
    let cascading = alter(vec![CommandKind::DropColumn {
        column: "a".into(),
        if_exists: false,
        cascade: true,
    }]);
    assert!(operations(&statement("ALTER", cascading), false, false).is_err());
}

#[test]
fn immediately_needs_something_to_set_aside() {
    let fault = operations(&statement("SELECT 1", Node::Other), false, true).unwrap_err();
    assert!(fault.detail.unwrap().contains("SELECT 1"));
    let node = drop(DropKind::Table, false);
    assert!(operations(&statement("DROP", node), true, true).is_err());
}

#[test]
fn an_index_gets_the_name_postgresql_would_give_it() {
    let index = Node::CreateIndex(Index {
        table: relation("users"),
        unique: true,
        keys: vec!["lower".into(), "id".into()],
        definition: "(lower(email), id) WHERE x".into(),
        ..Index::default()
    });
    assert_eq!(
        made(index),
        json!([{ "create_index": { "name": "users_lower_id_idx", "table": "users", "unique": true,
                "definition": "(lower(email), id) WHERE x" } }])
    );
}

#[test]
fn an_update_that_may_be_repeated_is_a_backfill() {
    let mut update = Update {
        table: relation("t"),
        set: vec![("a".into(), "b * 100".into())],
        predicate: Some("a IS NULL".into()),
        plain: true,
        ..Update::default()
    };
    assert_eq!(
        made(Node::Update(update.clone())),
        json!([{ "backfill": { "table": "t", "set": { "a": "b * 100" }, "where": "a IS NULL" } }])
    );
    update.reads_own = true;
    assert_eq!(made(Node::Update(update.clone())), as_written());
    update.reads_own = false;
    update.plain = false;
    assert_eq!(made(Node::Update(update)), as_written());
}

#[test]
fn commands_become_operations_in_order() {
    let node = alter(vec![
        CommandKind::DropColumn {
            column: "a".into(),
            if_exists: true,
            cascade: false,
        },
        CommandKind::SetNotNull("b".into()),
        CommandKind::SetDefault {
            column: "c".into(),
            default: None,
        },
        CommandKind::Other,
    ]);
    let found = operations(&statement("ALTER", node), false, false).unwrap();
    assert!(matches!(&found[2], Operation::AlterColumn(op) if op.default == Some(None)));
    assert_eq!(
        lean(serde_json::to_value(found).unwrap()),
        json!([
            { "drop_column": { "table": "users", "column": "a", "if_exists": true } },
            { "set_not_null": { "table": "users", "column": "b" } },
            { "alter_column": { "table": "users", "column": "c" } },
            { "sql": { "up": "ALTER TABLE users COMMAND" } },
        ])
    );
}

#[test]
fn changes_of_one_column_with_its_type_are_one_operation() {
    let node = alter(vec![
        CommandKind::SetDefault {
            column: "c".into(),
            default: None,
        },
        CommandKind::SetNotNull("c".into()),
        CommandKind::SetType {
            column: "c".into(),
            data_type: "integer".into(),
            using: Some("c::integer".into()),
        },
        CommandKind::SetDefault {
            column: "c".into(),
            default: Some("0".into()),
        },
    ]);
    assert_eq!(
        made(node),
        json!([{ "alter_column": { "table": "users", "column": "c", "type": "integer",
                "default": "0", "nullable": false, "up": "c::integer" } }])
        .as_array()
        .cloned()
        .map(|mut list| {
            // `nullable: false` is said, but `lean` leaves every false out.
            list[0]["alter_column"]
                .as_object_mut()
                .unwrap()
                .remove("nullable");
            Value::Array(list)
        })
        .unwrap()
    );
}

#[test]
fn a_column_carries_what_its_fields_can_hold() {
    let key = Constraint {
        kind: ConstraintKind::ForeignKey,
        columns: vec!["team_id".into()],
        references: Some(References {
            table: name("teams"),
            columns: vec!["id".into()],
            on_delete: Some("CASCADE"),
            on_update: None,
        }),
        ..Constraint::default()
    };
    let check = Constraint {
        expression: Some("team_id > 0".into()),
        columns: vec!["team_id".into()],
        ..Constraint::default()
    };
    let column = Column {
        name: "team_id".into(),
        data_type: "bigint".into(),
        not_null: true,
        default: Some("1".into()),
        constraints: vec![check.clone(), key.clone(), check],
        ..Column::default()
    };
    assert_eq!(
        made(add_column(column)),
        json!([
            { "add_column": { "table": "users", "column": {
                "name": "team_id", "type": "bigint", "default": "1",
                "check": { "name": "users_team_id_check", "constraint": "team_id > 0" },
                "references": { "name": "users_team_id_fkey", "table": "teams", "column": "id",
                                "on_delete": "CASCADE" } } } },
            { "create_constraint": { "name": "users_team_id_check1", "table": "users",
                "type": "check", "check": "team_id > 0" } },
        ])
    );
    let deferred = Constraint {
        deferrable: true,
        ..key
    };
    let column = Column {
        name: "team_id".into(),
        data_type: "bigint".into(),
        constraints: vec![deferred],
        ..Column::default()
    };
    let found = made(add_column(column));
    assert_eq!(found[0]["add_column"]["column"]["nullable"], json!(true));
    assert_eq!(found[1]["add_foreign_key"]["deferrable"], json!(true));
}

#[test]
fn identity_serial_and_generated_columns() {
    let column = |data_type: &str| Column {
        name: "n".into(),
        data_type: data_type.into(),
        ..Column::default()
    };
    let found = made(add_column(column("bigserial")));
    assert_eq!(found[0]["add_column"]["column"].get("nullable"), None);
    let found = made(add_column(Column {
        identity: Some(Identity {
            always: true,
            options: Some("START 10".into()),
        }),
        ..column("bigint")
    }));
    assert_eq!(
        found[0]["add_column"]["column"],
        json!({ "name": "n", "type": "bigint", "generated": { "identity": {
            "user_specified_values": "ALWAYS", "sequence_options": "START 10" } } })
    );
    let found = made(add_column(Column {
        more: true,
        ..column("text COMPRESSION lz4")
    }));
    assert_eq!(
        found,
        json!([{ "sql": { "up": "ALTER TABLE users COMMAND" } }])
    );
}

#[test]
fn constraints_keep_all_they_say() {
    let unique = Constraint {
        kind: ConstraintKind::Unique,
        columns: vec!["a".into(), "b".into()],
        definition: "UNIQUE NULLS NOT DISTINCT (a, b)".into(),
        nulls_not_distinct: true,
        ..Constraint::default()
    };
    assert_eq!(
        made(alter(vec![CommandKind::AddConstraint(unique.clone())])),
        json!([{ "create_constraint": { "name": "users_a_b_key", "table": "users",
                "type": "unique", "columns": ["a", "b"], "nulls_not_distinct": true } }])
    );
    let including = Constraint {
        more: true,
        ..unique
    };
    let node = alter(vec![CommandKind::AddConstraint(including)]);
    assert!(operations(&statement("ALTER", node), false, false).is_err());
    let not_valid = Constraint {
        name: Some("Positive".into()),
        definition: "CHECK (a > 0) NOT VALID".into(),
        expression: Some("a > 0".into()),
        not_valid: true,
        ..Constraint::default()
    };
    assert_eq!(
        made(alter(vec![
            CommandKind::AddConstraint(not_valid),
            CommandKind::ValidateConstraint
        ])),
        json!([
            { "sql": { "up": "ALTER TABLE users ADD CONSTRAINT \"Positive\" CHECK (a > 0) NOT VALID",
                       "down": "ALTER TABLE users DROP CONSTRAINT \"Positive\"" } },
            { "sql": { "up": "ALTER TABLE users COMMAND", "down": "SELECT 1", "no_transaction": true } },
        ])
    );
}

#[test]
fn foreign_keys_leave_create_table() {
    let key = Constraint {
        kind: ConstraintKind::ForeignKey,
        columns: vec!["user_id".into()],
        references: Some(References {
            table: name("users"),
            ..References::default()
        }),
        ..Constraint::default()
    };
    let table = Node::CreateTable(CreateTable {
        name: name("orders"),
        foreign_keys: vec![key.clone(), key],
        without_foreign_keys: Some("CREATE TABLE orders (user_id bigint)".into()),
        ..CreateTable::default()
    });
    assert_eq!(
        made(table),
        json!([
            { "sql": { "up": "CREATE TABLE orders (user_id bigint)",
                       "creates": { "kind": "table", "name": "orders" } } },
            { "add_foreign_key": { "name": "orders_user_id_fkey", "table": "orders",
                "columns": ["user_id"], "references": { "table": "users" } } },
            { "add_foreign_key": { "name": "orders_user_id_fkey1", "table": "orders",
                "columns": ["user_id"], "references": { "table": "users" } } },
        ])
    );
}
