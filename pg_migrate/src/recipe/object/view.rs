//! create_view, replace_view, drop_view.

use super::brief;
use crate::document::model::{CreateMaterializedView, CreateView, DropView, Operation};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Piece, View};
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::{idents, literal, qualified};
use crate::recipe::step::{Lock, Phase, Step};

/// `CREATE head name (columns) WITH (options) AS definition`.
pub fn statement(
    head: &str,
    name: &str,
    columns: &[String],
    options: Option<&str>,
    definition: &str,
) -> String {
    let columns = match columns {
        [] => String::new(),
        list => format!(" ({})", idents(list)),
    };
    let options = match options {
        None | Some("") => String::new(),
        Some(options) => format!(" WITH ({options})"),
    };
    format!("CREATE {head} {name}{columns}{options} AS {definition}")
}

fn create(op: &CreateView, key: &str, replace: bool) -> String {
    let head = if replace { "OR REPLACE VIEW" } else { "VIEW" };
    statement(
        head,
        key,
        &op.columns,
        op.options.as_deref(),
        &op.definition,
    )
}

fn joined(pieces: &[Piece]) -> Vec<String> {
    pieces.iter().map(|piece| piece.sql.clone()).collect()
}

/// The operation that makes a view as it is now.
fn creation(view: &View) -> Operation {
    if view.materialized {
        return Operation::CreateMaterializedView(CreateMaterializedView {
            name: view.name.clone(),
            options: view.options.clone(),
            definition: view.definition.clone(),
            with_data: view.populated,
            attributes: joined(&view.pieces),
            ..CreateMaterializedView::default()
        });
    }
    Operation::CreateView(CreateView {
        name: view.name.clone(),
        options: view.options.clone(),
        definition: view.definition.clone(),
        attributes: joined(&view.pieces),
        ..CreateView::default()
    })
}

/// The statements that make a view as it is now, in one text.
fn recreation(view: &View) -> String {
    let head = if view.materialized {
        "MATERIALIZED VIEW"
    } else {
        "VIEW"
    };
    let mut sql = vec![statement(
        head,
        &view.name,
        &[],
        view.options.as_deref(),
        &view.definition,
    )];
    sql.extend(joined(&view.pieces));
    sql.join(";\n")
}

