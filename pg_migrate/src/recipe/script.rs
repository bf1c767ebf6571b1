//! From the statements of a script to operations. What has an online recipe becomes the operation
//! that ends in the same schema; the rest stays SQL as written.

mod object;
mod reader;
mod settings;
mod table;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;

pub use reader::{Reader, passed_over, search_path};
pub use settings::schemas;

use crate::document::model::{
    Backfill, Comments, CreateIndex, Creates, DropIndex, DropTable, DropView, Operation,
    RenameColumn, RenameTable, Sql,
};
use crate::fault::{Fault, Result, state};
use crate::pg::parser::tree::{
    self, CommentOn, Drop, DropKind, Index, Name, Node, Statement, Update,
};
use crate::recipe::names;
use crate::recipe::quote::{ident, qualified};
use serde_json::{Map, Value};

/// The operations a statement stands for. `as_written`: no recipe, whatever it is.
/// `immediately`: what it drops is dropped for good instead of being set aside.
/// Errors: transaction commands, COPY FROM STDIN, CASCADE, and `immediately` where nothing is set
/// aside.
pub fn operations(
    statement: &Statement,
    as_written: bool,
    immediately: bool,
) -> Result<Vec<Operation>> {
    match &statement.node {
        Node::Transaction(word) => return Err(transaction_command(word)),
        Node::CopyFromStdin => return Err(crate::pg::parser::copy_from_stdin()),
        _ => {}
    }
    if immediately && (as_written || !sets_aside(statement)) {
        return Err(means_nothing(statement, as_written));
    }
    if as_written {
        return Ok(written(statement, false));
    }
    if immediately && statement.action.tag == "TRUNCATE TABLE" {
        return Ok(written(statement, false));
    }
    let made = match &statement.node {
        Node::CreateTable(table) => table::create(statement, table)?,
        Node::AlterTable(change) => table::alter(change, immediately)?,
        Node::CreateIndex(index) => Some(create_index(index)),
        Node::Drop(drop) => drop_of(drop, immediately)?,
        Node::RenameColumn { table, from, to } => {
            Some(vec![Operation::RenameColumn(RenameColumn {
                table: sql(&table.name),
                from: from.clone(),
                to: to.clone(),
            })])
        }
        Node::RenameTable { table, to } => Some(vec![Operation::RenameTable(RenameTable {
            from: sql(&table.name),
            to: ident(to),
        })]),
        Node::Update(update) => backfill(update),
        Node::Object(found) => Some(object::operations(statement, found)),
        _ => None,
    };
    Ok(made.unwrap_or_else(|| written(statement, true)))
}

/// A name as SQL text.
fn sql(name: &Name) -> String {
    match &name.schema {
        Some(schema) => qualified(schema, &name.name),
        None => ident(&name.name),
    }
}

/// `online`: it is refused where it cannot be done online.
fn written(statement: &Statement, online: bool) -> Vec<Operation> {
    let creates = match &statement.node {
        Node::CreateTable(table) if !table.temporary => Some(Creates {
            kind: "table".into(),
            name: sql(&table.name),
        }),
        Node::Object(tree::Object::View(view)) if !view.replace && !view.if_not_exists => {
            Some(Creates {
                kind: if view.materialized {
                    "materialized_view"
                } else {
                    "view"
                }
                .into(),
                name: view.name.clone(),
            })
        }
        Node::Object(tree::Object::Trigger {
            name,
            table,
            replace: false,
        }) => Some(Creates {
            kind: "trigger".into(),
            name: format!("{} ON {table}", ident(name)),
        }),
        Node::Create { kind, name } => Some(Creates {
            kind: (*kind).to_owned(),
            name: name.clone(),
        }),
        _ => None,
    };
    let drops = match &statement.node {
        Node::Drop(drop) if drop.kind == DropKind::View => drop.names.iter().map(sql).collect(),
        _ => Vec::new(),
    };
    let comments = match &statement.node {
        Node::Comment(comment) => Some(Comments {
            kind: match comment.on {
                CommentOn::Table => "table",
                CommentOn::Column => "column",
                CommentOn::Index => "index",
                CommentOn::Constraint => "constraint",
            }
            .into(),
            relation: sql(&comment.relation),
            part: comment.part.clone(),
            text: comment.text.clone(),
        }),
        _ => None,
    };
    vec![Operation::Sql(Sql {
        drops,
        comments,
        up: statement.text.clone(),
        online,
        no_transaction: !statement.transactional,
        creates,
        ..Sql::default()
    })]
}

