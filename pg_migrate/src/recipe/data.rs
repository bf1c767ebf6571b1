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
            let volatile = self.volatile(&key, text, &found.data_type)?;
            if volatile && op.predicate.is_none() {
                return Err(endless(column));
            }
            set.insert(column.clone(), json!(text));
        }
        if let Some(predicate) = &op.predicate
            && self.volatile(&key, predicate, "pg_catalog.bool")?
        {
            return Err(Fault::invalid("\"where\" calls a volatile function")
                .detail(format!("The expression: {predicate}."))
                .hint("It must say the same of a row every time, or rows are missed."));
        }
        // The way back has no condition of its own.
        for (column, value) in op.down.iter().flatten() {
            if let Some(text) = value.as_str()
                && self.volatile(&key, text, "")?
            {
                return Err(endless(column));
            }
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

    /// Whether an expression over a row of the table gives another value each time. An empty
    /// `data_type` fits all.
    fn volatile(&mut self, key: &str, text: &str, data_type: &str) -> Result<bool> {
        let target = (!data_type.is_empty()).then_some(data_type);
        match self.objects.mentions_label(text) {
            true => Ok(false),
            false => self.reads(key, text, target),
        }
    }
}

fn endless(column: &str) -> Fault {
    Fault::invalid("the backfill cannot tell which rows are done")
        .detail(format!(
            "The expression of \"{column}\" gives another value each time."
        ))
        .hint(
            "Give a \"where\" that is true for rows still to be done and false once they are, such as \
             new_column IS NULL; or, in a script, put -- migrate:as-written before the statement to \
             run it as one.",
        )
}
