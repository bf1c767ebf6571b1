//! What a statement as written will do here: the lines of `statements` and `table`, with what the
//! catalog says of the tables it names.

use super::changes::together;
use super::scene::{Known, Scene, sql};
use super::statements::{self, Answer, Fact, Work};
use crate::document::model::Sql;
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, CommandKind, ConstraintKind, Name, Statement};
use crate::recipe::facts::Table;
use crate::recipe::step::Lock;

/// More than this is read in a step of its own, away from the brief steps and their locks.
const LONG_BYTES: f64 = 64.0 * 1024.0 * 1024.0;

/// What one statement does while it runs as written.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The tables it locks (qualified and quoted), the one it is about first.
    pub locks: Vec<(String, Lock)>,
    /// The strongest lock it takes on any relation.
    pub lock: Option<Lock>,
    pub work: Work,
    pub answer: Answer,
    /// The statement in few words: `ALTER TABLE … SET LOGGED`.
    pub about: String,
    pub notes: Vec<String>,
    /// It changes nothing that a way back would have to restore.
    pub passing: bool,
    /// It makes only what is not there.
    pub if_not_exists: bool,
    /// It does nothing: what it would make is there, what it would drop is not.
    pub idle: bool,
    /// Everything it changes was made by this migration, or has no rows.
    pub unseen: bool,
    /// What it becomes, and whether that must run outside a transaction block.
    pub instead: Option<(String, bool)>,
}

impl Effect {
    pub fn of(fact: &Fact, about: String) -> Effect {
        Effect {
            locks: Vec::new(),
            lock: fact.lock,
            work: fact.work,
            answer: fact.answer,
            about,
            notes: fact.note.iter().map(|note| (*note).to_owned()).collect(),
            passing: fact.passing,
            if_not_exists: false,
            idle: false,
            unseen: false,
            instead: None,
        }
    }

    /// One of a statement that touches no relation.
    pub fn none(about: &str) -> Effect {
        Effect {
            locks: Vec::new(),
            lock: None,
            work: Work::Brief,
            answer: Answer::Safe,
            about: about.to_owned(),
            notes: Vec::new(),
            passing: true,
            if_not_exists: false,
            idle: false,
            unseen: false,
            instead: None,
        }
    }

    /// It does nothing but take its lock.
    pub fn nothing(&mut self) {
        self.work = Work::Brief;
        if matches!(self.answer, Answer::Never { .. } | Answer::Alone) {
            self.answer = Answer::Safe;
        }
    }

    /// Another table it locks.
    pub fn also(&mut self, table: &str, lock: Lock) {
        self.locks.push((table.to_owned(), lock));
    }

    /// The strongest of its locks, once all are known.
    pub fn sum(&mut self) {
        let strongest = self.locks.iter().map(|(_, lock)| *lock).max();
        self.lock = self.lock.max(strongest);
    }
}

