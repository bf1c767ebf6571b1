//! What ALTER TABLE and its kin do as written: their subcommands taken together.

use super::effect::{Effect, Known};
use super::statements::{self, Answer, Fact, Work};
use super::table::STRONG_OPTIONS;
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, Column, CommandKind, ConstraintKind};
use crate::recipe::column::not_null_proven;
use crate::recipe::facts::Table;
use crate::recipe::plan::Planner;
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

impl Planner<'_> {
    /// The subcommands of one statement: the strongest lock and the longest work of them.
    pub fn changes(&mut self, action: &Action, on: &[Known]) -> Result<Effect> {
        let words: Vec<&str> = action.changes.iter().map(|change| change.what).collect();
        let mut whole = Effect {
            locks: Vec::new(),
            lock: None,
            work: Work::Brief,
            answer: Answer::Safe,
            about: format!("{} … {}", action.tag, words.join(", ")),
            notes: Vec::new(),
            passing: true,
            if_not_exists: false,
            idle: action.if_exists && on.is_empty() && action.object.is_none(),
            unseen: false,
            instead: None,
        };
        for change in &action.changes {
            let Some(fact) = statements::change(change.what) else {
                continue;
            };
            let one = self.change_of(fact, change, action, on)?;
            whole.passing &= fact.passing;
            whole.lock = whole.lock.max(one.lock);
            whole.work = whole.work.max(one.work);
            whole.notes.extend(one.notes);
            for (table, lock) in one.locks {
                match whole.locks.iter_mut().find(|(known, _)| *known == table) {
                    Some((_, strongest)) => *strongest = lock.max(*strongest),
                    None => whole.locks.push((table, lock)),
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
        Ok(whole)
    }

    fn change_of(
        &mut self,
        fact: &Fact,
        change: &Change,
        action: &Action,
        on: &[Known],
    ) -> Result<Effect> {
        let mut effect = Effect {
            locks: Vec::new(),
            lock: fact.lock,
            work: fact.work,
            answer: fact.answer,
            about: String::new(),
            notes: fact.note.iter().map(|note| (*note).to_owned()).collect(),
            passing: fact.passing,
            if_not_exists: false,
            idle: false,
            unseen: false,
            instead: None,
        };
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
                if there || not_null_proven(&known.table, column) {
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
                    || self.facts.is_already(
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
        let filled = partition.is_some_and(|partition| partition.filled());
        let default = self.default_partition(parent)?;
        if !filled && default.is_none() {
            effect.nothing();
        }
        if let Some(default) = default {
            effect.also(&default, Lock::AccessExclusive);
        }
        Ok(())
    }

    /// The default partition, if it has rows: a new partition has it read.
    fn default_partition(&mut self, parent: &Known) -> Result<Option<String>> {
        let Some(default) = self.facts.default_partition(&parent.key)? else {
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
        if known.filled() {
            let text = format!("ADD COLUMN {}", bare_column(column));
            if self.facts.writes_anew(&known.key, &text)?.0 {
                effect.work = Work::Rewrites;
                effect.answer = REWRITES;
            }
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
                self.references(effect, &super::effect::sql(&references.table))?;
            }
        }
        Ok(())
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
        let using = using
            .as_ref()
            .map(|using| format!(" USING {using}"))
            .unwrap_or_default();
        let text = format!("ALTER COLUMN {} TYPE {data_type}{using}", ident(column));
        let (table, index) = self.facts.writes_anew(&known.key, &text)?;
        if table || index {
            effect.work = Work::Rewrites;
            effect.answer = REWRITES;
        } else if rechecked(&known.table, column) {
            effect.work = Work::Scans;
            effect.answer = SCANS;
        }
        Ok(())
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
            self.references(effect, &super::effect::sql(&references.table))?;
        }
        let nullable = |column: &String| {
            known
                .table
                .column(column)
                .is_some_and(|found| !found.not_null && !not_null_proven(&known.table, column))
        };
        let scans = match constraint.kind {
            _ if constraint.not_valid => false,
            ConstraintKind::PrimaryKey if constraint.using_index => {
                let index = constraint.index.as_deref();
                let keys = known
                    .table
                    .indexes
                    .iter()
                    .find(|found| Some(found.name.as_str()) == index);
                keys.is_none_or(|index| index.columns.iter().any(nullable))
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

/// The column's definition without its constraints.
fn bare_column(column: &Column) -> String {
    let mut text = format!("{} {}", ident(&column.name), column.data_type);
    if let Some(default) = &column.default {
        text.push_str(&format!(" DEFAULT {default}"));
    }
    if let Some(expression) = &column.generated {
        text.push_str(&format!(" GENERATED ALWAYS AS ({expression}) STORED"));
    }
    if column.identity.is_some() {
        text.push_str(" GENERATED BY DEFAULT AS IDENTITY");
    }
    text
}
