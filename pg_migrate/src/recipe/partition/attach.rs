//! attach_partition and create_partition. ATTACH scans the table (and the default partition) unless
//! a CHECK proves what it looks for, and builds the indexes that are missing: so the CHECKs are
//! validated and the indexes built first, and ATTACH is an instant.

mod like;

use super::fit::misfits;
use crate::document::model::{
    AttachPartition, CreateConstraint, Creates, DetachPartition, DropTable, Operation, Sql,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Partition, Table};
use crate::recipe::plan::{Planner, ddl, unlocked, verify};
use crate::recipe::quote::{ident, name_with_suffix, qualified};
use crate::recipe::step::{Kind, Lock, Phase};
use crate::recipe::table::set_aside_table;

/// On the way to the inverse operations.
type Back = Vec<Operation>;

fn afterwards(sql: String, no_transaction: bool) -> Operation {
    Operation::Sql(Sql {
        up: sql,
        down: Some("SELECT 1".into()),
        on_complete: true,
        no_transaction,
        ..Sql::default()
    })
}

impl Planner<'_> {
    /// A partitioned table, or an error.
    pub fn partitioned(&mut self, name: &str) -> Result<(String, Table)> {
        let (key, table) = self.table(name)?;
        if table.kind != "p" {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("table {key} is not partitioned"),
            )
            .hint("Name the partitioned table in table, and the other one in partition."));
        }
        Ok((key, table))
    }

    pub fn attach_partition(&mut self, op: &AttachPartition) -> Result<()> {
        let (key, table) = self.partitioned(&op.table)?;
        let (part_key, part) = self.table(&op.partition)?;
        if let Some(parent) = &part.partition_of {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{part_key} is a partition of {parent} already"),
            )
            .hint("Detach it first, in an earlier migration."));
        }
        if part.inherited {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{part_key} cannot become a partition: other tables inherit from it"),
            ));
        }
        let siblings = self.siblings(&key)?;
        let condition = self
            .facts
            .partition_condition(&key, &siblings, &part.name, &op.bounds)?;
        let mut back = Back::new();
        if !part.fresh {
            misfits(&key, &table, &part_key, &part)?;
            self.prepare(&key, &table, &part_key, &part, &mut back)?;
        }
        let mut helpers = Vec::new();
        let provable = condition.as_ref().is_none_or(|found| found.provable);
        let condition = condition.map(|found| found.text);
        let whole = match (&condition, self.facts.condition_of(&key)?) {
            (Some(own), Some(above)) => Some(format!("({own}) AND ({above})")),
            (Some(own), None) => Some(own.clone()),
            (None, above) => above,
        };
        let empty = part.fresh || part.empty;
        if let (Some(whole), true) = (&whole, provable && !empty) {
            helpers.push(self.bounds_check(&part_key, &part.name, whole)?);
        }
        let default = siblings.iter().find(|sibling| sibling.bounds == "DEFAULT");
        let mut default_key = None;
        if let (Some(default), Some(condition)) = (default, &condition) {
            if !provable && !self.table(&default.key)?.1.empty {
                return Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    format!("{part_key} cannot be attached online: ATTACH would read default partition {} under a lock", default.key),
                )
                .detail("No CHECK proves that it holds none of the new partition's rows: the key does not go by the columns' own collations.")
                .hint("Write the statement with -- migrate:as-written to accept the lock."));
            }
            if let Some(helper) = self.make_room(&op.bounds, default, condition)? {
                helpers.push(helper);
            }
            default_key = Some(default.key.clone());
        }
        // Not earlier than what it needs: in the caller's transaction if that is nothing long.
        let phase = self.now();
        let mut sql = format!(
            "ALTER TABLE {key} ATTACH PARTITION {part_key} {}",
            op.bounds
        );
        for (relation, helper) in &helpers {
            sql.push_str(&format!(
                ";\nALTER TABLE {relation} DROP CONSTRAINT {}",
                ident(helper)
            ));
        }
        let mut step = ddl(phase, &key, Lock::ShareUpdateExclusive, sql).only();
        if !part.fresh {
            step = step.also_locks(&part_key, Lock::AccessExclusive);
        }
        if !provable && !empty {
            step.scans = true;
            step = step.warn(format!("reads {part_key} under a lock on it: no CHECK proves bounds that do not go by the columns' own collations; {key} itself is not locked against readers and writers"));
        }
        if let Some(default) = &default_key {
            step = step.also_locks(default, Lock::AccessExclusive);
        }
        for target in table
            .constraints
            .iter()
            .filter_map(|c| c.references.as_deref())
        {
            step = step.also_locks(target, Lock::AccessExclusive);
        }
        self.push(step.undo(format!("ALTER TABLE {key} DETACH PARTITION {part_key}")));
        // Last made, first taken away, and all of it once the partition is detached.
        self.plan.inverse.extend(back);
        self.plan
            .inverse
            .push(Operation::DetachPartition(DetachPartition {
                table: key.clone(),
                partition: part_key.clone(),
            }));
        self.change(&part_key, |part| part.partition_of = Some(key.clone()));
        Ok(())
    }

    /// A new, empty partition. CREATE TABLE … PARTITION OF would lock the whole table against
    /// everybody and scan the default partition; a table like it that is attached does not.
    pub fn create_partition(&mut self, op: &AttachPartition) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        if table.fresh && table.unlisted {
            // Nobody uses the table yet, and what it is like is not known here.
            return self.sql(&Sql {
                up: format!(
                    "CREATE TABLE {} PARTITION OF {key} {}",
                    op.partition, op.bounds
                ),
                creates: Some(Creates {
                    kind: "table".into(),
                    name: op.partition.clone(),
                }),
                online: true,
                ..Sql::default()
            });
        }
        let (key, table) = self.partitioned(&op.table)?;
        let (schema, name) = self.landing(&op.partition)?;
        let part_key = qualified(&schema, &name);
        self.not_leaving(&part_key, None)?;
        if self.has_table(&op.partition)? {
            return Err(
                Fault::new("42P07", format!("relation {part_key} already exists"))
                    .hint("attach_partition makes a table that exists a partition."),
            );
        }
        let phase = self.now();
        self.push(
            unlocked(
                phase,
                format!(
                    "CREATE TABLE {part_key} (LIKE {key} INCLUDING DEFAULTS INCLUDING CONSTRAINTS \
                     INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION)"
                ),
            )
            .undo(set_aside_table(&part_key, self.revision)),
        );
        self.remember(
            part_key.clone(),
            Table {
                schema,
                name,
                kind: "r".into(),
                empty: true,
                fresh: true,
                columns: table.columns,
                ..Table::default()
            },
        );
        self.plan.inverse.push(Operation::DropTable(DropTable {
            name: part_key,
            immediately: false,
            if_exists: false,
        }));
        self.attach_partition(op)
    }

    /// The partitions of a table itself.
    fn siblings(&self, key: &str) -> Result<Vec<Partition>> {
        let mut tree = self.facts.partitions(key)?;
        tree.retain(|node| node.parent.as_deref() == Some(key));
        Ok(tree)
    }

    /// A CHECK that proves the bounds; gives its table and name.
    fn bounds_check(&mut self, key: &str, name: &str, condition: &str) -> Result<(String, String)> {
        let helper = name_with_suffix(name, "_pgm_bounds");
        self.constraint_steps(&CreateConstraint {
            name: helper.clone(),
            table: key.to_owned(),
            kind: "check".into(),
            check: Some(condition.to_owned()),
            ..CreateConstraint::default()
        })?;
        Ok((key.to_owned(), helper))
    }

    /// A CHECK by which the default partition holds no row of the new one; `None` where it is empty.
    fn make_room(
        &mut self,
        bounds: &str,
        default: &Partition,
        condition: &str,
    ) -> Result<Option<(String, String)>> {
        let (key, table) = self.table(&default.key)?;
        if table.empty {
            return Ok(None);
        }
        let mut look = verify(
            &key,
            format!("SELECT count(*) FROM (SELECT 1 FROM {key} WHERE {condition} LIMIT 1000) q"),
            &format!(
                "rows of default partition {key} belong into the new partition: move them away, or detach the default partition"
            ),
        );
        look.phase = Phase::Migrate;
        self.push(look);
        let helper = self.bounds_check(&key, &table.name, &format!("NOT ({condition})"))?;
        if let Some(step) = self
            .plan
            .steps
            .iter_mut()
            .rev()
            .find(|step| step.kind == Kind::Ddl && step.sql.contains("_pgm_bounds"))
        {
            step.warning = Some(format!(
                "until the partition is attached, rows for {bounds} are refused instead of going to {key}"
            ));
        }
        Ok(Some(helper))
    }
}
