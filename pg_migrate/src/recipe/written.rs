//! sql: statements as written: what each does while it runs, whether it may run here, and how it is
//! taken back.

mod attach;
mod back;
mod changes;
mod changes_back;
mod comment;
mod effect;
mod retype;
mod scene;
mod statements;
mod table;

pub use attach::{lacking_indexes, lacking_keys};
pub use back::Earlier;
pub use effect::{Effect, concurrently};
pub use scene::{Known, Scene, sql};
pub use statements::{Answer, Work};

use crate::document::model::{ColumnOf, Creates, Operation, Sql};
use crate::fault::{Fault, Result, state};
use crate::pg::parser::tree::{Action, CommandKind, ConstraintKind, Node, Statement};
use crate::recipe::facts::Table;
use crate::recipe::object::set_aside_type;
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::qualified;
use crate::recipe::step::{Kind, Phase, Step};
use crate::recipe::table::set_aside_table;
use back::Back;
use serde_json::json;

/// What PostgreSQL calls a constraint of this kind in its default name.
pub fn label(kind: ConstraintKind) -> &'static str {
    match kind {
        ConstraintKind::Check => "check",
        ConstraintKind::Unique => "key",
        ConstraintKind::PrimaryKey => "pkey",
        ConstraintKind::ForeignKey => "fkey",
        ConstraintKind::Exclude => "excl",
    }
}

