//! create_function: also procedures; what is replaced comes back.

use crate::document::model::{CreateFunction, Operation, Sql};
use crate::fault::Result;
use crate::recipe::plan::{Planner, unlocked};
use serde_json::json;

fn statement(op: &CreateFunction) -> String {
    if let Some(definition) = &op.definition {
        return definition.clone();
    }
    let mut sql = format!(
        "CREATE {}{} {}({})",
        if op.replace { "OR REPLACE " } else { "" },
        op.kind.as_deref().unwrap_or("function").to_uppercase(),
        op.name,
        op.arguments
    );
    if let Some(returns) = &op.returns {
        sql.push_str(&format!(" RETURNS {returns}"));
    }
    if let Some(language) = &op.language {
        sql.push_str(&format!(" LANGUAGE {language}"));
    }
    if let Some(attributes) = &op.attributes {
        sql.push_str(&format!(" {attributes}"));
    }
    if let Some(body) = &op.body {
        let mut mark = "$function$".to_owned();
        while body.contains(&mark) {
            mark.insert(1, 'x');
        }
        sql.push_str(&format!(" AS {mark}{body}{mark}"));
    }
    sql
}

impl Planner<'_> {
    pub fn create_function(&mut self, op: &CreateFunction) -> Result<()> {
        let sql = statement(op);
        let found = {
            let found = self.facts.function(&sql, &op.name);
            self.known_now(found)?
        };
        let phase = self.now();
        let step = unlocked(phase, sql.clone());
        match found {
            Some(found) => {
                let step = match &found.before {
                    Some(before) => step
                        .undo(before.clone())
                        .warn("replaced for the old application too, at once"),
                    None => step.undo(format!("DROP {}", found.sql)),
                };
                self.push(step);
                self.plan.inverse.push(Operation::Sql(match found.before {
                    Some(before) => Sql {
                        up: before,
                        down: Some(sql),
                        ..Sql::default()
                    },
                    None => Sql {
                        up: format!("DROP {}", found.sql),
                        down: Some(sql),
                        ..Sql::default()
                    },
                }));
            }
            None => {
                // It mentions what this migration makes first.
                let first = sql.lines().next().unwrap_or_default();
                self.irreversible(format!(
                    "what this replaces is not known before it runs: {first}"
                ));
                let mut step = step.warn(
                    "what it replaces is not known yet; give down to be able to take it back",
                );
                step.args = json!({ "one_way": true });
                self.push(step);
            }
        }
        Ok(())
    }
}