impl Planner<'_> {
    pub fn create_view(&mut self, op: &CreateView) -> Result<()> {
        let (schema, name) = self.landing(&op.name)?;
        let key = qualified(&schema, &name);
        let again = self.gone.contains(&key) && self.takes_over(&key);
        self.not_leaving(&key, None)?;
        if !again && !self.gone.contains(&key) && self.facts.relation_exists(&schema, &name)? {
            return Err(
                Fault::new("42P07", format!("relation {key} already exists"))
                    .hint("Use replace_view, or stamp the revision if this migration ran before."),
            );
        }
        let probe = self.facts.query(&op.definition, &op.columns);
        self.known_now(probe)?;
        let mut sql = vec![create(op, &key, false)];
        if let Some(comment) = &op.comment {
            sql.push(format!("COMMENT ON VIEW {key} IS {}", literal(comment)));
        }
        sql.extend(op.attributes.iter().cloned());
        let mut undo = vec![format!("DROP VIEW IF EXISTS {key}")];
        let swapped = self.swapped(&op.definition);
        if again {
            match &swapped {
                None => self.drop_now(&mut sql, &mut undo),
                // Dropped before the swap and made after it, in the same transaction.
                Some(table) => self.drop_with(table),
            }
        }
        let mut step = unlocked(self.now(), sql.join(";\n")).undo(undo.join(";\n"));
        if let Some(table) = swapped {
            step.phase = Phase::Contract;
            step.relation = Some(table);
            step.lock = Some(Lock::AccessExclusive);
            step = step.warn("made at contract: it reads a column that is swapped then");
        }
        self.push(step);
        self.gone.remove(&key);
        self.objects.makes(key.clone());
        self.plan.inverse.push(Operation::DropView(DropView {
            name: key,
            if_exists: false,
        }));
        Ok(())
    }

    fn dropping(step: &Step) -> bool {
        step.phase == Phase::Contract
            && step
                .args
                .get("drops_view")
                .is_some_and(|mark| *mark == true)
    }

    /// Views dropped so far leave together with what is made now, in one transaction.
    fn drop_now(&mut self, sql: &mut Vec<String>, undo: &mut Vec<String>) {
        let (dropping, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut self.plan.steps)
            .into_iter()
            .partition(Self::dropping);
        self.plan.steps = rest;
        let drops: Vec<String> = dropping.iter().map(|step| step.sql.clone()).collect();
        for step in dropping.iter().rev() {
            undo.extend(step.undo.iter().map(|undo| undo.sql.clone()));
        }
        sql.splice(0..0, drops);
    }

    /// Views dropped so far leave in the transaction in which the table's columns are swapped.
    fn drop_with(&mut self, table: &str) {
        for step in self
            .plan
            .steps
            .iter_mut()
            .filter(|step| Self::dropping(step))
        {
            step.relation = Some(table.to_owned());
        }
    }

    pub fn replace_view(&mut self, op: &CreateView) -> Result<()> {
        let (schema, name) = self.landing(&op.name)?;
        let mut key = qualified(&schema, &name);
        if self.objects.made.contains(&key) {
            let phase = self.now();
            self.push(unlocked(phase, create(op, &key, true)));
            return Ok(());
        }
        let Some(old) = self.facts.view(&op.name)? else {
            return self.create_view(op);
        };
        key.clone_from(&old.name);
        if self.gone.contains(&key) {
            return self.create_view(op);
        }
        if old.materialized {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{key} is a materialized view, not a view"),
            )
            .hint(
                "Make a new one under another name, and drop the old one in the same migration.",
            ));
        }
        let query = {
            let probe = self.facts.query(&op.definition, &op.columns);
            self.known_now(probe)?
        };
        let replace = |view: &CreateView| {
            format!(
                "SELECT migrate.replace_view({}, {})",
                literal(&key),
                literal(&create(view, &key, true))
            )
        };
        let with_options = CreateView {
            options: op.options.clone().or_else(|| old.options.clone()),
            ..op.clone()
        };
        let mut sql = vec![replace(&with_options)];
        if let Some(comment) = &op.comment {
            sql.push(format!("COMMENT ON VIEW {key} IS {}", literal(comment)));
        }
        sql.extend(op.attributes.iter().cloned());
        let mut attributes: Vec<String> = old
            .pieces
            .iter()
            .filter(|piece| piece.part.is_some())
            .map(|piece| piece.sql.clone())
            .collect();
        if op.comment.is_some() {
            let before = old
                .pieces
                .iter()
                .find(|piece| piece.part.is_none() && piece.sql.starts_with("COMMENT ON VIEW "));
            attributes.push(before.map_or_else(
                || format!("COMMENT ON VIEW {key} IS NULL"),
                |piece| piece.sql.clone(),
            ));
        }
        let back = CreateView {
            name: key.clone(),
            options: Some(old.options.clone().unwrap_or_default()),
            definition: old.definition.clone(),
            attributes: attributes.clone(),
            ..CreateView::default()
        };
        let mut undo = vec![replace(&back)];
        undo.extend(attributes);
        let swapped = self.swapped(&op.definition);
        let mut step =
            brief(self.now(), Lock::AccessExclusive, sql.join(";\n")).undo(undo.join(";\n"));
        if let Some(table) = swapped {
            step.phase = Phase::Contract;
            step.relation = Some(table);
        }
        let lost: Vec<&str> = old
            .columns
            .iter()
            .filter(|column| {
                query
                    .as_ref()
                    .is_some_and(|query| !query.columns.contains(column))
            })
            .map(|(name, _)| name.as_str())
            .collect();
        if !lost.is_empty() {
            step = step.warn(format!(
                "columns {} of the view go or change: the old application notices at once",
                lost.join(", ")
            ));
        }
        self.push(step);
        self.plan.inverse.push(Operation::ReplaceView(back));
        if let Some(query) = query {
            self.objects.replaced.insert(key, query.reads);
        }
        Ok(())
    }

    pub fn drop_view(&mut self, op: &DropView) -> Result<()> {
        let (schema, name) = self.landing(&op.name)?;
        let key = qualified(&schema, &name);
        if self.objects.made.remove(&key) {
            let phase = self.now();
            self.push(unlocked(phase, format!("DROP VIEW {key}")));
            return Ok(());
        }
        let Some(view) = self.facts.view(&op.name)? else {
            if op.if_exists {
                return Ok(());
            }
            return Err(Fault::new(
                state::UNDEFINED_TABLE,
                format!("view {} does not exist", op.name),
            ));
        };
        let key = view.name.clone();
        let dependents = self.dependents(&key, None)?;
        if !dependents.is_empty() {
            let list: Vec<_> = dependents.iter().map(|d| d.what.as_str()).collect();
            return Err(Fault::new(
                state::DEPENDENT_OBJECTS,
                format!("view {key} cannot be dropped because other objects depend on it"),
            )
            .detail(list.join("; "))
            .hint("Drop or replace them first; nothing is dropped by CASCADE."));
        }
        let noun = if view.materialized {
            "MATERIALIZED VIEW"
        } else {
            "VIEW"
        };
        let mut step = brief(
            Phase::Contract,
            Lock::AccessExclusive,
            format!("DROP {noun} {key}"),
        )
        .undo(recreation(&view))
        .warn(if view.materialized {
            "drops the materialized view; a downgrade makes it again and fills it"
        } else {
            "drops the view; a downgrade makes it again"
        });
        step.args = serde_json::json!({ "drops_view": !view.materialized });
        self.push(step);
        self.plan.inverse.push(creation(&view));
        self.gone.insert(key.clone());
        self.leaves(&key, None);
        Ok(())
    }
}
