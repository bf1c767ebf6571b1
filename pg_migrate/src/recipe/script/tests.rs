use super::operations;
use crate::document::model::{Operation, Sql};
use crate::fault::state;
use crate::pg::parser::tree::*;
use serde_json::{Value, json};

pub fn name(name: &str) -> Name {
    Name {
        schema: None,
        name: name.into(),
    }
}

pub fn relation(table: &str) -> Relation {
    Relation {
        name: name(table),
        ..Relation::default()
    }
}

pub fn statement(text: &str, node: Node) -> Statement {
    Statement {
        text: text.into(),
        offset: 0,
        line: 1,
        node,
        transactional: true,
        action: Action::default(),
        long_names: Vec::new(),
    }
}

/// The operations as JSON, without what is null, false or empty, and without the mark that a
/// statement stands in a script.
pub fn made(node: Node) -> Value {
    let found = operations(&statement("TEXT", node), false, false).unwrap();
    lean(serde_json::to_value(found).unwrap())
}

pub fn lean(value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(lean).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, lean(value)))
            .filter(|(key, value)| {
                key != "online" && !matches!(value, Value::Null | Value::Bool(false))
            })
            .filter(|(_, value)| value.as_array().is_none_or(|list| !list.is_empty()))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

pub fn alter(kinds: Vec<CommandKind>) -> Node {
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

fn as_written() -> Value {
    json!([{ "sql": { "up": "TEXT" } }])
}

#[test]
fn what_has_no_recipe_stays_as_written() {
    assert_eq!(made(Node::Other), as_written());
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
    update.once = true;
    assert_eq!(made(Node::Update(update.clone())), as_written());
    update.once = false;
    update.plain = false;
    assert_eq!(made(Node::Update(update)), as_written());
}
