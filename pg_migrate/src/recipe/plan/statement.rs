//! A statement of a script: what stands for it here, now that the catalog is at hand.

use super::Planner;
use crate::document::model::{Operation, Sql, Statement};
use crate::fault::Result;
use serde_json::Value;

impl Planner<'_> {
    /// The operations a statement stands for: its recipe, or itself where the recipe has nothing to
    /// do: a table made by this migration, one whose children ONLY leaves out, or no table at all.
    pub fn stands_for(&mut self, op: &Statement) -> Result<Vec<Operation>> {
        let Some(name) = &op.table else {
            return Ok(op.operations.clone());
        };
        let found = self.known(name)?;
        let as_written = match &found {
            None if op.if_exists => return Ok(Vec::new()),
            None => false,
            Some(known) => {
                let children = known.table.kind == "p" || known.table.inherited;
                known.table.fresh || (op.only && children) || !known.is_table()
            }
        };
        if !as_written {
            return Ok(op.operations.clone());
        }
        Ok(vec![Operation::Sql(Sql {
            up: op.sql.clone(),
            online: true,
            ..Sql::default()
        })])
    }

    /// Steps planned since the last operation say what statement they stand for.
    pub fn tell_original(&mut self, sql: &str) {
        let planned = self.planned;
        for step in self.plan.steps.iter_mut().skip(planned) {
            if let (Value::Object(args), true) = (&mut step.args, step.sql != sql) {
                args.insert("replaces".into(), Value::String(sql.to_owned()));
            }
        }
    }
}
