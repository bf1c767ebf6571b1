//! What ALTER TABLE and its kin do as written: their subcommands taken together.

use super::effect::Effect;
use super::scene::{Known, Scene, sql};
use super::statements::{self, Answer, Fact, Work};
use super::table::STRONG_OPTIONS;
use crate::fault::Result;
use crate::pg::parser;
use crate::pg::parser::tree::{Action, Change, Column, CommandKind, ConstraintKind};
use crate::recipe::column::not_null_proven;
use crate::recipe::quote::ident;
use crate::recipe::step::Lock;

pub const REWRITES: Answer = Answer::Never {
    why: "PostgreSQL writes the table and its indexes anew, and nobody reads or writes it meanwhile",
    way: "Name the table without ONLY, in a statement that pg_migrate has a recipe for.",
};
pub const SCANS: Answer = Answer::Never {
    why: "PostgreSQL reads the whole table under ACCESS EXCLUSIVE, and nobody reads or writes it meanwhile",
    way: "Name the table without ONLY, in a statement that pg_migrate has a recipe for.",
};
const EXCLUSION: Answer = Answer::Never {
    why: "PostgreSQL builds its index under ACCESS EXCLUSIVE, and has no way to build it concurrently",
    way: "Add it while the table is empty, or enforce it by a trigger.",
};

/// A code of a later server: the careful answer.
const UNKNOWN_CHANGE: Fact = statements::never(
    "ALTER",
    Lock::AccessExclusive,
    Work::Rewrites,
    "what it does is not known",
    "Trace it first.",
);

/// PostgreSQL does these before the others, wherever they stand in the statement.
fn is_drop(change: &Change) -> bool {
    matches!(
        change.kind,
        CommandKind::DropColumn { .. }
            | CommandKind::DropNotNull(_)
            | CommandKind::DropConstraint { .. }
    )
}

/// The table as the other subcommands of the statement find it; `None`: as it is.
fn after_drops(known: &Known, action: &Action) -> Option<Known> {
    if action.changes.len() < 2 || !action.changes.iter().any(is_drop) {
        return None;
    }
    let mut table = (*known.table).clone();
    for change in &action.changes {
        match &change.kind {
            CommandKind::DropNotNull(name) => {
                let column = table.columns.iter_mut().find(|column| column.name == *name);
                if let Some(column) = column {
                    column.not_null = false;
                }
            }
            CommandKind::DropConstraint { name, .. } => {
                table.constraints.retain(|found| found.name != *name);
            }
            CommandKind::DropColumn { column, .. } => {
                table.columns.retain(|found| found.name != *column);
                table
                    .indexes
                    .retain(|found| !found.columns.contains(column));
                table
                    .constraints
                    .retain(|found| !found.columns.contains(column));
            }
            _ => {}
        }
    }
    Some(Known {
        key: known.key.clone(),
        table: std::rc::Rc::new(table),
    })
}

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
        let after = on.first().and_then(|known| after_drops(known, action));
        let mut made = Vec::new();
        for change in &action.changes {
            let known = match &after {
                Some(after) if !is_drop(change) => Some(after),
                _ => on.first(),
            };
            let fact = statements::change(change.what).unwrap_or(&UNKNOWN_CHANGE);
            made.push(self.change_of(fact, change, action, known)?);
        }
        Ok(made)
    }

    fn change_of(
        &mut self,
        fact: &Fact,
        change: &Change,
        action: &Action,
        known: Option<&Known>,
    ) -> Result<Effect> {
        let mut effect = Effect::of(fact, String::new());
        if let Some(object) = &action.object {
            self.attribute(&mut effect, change, &object.text)?;
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
            if let Some(part) = self.other(change)? {
                effect.also(&part.key, Lock::AccessExclusive);
                effect.sum();
            }
            return Ok(effect);
        }
        let Some(known) = known else {
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
                    || known.table.hollow
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

    /// Of a composite type, which is a relation too: tables that are made of it are changed only where
    /// it cascades to them.
    fn attribute(&mut self, effect: &mut Effect, change: &Change, data_type: &str) -> Result<()> {
        effect.lock = Some(Lock::AccessExclusive);
        if !change.cascade {
            return Ok(());
        }
        for table in self.facts().composite(data_type)?.unwrap_or_default() {
            if let Some(known) = self.known(&table)? {
                self.set_type_written(effect, change, &known)?;
                effect.also(&known.key, Lock::AccessExclusive);
            }
        }
        Ok(())
    }

    pub fn other(&mut self, change: &Change) -> Result<Option<Known>> {
        match &change.other {
            Some(name) => self.known(name),
            None => Ok(None),
        }
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
        let mut table = &*known.table;
        let passed_on;
        if table.inherited {
            // What does not hold for the tables that inherit proves nothing of their rows.
            let mut kept = table.clone();
            kept.constraints
                .retain(|found| !found.definition.ends_with(" NO INHERIT"));
            passed_on = kept;
            table = &passed_on;
        }
        Ok(not_null_proven(table, column)
            || self
                .facts()
                .proves(table, &format!("{} IS NOT NULL", ident(column)))?)
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
        // A literal of a type that is not there yet has the same value in each row.
        let literal = column.default.as_deref().is_none_or(parser::is_literal);
        if literal && self.makes_type(&column.data_type) {
            return Ok(false);
        }
        self.facts()
            .fills_rows(&column.data_type, column.default.as_deref())
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
