//! Partitions that come: what ATTACH PARTITION and CREATE TABLE … PARTITION OF read.

use super::effect::Effect;
use super::scene::{Known, Scene};
use super::statements::{Answer, Work};
use crate::fault::Result;
use crate::pg::parser;
use crate::pg::parser::tree::{Change, CommandKind};
use crate::recipe::facts::{Constraint, Index, Table};
use crate::recipe::step::Lock;

/// What the bounds of a partition demand of its rows.
pub struct Demand {
    /// By themselves; `None`: any row fits.
    pub bounds: Option<String>,
    /// Those of the tables above.
    pub above: Option<String>,
}

impl Demand {
    /// Conditions of which each must hold.
    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.bounds.iter().chain(&self.above).map(String::as_str)
    }
}

impl dyn Scene + '_ {
    pub fn attach(&mut self, effect: &mut Effect, change: &Change, parent: &Known) -> Result<()> {
        let partition = self.other(change)?;
        if let Some(partition) = &partition {
            effect.also(&partition.key, Lock::AccessExclusive);
        }
        let reads = match &partition {
            Some(partition) => {
                partition.filled()
                    && (!self.fits(
                        partition,
                        self.demanded(parent, partition, change)?.as_ref(),
                    )? || !lacking_indexes(&parent.table, &partition.table).is_empty()
                        || !lacking_keys(&parent.table, &partition.table).is_empty())
            }
            None => false,
        };
        if let Some(partition) = &partition {
            let lacking = lacking_keys(&parent.table, &partition.table);
            for key in parent
                .table
                .constraints
                .iter()
                .filter(|key| key.kind == "f")
            {
                let new = lacking.iter().any(|found| found.name == key.name);
                if let Some(target) = &key.references {
                    // The triggers of its own key leave, where it has one.
                    effect.also(
                        target,
                        if new {
                            Lock::ShareRowExclusive
                        } else {
                            Lock::AccessExclusive
                        },
                    );
                }
            }
        }
        let default = match &partition {
            Some(partition) => self.reads_default(parent, partition, change)?,
            None => None,
        };
        if !reads && default.is_none() {
            effect.nothing();
        }
        if let Some(default) = self.facts().default_partition(&parent.key)? {
            effect.also(&default, Lock::AccessExclusive);
        }
        Ok(())
    }

    /// What the bounds demand of the partition's rows. `None`: not to be told, or no CHECK could prove
    /// it.
    pub fn demanded(
        &self,
        parent: &Known,
        partition: &Known,
        change: &Change,
    ) -> Result<Option<Demand>> {
        let CommandKind::AttachPartition { bounds, .. } = &change.kind else {
            return Ok(None);
        };
        if parent.table.oid == 0 || partition.table.oid == 0 || !parser::is_constant(bounds) {
            return Ok(None);
        }
        let facts = self.facts();
        let mut siblings = facts.partitions(&parent.key)?;
        siblings.retain(|sibling| sibling.parent.as_ref() == Some(&parent.key));
        let name = &partition.table.name;
        let condition = match facts.partition_condition(&parent.key, &siblings, name, bounds) {
            Err(fault) if fault.is_interruption() => return Err(fault),
            // On a standby, say: the careful answer.
            Err(_) => return Ok(None),
            Ok(Some(condition)) if !condition.provable => return Ok(None),
            Ok(condition) => condition,
        };
        Ok(Some(Demand {
            bounds: condition.map(|found| found.text),
            above: facts.condition_of(&parent.key)?,
        }))
    }

    /// Whether the partition's own CHECKs prove that its rows are within the bounds.
    pub fn fits(&self, partition: &Known, demand: Option<&Demand>) -> Result<bool> {
        let Some(demand) = demand else {
            return Ok(false);
        };
        for condition in demand.all() {
            if !self.facts().proves(&partition.table, condition)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The default partition, if ATTACH reads it to see that no row of it belongs to the new one.
    pub fn reads_default(
        &mut self,
        parent: &Known,
        partition: &Known,
        change: &Change,
    ) -> Result<Option<String>> {
        let Some(default) = self.default_partition(parent)? else {
            return Ok(None);
        };
        let demand = self.demanded(parent, partition, change)?;
        if let (Some(bounds), Some(known)) = (
            demand.and_then(|demand| demand.bounds),
            self.known(&default)?,
        ) && self
            .facts()
            .proves(&known.table, &format!("NOT ({bounds})"))?
        {
            return Ok(None);
        }
        Ok(Some(default))
    }

    /// The default partition, if it has rows: a new partition has it read.
    fn default_partition(&mut self, parent: &Known) -> Result<Option<String>> {
        let Some(default) = self.facts().default_partition(&parent.key)? else {
            return Ok(None);
        };
        let filled = self.known(&default)?.is_some_and(|known| known.filled());
        Ok(filled.then_some(default))
    }

    /// CREATE TABLE … PARTITION OF.
    pub fn new_partition(&mut self, effect: &mut Effect, parent: &Known) -> Result<()> {
        if let Some(default) = self.default_partition(parent)? {
            effect.also(&default, Lock::AccessExclusive);
            effect.work = Work::Scans;
            effect.answer = Answer::Never {
                why: "PostgreSQL reads the default partition under ACCESS EXCLUSIVE to see that no row of it belongs to the new one",
                way: "Make the table by itself and ATTACH it, with a CHECK on the default partition that its rows belong elsewhere.",
            };
        }
        Ok(())
    }
}

/// What ATTACH would have to build: indexes of the parent that the table has none like.
pub fn lacking_indexes<'a>(parent: &'a Table, partition: &Table) -> Vec<&'a Index> {
    let like = |own: &&Index| {
        !partition.indexes.iter().any(|found| {
            found.valid
                && found.unique == own.unique
                && (own.constraint.is_none() || found.constraint.is_some())
                && shape(&found.definition) == shape(&own.definition)
        })
    };
    parent.indexes.iter().filter(like).collect()
}

/// The same of foreign keys, which it would have to check.
pub fn lacking_keys<'a>(parent: &'a Table, partition: &Table) -> Vec<&'a Constraint> {
    let like = |own: &&Constraint| {
        own.kind == "f"
            && !partition.constraints.iter().any(|found| {
                found.kind == "f" && found.validated && found.definition == own.definition
            })
    };
    parent.constraints.iter().filter(like).collect()
}

/// An index's definition without what two like indexes may differ in.
fn shape(definition: &str) -> String {
    let without = |text: String, from: &str, to: &str| match text.split_once(from) {
        Some((before, after)) => {
            let rest = after.find(to).map_or("", |at| &after[at + to.len()..]);
            format!("{before}{rest}")
        }
        None => text,
    };
    let text = without(definition.to_owned(), " WITH (", ")");
    match text.split_once(" TABLESPACE ") {
        Some((before, after)) => {
            let rest = after.find(" WHERE ").map_or("", |at| &after[at..]);
            format!("{before}{rest}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::shape;

    #[test]
    fn like_indexes_may_differ_in_storage() {
        for (one, other) in [
            ("USING btree (a)", "USING btree (a) WITH (fillfactor='70')"),
            (
                "USING btree (a) WHERE (b > 0)",
                "USING btree (a) WITH (fillfactor='70') TABLESPACE fast WHERE (b > 0)",
            ),
        ] {
            assert_eq!(shape(one), shape(other));
        }
        assert_ne!(shape("USING btree (a)"), shape("USING btree (b)"));
    }
}
