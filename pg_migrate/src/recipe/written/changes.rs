//! What ALTER TABLE and its kin do as written: their subcommands taken together.

use super::effect::Effect;
use super::scene::{Known, Scene, sql};
use super::statements::{self, Answer, Fact, Work};
use super::table::STRONG_OPTIONS;
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, Column, CommandKind, ConstraintKind};
use crate::recipe::column::not_null_proven;
use crate::recipe::facts::Table;
use crate::recipe::quote::ident;
use crate::recipe::step::Lock;

const REWRITES: Answer = Answer::Never {
    why: "PostgreSQL writes the table and its indexes anew, and nobody reads or writes it meanwhile",
    way: "Name the table without ONLY, in a statement that pg_migrate has a recipe for.",
};
const SCANS: Answer = Answer::Never {
    why: "PostgreSQL reads the whole table under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile",
    way: "Name the table without ONLY, in a statement that pg_migrate has a recipe for.",
};
const EXCLUSION: Answer = Answer::Never {
    why: "PostgreSQL builds its index under ACCESS EXCLUSIVE, and has no way to build it concurrently",
    way: "Add it while the table is empty, or enforce it by a trigger.",
};

/// The subcommands of one statement: the strongest lock and the longest work of them.
pub fn together(action: &Action, on: &[Known], parts: &[Effect]) -> Effect {
    let words: Vec<&str> = action.changes.iter().map(|change| change.what).collect();
    let mut whole = Effect::none(&format!("{} … {}", action.tag, words.join(", ")));
    whole.idle = action.if_exists && on.is_empty() && action.object.is_none();
    for one in parts {
        whole.passing &= one.passing;
        whole.lock = whole.lock.max(one.lock);
        whole.work = whole.work.max(one.work);
        whole.notes.extend(one.notes.iter().cloned());
        for (table, lock) in &one.locks {
            match whole.locks.iter_mut().find(|(known, _)| known == table) {
                Some((_, strongest)) => *strongest = (*lock).max(*strongest),
                None => whole.locks.push((table.clone(), *lock)),
            }
        }
        whole.answer = match (whole.answer, one.answer) {
            (never @ Answer::Never { .. }, _) | (_, never @ Answer::Never { .. }) => never,
            (Answer::Alone, _) | (_, Answer::Alone) => Answer::Alone,
            (_, other) => other,
        };
    }
    if whole.idle {
        whole.lock = None;
    }
    whole
}