impl dyn Scene + '_ {
    pub fn named(&mut self, names: &[Name]) -> Result<Vec<Known>> {
        let mut found = Vec::new();
        for name in names {
            found.extend(self.known(&sql(name))?);
        }
        Ok(found)
    }

    /// What the statement does here. `None`: PostgreSQL knows a kind of statement that pg_migrate
    /// does not.
    pub fn effect(&mut self, op: &Sql, statement: &Statement) -> Result<Option<Effect>> {
        Ok(self.in_parts(op, statement)?.map(|(whole, _)| whole))
    }

    /// The same, and what each subcommand of ALTER TABLE and its kin does of it.
    pub fn in_parts(
        &mut self,
        op: &Sql,
        statement: &Statement,
    ) -> Result<Option<(Effect, Vec<Effect>)>> {
        let action = &statement.action;
        let on = self.named(&action.on)?;
        let (mut effect, mut parts) = if action.changes.is_empty() {
            let Some(fact) = statements::fact(&action.tag, action.what, action.concurrent) else {
                return Ok(None);
            };
            (self.plain(op, statement, fact, &on)?, Vec::new())
        } else {
            let parts = self.parts(action, &on)?;
            (together(action, &on, &parts), parts)
        };
        let unseen = match on.is_empty() {
            true => self.all_made_here(&action.on)?,
            false => on
                .iter()
                .all(|known| !known.filled() || is_passed_by(known, action)),
        };
        effect.unseen = unseen;
        if unseen {
            let fresh = on.iter().all(|known| known.table.fresh);
            for one in parts.iter_mut().chain([&mut effect]) {
                one.nothing();
                one.instead = None;
                if fresh {
                    one.locks
                        .retain(|(key, _)| on.iter().all(|known| known.key != *key));
                    one.lock = one.locks.iter().map(|(_, lock)| *lock).max();
                }
            }
        }
        Ok(Some((effect, parts)))
    }

    fn all_made_here(&self, names: &[Name]) -> Result<bool> {
        for name in names {
            if !self.is_made_here(&sql(name))? {
                return Ok(false);
            }
        }
        Ok(!names.is_empty())
    }

    fn plain(
        &mut self,
        op: &Sql,
        statement: &Statement,
        fact: &Fact,
        on: &[Known],
    ) -> Result<Effect> {
        let action = &statement.action;
        let about = match action.what {
            "" => action.tag.clone(),
            what => format!("{} {what}", action.tag),
        };
        let mut effect = Effect::of(fact, about);
        effect.if_not_exists = action.if_exists;
        effect.idle = self.idle(action, on)?;
        if let Some(lock) = fact.lock {
            for known in on {
                if known.is_table() {
                    effect.locks.push((known.key.clone(), lock));
                }
            }
        }
        match action.tag.as_str() {
            "DROP TABLE" => {
                for known in on {
                    self.also_referenced(&mut effect, &known.table);
                }
            }
            "CREATE TABLE" if !effect.idle => {
                for known in self.named(&action.reads)? {
                    effect.also(&known.key, Lock::ShareUpdateExclusive);
                }
                for known in self.named(&action.refers)? {
                    if !known.table.fresh {
                        effect.also(&known.key, Lock::ShareRowExclusive);
                    }
                }
                if let Some(parent) = on.first() {
                    self.new_partition(&mut effect, parent)?;
                }
            }
            "CREATE VIEW" if on.is_empty() => effect.lock = None,
            "LOCK TABLE" => {
                for known in on {
                    if let Some(lock) = action.mode.and_then(Lock::numbered) {
                        effect.also(&known.key, lock);
                    }
                }
            }
            // ONLY the partitioned table, which has no rows of its own.
            "CREATE INDEX" if effect.idle || (action.only && on.iter().any(is_partitioned)) => {
                effect.nothing();
            }
            "CREATE INDEX" if on.iter().any(|known| known.table.kind == "m") => {
                effect.instead = concurrently(&statement.text, &["index"]).map(|text| (text, true));
            }
            "CREATE TRIGGER" => {
                for known in self.named(&action.reads)? {
                    effect.also(&known.key, Lock::ShareRowExclusive);
                }
            }
            "ALTER DOMAIN" => self.domain(&mut effect, action)?,
            "ALTER TYPE" => self.composite(&mut effect, action)?,
            "REFRESH MATERIALIZED VIEW" => refresh(&mut effect, statement, on),
            "REINDEX" => self.reindex_effect(&mut effect, statement, on)?,
            "UPDATE"
            | "DELETE"
            | "MERGE"
            | "INSERT"
            | "SELECT"
            | "SELECT INTO"
            | "CREATE TABLE AS"
            | "CREATE MATERIALIZED VIEW"
            | "COPY" => {
                self.data(op, &mut effect, statement, on)?;
            }
            _ => {}
        }
        if effect.idle {
            effect.lock = None;
        }
        effect.sum();
        Ok(effect)
    }

    /// IF [NOT] EXISTS says that there is nothing to do.
    fn idle(&mut self, action: &Action, on: &[Known]) -> Result<bool> {
        if !action.if_exists {
            return Ok(false);
        }
        Ok(match action.tag.as_str() {
            "CREATE INDEX" => match (&action.to, on.first()) {
                (Some(name), Some(known)) => {
                    self.facts().relation_exists(&known.table.schema, name)?
                }
                _ => false,
            },
            "DROP TABLE"
            | "DROP INDEX"
            | "DROP VIEW"
            | "DROP MATERIALIZED VIEW"
            | "DROP SEQUENCE"
            | "DROP FOREIGN TABLE" => on.is_empty(),
            _ => false,
        })
    }

    /// Dropping a foreign key locks the table it refers to; dropping a partition its parent.
    pub fn also_referenced(&mut self, effect: &mut Effect, table: &Table) {
        for constraint in table.constraints.iter().filter(|c| c.kind == "f") {
            if let Some(target) = &constraint.references {
                effect.also(target, Lock::AccessExclusive);
            }
        }
        if let Some(parent) = &table.partition_of {
            effect.also(parent, Lock::AccessExclusive);
        }
    }

    /// A constraint of a domain is checked in every table that has a column of it.
    fn domain(&mut self, effect: &mut Effect, action: &Action) -> Result<()> {
        let checks = match action.what {
            "ADD CONSTRAINT" => !action.not_valid,
            "SET NOT NULL" | "VALIDATE CONSTRAINT" => true,
            _ => false,
        };
        let Some(domain) = action.object.as_ref().filter(|_| checks) else {
            return Ok(());
        };
        let mut filled = false;
        for table in self.facts().tables_of_type(&domain.text)? {
            filled |= self.known(&table)?.is_some_and(|known| known.filled());
            effect.also(&table, Lock::Share);
        }
        if filled {
            effect.work = Work::Scans;
            effect.answer = Answer::Never {
                why: "PostgreSQL reads every table with a column of the domain, and their writes wait meanwhile",
                way: "Add the constraint NOT VALID: it holds for new values; and a CHECK to each table for the old ones.",
            };
        }
        Ok(())
    }

    /// A composite type is a relation too, and CASCADE goes to the tables that are made of it.
    fn composite(&mut self, effect: &mut Effect, action: &Action) -> Result<()> {
        let Some(object) = &action.object else {
            return Ok(());
        };
        if let Some(tables) = self.facts().composite(&object.text)? {
            effect.lock = Some(Lock::AccessExclusive);
            for table in tables.iter().filter(|_| action.cascade) {
                effect.also(table, Lock::AccessExclusive);
            }
        }
        Ok(())
    }

    fn reindex_effect(
        &mut self,
        effect: &mut Effect,
        statement: &Statement,
        on: &[Known],
    ) -> Result<()> {
        if statement.action.concurrent {
            return Ok(());
        }
        effect.locks.clear();
        // Of the whole schema or database, where none is named.
        let mut filled = on.is_empty();
        for known in on {
            let key = match known.table.kind.as_str() {
                "i" | "I" => self.facts().table_of_index(&known.key)?,
                _ => Some(known.key.clone()),
            };
            if let Some(key) = key {
                filled |= self
                    .known(&key)?
                    .is_none_or(|table| table.filled() && !table.table.hollow);
                effect.locks.push((key, Lock::Share));
            } else {
                filled = true;
            }
        }
        if !filled {
            effect.nothing();
            return Ok(());
        }
        if statement.action.what != "SYSTEM" {
            effect.instead =
                concurrently(&statement.text, &["index", "table", "schema", "database"])
                    .map(|text| (text, true));
        }
        Ok(())
    }

    /// A statement that reads or writes rows.
    fn data(
        &mut self,
        op: &Sql,
        effect: &mut Effect,
        statement: &Statement,
        on: &[Known],
    ) -> Result<()> {
        let action = &statement.action;
        if action.no_data {
            effect.work = Work::Brief;
            return Ok(());
        }
        let mut bytes = 0.0;
        for known in self.named(&action.reads)? {
            if action.row_locks && known.is_table() && known.table.oid != 0 {
                effect.also(&known.key, Lock::RowShare);
            }
            if known.filled() && known.table.kind != "v" {
                bytes += self.size(&known.key)?.map_or(0.0, |size| size.bytes);
            }
        }
        if bytes > LONG_BYTES {
            effect.answer = Answer::Alone;
        }
        let rewrites_rows = matches!(action.tag.as_str(), "UPDATE" | "DELETE" | "MERGE");
        if op.online && rewrites_rows && on.iter().any(Known::filled) {
            self.many_rows(effect, statement)?;
        }
        Ok(())
    }

    /// One statement that locks very many rows until it ends is not online.
    fn many_rows(&mut self, effect: &mut Effect, statement: &Statement) -> Result<()> {
        /// Rows that one statement may lock.
        const MANY: f64 = 100_000.0;
        let rows = self.facts().touched_rows(&statement.text)?.unwrap_or(0.0);
        if rows <= MANY {
            return Ok(());
        }
        effect.notes.push(format!("about {rows:.0} rows"));
        effect.answer = Answer::Never {
            why: "one statement keeps every row it writes locked until it ends",
            way: "Write an UPDATE that can be done in batches: it assigns no column it reads, and its WHERE tells which rows are left.",
        };
        Ok(())
    }
}

