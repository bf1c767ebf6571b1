//! sql: statements as written, and what can be said of them all the same.

use crate::document::model::{AlterColumn, Comments, Operation, Sql};
use crate::fault::Result;
use crate::recipe::facts::Table;
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Kind, Phase, Step};
use crate::recipe::table::set_aside_table;
use serde_json::json;

impl Planner<'_> {
    pub fn sql(&mut self, op: &Sql) -> Result<()> {
        if let (Some(comments), None) = (&op.comments, &op.down)
            && self.comment_on(op, comments)?
        {
            return Ok(());
        }
        let phase = if op.on_complete {
            Phase::Contract
        } else {
            self.now()
        };
        let mut step: Step = if op.no_transaction {
            Step {
                kind: Kind::Concurrent,
                ..unlocked(
                    if phase == Phase::Expand {
                        Phase::Migrate
                    } else {
                        phase
                    },
                    &op.up,
                )
            }
        } else {
            unlocked(phase, &op.up)
        };
        for name in &op.drops {
            let (schema, name) = self.facts.landing(name)?;
            self.gone.insert(qualified(&schema, &name));
        }
        let invents = op.creates.as_ref();
        if let Some(made) = invents
            && (made.kind.ends_with("table") || made.kind.ends_with("view"))
        {
            let (schema, name) = self.facts.landing(&made.name)?;
            self.not_leaving(&qualified(&schema, &name), None)?;
        }
        let down = match (&op.down, invents) {
            (Some(down), _) => Some(down.clone()),
            // IF NOT EXISTS: what was there before is not taken away.
            (None, Some(made)) if made.kind == "table" && self.has_table(&made.name)? => None,
            (None, Some(made)) if made.kind == "table" => {
                let (schema, name) = self.facts.landing(&made.name)?;
                let key = qualified(&schema, &name);
                self.remember(
                    key.clone(),
                    Table {
                        schema,
                        name,
                        kind: "r".into(),
                        empty: true,
                        fresh: true,
                        ..Table::default()
                    },
                );
                Some(set_aside_table(&key, self.revision))
            }
            (None, Some(made)) => Some(format!(
                "DROP {} {}",
                made.kind.replace('_', " ").to_uppercase(),
                made.name
            )),
            (None, None) => None,
        };
        match down {
            Some(down) => {
                step = step.undo(down.clone());
                let drops = match &op.creates {
                    Some(made) if made.kind.ends_with("view") && op.down.is_none() => {
                        vec![made.name.clone()]
                    }
                    _ => Vec::new(),
                };
                self.plan.inverse.push(Operation::Sql(Sql {
                    up: down,
                    drops,
                    ..Sql::default()
                }));
            }
            None => {
                let first = op.up.lines().next().unwrap_or_default();
                self.irreversible(format!("no way back is given for: {first}"));
                step = step.warn("as written; give down to be able to take it back");
                step.args = json!({ "one_way": true });
            }
        }
        if let Some(hazard) = hazard(&op.up) {
            step.warning = Some(match step.warning.take() {
                Some(warning) => format!("{hazard}; {warning}"),
                None => hazard.to_owned(),
            });
        }
        self.push(step);
        Ok(())
    }

    /// A comment, with the one that was there before as its way back. Gives false where that is not
    /// known: the relation is no table, or not there yet.
    fn comment_on(&mut self, op: &Sql, comments: &Comments) -> Result<bool> {
        let on_index = comments.kind == "index";
        let name = match on_index {
            true => match self.facts.table_of_index(&comments.relation)? {
                Some(table) => table,
                // Made earlier in this migration, or an error when it runs.
                None => return self.first_comment(op, comments),
            },
            false => comments.relation.clone(),
        };
        let Ok((key, table)) = self.table(&name) else {
            return Ok(false);
        };
        let part = comments.part.as_deref().unwrap_or_default();
        if table.fresh {
            // It leaves with its table.
            let step = unlocked(self.now(), &op.up);
            self.push(step.undo(put_back(comments, None)));
            return Ok(true);
        }
        let old = match comments.kind.as_str() {
            "column" => {
                self.alter_column(&AlterColumn {
                    table: key,
                    column: part.to_owned(),
                    comment: Some(comments.text.clone()),
                    ..AlterColumn::default()
                })?;
                return Ok(true);
            }
            "table" => table.comment,
            "index" => {
                let (_, bare) = self.facts.landing(&comments.relation)?;
                let found = table.indexes.into_iter().find(|index| index.name == bare);
                found.and_then(|index| index.comment)
            }
            _ => {
                let found = table.constraints.into_iter().find(|c| c.name == part);
                found.and_then(|constraint| constraint.comment)
            }
        };
        self.comment_step(op, put_back(comments, old.as_deref()));
        Ok(true)
    }

    fn first_comment(&mut self, op: &Sql, comments: &Comments) -> Result<bool> {
        self.comment_step(op, put_back(comments, None));
        Ok(true)
    }

    fn comment_step(&mut self, op: &Sql, back: String) {
        let step = unlocked(self.now(), &op.up);
        self.push(step.undo(back.clone()));
        self.plan.inverse.push(Operation::Sql(Sql {
            up: back,
            down: Some(op.up.clone()),
            ..Sql::default()
        }));
    }
}

/// The statement that gives the object its old comment.
fn put_back(comments: &Comments, old: Option<&str>) -> String {
    let relation = &comments.relation;
    let part = ident(comments.part.as_deref().unwrap_or_default());
    let object = match comments.kind.as_str() {
        "column" => format!("COLUMN {relation}.{part}"),
        "constraint" => format!("CONSTRAINT {part} ON {relation}"),
        "index" => format!("INDEX {relation}"),
        _ => format!("TABLE {relation}"),
    };
    let text = old.map_or_else(|| "NULL".to_owned(), literal);
    format!("COMMENT ON {object} IS {text}")
}

/// What a statement that runs as written does to data, or to those who use it at the same time.
fn hazard(sql: &str) -> Option<&'static str> {
    let word = sql.split_whitespace().next()?.to_ascii_uppercase();
    match word.as_str() {
        "TRUNCATE" => Some("destroys the table's data for good"),
        "DROP" => Some("drops for good"),
        "DELETE" => Some("deletes rows for good, in one statement"),
        "UPDATE" | "MERGE" | "INSERT" => {
            Some("one statement: the rows it writes stay locked until it ends")
        }
        _ => None,
    }
}
