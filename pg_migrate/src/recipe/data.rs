//! backfill: a batched data migration.

use crate::document::model::{Backfill, Operation};
use crate::fault::{Fault, Result};
use crate::recipe::column::backfill_step;
use crate::recipe::plan::Planner;
use serde_json::{Map, Value, json};

impl Planner<'_> {
    pub fn backfill(&mut self, op: &Backfill) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let mut set = Map::new();
        for (column, value) in &op.set {
            let Some(text) = value.as_str() else {
                return Err(Fault::invalid(format!(
                    "the value of \"{column}\" is not an SQL expression"
                ))
                .hint("Write it as a string: {\"set\": {\"total_cents\": \"total * 100\"}}."));
            };
            let found = self.column(&key, &table, column)?;
            // A column added earlier in this migration is not there yet to try expressions on.
            let added = self.plan.touches.iter().any(|touch| touch.table == key);
            if !added && !table.fresh && !self.changed_here(&key) {
                self.facts.expression(&key, text, Some(&found.data_type))?;
            }
            set.insert(column.clone(), json!(text));
        }
        self.push(backfill_step(
            &key,
            Value::Object(set),
            op.predicate.as_deref(),
            Value::Null,
        ));
        match &op.down {
            Some(down) => self.plan.inverse.push(Operation::Backfill(Backfill {
                table: key,
                set: down.clone(),
                predicate: None,
                down: None,
            })),
            None => {
                if let Some(step) = self.plan.steps.last_mut() {
                    step.warning = Some(
                        "a downgrade leaves the values as they are; give down to change them back"
                            .into(),
                    );
                }
            }
        }
        Ok(())
    }

    /// Whether an earlier operation of this migration changes the table.
    fn changed_here(&self, key: &str) -> bool {
        self.plan
            .steps
            .iter()
            .any(|step| step.relation.as_deref() == Some(key))
    }
}
