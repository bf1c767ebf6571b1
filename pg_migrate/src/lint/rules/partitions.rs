//! Partitions: what is read, and who waits, when one comes or goes.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, error, warning};
use crate::pg::parser::tree::{CommandKind, ConstraintKind};
use crate::recipe::written::{Scene, Work};

const ATTACH_READS: Rule = error(
    "attach-reads-partition",
    "ATTACH PARTITION reads the new partition unless a CHECK says the same as the bounds",
);
const ATTACH_DEFAULT: Rule = error(
    "attach-reads-default",
    "ATTACH PARTITION reads the default partition under ACCESS EXCLUSIVE",
);
const CREATE: Rule = warning(
    "create-partition-of",
    "CREATE TABLE … PARTITION OF takes ACCESS EXCLUSIVE on the partitioned table",
);
const CREATE_DEFAULT: Rule = error(
    "create-partition-reads-default",
    "CREATE TABLE … PARTITION OF reads the default partition under ACCESS EXCLUSIVE",
);
const DETACH: Rule = warning(
    "detach-without-concurrently",
    "DETACH PARTITION takes ACCESS EXCLUSIVE on the partitioned table",
);
const DROP: Rule = warning(
    "drop-partition",
    "dropping a partition takes ACCESS EXCLUSIVE on the partitioned table",
);
const NOT_VALID: Rule = error(
    "not-valid-on-partitioned",
    "before PostgreSQL 18 a foreign key of a partitioned table cannot be NOT VALID",
);

pub const FAMILY: Family = Family {
    name: "partitions",
    rules: &[
        &ATTACH_READS,
        &ATTACH_DEFAULT,
        &CREATE,
        &CREATE_DEFAULT,
        &DETACH,
        &DROP,
        &NOT_VALID,
    ],
    check,
};

fn check(look: &mut Look) -> Result<()> {
    let key = look.key();
    let text = look.statement.text.as_str();
    for (change, part) in look.changes() {
        match &change.kind {
            CommandKind::AttachPartition { bounds, .. } if part.work == Work::Scans => {
                let other = change.other.clone().unwrap_or_default();
                let partition = look.world.known(&other)?;
                let scene: &dyn Scene = look.world;
                let fits = match (look.on.first(), &partition) {
                    (Some(parent), Some(partition)) => scene.fits(parent, partition, change)?,
                    _ => false,
                };
                let default = look.world.facts().default_partition(key)?;
                let reads_default = default
                    .as_ref()
                    .filter(|default| part.locks.iter().any(|(table, _)| table == *default));
                if let Some(default) = reads_default {
                    look.say(
                        &ATTACH_DEFAULT,
                        format!("default partition {default} is read under ACCESS EXCLUSIVE, to see that none of its rows belong to the new one"),
                    )
                    .on(default)
                    .recipe(format!(
                        "ALTER TABLE {default} ADD CONSTRAINT elsewhere CHECK (NOT (…the bounds…)) NOT VALID;\n\
                         ALTER TABLE {default} VALIDATE CONSTRAINT elsewhere;\n{};\n\
                         ALTER TABLE {default} DROP CONSTRAINT elsewhere;",
                        text
                    ));
                }
                if let Some(partition) = partition
                    && partition.filled()
                    && !fits
                {
                    let child = partition.key.as_str();
                    look.say(
                        &ATTACH_READS,
                        format!("{child} is read under ACCESS EXCLUSIVE, to see that its rows are within the bounds"),
                    )
                    .on(child)
                    .recipe(format!(
                        "ALTER TABLE {child} ADD CONSTRAINT within CHECK (…what {} asks for, and NOT NULL…) NOT VALID;\n\
                         ALTER TABLE {child} VALIDATE CONSTRAINT within;\n{};\n\
                         ALTER TABLE {child} DROP CONSTRAINT within;",
                        bounds.trim(),
                        text
                    ));
                }
            }
            CommandKind::DetachPartition(_) if !change.concurrent && look.seen() => {
                let other = change.other.clone().unwrap_or_default();
                look.say(
                    &DETACH,
                    format!("reads and writes of {key} wait for the lock, and while it is held"),
                )
                .recipe(format!(
                    "ALTER TABLE {key} DETACH PARTITION {other} CONCURRENTLY;  -- outside a transaction; not with a default partition"
                ));
            }
            CommandKind::AddConstraint(made)
                if made.kind == ConstraintKind::ForeignKey
                    && made.not_valid
                    && look.table().is_some_and(|table| table.kind == "p")
                    && !look.world.facts().foreign_keys_not_valid_on_partitioned() =>
            {
                look.say(
                    &NOT_VALID,
                    format!("{key} is partitioned: PostgreSQL refuses NOT VALID for its foreign keys before version 18"),
                )
                .recipe(format!(
                    "-- for each partition: ADD CONSTRAINT … NOT VALID, then VALIDATE; then on {key} without NOT VALID,\n\
                     -- which takes over what the partitions have. migrate.apply does that."
                ));
            }
            _ => {}
        }
    }
    match (look.tag(), look.action.what) {
        ("CREATE TABLE", "PARTITION OF") if look.seen() && !look.effect.idle => {
            if look.long() {
                look.say(
                    &CREATE_DEFAULT,
                    "the default partition is read under ACCESS EXCLUSIVE, to see that none of its rows belong to the new one",
                );
            }
            look.say(
                &CREATE,
                format!("reads and writes of {key} wait for the lock of the statement, and while it is held"),
            )
            .recipe(format!(
                "CREATE TABLE new_partition (LIKE {key} INCLUDING ALL);\n\
                 ALTER TABLE {key} ATTACH PARTITION new_partition …;  -- the bounds of: {text}"
            ));
        }
        ("DROP TABLE", _) => {
            for known in look.on {
                if let (Some(parent), false) = (&known.table.partition_of, known.table.fresh) {
                    look.say(
                        &DROP,
                        format!("reads and writes of {parent} wait for the lock, and while it is held"),
                    )
                    .on(parent)
                    .recipe(format!(
                        "ALTER TABLE {parent} DETACH PARTITION {key} CONCURRENTLY;\nDROP TABLE {key};",
                        key = known.key
                    ));
                }
            }
        }
        _ => {}
    }
    Ok(())
}
