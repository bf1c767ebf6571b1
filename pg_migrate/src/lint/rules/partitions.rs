//! Partitions: what is read, and who waits, when one comes or goes.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, error, warning};
use crate::pg::parser::tree::{CommandKind, ConstraintKind, Node};
use crate::recipe::facts::Table;
use crate::recipe::quote::ident;
use crate::recipe::written::{Known, Scene, Work, lacking_indexes, lacking_keys, sql};

const ATTACH_READS: Rule = error(
    "attach-reads-partition",
    "ATTACH PARTITION reads the new partition unless a CHECK says the same as the bounds",
);
const ATTACH_BUILDS: Rule = error(
    "attach-builds-indexes",
    "ATTACH PARTITION builds the indexes that the new partition lacks under ACCESS EXCLUSIVE",
);
const ATTACH_CHECKS: Rule = error(
    "attach-checks-foreign-keys",
    "ATTACH PARTITION looks up every row for foreign keys that the new partition lacks",
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
        &ATTACH_BUILDS,
        &ATTACH_CHECKS,
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
            CommandKind::AttachPartition { .. } if part.work == Work::Scans => {
                let other = change.other.clone().unwrap_or_default();
                let partition = look.world.known(&other)?;
                let scene: &mut dyn Scene = look.world;
                let (mut demand, mut reads_default) = (None, None);
                if let (Some(parent), Some(partition)) = (look.on.first(), &partition) {
                    demand = scene.demanded(parent, partition, change)?;
                    reads_default = scene.reads_default(parent, partition, change)?;
                }
                let fits = match &partition {
                    Some(partition) => scene.fits(partition, demand.as_ref())?,
                    None => false,
                };
                let bounds = demand.as_ref().and_then(|demand| demand.bounds.clone());
                let demanded = demand
                    .map(|demand| demand.all().collect::<Vec<_>>().join(" AND "))
                    .filter(|text| !text.is_empty());
                if let Some(default) = &reads_default {
                    look.say(
                        &ATTACH_DEFAULT,
                        format!("default partition {default} is read under ACCESS EXCLUSIVE, to see that none of its rows belong to the new one"),
                    )
                    .on(default)
                    .recipe(bounds.map(|bounds| format!(
                        "ALTER TABLE {default} ADD CONSTRAINT elsewhere CHECK (NOT ({bounds})) NOT VALID;\n\
                         ALTER TABLE {default} VALIDATE CONSTRAINT elsewhere;\n{text};\n\
                         ALTER TABLE {default} DROP CONSTRAINT elsewhere;"
                    )));
                }
                if let (Some(parent), Some(partition)) = (look.table(), &partition)
                    && partition.filled()
                {
                    lacking(look, parent, partition)?;
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
                    .recipe(demanded.map(|bounds| format!(
                        "ALTER TABLE {child} ADD CONSTRAINT within CHECK ({bounds}) NOT VALID;\n\
                         ALTER TABLE {child} VALIDATE CONSTRAINT within;\n{text};\n\
                         ALTER TABLE {child} DROP CONSTRAINT within;"
                    )));
                }
            }
            CommandKind::DetachPartition(_) if !change.concurrent && look.seen() => {
                let other = change.other.clone().unwrap_or_default();
                let recipe = match look.world.facts().default_partition(key)? {
                    // PostgreSQL refuses CONCURRENTLY then.
                    Some(_) => format!(
                        "SET lock_timeout = '2s';\n{text};  -- again until it gets the lock"
                    ),
                    None => format!(
                        "ALTER TABLE {key} DETACH PARTITION {other} CONCURRENTLY;  -- outside a transaction"
                    ),
                };
                look.say(
                    &DETACH,
                    format!("reads and writes of {key} wait for the lock, and while it is held"),
                )
                .recipe(recipe);
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
            let recipe = match &look.statement.node {
                Node::CreateTable(made) => made.partition_of.as_ref().map(|(_, bounds)| {
                    let new = sql(&made.name);
                    format!(
                        "CREATE TABLE {new} (LIKE {key} INCLUDING ALL);\n\
                         ALTER TABLE {key} ATTACH PARTITION {new} {bounds};"
                    )
                }),
                _ => None,
            };
            look.say(
                &CREATE,
                format!("reads and writes of {key} wait for the lock of the statement, and while it is held"),
            )
            .recipe(recipe);
        }
        ("DROP TABLE", _) => {
            for known in look.on {
                if let (Some(parent), false) = (&known.table.partition_of, known.table.fresh) {
                    let part = &known.key;
                    let recipe = match look.world.facts().default_partition(parent)? {
                        Some(_) => format!(
                            "SET lock_timeout = '2s';\n{text};  -- again until it gets the lock"
                        ),
                        None => format!(
                            "ALTER TABLE {parent} DETACH PARTITION {part} CONCURRENTLY;\nDROP TABLE {part};"
                        ),
                    };
                    look.say(
                        &DROP,
                        format!(
                            "reads and writes of {parent} wait for the lock, and while it is held"
                        ),
                    )
                    .on(parent)
                    .recipe(recipe);
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// What a new partition should have of its own before it is attached.
fn lacking(look: &mut Look, parent: &Table, partition: &Known) -> Result<()> {
    let child = partition.key.as_str();
    let indexes = lacking_indexes(parent, &partition.table);
    if !indexes.is_empty() {
        let names: Vec<String> = indexes.iter().map(|index| ident(&index.name)).collect();
        let recipe = look.apply()?;
        look.say(
            &ATTACH_BUILDS,
            format!(
                "{child} has no index like {}: it is built under ACCESS EXCLUSIVE on {child}",
                names.join(", ")
            ),
        )
        .on(child)
        .recipe(recipe);
    }
    let keys = lacking_keys(parent, &partition.table);
    if !keys.is_empty() {
        let names: Vec<String> = keys.iter().map(|key| ident(&key.name)).collect();
        let recipe = look.apply()?;
        look.say(
            &ATTACH_CHECKS,
            format!("{child} has no foreign key like {}: every row is looked up under ACCESS EXCLUSIVE on {child}", names.join(", ")),
        )
        .on(child)
        .recipe(recipe);
    }
    Ok(())
}
