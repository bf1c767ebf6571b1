//! One statement, with all that its rules may look at, and what they say of it.

use super::deed;
use super::finding::{Severity, is_strong};
use super::rule::Rule;
use super::server::Server;
use super::session::Session;
use super::world::World;
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, Column, CommandKind, Constraint, Statement};
use crate::recipe::facts::Table;
use crate::recipe::step::Lock;
use crate::recipe::written::{Effect, Known, Work};
use std::collections::HashMap;

/// A foreign key whose columns should have an index when the script has ended.
pub struct Unindexed {
    pub statement: usize,
    pub table: String,
    pub columns: Vec<String>,
    pub target: String,
}

/// What the script did before the statement.
#[derive(Default)]
pub struct Before {
    /// The last statement that was ALTER TABLE of the table, with nothing on it since.
    pub altered: HashMap<String, i32>,
    pub keys: Vec<Unindexed>,
    /// Canonical spellings of types.
    types: HashMap<String, String>,
}

impl Before {
    /// `int` → `integer`; a type that is not there stays as it is written.
    pub fn canonical(&mut self, world: &World, data_type: &str) -> Result<String> {
        use crate::recipe::written::Scene;
        if let Some(found) = self.types.get(data_type) {
            return Ok(found.clone());
        }
        let found = match world.facts().canonical_type(data_type) {
            Err(fault) if fault.is_interruption() => return Err(fault),
            Err(_) => data_type.to_lowercase(),
            Ok(found) => found,
        };
        self.types.insert(data_type.to_owned(), found.clone());
        Ok(found)
    }

    /// Whether there is such a type by now.
    pub fn is_type(&mut self, world: &World, data_type: &str) -> Result<bool> {
        use crate::recipe::written::Scene;
        match world.facts().canonical_type(data_type) {
            Err(fault) if fault.is_interruption() => Err(fault),
            found => Ok(found.is_ok()),
        }
    }
}

/// What a rule says.
pub struct Said {
    pub rule: &'static Rule,
    pub severity: Severity,
    pub relation: Option<String>,
    pub message: String,
    pub recipe: Option<String>,
}

impl Said {
    /// The relation it is about.
    pub fn on(&mut self, key: &str) -> &mut Said {
        self.relation = Some(key.to_owned());
        self
    }

    /// The safe way, as SQL.
    pub fn recipe(&mut self, sql: impl Into<Option<String>>) -> &mut Said {
        self.recipe = sql.into();
        self
    }

    pub fn severity(&mut self, severity: Severity) -> &mut Said {
        self.severity = severity;
        self
    }
}

/// A dollar quote that the text does not hold.
fn quote(text: &str) -> String {
    let mut mark = "$sql$".to_owned();
    while text.contains(&mark[..mark.len() - 1]) {
        mark.insert(1, '_');
    }
    mark
}

pub struct Look<'a> {
    /// From 1.
    pub number: i32,
    /// From 0.
    pub index: usize,
    pub statement: &'a Statement,
    pub action: &'a Action,
    pub effect: &'a Effect,
    /// What each of the action's changes does.
    pub parts: &'a [Effect],
    /// The relations it changes, as they are at its turn.
    pub on: &'a [Known],
    /// The relations it locks, but for indexes.
    pub locks: &'a [(String, Lock)],
    pub world: &'a mut World,
    pub session: &'a mut Session,
    pub server: &'a mut Server,
    pub before: &'a mut Before,
    pub said: Vec<Said>,
}

impl<'a> Look<'a> {
    pub fn say(&mut self, rule: &'static Rule, message: impl Into<String>) -> &mut Said {
        let relation = self.on.first().map(|known| known.key.clone());
        self.said.push(Said {
            rule,
            severity: rule.severity,
            relation,
            message: message.into(),
            recipe: None,
        });
        let last = self.said.len() - 1;
        &mut self.said[last]
    }

