//! The way back of ALTER TABLE and its kin as written, subcommand by subcommand.

use super::back::{Back, Earlier, clustering};
use super::scene::Known;
use crate::document::model::{
    AlterColumn, ColumnOf, CreateIndex, DropColumn, DropConstraint, Operation,
};
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, CommandKind, ConstraintKind};
use crate::recipe::constraint::clause_of;
use crate::recipe::names;
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, literal};

impl Planner<'_> {
    pub fn changes_back(&mut self, action: &Action, known: &Known) -> Result<Back> {
        let (mut statements, mut operations) = (Vec::new(), Vec::new());
        for change in action.changes.iter().rev() {
            match self.change_back(action, change, known)? {
                Back::Nothing => {}
                Back::OneWay(why) => return Ok(Back::OneWay(why)),
                Back::Statements(text, ops) => {
                    statements.push(text);
                    operations.extend(ops);
                }
            }
        }
        // All of it as operations, or none.
        if operations.len() < statements.len() {
            operations.clear();
        }
        Ok(match statements.is_empty() {
            true => Back::Nothing,
            false => Back::Statements(statements.join(";\n"), operations),
        })
    }

    fn asked(
        &self,
        what: &'static str,
        action: &Action,
        known: &Known,
        parts: &[&str],
    ) -> Result<Back> {
        let word = action.tag.trim_start_matches("ALTER ");
        let found = self
            .facts
            .earlier(&Earlier::relation(what, word, &known.key, parts))?;
        Ok(match found {
            Some(text) if text.is_empty() => Back::Nothing,
            Some(text) => Back::statement(text),
            None => Back::none("what was there before is not known"),
        })
    }

    fn change_back(&mut self, action: &Action, change: &Change, known: &Known) -> Result<Back> {
        let Known { key, table } = known;
        let alter = |rest: String| Back::statement(format!("{} {key} {rest}", action.tag));
        let name = change.name.as_deref().unwrap_or_default();
        let column = table.column(name);
        let quoted = ident(name);
        let of = || ColumnOf {
            table: key.clone(),
            column: name.to_owned(),
        };
        Ok(match change.what {
            "ADD COLUMN" => match &change.kind {
                CommandKind::AddColumn { column, .. } if table.column(&column.name).is_none() => {
                    Back::Statements(
                        format!(
                            "SELECT migrate.set_aside_column({}, {}, {})",
                            literal(key),
                            literal(&column.name),
                            literal(self.revision)
                        ),
                        vec![Operation::DropColumn(DropColumn {
                            table: key.clone(),
                            column: column.name.clone(),
                            down: None,
                            immediately: false,
                            if_exists: true,
                        })],
                    )
                }
                CommandKind::AddColumn { .. } => Back::Nothing,
                _ => Back::none("the column it adds is not known"),
            },
            "SET DEFAULT" => match column.and_then(|column| column.default.as_ref()) {
                Some(default) => alter(format!("ALTER COLUMN {quoted} SET DEFAULT {default}")),
                None => alter(format!("ALTER COLUMN {quoted} DROP DEFAULT")),
            },
            "DROP NOT NULL" if column.is_some_and(|column| column.not_null) => Back::Statements(
                format!("ALTER TABLE {key} ALTER COLUMN {quoted} SET NOT NULL"),
                vec![Operation::SetNotNull(of())],
            ),
            "SET NOT NULL" if column.is_some_and(|column| !column.not_null) => Back::Statements(
                format!("ALTER TABLE {key} ALTER COLUMN {quoted} DROP NOT NULL"),
                vec![Operation::DropNotNull(of())],
            ),
            "DROP NOT NULL" | "SET NOT NULL" | "SET WITHOUT OIDS" | "DETACH PARTITION FINALIZE" => {
                Back::Nothing
            }
            "SET STATISTICS" => self.asked("statistics", action, known, &[name])?,
            "SET STORAGE" => self.asked("storage", action, known, &[name])?,
            "SET COMPRESSION" => self.asked("compression", action, known, &[name])?,
            "SET COLUMN OPTIONS" | "RESET COLUMN OPTIONS" => {
                let mut parts = vec![name];
                parts.extend(change.options.iter().map(String::as_str));
                self.asked("column options", action, known, &parts)?
            }
            "ADD CONSTRAINT" => self.constraint_back(change, known),
            "VALIDATE CONSTRAINT" => {
                match table.constraints.iter().find(|found| found.name == name) {
                    Some(found) if !found.validated => alter(format!(
                        "DROP CONSTRAINT {quoted}, ADD CONSTRAINT {quoted} {} NOT VALID",
                        found.definition
                    )),
                    _ => Back::Nothing,
                }
            }
            "DROP CONSTRAINT" => match table.constraints.iter().find(|found| found.name == name) {
                Some(found) => Back::Statements(
                    format!(
                        "ALTER TABLE {key} ADD CONSTRAINT {quoted} {}",
                        found.definition
                    ),
                    vec![Operation::CreateConstraint(clause_of(key, table, found))],
                ),
                None => Back::Nothing,
            },
            "ALTER CONSTRAINT" => match table.constraints.iter().find(|found| found.name == name) {
                Some(found) => alter(format!(
                    "ALTER CONSTRAINT {quoted} {}",
                    match (found.deferrable, found.deferred) {
                        (true, true) => "DEFERRABLE INITIALLY DEFERRED",
                        (true, false) => "DEFERRABLE INITIALLY IMMEDIATE",
                        _ => "NOT DEFERRABLE",
                    }
                )),
                None => Back::Nothing,
            },
            "SET DATA TYPE" => match (&change.kind, column) {
                (CommandKind::SetType { using: None, .. }, Some(column)) => Back::Statements(
                    format!(
                        "ALTER TABLE {key} ALTER COLUMN {quoted} TYPE {}",
                        column.data_type
                    ),
                    vec![Operation::AlterColumn(AlterColumn {
                        table: key.clone(),
                        column: name.to_owned(),
                        data_type: Some(column.data_type.clone()),
                        ..AlterColumn::default()
                    })],
                ),
                _ => Back::none("what its USING did cannot be turned round"),
            },
            "OWNER TO" => self.asked("relation owner", action, known, &[])?,
            "CLUSTER ON" | "SET WITHOUT CLUSTER" => Back::statement(clustering(known)),
            "SET LOGGED" | "SET UNLOGGED" if self.facts.is_already(key, change.what, None)? => {
                Back::Nothing
            }
            "SET LOGGED" => alter("SET UNLOGGED".into()),
            "SET UNLOGGED" => alter("SET LOGGED".into()),
            "SET ACCESS METHOD" => self.asked("access method", action, known, &[])?,
            "SET TABLESPACE" => self.asked("tablespace", action, known, &[])?,
            "SET OPTIONS" | "RESET OPTIONS" => {
                let parts: Vec<&str> = change.options.iter().map(String::as_str).collect();
                self.asked("options", action, known, &parts)?
            }
            "ENABLE TRIGGER" | "DISABLE TRIGGER" => {
                self.asked("triggers", action, known, &[name])?
            }
            "ENABLE TRIGGERS" | "DISABLE TRIGGERS" => {
                let text = change.text.as_deref().unwrap_or_default();
                let all = text.to_lowercase().ends_with("all");
                let parts: &[&str] = if all { &["*"] } else { &[] };
                self.asked("triggers", action, known, parts)?
            }
            "ENABLE RULE" | "DISABLE RULE" => self.asked("rule", action, known, &[name])?,
            "INHERIT" | "NO INHERIT" => match &change.other {
                Some(parent) if change.what == "INHERIT" => alter(format!("NO INHERIT {parent}")),
                Some(parent) => alter(format!("INHERIT {parent}")),
                None => Back::none("its parent is not known"),
            },
            "OF" => alter("NOT OF".into()),
            "NOT OF" => self.asked("type of table", action, known, &[])?,
            "REPLICA IDENTITY" => self.asked("replica identity", action, known, &[])?,
            "ENABLE ROW LEVEL SECURITY"
            | "DISABLE ROW LEVEL SECURITY"
            | "FORCE ROW LEVEL SECURITY"
            | "NO FORCE ROW LEVEL SECURITY" => self.asked("row security", action, known, &[])?,
            "ATTACH PARTITION" => match &change.other {
                Some(partition) => alter(format!("DETACH PARTITION {partition}")),
                None => Back::none("its partition is not known"),
            },
            "DETACH PARTITION" => match &change.other {
                Some(partition) => self.asked("partition bound", action, known, &[partition])?,
                None => Back::none("its partition is not known"),
            },
            "ADD IDENTITY" => alter(format!("ALTER COLUMN {quoted} DROP IDENTITY")),
            "SET IDENTITY" => self.asked("identity", action, known, &[name, "set"])?,
            "DROP IDENTITY" => self.asked("identity", action, known, &[name, "add"])?,
            "DROP COLUMN" => Back::none("it destroys the column's data for good"),
            "DROP EXPRESSION" => {
                Back::none("PostgreSQL cannot make a column with values a generated one")
            }
            other => Back::none(format!("no way back is known of {} {other}", action.tag)),
        })
    }

    fn constraint_back(&self, change: &Change, known: &Known) -> Back {
        let CommandKind::AddConstraint(added) = &change.kind else {
            return Back::none("the constraint it adds is not known");
        };
        if added.using_index {
            return using_index_back(change, known);
        }
        let name = added.name.clone().or_else(|| {
            let label = super::label(added.kind);
            (0..100)
                .map(|pass| names::constraint(&known.table.name, &added.columns, label, pass))
                .find(|name| known.table.constraints.iter().all(|c| c.name != *name))
        });
        match name {
            Some(name) => Back::statement(format!(
                "ALTER TABLE {} DROP CONSTRAINT {}",
                known.key,
                ident(&name)
            )),
            None => Back::none("the name it will have is not known"),
        }
    }
}

