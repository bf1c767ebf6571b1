//! create_type.

use crate::document::model::Operation;
use crate::document::model::{CreateType, Sql};
use crate::fault::{Fault, Result, state};
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::table::check_clause;

/// Takes a type away; one that columns set aside still have goes aside with them.
pub fn set_aside_type(key: &str, revision: &str) -> String {
    format!(
        "SELECT migrate.set_aside_type({}, {})",
        literal(key),
        literal(revision)
    )
}

fn statement(key: &str, op: &CreateType) -> String {
    if let Some(labels) = &op.labels {
        let labels: Vec<_> = labels.iter().map(|label| literal(label)).collect();
        return format!("CREATE TYPE {key} AS ENUM ({})", labels.join(", "));
    }
    if let Some(attributes) = &op.composite {
        let list: Vec<_> = attributes
            .iter()
            .map(|one| format!("{} {}", ident(&one.name), one.data_type))
            .collect();
        return format!("CREATE TYPE {key} AS ({})", list.join(", "));
    }
    if let Some(range) = &op.range {
        let more = range
            .parameters
            .as_ref()
            .map(|more| format!(", {more}"))
            .unwrap_or_default();
        return format!(
            "CREATE TYPE {key} AS RANGE (SUBTYPE = {}{more})",
            range.subtype
        );
    }
    let mut sql = format!("CREATE DOMAIN {key}");
    if let Some(domain) = &op.domain {
        sql.push_str(&format!(" AS {}", domain.data_type));
        if let Some(default) = &domain.default {
            sql.push_str(&format!(" DEFAULT {default}"));
        }
        if !domain.nullable {
            sql.push_str(" NOT NULL");
        }
        for check in &domain.checks {
            sql.push_str(&format!(" {}", check_clause(check)));
        }
    }
    sql
}

impl Planner<'_> {
    pub fn create_type(&mut self, op: &CreateType) -> Result<()> {
        let (schema, name) = self.landing(&op.name)?;
        let key = qualified(&schema, &name);
        if self.facts.object("type", &key)?.is_some() {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("type {key} already exists"),
            )
            .hint("Choose another name, or stamp the revision if this migration ran before."));
        }
        let mut sql = statement(&key, op);
        if let Some(comment) = &op.comment {
            let noun = if op.domain.is_some() {
                "DOMAIN"
            } else {
                "TYPE"
            };
            sql.push_str(&format!(
                ";\nCOMMENT ON {noun} {key} IS {}",
                literal(comment)
            ));
        }
        let back = set_aside_type(&key, self.revision);
        let phase = self.now();
        self.push(unlocked(phase, sql).undo(back.clone()));
        self.plan.inverse.push(Operation::Sql(Sql {
            up: back,
            // After the columns that have it are set aside.
            on_complete: true,
            ..Sql::default()
        }));
        self.objects.makes(key);
        Ok(())
    }
}
