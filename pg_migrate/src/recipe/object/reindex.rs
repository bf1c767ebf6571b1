//! reindex: concurrently, by a worker. Changes no definition, so there is nothing to take back.

use crate::document::model::Reindex;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Indexed;
use crate::recipe::plan::{Planner, concurrent};
use crate::recipe::step::Phase;
use serde_json::json;

impl Planner<'_> {
    pub fn reindex(&mut self, op: &Reindex) -> Result<()> {
        let (noun, key, table, found) = match (&op.index, &op.table) {
            (Some(index), _) => {
                let Some(table) = self.facts.table_of_index(index)? else {
                    return Err(Fault::new(
                        state::UNDEFINED_OBJECT,
                        format!("index {index} does not exist"),
                    ));
                };
                let (table, facts) = self.relation(&table, &["r", "p", "m"])?;
                let (_, name) = self.landing(index)?;
                let key = crate::recipe::quote::qualified(&facts.schema, &name);
                let found = self.facts.indexes(&key, false)?;
                ("INDEX", key, table, found)
            }
            (None, Some(name)) => {
                let (key, _) = self.relation(name, &["r", "p", "m"])?;
                let found = self.facts.indexes(&key, true)?;
                ("TABLE", key.clone(), key, found)
            }
            (None, None) => return Err(Fault::invalid("reindex needs index or table")),
        };
        let exclusion: Vec<&Indexed> = found.iter().filter(|index| index.exclusion).collect();
        if let (Some(index), "INDEX") = (exclusion.first(), noun) {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("index {} cannot be rebuilt online", index.name),
            )
            .detail("It enforces an exclusion constraint, for which PostgreSQL has no concurrent build: writers would wait.")
            .hint("In a script, put -- migrate:as-written before the statement to accept that."));
        }
        let leftovers: Vec<&str> = found
            .iter()
            .filter(|index| index.leftover)
            .map(|index| index.name.as_str())
            .collect();
        let mut step = concurrent(
            Phase::Migrate,
            &table,
            None,
            format!("REINDEX {noun} CONCURRENTLY {key}"),
        );
        step.scans = true;
        step.args = json!({ "reindex": key, "of_table": noun == "TABLE", "before": leftovers });
        let mut warnings = Vec::new();
        if !exclusion.is_empty() {
            let names: Vec<_> = exclusion.iter().map(|index| index.name.as_str()).collect();
            warnings.push(format!(
                "{} stays as it is: PostgreSQL has no concurrent build for exclusion constraints",
                names.join(", ")
            ));
        }
        if !leftovers.is_empty() {
            warnings.push(format!(
                "left by an interrupted REINDEX, and not touched: {}; DROP INDEX CONCURRENTLY removes it",
                leftovers.join(", ")
            ));
        }
        if !warnings.is_empty() {
            step = step.warn(warnings.join("; "));
        }
        self.push(step);
        Ok(())
    }
}