/// The constraint goes, and its index stays.
fn using_index_back(change: &Change, known: &Known) -> Back {
    let CommandKind::AddConstraint(added) = &change.kind else {
        return Back::none("the constraint it adds is not known");
    };
    let index = known
        .table
        .indexes
        .iter()
        .find(|index| Some(&index.name) == added.index.as_ref());
    let Some(index) = index else {
        return Back::none("its index is made by this migration");
    };
    let name = added.name.clone().unwrap_or_else(|| index.name.clone());
    // A primary key makes its columns NOT NULL, and leaves them so when it goes.
    let nullable: Vec<String> = match added.kind {
        ConstraintKind::PrimaryKey => index
            .columns
            .iter()
            .filter(|name| {
                known
                    .table
                    .column(name)
                    .is_some_and(|found| !found.not_null)
            })
            .cloned()
            .collect(),
        _ => Vec::new(),
    };
    let nullables = nullable.iter().map(|column| {
        format!(
            "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL;\n",
            known.key,
            ident(column)
        )
    });
    let unique = if index.unique { "UNIQUE " } else { "" };
    Back::Statements(
        format!(
            "ALTER TABLE {key} DROP CONSTRAINT {};\n{}CREATE {unique}INDEX {} ON {key} {}",
            ident(&name),
            nullables.collect::<String>(),
            ident(&index.name),
            index.definition,
            key = known.key,
        ),
        std::iter::once(Operation::DropConstraint(DropConstraint {
            table: known.key.clone(),
            name,
            ..DropConstraint::default()
        }))
        .chain(nullable.into_iter().map(|column| {
            Operation::DropNotNull(ColumnOf {
                table: known.key.clone(),
                column,
            })
        }))
        .chain(std::iter::once(Operation::CreateIndex(CreateIndex {
            name: index.name.clone(),
            table: known.key.clone(),
            unique: index.unique,
            definition: Some(index.definition.clone()),
            ..CreateIndex::default()
        })))
        .collect(),
    )
}