fn transaction_command(word: &str) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("{word} cannot be part of a migration"),
    )
    .detail(
        "Steps run in the transactions their locks ask for: brief ones together, each long one alone.",
    )
    .hint("Take the BEGIN, COMMIT, ROLLBACK and SAVEPOINT lines out.")
}

/// Whether -- migrate:immediately means something for it.
fn sets_aside(statement: &Statement) -> bool {
    match &statement.node {
        _ if statement.action.tag == "TRUNCATE TABLE" => true,
        Node::Drop(drop) => drop.kind == DropKind::Table,
        Node::AlterTable(change) => change
            .commands
            .iter()
            .any(|command| matches!(command.kind, tree::CommandKind::DropColumn { .. })),
        _ => false,
    }
}

fn means_nothing(statement: &Statement, as_written: bool) -> Fault {
    let first = statement.text.lines().next().unwrap_or_default();
    let fault = Fault::invalid("-- migrate:immediately means nothing for this statement");
    if as_written {
        fault
            .detail(format!("\"{first}\" runs as written, which is at once."))
            .hint("Keep one of -- migrate:as-written and -- migrate:immediately.")
    } else {
        fault
            .detail(format!("\"{first}\" drops no table and no column."))
            .hint("Take the line out, or put it before a DROP TABLE, TRUNCATE or ALTER TABLE … DROP COLUMN.")
    }
}

fn no_cascade(what: &str) -> Fault {
    Fault::new(
        state::DEPENDENT_OBJECTS,
        format!("{what} with CASCADE is not done: it would drop what the script does not name"),
    )
    .hint(
        "Drop the dependent objects by name first and leave CASCADE out, or put -- migrate:as-written before the statement.",
    )
}

fn drop_of(drop: &Drop, immediately: bool) -> Result<Option<Vec<Operation>>> {
    if drop.cascade {
        return Err(no_cascade(match drop.kind {
            DropKind::Table => "DROP TABLE",
            DropKind::Index => "DROP INDEX",
            DropKind::View | DropKind::Other => "DROP",
        }));
    }
    let each = |make: &dyn Fn(String) -> Operation| {
        Some(drop.names.iter().map(|name| make(sql(name))).collect())
    };
    Ok(match drop.kind {
        DropKind::Table => each(&|name| {
            Operation::DropTable(DropTable {
                name,
                immediately,
                if_exists: drop.if_exists,
            })
        }),
        DropKind::Index => each(&|name| {
            Operation::DropIndex(DropIndex {
                name,
                if_exists: drop.if_exists,
            })
        }),
        DropKind::View => each(&|name| {
            Operation::DropView(DropView {
                name,
                if_exists: drop.if_exists,
            })
        }),
        DropKind::Other => None,
    })
}

fn create_index(index: &Index) -> Vec<Operation> {
    let name = match &index.name {
        Some(name) => name.clone(),
        None => names::index(&index.table.name.name, &index.keys),
    };
    vec![Operation::CreateIndex(CreateIndex {
        name,
        table: sql(&index.table.name),
        unique: index.unique,
        definition: Some(index.definition.clone()),
        if_not_exists: index.if_not_exists,
        ..CreateIndex::default()
    })]
}

/// An update that may be done in batches, and again over rows that moved meanwhile. One that
/// reads what it writes (`n = n + 1`) would count twice; one that takes the clock without a
/// condition on what it writes would never be done: they stay one statement.
fn backfill(update: &Update) -> Option<Vec<Operation>> {
    if !update.plain || update.once {
        return None;
    }
    let set: Map<String, Value> = update
        .set
        .iter()
        .map(|(column, value)| (column.clone(), Value::String(value.clone())))
        .collect();
    Some(vec![Operation::Backfill(Backfill {
        table: sql(&update.table.name),
        set,
        predicate: update.predicate.clone(),
        down: None,
    })])
}