impl Planner<'_> {
    pub fn sql(&mut self, op: &Sql) -> Result<()> {
        if let (Some(comments), None) = (&op.comments, &op.down)
            && self.comment_on(op, comments)?
        {
            return Ok(());
        }
        let statements = self.facts.statements(&op.up)?;
        if op.online {
            self.prove_not_null(&statements)?;
        }
        let mut effects = Vec::new();
        for statement in &statements {
            match self.effect(op, statement)? {
                Some(effect) => {
                    if op.online {
                        self.refuse(&effect)?;
                    }
                    effects.push(effect);
                }
                None if op.online => return Err(unknown(statement)),
                None => {}
            }
        }
        for name in &op.drops {
            let (schema, name) = self.landing(name)?;
            self.gone.insert(qualified(&schema, &name));
        }
        for statement in &statements {
            self.free_again(&statement.action)?;
        }
        if let Some(made) = &op.creates
            && (made.kind.ends_with("table") || made.kind.ends_with("view"))
        {
            let (schema, name) = self.landing(&made.name)?;
            self.not_leaving(&qualified(&schema, &name), None)?;
        }
        let back = self.back(op, &statements, &effects)?;
        let step = self.written_step(op, &statements, &effects)?;
        let step = self.taken_back(op, step, back);
        self.push(step);
        for statement in &statements {
            self.after(statement)?;
        }
        Ok(())
    }

    /// A primary key from an index that is there reads the whole table where a column of it may be
    /// null: that it is not is proven first.
    fn prove_not_null(&mut self, statements: &[Statement]) -> Result<()> {
        let [statement] = statements else {
            return Ok(());
        };
        let found = self.named(&statement.action.on)?.into_iter().next();
        let (Some(known), [change]) = (found, statement.action.changes.as_slice()) else {
            return Ok(());
        };
        let CommandKind::AddConstraint(added) = &change.kind else {
            return Ok(());
        };
        if !added.using_index || added.kind != ConstraintKind::PrimaryKey || !known.filled() {
            return Ok(());
        }
        let index = known
            .table
            .indexes
            .iter()
            .find(|found| Some(&found.name) == added.index.as_ref());
        for column in index.map(|index| index.columns.clone()).unwrap_or_default() {
            self.set_not_null(&ColumnOf {
                table: known.key.clone(),
                column,
            })?;
        }
        Ok(())
    }

    fn refuse(&mut self, effect: &Effect) -> Result<()> {
        if effect.idle || effect.instead.is_some() {
            return Ok(());
        }
        match effect.answer {
            Answer::Safe | Answer::Alone => Ok(()),
            Answer::Foreign { why, way } => Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("{} is no part of a migration", effect.about),
            )
            .detail(sentence(why))
            .hint(format!(
                "{way} Or put -- migrate:as-written before the statement."
            ))),
            Answer::Never { .. } if effect.unseen => Ok(()),
            Answer::Never { why, way } => {
                let mut detail = sentence(why);
                for note in effect
                    .notes
                    .iter()
                    .filter(|note| !why.ends_with(note.as_str()))
                {
                    detail.push_str(&format!(" {}", sentence(note)));
                }
                let on = effect.locks.first().map(|(table, _)| table.clone());
                if let (Some(table), true) = (&on, effect.work > Work::Brief)
                    && let Some(size) = self.facts.size(table)?
                {
                    let time = match effect.work {
                        Work::Rewrites => size.to_rewrite(),
                        _ => size.to_read(),
                    };
                    detail.push_str(&format!(" Of {table}, {:.0} rows: {time}.", size.rows));
                }
                let about = match &on {
                    Some(table) => format!("{} of {table}", effect.about),
                    None => effect.about.clone(),
                };
                Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    format!("{about} is not possible online"),
                )
                .detail(detail)
                .hint(format!(
                    "{way} Or put -- migrate:as-written before the statement, to accept it."
                )))
            }
        }
    }

    /// The step that runs it, without its way back.
    fn written_step(
        &mut self,
        op: &Sql,
        statements: &[Statement],
        effects: &[Effect],
    ) -> Result<Step> {
        let instead = match effects {
            [effect] if op.online => effect.instead.clone(),
            _ => None,
        };
        // An index that is built concurrently, which an interruption may leave invalid.
        let built = match (&instead, statements) {
            (Some(_), [statement]) if statement.action.tag == "CREATE INDEX" => {
                self.named(&statement.action.on)?.into_iter().next()
            }
            _ => None,
        };
        let outside = op.no_transaction
            || statements.iter().any(|statement| !statement.transactional)
            || instead.as_ref().is_some_and(|(_, outside)| *outside);
        let apart =
            effects.iter().any(|effect| effect.answer == Answer::Alone) || instead.is_some();
        let now = if op.on_complete {
            Phase::Contract
        } else {
            self.now()
        };
        let (phase, kind) = match (outside, apart) {
            (true, _) => (now.max(Phase::Migrate), Kind::Concurrent),
            (_, true) => (now.max(Phase::Migrate), Kind::Validate),
            _ => (now, Kind::Ddl),
        };
        let sql = instead.as_ref().map_or(op.up.as_str(), |(sql, _)| sql);
        let mut step = Step {
            kind,
            ..unlocked(phase, sql)
        };
        let work = effects.iter().map(|effect| effect.work).max();
        step.rewrites = work == Some(Work::Rewrites) && instead.is_none();
        step.scans = work >= Some(Work::Scans);
        let mut locks = effects
            .iter()
            .flat_map(|effect| effect.locks.iter().cloned());
        if let Some((table, lock)) = locks.next() {
            step.relation = Some(table);
            step.lock = Some(lock);
        } else {
            step.lock = effects.iter().filter_map(|effect| effect.lock).max();
        }
        for (table, lock) in locks {
            step = step.also_locks(&table, lock);
        }
        if instead.is_some() {
            // Its own lock is weaker than that of the statement it stands for.
            let tag = statements
                .first()
                .map_or("", |statement| &statement.action.tag);
            step.lock = statements::fact(tag, "", true).and_then(|fact| fact.lock);
        }
        if let (Some(_), Some(args)) = (&instead, step.args.as_object_mut()) {
            args.insert("replaces".into(), json!(op.up));
        }
        if let (Some(known), [statement]) = (built, statements)
            && let Node::CreateIndex(index) = &statement.node
            && let Some(args) = step.args.as_object_mut()
        {
            let name = qualified(&known.table.schema, &back::index_name(index, &known));
            args.insert("index".into(), json!(name));
        }
        if !op.settings.is_empty()
            && let Some(args) = step.args.as_object_mut()
        {
            args.insert("settings".into(), json!(op.settings));
        }
        let mut notes: Vec<String> = Vec::new();
        for effect in effects {
            if let (Answer::Never { why, .. }, false, None) =
                (effect.answer, effect.unseen, &instead)
            {
                notes.push(why.to_owned());
            }
            notes.extend(effect.notes.iter().cloned());
        }
        if outside && !effects.iter().all(|effect| effect.passing) {
            notes.push("run again after an interruption, it may fail because it was done".into());
        }
        notes.dedup();
        if !notes.is_empty() {
            step.warning = Some(notes.join("; "));
        }
        Ok(step)
    }

    /// A table cannot get the name of one that leaves only at contract.
    fn free_again(&mut self, action: &Action) -> Result<()> {
        let (true, Some(to)) = (action.what == "RENAME", &action.to) else {
            return Ok(());
        };
        for known in self.named(&action.on)? {
            self.not_leaving(&qualified(&known.table.schema, to), None)?;
        }
        Ok(())
    }

    /// How it is taken back.
    fn back(&mut self, op: &Sql, statements: &[Statement], effects: &[Effect]) -> Result<Back> {
        if let Some(down) = &op.down {
            return Ok(Back::statement(down.clone()));
        }
        if let Some(made) = &op.creates {
            return self.created(made, effects);
        }
        match (statements, effects) {
            ([statement], [effect]) => self.way_back(op, statement, effect),
            _ => Ok(Back::none("give down to be able to take it back")),
        }
    }

    /// What it makes leaves again; what was there before is not taken away.
    fn created(&mut self, made: &Creates, effects: &[Effect]) -> Result<Back> {
        if effects.iter().any(|effect| effect.if_not_exists)
            && self.facts.object_exists(&made.kind, &made.name)?
        {
            return Ok(Back::Nothing);
        }
        if made.kind != "table" {
            let drop = format!(
                "DROP {} {}",
                made.kind.replace('_', " ").to_uppercase(),
                made.name
            );
            self.made_objects.insert(self.bare(&made.name)?);
            let place = match made.kind.as_str() {
                "schema" => Some(made.name.clone()),
                "sequence" | "type" | "domain" => {
                    let (schema, name) = self.landing(&made.name)?;
                    Some(qualified(&schema, &name))
                }
                _ => None,
            };
            if let Some(place) = &place {
                self.objects.makes(place.clone());
            }
            return Ok(Back::statement(match (made.kind.as_str(), place) {
                ("type" | "domain", Some(key)) => set_aside_type(&key, self.revision),
                _ => drop,
            }));
        }
        let (schema, name) = self.landing(&made.name)?;
        let key = qualified(&schema, &name);
        self.remember(
            key.clone(),
            Table {
                schema,
                name,
                kind: "r".into(),
                empty: true,
                fresh: true,
                unlisted: true,
                ..Table::default()
            },
        );
        Ok(Back::statement(set_aside_table(&key, self.revision)))
    }

    /// The name of an object that this migration makes, for recognising it later.
    pub fn bare(&self, name: &str) -> Result<String> {
        if name.contains('(') || name.contains(" ON ") {
            return Ok(name.to_owned());
        }
        match self.landing(name) {
            Ok((schema, name)) => Ok(qualified(&schema, &name)),
            Err(fault) if fault.is_interruption() => Err(fault),
            // Of a kind whose names have another form.
            Err(_) => Ok(name.to_owned()),
        }
    }

    fn taken_back(&mut self, op: &Sql, mut step: Step, back: Back) -> Step {
        match back {
            Back::Nothing => step,
            Back::Statements(down, operations) => {
                step = step.undo(down.clone());
                let drops = match &op.creates {
                    Some(made) if made.kind.ends_with("view") && op.down.is_none() => {
                        vec![made.name.clone()]
                    }
                    _ => Vec::new(),
                };
                // What is made leaves after the tables that have it or are in it.
                let on_complete = op.creates.is_some() && op.down.is_none();
                let back = Operation::Sql(Sql {
                    up: down,
                    on_complete,
                    drops,
                    ..Sql::default()
                });
                // The inverse is turned round at the end: the last comes first.
                let operations = if operations.is_empty() {
                    vec![back]
                } else {
                    operations
                };
                self.plan.inverse.extend(operations.into_iter().rev());
                step
            }
            Back::OneWay(why) => {
                let first = op.up.lines().next().unwrap_or_default();
                self.irreversible(format!("{why}: {first}"));
                let text = format!("no way back: {why}");
                step.warning = Some(match step.warning.take() {
                    Some(warning) => format!("{warning}; {text}"),
                    None => text,
                });
                if let Some(args) = step.args.as_object_mut() {
                    args.insert("one_way".into(), json!(true));
                }
                step
            }
        }
    }

    /// What later operations must know of it.
    fn after(&mut self, statement: &Statement) -> Result<()> {
        let action = &statement.action;
        if action.tag == "ALTER TYPE" && action.what == "ADD VALUE" {
            // The value can be used only after the transaction that adds it.
            self.barrier = true;
        }
        if action.tag == "ALTER TABLE" && matches!(action.what, "RENAME" | "SET SCHEMA") {
            let found = self.named(&action.on)?;
            if let (Some(known), Some(to)) = (found.into_iter().next(), &action.to) {
                let mut table = (*known.table).clone();
                match action.what {
                    "RENAME" => table.name.clone_from(to),
                    _ => table.schema.clone_from(to),
                }
                self.forget(&known.key);
                self.gone.insert(known.key);
                self.remember(qualified(&table.schema, &table.name), table);
            }
        }
        Ok(())
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters
        .next()
        .map(|letter| letter.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn unknown(statement: &Statement) -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("how {} locks is not known", statement.action.tag),
    )
    .hint("Put -- migrate:as-written before the statement, to run it all the same.")
}
