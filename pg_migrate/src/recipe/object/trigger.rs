//! create_trigger, drop_trigger.

use crate::document::model::{CreateTrigger, DropTrigger, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::ident;
use crate::recipe::step::Lock;

/// How a trigger that leaves at once is remembered.
fn marker(table: &str, trigger: &str) -> String {
    format!("trigger {} on {table}", ident(trigger))
}

impl Planner<'_> {
    pub fn create_trigger(&mut self, op: &CreateTrigger) -> Result<()> {
        let (key, table) = self.relation(&op.table, &["r", "p", "v"])?;
        let name = ident(&op.name);
        let dropped = self.gone.remove(&marker(&key, &op.name));
        let before = if table.fresh || dropped {
            Vec::new()
        } else {
            self.facts.trigger(&key, &op.name)?
        };
        if !before.is_empty() && !op.replace {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("trigger \"{}\" of {key} already exists", op.name),
            )
            .hint("Give \"replace\": true, or stamp the revision if this migration ran before."));
        }
        let sql = op.definition.clone().unwrap_or_else(|| {
            format!(
                "CREATE {}TRIGGER {name} {} ON {key} {}",
                if op.replace { "OR REPLACE " } else { "" },
                op.events,
                op.action
            )
        });
        let drop = format!("DROP TRIGGER IF EXISTS {name} ON {key}");
        let phase = self.now();
        let lock = if before.is_empty() {
            Lock::ShareRowExclusive
        } else {
            Lock::AccessExclusive
        };
        let mut step = ddl(phase, &key, lock, sql);
        if table.kind == "v" {
            step.relation = None;
        }
        if before.is_empty() {
            self.push(step.undo(drop));
            self.plan.inverse.push(Operation::DropTrigger(DropTrigger {
                name: op.name.clone(),
                table: key,
                if_exists: true,
            }));
        } else {
            let back = format!("{drop};\n{}", before.join(";\n"));
            self.push(step.undo(back.clone()));
            self.plan
                .inverse
                .push(Operation::CreateTrigger(CreateTrigger {
                    name: op.name.clone(),
                    table: key,
                    replace: true,
                    definition: Some(back),
                    ..CreateTrigger::default()
                }));
        }
        Ok(())
    }

    pub fn drop_trigger(&mut self, op: &DropTrigger) -> Result<()> {
        let (key, table) = self.relation(&op.table, &["r", "p", "v"])?;
        let before = if table.fresh {
            Vec::new()
        } else {
            self.facts.trigger(&key, &op.name)?
        };
        let made = self.plan.steps.iter().any(|step| {
            step.relation.as_deref() == Some(key.as_str()) && step.sql.contains(" TRIGGER ")
        });
        if before.is_empty() && !made && !table.fresh {
            if op.if_exists {
                return Ok(());
            }
            return Err(Fault::new(
                state::UNDEFINED_OBJECT,
                format!("trigger \"{}\" of {key} does not exist", op.name),
            ));
        }
        let phase = self.now();
        let mut step = ddl(
            phase,
            &key,
            Lock::AccessExclusive,
            format!("DROP TRIGGER IF EXISTS {} ON {key}", ident(&op.name)),
        );
        if table.kind == "v" {
            step.relation = None;
        }
        if before.is_empty() {
            self.push(step);
            return Ok(());
        }
        self.gone.insert(marker(&key, &op.name));
        let back = before.join(";\n");
        self.push(step.undo(back.clone()));
        self.plan
            .inverse
            .push(Operation::CreateTrigger(CreateTrigger {
                name: op.name.clone(),
                table: key,
                replace: true,
                definition: Some(back),
                ..CreateTrigger::default()
            }));
        Ok(())
    }
}