/// Whether the statement leaves alone the tables that inherit from one that has no row itself.
fn is_passed_by(known: &Known, action: &Action) -> bool {
    const FOR_ALL: [&str; 5] = [
        "ADD COLUMN",
        "SET DATA TYPE",
        "SET EXPRESSION",
        "SET NOT NULL",
        "VALIDATE CONSTRAINT",
    ];
    let own = |change: &Change| match &change.kind {
        CommandKind::AddConstraint(made) => made.kind != ConstraintKind::Check,
        CommandKind::Other if change.what == "ADD CONSTRAINT" => false,
        _ => !FOR_ALL.contains(&change.what),
    };
    known.table.hollow
        && match action.tag.as_str() {
            "CLUSTER" | "REINDEX" => true,
            "CREATE INDEX" | "VACUUM" => known.is_table(),
            "ALTER TABLE" => action.only || action.changes.iter().all(own),
            _ => false,
        }
}

fn is_partitioned(known: &Known) -> bool {
    known.table.kind == "p"
}

/// REFRESH is made CONCURRENTLY where a unique index of the view allows it.
fn refresh(effect: &mut Effect, statement: &Statement, on: &[Known]) {
    let Some(known) = on.first() else { return };
    if statement.action.no_data {
        // What it had is thrown away, and nothing is computed.
        effect.nothing();
        return;
    }
    if statement.action.concurrent {
        return;
    }
    if !known.table.populated {
        // Nobody can read it yet.
        effect.nothing();
        return;
    }
    let keyed = known.table.indexes.iter().any(|index| {
        index.unique && index.valid && !index.definition.contains(" WHERE ") && plain_keys(index)
    });
    if keyed {
        effect.instead = concurrently(&statement.text, &["view"]).map(|text| (text, false));
    }
}

/// An index over columns alone, none of them an expression.
fn plain_keys(index: &crate::recipe::facts::Index) -> bool {
    !index.definition.contains("((") && !index.columns.is_empty()
}

/// The statement with CONCURRENTLY behind the first of these key words.
pub fn concurrently(text: &str, words: &[&str]) -> Option<String> {
    let mut at = 0;
    for word in text.split_inclusive(char::is_whitespace) {
        at += word.len();
        let bare = word.trim_end();
        if words.iter().any(|found| bare.eq_ignore_ascii_case(found)) {
            return Some(format!("{}CONCURRENTLY {}", &text[..at], &text[at..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::concurrently;

    #[test]
    fn concurrently_stands_behind_the_kind() {
        let made = |text: &str| concurrently(text, &["index", "view"]);
        assert_eq!(
            made("REINDEX (VERBOSE) INDEX public.i").as_deref(),
            Some("REINDEX (VERBOSE) INDEX CONCURRENTLY public.i")
        );
        assert_eq!(
            made("refresh materialized\n view\nv").as_deref(),
            Some("refresh materialized\n view\nCONCURRENTLY v")
        );
        assert_eq!(made("REINDEX TABLE t"), None);
    }
}
