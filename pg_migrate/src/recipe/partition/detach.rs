//! detach_partition: CONCURRENTLY where PostgreSQL can.

use crate::document::model::{AttachPartition, DetachPartition, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::names;
use crate::recipe::plan::{Planner, concurrent, ddl};
use crate::recipe::quote::ident;
use crate::recipe::step::{Lock, Phase};
use serde_json::json;

impl Planner<'_> {
    pub fn detach_partition(&mut self, op: &DetachPartition) -> Result<()> {
        let (key, _) = self.partitioned(&op.table)?;
        let (part_key, part) = self.table(&op.partition)?;
        if part.partition_of.as_deref() != Some(key.as_str()) {
            let fault = Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{part_key} is not a partition of {key}"),
            );
            return Err(match &part.partition_of {
                Some(parent) => fault.hint(format!("It is one of {parent}.")),
                None => fault,
            });
        }
        let tree = self.facts.partitions(&key)?;
        let bounds = tree
            .iter()
            .find(|node| node.key == part_key)
            .map(|node| node.bounds.clone())
            .unwrap_or_default();
        self.plan
            .inverse
            .push(Operation::AttachPartition(AttachPartition {
                table: key.clone(),
                partition: part_key.clone(),
                bounds,
            }));
        self.detach_steps(&key, &part_key, &part)?;
        self.change(&part_key, |part| part.partition_of = None);
        Ok(())
    }

    fn detach_steps(&mut self, key: &str, part_key: &str, part: &Table) -> Result<()> {
        let default = self
            .facts
            .partitions(key)?
            .into_iter()
            .find(|node| node.parent.as_deref() == Some(key) && node.bounds == "DEFAULT");
        if let Some(default) = default {
            let mut step = ddl(
                Phase::Contract,
                key,
                Lock::AccessExclusive,
                format!("ALTER TABLE {key} DETACH PARTITION {part_key}"),
            )
            .only()
            .also_locks(part_key, Lock::AccessExclusive)
            .warn(format!("locks {key} for an instant: PostgreSQL detaches nothing concurrently where there is a default partition ({})", default.key));
            if default.key != part_key {
                step = step.also_locks(&default.key, Lock::AccessExclusive);
            }
            self.push(step);
            return Ok(());
        }
        let mut step = concurrent(
            Phase::Contract,
            key,
            None,
            format!("ALTER TABLE {key} DETACH PARTITION {part_key} CONCURRENTLY"),
        );
        step.args = json!({ "detaches": part_key, "from": key });
        self.push(step);
        // Unlike the plain form it leaves the partition's condition behind, as a CHECK.
        let Some(condition) = self.facts.condition_of(part_key)? else {
            return Ok(());
        };
        let columns = self.facts.columns_of_condition(part_key, &condition)?;
        let left = (0..)
            .map(|pass| names::constraint(&part.name, &columns, "check", pass))
            .find(|name| part.constraints.iter().all(|own| own.name != *name))
            .unwrap_or_default();
        self.push(ddl(
            Phase::Contract,
            part_key,
            Lock::AccessExclusive,
            format!(
                "ALTER TABLE {part_key} DROP CONSTRAINT IF EXISTS {}",
                ident(&left)
            ),
        ));
        Ok(())
    }
}
