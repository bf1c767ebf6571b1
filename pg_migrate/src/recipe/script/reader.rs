//! Reading a script from its first statement to its last: what one statement means for those after
//! it. A BEGIN and COMMIT around the whole script are taken off, settings are kept in mind.

use super::settings::{Meaning, meaning, path};
use super::table::free_name;
use super::{operations, sql, transaction_command};
use crate::document::model::{self, Operation};
use crate::fault::{Fault, Result, state};
use crate::pg::parser::tree::{CommandKind, Constraint, Node, Relation, Statement};
use crate::recipe::names;
use std::collections::BTreeMap;
use std::ops::Range;

pub struct Reader {
    /// What stands between BEGIN and COMMIT.
    body: Range<usize>,
    at: usize,
    settings: BTreeMap<String, String>,
    path: Option<String>,
    /// The script has set another path back, in which what follows is meant.
    left: bool,
}

/// The search path that the script sets before the first statement that looks anything up in it: its
/// names are meant in that.
pub fn search_path(statements: &[Statement]) -> Option<String> {
    let head = statements.iter().take_while(|statement| {
        statement.action.setting.is_some()
            || opens(statement)
            || statement.action.tag == "CREATE SCHEMA"
    });
    head.filter_map(path).last()
}

fn opens(statement: &Statement) -> bool {
    matches!(&statement.node, Node::Transaction(word) if matches!(word.as_str(), "BEGIN" | "START TRANSACTION"))
}

fn closes(statement: &Statement) -> bool {
    matches!(&statement.node, Node::Transaction(word) if matches!(word.as_str(), "COMMIT" | "END"))
}

impl Reader {
    pub fn new(statements: &[Statement]) -> Reader {
        let mut body = 0..statements.len();
        // What sets something up may stand before it.
        let first = statements
            .iter()
            .position(|statement| statement.action.setting.is_none());
        if let (Some(first), Some(last)) = (first, statements.last())
            && opens(&statements[first])
            && closes(last)
        {
            body = first + 1..statements.len() - 1;
        }
        Reader {
            body,
            at: 0,
            settings: BTreeMap::new(),
            path: search_path(statements),
            left: false,
        }
    }

    /// The operations the next statement stands for.
    pub fn next(
        &mut self,
        statement: &Statement,
        as_written: bool,
        immediately: bool,
    ) -> Result<Vec<Operation>> {
        let at = self.at;
        self.at += 1;
        let edge = at + 1 == self.body.start || at == self.body.end;
        if edge && matches!(statement.node, Node::Transaction(_)) {
            return Ok(Vec::new());
        }
        if let Node::Transaction(word) = &statement.node {
            return Err(transaction_command(word));
        }
        if !as_written && self.path.is_some() && self.path == path(statement) {
            self.left = false;
            return Ok(Vec::new());
        }
        if let (Some(setting), false) = (&statement.action.setting, as_written) {
            self.left |= self.path.is_some() && setting.name == "search_path";
            match meaning(setting)? {
                Meaning::PassedOver => {}
                Meaning::Keep(name, Some(value)) => {
                    self.settings.insert(name, value);
                }
                Meaning::Keep(name, None) => {
                    self.settings.remove(&name);
                }
                Meaning::ForgetAll => self.settings.clear(),
            }
            return Ok(Vec::new());
        }
        if self.left {
            return Err(other_path());
        }
        let mut made = operations(statement, as_written, immediately)?;
        for operation in &mut made {
            if let Operation::Sql(sql) = operation {
                sql.settings.clone_from(&self.settings);
            }
        }
        Ok(match (as_written, target(&statement.node)) {
            (true, _) => made,
            (false, None) if itself(statement, &made) => made,
            (false, target) => vec![Operation::Statement(model::Statement {
                sql: statement.text.clone(),
                operations: made,
                table: target.map(|table| sql(&table.name)),
                only: target.is_some_and(|table| table.only),
                if_exists: target.is_some_and(|table| table.if_exists),
                invented: invented(&statement.node),
            })],
        })
    }
}

/// A statement in another search path than the script's.
fn other_path() -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        "a statement of the script is meant in another search_path than the ones before it",
    )
    .detail("A migration has one search path, in which all its steps run.")
    .hint("Qualify the names, or put what comes after the change of search_path in a migration of its own.")
}

/// Whether the statement stands for itself.
fn itself(statement: &Statement, made: &[Operation]) -> bool {
    matches!(made, [Operation::Sql(sql)] if sql.up == statement.text)
}

/// The table that the statement changes.
fn target(node: &Node) -> Option<&Relation> {
    match node {
        Node::AlterTable(change) => Some(&change.table),
        Node::RenameColumn { table, .. } | Node::RenameTable { table, .. } => Some(table),
        Node::CreateIndex(index) => Some(&index.table),
        Node::Update(update) => Some(&update.table),
        _ => None,
    }
}

/// The names that PostgreSQL would choose for what has none.
fn invented(node: &Node) -> Vec<String> {
    let (table, constraints): (_, Vec<&Constraint>) = match node {
        Node::CreateIndex(index) if index.name.is_none() => {
            return vec![names::index(&index.table.name.name, &index.keys)];
        }
        Node::AlterTable(change) => {
            let added = change
                .commands
                .iter()
                .flat_map(|command| match &command.kind {
                    CommandKind::AddConstraint(constraint) => std::slice::from_ref(constraint),
                    CommandKind::AddColumn { column, .. } => column.constraints.as_slice(),
                    _ => &[],
                });
            (&change.table.name, added.collect())
        }
        _ => return Vec::new(),
    };
    let mut taken = Vec::new();
    for constraint in &constraints {
        free_name(table, constraint, &mut taken);
    }
    // As `free_name` gives them while the statement is read.
    taken
        .into_iter()
        .zip(constraints)
        .filter(|(_, constraint)| constraint.name.is_none() && !constraint.using_index)
        .map(|(name, _)| name)
        .collect()
}

/// The settings a script gives that its steps do not follow: they have their own.
pub fn passed_over(statements: &[Statement]) -> Vec<String> {
    let mut names: Vec<String> = statements
        .iter()
        .filter_map(|statement| statement.action.setting.as_ref())
        .filter(|setting| matches!(meaning(setting), Ok(Meaning::PassedOver)))
        .map(|setting| setting.name.clone())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