impl dyn Scene + '_ {
    /// What each subcommand of the statement does.
    pub fn parts(&mut self, action: &Action, on: &[Known]) -> Result<Vec<Effect>> {
        let mut made = Vec::new();
        for change in &action.changes {
            made.push(match statements::change(change.what) {
                Some(fact) => self.change_of(fact, change, action, on)?,
                None => Effect::none(change.what),
            });
        }
        Ok(made)
    }

    fn change_of(
        &mut self,
        fact: &Fact,
        change: &Change,
        action: &Action,
        on: &[Known],
    ) -> Result<Effect> {
        let mut effect = Effect::of(fact, String::new());
        if action.object.is_some() {
            // A composite type: tables of that type are locked only where it cascades to them.
            effect.lock = None;
            return Ok(effect);
        }
        effect.lock = match action.tag.as_str() {
            "ALTER INDEX" | "ALTER SEQUENCE" if change.what == "SET OPTIONS" => fact.lock,
            _ if strong(change) => Some(Lock::AccessExclusive),
            _ => effect.lock,
        };
        if action.tag == "ALTER INDEX" && change.what == "ATTACH PARTITION" {
            // The definitions are compared, nothing is read.
            effect.nothing();
            return Ok(effect);
        }
        let Some(known) = on.first() else {
            return Ok(effect);
        };
        match change.what {
            "ADD COLUMN" => self.add_column_written(&mut effect, change, known)?,
            "SET DATA TYPE" => self.set_type_written(&mut effect, change, known)?,
            "SET NOT NULL" => {
                let column = change.name.as_deref().unwrap_or_default();
                let there = known
                    .table
                    .column(column)
                    .is_some_and(|found| found.not_null);
                if there || self.proven_not_null(known, column)? {
                    effect.nothing();
                }
            }
            "ADD CONSTRAINT" | "ADD CONSTRAINT USING INDEX" => {
                self.add_constraint_written(&mut effect, change, known)?;
            }
            "DROP CONSTRAINT" => {
                let found = known.table.constraints.iter().find(|constraint| {
                    constraint.kind == "f" && Some(&constraint.name) == change.name.as_ref()
                });
                if let Some(target) = found.and_then(|found| found.references.clone()) {
                    effect.also(&target, Lock::AccessExclusive);
                }
            }
            "VALIDATE CONSTRAINT" => {
                let found = known
                    .table
                    .constraints
                    .iter()
                    .find(|constraint| Some(&constraint.name) == change.name.as_ref());
                if let Some(target) = found.and_then(|found| found.references.clone()) {
                    effect.also(&target, Lock::RowShare);
                }
                if found.is_some_and(|found| found.validated) {
                    effect.nothing();
                }
            }
            "ATTACH PARTITION" => self.attach(&mut effect, change, known)?,
            "DETACH PARTITION" => {
                if change.concurrent {
                    effect.lock = Some(Lock::ShareUpdateExclusive);
                } else if let Some(partition) = self.other(change)? {
                    effect.also(&partition.key, Lock::AccessExclusive);
                }
            }
            "INHERIT" | "NO INHERIT" => {
                if let Some(parent) = self.other(change)? {
                    effect.also(&parent.key, Lock::ShareUpdateExclusive);
                }
            }
            // A partitioned table has no file: it is said for partitions to come.
            "SET LOGGED" | "SET UNLOGGED" | "SET ACCESS METHOD" | "SET TABLESPACE"
                if known.table.kind == "p"
                    || self.facts().is_already(
                        &known.key,
                        change.what,
                        change.name.as_deref(),
                    )? =>
            {
                effect.nothing();
            }
            _ => {}
        }
        if known.is_table()
            && let Some(lock) = effect.lock
        {
            effect.locks.insert(0, (known.key.clone(), lock));
        }
        effect.sum();
        Ok(effect)
    }

    fn other(&mut self, change: &Change) -> Result<Option<Known>> {
        match &change.other {
            Some(name) => self.known(name),
            None => Ok(None),
        }
    }

    fn attach(&mut self, effect: &mut Effect, change: &Change, parent: &Known) -> Result<()> {
        let partition = self.other(change)?;
        if let Some(partition) = &partition {
            effect.also(&partition.key, Lock::AccessExclusive);
        }
        let reads = match &partition {
            Some(partition) => partition.filled() && !self.fits(parent, partition, change)?,
            None => false,
        };
        let default = self.default_partition(parent)?;
        if !reads && default.is_none() {
            effect.nothing();
        }
        if let Some(default) = default {
            effect.also(&default, Lock::AccessExclusive);
        }
        Ok(())
    }

    /// Whether the partition's own CHECKs prove that its rows are within the bounds.
    pub fn fits(&self, parent: &Known, partition: &Known, change: &Change) -> Result<bool> {
        let CommandKind::AttachPartition { bounds, .. } = &change.kind else {
            return Ok(false);
        };
        if parent.table.oid == 0 || partition.table.oid == 0 {
            return Ok(false);
        }
        let facts = self.facts();
        let mut siblings = facts.partitions(&parent.key)?;
        siblings.retain(|sibling| sibling.parent.as_ref() == Some(&parent.key));
        let name = &partition.table.name;
        let condition = match facts.partition_condition(&parent.key, &siblings, name, bounds) {
            Err(fault) if fault.is_interruption() => return Err(fault),
            // On a standby, say: the careful answer.
            Err(_) => return Ok(false),
            Ok(Some(condition)) if !condition.provable => return Ok(false),
            Ok(condition) => condition,
        };
        let above = facts.condition_of(&parent.key)?;
        for text in condition.map(|found| found.text).into_iter().chain(above) {
            if !facts.proves(&partition.table, &text)? {
                return Ok(false);
            }
        }
        Ok(true)
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

    fn add_column_written(
        &mut self,
        effect: &mut Effect,
        change: &Change,
        known: &Known,
    ) -> Result<()> {
        let CommandKind::AddColumn { column, .. } = &change.kind else {
            return Ok(());
        };
        if change.if_exists && known.table.column(&column.name).is_some() {
            return Ok(());
        }
        if known.filled() && self.fills(change, column)? {
            effect.work = Work::Rewrites;
            effect.answer = REWRITES;
        }
        for constraint in &column.constraints {
            let scans = match constraint.kind {
                ConstraintKind::ForeignKey => column.default.is_some(),
                _ => true,
            };
            if scans {
                effect.work = effect.work.max(Work::Scans);
                effect.answer = SCANS;
            }
            if let Some(references) = &constraint.references {
                self.references(effect, &sql(&references.table))?;
            }
        }
        Ok(())
    }

    fn proven_not_null(&self, known: &Known, column: &str) -> Result<bool> {
        Ok(not_null_proven(&known.table, column)
            || self
                .facts()
                .proves(&known.table, &format!("{} IS NOT NULL", ident(column)))?)
    }

    fn some_nullable(&self, known: &Known, columns: &[String]) -> Result<bool> {
        for column in columns {
            let nullable = known
                .table
                .column(column)
                .is_some_and(|found| !found.not_null);
            if nullable && !self.proven_not_null(known, column)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether each row gets a value of its own.
    fn fills(&self, change: &Change, column: &Column) -> Result<bool> {
        if column.generated.is_some() {
            // Virtual: computed by who reads it.
            let text = change.text.as_deref().unwrap_or_default().to_lowercase();
            return Ok(!column.more || text.contains("stored"));
        }
        if column.identity.is_some() {
            return Ok(true);
        }
        self.facts()
            .fills_rows(&column.data_type, column.default.as_deref())
    }

    fn set_type_written(
        &mut self,
        effect: &mut Effect,
        change: &Change,
        known: &Known,
    ) -> Result<()> {
        let CommandKind::SetType {
            column,
            data_type,
            using,
        } = &change.kind
        else {
            return Ok(());
        };
        if !known.filled() {
            return Ok(());
        }
        let done = self
            .facts()
            .retyped(&known.table, column, data_type, using.as_deref())?;
        if done.rewrites || done.rebuilds {
            effect.work = Work::Rewrites;
            effect.answer = REWRITES;
        } else if rechecked(&known.table, column)
            || (done.rechecks_keys && self.has_keys(known, column)?)
        {
            effect.work = Work::Scans;
            effect.answer = SCANS;
        }
        Ok(())
    }

    /// Whether a validated foreign key is on the column, at either of its ends.
    fn has_keys(&self, known: &Known, column: &String) -> Result<bool> {
        let own = known.table.constraints.iter().any(|constraint| {
            constraint.kind == "f" && constraint.validated && constraint.columns.contains(column)
        });
        if own || known.table.oid == 0 {
            return Ok(own);
        }
        let keys = self.facts().foreign_keys(&known.key)?;
        Ok(keys.iter().any(|key| {
            key.validated && key.references == known.key && key.referenced.contains(column)
        }))
    }

    fn references(&mut self, effect: &mut Effect, target: &str) -> Result<()> {
        if let Some(target) = self.known(target)?
            && !target.table.fresh
        {
            effect.also(&target.key, Lock::ShareRowExclusive);
        }
        Ok(())
    }

    fn add_constraint_written(
        &mut self,
        effect: &mut Effect,
        change: &Change,
        known: &Known,
    ) -> Result<()> {
        let CommandKind::AddConstraint(constraint) = &change.kind else {
            return Ok(());
        };
        if let Some(references) = &constraint.references {
            effect.lock = Some(Lock::ShareRowExclusive);
            self.references(effect, &sql(&references.table))?;
        }
        let scans = match constraint.kind {
            _ if constraint.not_valid => false,
            ConstraintKind::PrimaryKey if constraint.using_index => {
                let index = constraint.index.as_deref();
                let keys = known
                    .table
                    .indexes
                    .iter()
                    .find(|found| Some(found.name.as_str()) == index);
                match keys {
                    None => true,
                    Some(index) => self.some_nullable(known, &index.columns)?,
                }
            }
            _ => !constraint.using_index,
        };
        if scans {
            effect.work = Work::Scans;
            effect.answer = match constraint.kind {
                ConstraintKind::Exclude => EXCLUSION,
                _ => SCANS,
            };
        }
        Ok(())
    }
}

fn strong(change: &Change) -> bool {
    let strong = |option: &String| STRONG_OPTIONS.contains(&option.as_str());
    change.what.ends_with(" OPTIONS") && change.options.iter().any(strong)
}

/// Whether a constraint is checked anew when the column's type changes.
fn rechecked(table: &Table, column: &str) -> bool {
    table.constraints.iter().any(|constraint| {
        constraint.kind == "c"
            && constraint.validated
            && constraint.columns.iter().any(|name| name == column)
    })
}
