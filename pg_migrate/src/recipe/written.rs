//! sql: statements as written, and what can be said of them all the same.

use crate::document::model::{Operation, Sql};
use crate::fault::Result;
use crate::recipe::facts::Table;
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::qualified;
use crate::recipe::step::{Kind, Phase, Step};
use crate::recipe::table::set_aside_table;

impl Planner<'_> {
    pub fn sql(&mut self, op: &Sql) -> Result<()> {
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
