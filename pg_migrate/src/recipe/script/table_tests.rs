use super::operations;
use super::tests::{alter, lean, made, name, statement};
use crate::document::model::Operation;
use crate::pg::parser::tree::*;
use serde_json::{Value, json};

fn add_column(column: Column) -> Node {
    alter(vec![CommandKind::AddColumn {
        column,
        if_not_exists: false,
    }])
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
        definition: "UNIQUE (a, b) INCLUDE (c)".into(),
        nulls_not_distinct: false,
        ..unique
    };
    assert_eq!(
        made(alter(vec![CommandKind::AddConstraint(including)])),
        json!([{ "create_constraint": { "name": "users_a_b_key", "table": "users", "type": "unique",
                "columns": ["a", "b"], "definition": "UNIQUE (a, b) INCLUDE (c)" } }])
    );
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
            { "sql": { "up": "ALTER TABLE users COMMAND" } },
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