    /// The statement given to pg_migrate, which does it without blocking; `None`: it knows no other
    /// way than the statement itself, or refuses it.
    pub fn apply(&mut self) -> Result<Option<String>> {
        if deed::operation(self.statement).is_none() {
            return Ok(None);
        }
        let text = &self.statement.text;
        let next = self.server.next_revision()?;
        let mark = quote(text);
        Ok(Some(format!(
            "SELECT migrate.apply({mark}\n-- migrate:revision {next}\n-- migrate:up\n{text};\n{mark});\nCALL migrate.upgrade();"
        )))
    }

    /// The statement given to a trace, which runs it and rolls it back.
    pub fn trace(&self) -> String {
        let text = &self.statement.text;
        let mark = quote(text);
        format!("SELECT * FROM migrate.trace({mark}{text}{mark});")
    }

    /// How many rows the statement will write, by PostgreSQL's plan of it.
    pub fn touched_rows(&self) -> Result<Option<f64>> {
        use crate::recipe::written::Scene;
        match self.statement.text.len() <= deed::PLANNED {
            true => self.world.facts().touched_rows(&self.statement.text),
            false => Ok(None),
        }
    }

    pub fn tag(&self) -> &'a str {
        self.action.tag.as_str()
    }

    /// Each subcommand with what it does.
    pub fn changes(&self) -> impl Iterator<Item = (&'a Change, &'a Effect)> + use<'a> {
        self.action.changes.iter().zip(self.parts)
    }

    /// The relation it changes first.
    pub fn table(&self) -> Option<&'a Table> {
        self.on.first().map(|known| &*known.table)
    }

    /// Its name in messages and recipes: qualified and quoted.
    pub fn key(&self) -> &'a str {
        self.on
            .first()
            .map_or("the table", |known| known.key.as_str())
    }

    /// It has rows that others see, as far as is known.
    pub fn filled(&self) -> bool {
        self.on.iter().any(Known::filled)
    }

    /// It makes or changes something that others see, under a name they know.
    pub fn seen(&self) -> bool {
        self.on
            .iter()
            .any(|known| !known.table.fresh && !known.table.temporary)
    }

    pub fn long(&self) -> bool {
        self.effect.work > Work::Brief
    }

    /// Strong locks it takes on relations that others use.
    pub fn strong(&self) -> Vec<(String, Lock)> {
        let used = |key: &str| self.world.table(key).is_none_or(|table| !table.fresh);
        let locks = self.locks.iter();
        locks
            .filter(|(key, lock)| is_strong(*lock) && used(key))
            .cloned()
            .collect()
    }

    /// Columns that the statement adds or gives a type.
    pub fn typed_columns(&self) -> Vec<(&'a str, &'a str)> {
        let mut found: Vec<(&str, &str)> = Vec::new();
        for column in &self.action.columns {
            found.push((&column.name, &column.data_type));
        }
        for change in &self.action.changes {
            match &change.kind {
                CommandKind::AddColumn { column, .. } => {
                    found.push((&column.name, &column.data_type));
                }
                CommandKind::SetType {
                    column, data_type, ..
                } => found.push((column, data_type)),
                _ => {}
            }
        }
        found
    }

    /// Columns that the statement makes.
    pub fn new_columns(&self) -> Vec<&'a Column> {
        let added = self
            .action
            .changes
            .iter()
            .filter_map(|change| match &change.kind {
                CommandKind::AddColumn { column, .. } => Some(column),
                _ => None,
            });
        self.action.columns.iter().chain(added).collect()
    }

    /// Constraints that the statement makes, inline ones too.
    pub fn new_constraints(&self) -> Vec<&'a Constraint> {
        let mut found: Vec<&Constraint> = self.action.constraints.iter().collect();
        for column in self.new_columns() {
            found.extend(&column.constraints);
        }
        for change in &self.action.changes {
            if let CommandKind::AddConstraint(constraint) = &change.kind {
                found.push(constraint);
            }
        }
        found
    }
}
