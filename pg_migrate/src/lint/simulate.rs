//! What a statement leaves in the world for those after it.

use super::finding::is_strong;
use super::look::Before;
use super::picture::{add_column, add_constraint, change_table, rename_column};
use super::search_path::Given;
use super::session::{Session, block_word};
use super::world::{MOST, World};
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, CommandKind, Node, Statement};
use crate::recipe::facts;
use crate::recipe::quote::qualified;
use crate::recipe::step::Lock;
use crate::recipe::written::Effect;

/// On the way through a script.
pub struct Hand<'a> {
    pub world: &'a mut World,
    pub session: &'a mut Session,
    pub before: &'a mut Before,
    pub given: &'a mut Given,
}

impl Hand<'_> {
    /// `on`: the relations it changes.
    pub fn after(
        &mut self,
        number: i32,
        statement: &Statement,
        effect: &Effect,
        locks: &[(String, Lock)],
        on: &[String],
    ) -> Result<()> {
        let action = &statement.action;
        if let Some(path) = self.given.set(statement, self.session.block.is_some())? {
            self.world.path_changed(path);
        }
        if let Some(word) = block_word(statement) {
            self.before.altered.clear();
            self.world.block(word);
            if let Some(path) = self.given.block(word)? {
                self.world.path_changed(path);
            }
        }
        let locks: Vec<(String, Lock)> = locks
            .iter()
            .filter(|(key, _)| self.world.table(key).is_none_or(|table| !table.fresh))
            .cloned()
            .collect();
        self.session.after(number, statement, &locks);
        if !effect.idle {
            self.makes(statement);
            self.keeps(number, action, effect, on);
            for key in on {
                self.changes(statement, key);
            }
            self.drops(action, on)?;
        }
        Ok(())
    }

    /// What the transaction remembers.
    fn keeps(&mut self, number: i32, action: &Action, effect: &Effect, on: &[String]) {
        if self.session.block.is_none() {
            return;
        }
        let Some(key) = on.first() else {
            if action.what == "ADD VALUE" {
                self.session
                    .adds_value(action.to.as_deref().unwrap_or_default());
            }
            return;
        };
        for change in &action.changes {
            if let CommandKind::AddConstraint(made) = &change.kind
                && let Some(name) = &made.name
            {
                self.session.not_validated(key, name);
            }
        }
        if action.tag == "ALTER TABLE" && effect.lock.is_some_and(is_strong) {
            self.before.altered.insert(key.clone(), number);
        } else {
            self.before.altered.remove(key);
        }
    }

    fn makes(&mut self, statement: &Statement) {
        let action = &statement.action;
        if let Node::Create { kind, name } = &statement.node {
            self.world.make(kind, name);
        }
        if action.tag == "CREATE SCHEMA"
            && let Node::Create { name, .. } = &statement.node
        {
            let (_, bare) = self.world.path.split(name);
            self.given.makes_schema(bare);
        }
        if let (Node::CreateIndex(index), Some(_)) = (&statement.node, action.on.first()) {
            self.index(index);
            return;
        }
        let Some(name) = &action.makes else { return };
        let temporary = action.what == "TEMPORARY";
        let key = match temporary {
            true => qualified("pg_temp", &name.name),
            false => self.world.landing(name),
        };
        if action.replace && self.world.table(&key).is_some() {
            return;
        }
        let (schema, bare) = self.world.path.split(&key);
        let kind = match action.tag.as_str() {
            "CREATE VIEW" => "v",
            "CREATE MATERIALIZED VIEW" => "m",
            "CREATE SEQUENCE" => "S",
            "CREATE FOREIGN TABLE" => "f",
            _ if action.partitioned => "p",
            _ => "r",
        };
        let mut table = facts::Table {
            schema: schema.unwrap_or_default(),
            name: bare,
            kind: kind.to_owned(),
            empty: true,
            fresh: true,
            temporary,
            populated: !action.no_data,
            unlisted: action.more_columns || action.tag != "CREATE TABLE",
            ..facts::Table::default()
        };
        for column in &action.columns {
            add_column(&mut table, column);
        }
        for made in &action.constraints {
            add_constraint(&mut table, made);
        }
        if action.what == "PARTITION OF" {
            table.partition_of = action.on.first().map(|parent| self.world.landing(parent));
        }
        self.world.insert(key, table);
    }

    fn index(&mut self, index: &crate::pg::parser::tree::Index) {
        let Ok(Some(known)) = self
            .world
            .there(&crate::recipe::written::sql(&index.table.name))
        else {
            return;
        };
        let name = match &index.name {
            Some(name) => name.clone(),
            None => crate::recipe::names::index(&known.table.name, &index.keys),
        };
        let key = qualified(&known.table.schema, &name);
        let made = facts::Index {
            name: name.clone(),
            definition: index.definition.clone(),
            columns: index.keys.clone(),
            unique: index.unique,
            valid: true,
            ..facts::Index::default()
        };
        let (schema, fresh) = (known.table.schema.clone(), known.table.fresh);
        let table = known.key.clone();
        drop(known);
        self.world.change(&table, |table| {
            if table.indexes.len() < MOST {
                table.indexes.push(made);
            }
        });
        self.world.insert(
            key.clone(),
            facts::Table {
                schema,
                name,
                kind: "i".into(),
                fresh,
                unlisted: true,
                ..facts::Table::default()
            },
        );
        self.world.put_index(&key, &table);
    }

    fn changes(&mut self, statement: &Statement, key: &str) {
        let action = &statement.action;
        match (action.tag.as_str(), action.what) {
            (_, "RENAME COLUMN") => {
                if let (Some(from), Some(to)) = (&action.part, &action.to) {
                    self.world
                        .change(key, |table| rename_column(table, from, to));
                }
            }
            (_, "RENAME CONSTRAINT") => {
                if let (Some(from), Some(to)) = (&action.part, &action.to) {
                    self.world.change(key, |table| {
                        for found in &mut table.constraints {
                            if found.name == *from {
                                found.name.clone_from(to);
                            }
                        }
                    });
                }
            }
            ("ALTER TRIGGER" | "ALTER POLICY" | "ALTER RULE", _) => {}
            (_, "RENAME" | "SET SCHEMA") => {
                let (Some(to), Some(table)) = (&action.to, self.world.remove(key)) else {
                    return;
                };
                let mut table = (*table).clone();
                match action.what {
                    "RENAME" => table.name.clone_from(to),
                    _ => table.schema.clone_from(to),
                }
                // The catalog knows it by its old name only.
                table.oid = 0;
                let new = qualified(&table.schema, &table.name);
                self.session.renamed(key, &new);
                self.world.insert(new, table);
            }
            ("TRUNCATE TABLE", _) => self.world.change(key, |table| table.empty = true),
            ("INSERT" | "COPY" | "MERGE", _) => {
                self.world.change(key, |table| table.empty = false);
            }
            ("REFRESH MATERIALIZED VIEW", _) => {
                let filled = !action.no_data;
                self.world.change(key, |table| table.populated = filled);
            }
            _ => {
                for change in &action.changes {
                    self.subcommand(key, change);
                }
            }
        }
    }

    fn subcommand(&mut self, key: &str, change: &Change) {
        match (&change.kind, change.what) {
            (CommandKind::AddColumn { column, .. }, _) => {
                self.world.change(key, |table| add_column(table, column));
            }
            (CommandKind::AttachPartition { partition, .. }, _) => {
                let name = crate::recipe::written::sql(partition);
                if let Ok(Some(child)) = self.world.there(&name) {
                    let child = child.key;
                    self.world
                        .change(&child, |table| table.partition_of = Some(key.to_owned()));
                }
            }
            (CommandKind::DetachPartition(partition), _) => {
                let name = crate::recipe::written::sql(partition);
                if let Ok(Some(child)) = self.world.there(&name) {
                    let child = child.key;
                    self.world.change(&child, |table| table.partition_of = None);
                }
            }
            (_, "SET LOGGED") => self.world.change(key, |table| table.unlogged = false),
            (_, "SET UNLOGGED") => self.world.change(key, |table| table.unlogged = true),
            _ => self.world.change(key, |table| change_table(table, change)),
        }
    }

    fn drops(&mut self, action: &Action, on: &[String]) -> Result<()> {
        if !action.tag.starts_with("DROP ")
            || matches!(
                action.tag.as_str(),
                "DROP TRIGGER" | "DROP POLICY" | "DROP RULE"
            )
        {
            return Ok(());
        }
        for key in on {
            let dropped = self.world.remove(key);
            if action.tag == "DROP INDEX"
                && let (Some(dropped), Ok(Some(table))) = (dropped, self.world.table_of_index(key))
                && self.world.there(&table)?.is_some()
            {
                self.world.change(&table, |table| {
                    table.indexes.retain(|index| index.name != dropped.name);
                });
            }
        }
        Ok(())
    }
}
