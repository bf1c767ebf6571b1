//! attach_partition and create_partition. ATTACH scans the table (and the default partition) unless
//! a CHECK proves what it looks for, and builds the indexes that are missing: so the CHECKs are
//! validated and the indexes built first, and ATTACH is an instant.

use super::fit::misfits;
use super::index::{IndexTask, Owner, names_of};
use super::part_name;
use crate::document::model::{
    AttachPartition, CreateConstraint, Creates, DetachPartition, DropTable, Operation, Sql,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::constraint::clause_of;
use crate::recipe::constraint::index_of;
use crate::recipe::facts::{Constraint, Index, Partition, Table};
use crate::recipe::plan::{Planner, concurrent, ddl, unlocked, verify};
use crate::recipe::quote::{ident, name_with_suffix, qualified};
use crate::recipe::step::{Kind, Lock, Phase, Step};
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

    /// NOT NULL, CHECKs, indexes and foreign keys that a partition of the table must have.
    fn prepare(
        &mut self,
        key: &str,
        table: &Table,
        part_key: &str,
        part: &Table,
        back: &mut Back,
    ) -> Result<()> {
        for column in table.columns.iter().filter(|column| column.not_null) {
            if part.column(&column.name).is_some_and(|own| !own.not_null) {
                self.not_null_steps(Phase::Migrate, part_key, &column.name, None)?;
                back.push(afterwards(
                    format!(
                        "ALTER TABLE {part_key} ALTER COLUMN {} DROP NOT NULL",
                        ident(&column.name)
                    ),
                    false,
                ));
            }
        }
        for constraint in table
            .constraints
            .iter()
            .filter(|c| c.kind == "c" || c.kind == "f")
        {
            self.constraint_like(part_key, part, constraint, back)?;
        }
        let tree = self.facts.partitions(part_key)?;
        for index in table.indexes.iter().filter(|index| !is_exclusion(index)) {
            self.index_like((key, table), part_key, &tree, index, back)?;
        }
        Ok(())
    }

    fn constraint_like(
        &mut self,
        part_key: &str,
        part: &Table,
        wanted: &Constraint,
        back: &mut Back,
    ) -> Result<()> {
        let own = part.constraints.iter().find(|own| {
            own.kind == wanted.kind
                && (own.name == wanted.name
                    || (own.kind == "f" && own.definition == wanted.definition))
        });
        match own {
            Some(own) if own.validated => Ok(()),
            Some(own) => {
                self.validate_parts(Phase::Migrate, part_key, &own.name)?;
                self.push(crate::recipe::plan::validate(
                    Phase::Migrate,
                    part_key,
                    format!(
                        "ALTER TABLE {part_key} VALIDATE CONSTRAINT {}",
                        ident(&own.name)
                    ),
                ));
                Ok(())
            }
            None => {
                back.push(afterwards(
                    format!(
                        "ALTER TABLE {part_key} DROP CONSTRAINT {}",
                        ident(&wanted.name)
                    ),
                    false,
                ));
                self.constraint_steps(&clause_of(part_key, part, wanted))
            }
        }
    }

    /// The index that ATTACH will look for: one that is there, or a new one under the name that
    /// PostgreSQL would give it.
    fn index_like(
        &mut self,
        (key, table): (&str, &Table),
        part_key: &str,
        tree: &[Partition],
        index: &Index,
        back: &mut Back,
    ) -> Result<()> {
        let Some(root) = tree.first() else {
            return Ok(());
        };
        let owner = table
            .constraints
            .iter()
            .find(|constraint| Some(&constraint.name) == index.constraint.as_ref())
            .map(|constraint| Owner {
                name: constraint.name.clone(),
                kind: if constraint.kind == "p" {
                    "PRIMARY KEY"
                } else {
                    "UNIQUE"
                }
                .into(),
                definition: constraint.definition.clone(),
                tail: index_of(&constraint.definition).1,
            });
        let shape = self
            .facts
            .index_shape(key, &table.columns, &index.definition)?;
        let mut task = IndexTask {
            table: part_key.to_owned(),
            unique: index.unique,
            body: index.definition.clone(),
            definition: index.definition.clone(),
            keys: names_of(&shape),
            constraint: owner,
            ..IndexTask::default()
        };
        if task.fitting(root).is_some() {
            return Ok(());
        }
        let mut taken = std::mem::take(&mut self.taken);
        let name = part_name(
            self.facts,
            &mut taken,
            &task.names,
            root,
            &task.keys,
            task.label(),
        );
        self.taken = taken;
        let name = name?;
        task.index = qualified(&root.schema, &name);
        if let Some(owner) = &mut task.constraint {
            owner.name.clone_from(&name);
        }
        let (sql, alone) = match &task.constraint {
            Some(_) => (
                format!("ALTER TABLE {part_key} DROP CONSTRAINT {}", ident(&name)),
                false,
            ),
            None if root.kind == "p" => (format!("DROP INDEX {}", task.index), false),
            None => (format!("DROP INDEX CONCURRENTLY {}", task.index), true),
        };
        back.push(afterwards(sql, alone));
        if root.kind == "p" {
            return self.partition_parts(task, &name, tree);
        }
        for step in lone(&task, part_key, &name) {
            self.push(step);
        }
        Ok(())
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

fn is_exclusion(index: &Index) -> bool {
    index.constraint.is_some() && !index.unique
}

/// An index of a table that has no partitions, as a part that is attached later.
fn lone(task: &IndexTask, key: &str, name: &str) -> Vec<Step> {
    let unique = if task.unique { "UNIQUE " } else { "" };
    let mut steps = vec![
        concurrent(
            Phase::Migrate,
            key,
            Some(&task.index),
            format!(
                "CREATE {unique}INDEX CONCURRENTLY {} ON {key} {}",
                ident(name),
                task.body
            ),
        )
        .undo_as(
            Kind::Concurrent,
            format!("DROP INDEX CONCURRENTLY IF EXISTS {}", task.index),
        ),
    ];
    if let Some(owner) = &task.constraint {
        steps.push(
            ddl(
                Phase::Migrate,
                key,
                Lock::AccessExclusive,
                format!(
                    "ALTER TABLE {key} ADD CONSTRAINT {name} {} USING INDEX {name}{}",
                    owner.kind,
                    owner.tail,
                    name = ident(name)
                ),
            )
            .undo(format!(
                "ALTER TABLE {key} DROP CONSTRAINT IF EXISTS {}",
                ident(name)
            )),
        );
    }
    steps
}
