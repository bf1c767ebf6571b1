//! What recipes of columns share: sync triggers, backfills, attributes; and touch_column.

mod add;
mod drop;
mod merge;
mod not_null;

pub use not_null::proven as not_null_proven;

use crate::document::model::{ColumnOf, Operation};
use crate::fault::Result;
use crate::recipe::facts;
use crate::recipe::plan::{Planner, ddl};
use crate::recipe::quote::{ident, literal, literal_or_null, name_with_suffix};
use crate::recipe::step::{Kind, Lock, Phase, Step};
use serde_json::json;

pub fn sync_trigger(
    key: &str,
    old: &str,
    new: &str,
    up: Option<&str>,
    down: Option<&str>,
) -> String {
    let (key, old, new) = (literal(key), literal(old), literal(new));
    if up.is_none() && down.is_none() {
        return format!("SELECT migrate.sync_column_trigger({key}, {old}, {new})");
    }
    format!(
        "SELECT migrate.sync_column_trigger({key}, {old}, {new}, {}, {})",
        literal_or_null(up),
        literal_or_null(down)
    )
}

pub fn drop_sync_trigger(key: &str, old: &str, new: &str) -> String {
    format!(
        "SELECT migrate.drop_sync_trigger({}, {}, {})",
        literal(key),
        literal(old),
        literal(new)
    )
}

/// A backfill of `column` that keeps up with the sync trigger `old` → `column`.
pub fn sync_backfill(key: &str, old: &str, column: &str, value: &str, predicate: &str) -> Step {
    backfill_step(
        key,
        json!({ column: value }),
        Some(predicate),
        json!({ "old": old, "new": column }),
    )
}

/// A backfill step; `sync` names the columns of the trigger that keeps up with writers, or is null.
pub fn backfill_step(
    key: &str,
    set: serde_json::Value,
    predicate: Option<&str>,
    sync: serde_json::Value,
) -> Step {
    let sql = format!(
        "SELECT migrate.backfill({}, {}{})",
        literal(key),
        literal(&set.to_string()),
        predicate
            .map(|text| format!(", {}", literal(text)))
            .unwrap_or_default()
    );
    Step {
        kind: Kind::Backfill,
        scans: true,
        args: json!({ "table": key, "set": set, "where": predicate, "sync": sync }),
        ..ddl(Phase::Migrate, key, Lock::RowExclusive, sql)
    }
}

/// Statements that give the new column the old one's column privileges and comment.
pub fn carry_attributes(key: &str, from: &facts::Column, to: &str) -> Vec<String> {
    let mut sql = Vec::new();
    for grant in &from.grants {
        sql.push(format!(
            "GRANT {} ({}) ON {key} TO {}{}",
            grant.privilege,
            ident(to),
            grant.grantee,
            if grant.grantable {
                " WITH GRANT OPTION"
            } else {
                ""
            }
        ));
    }
    if let Some(comment) = &from.comment {
        sql.push(format!(
            "COMMENT ON COLUMN {key}.{} IS {}",
            ident(to),
            literal(comment)
        ));
    }
    sql
}

/// The name of the trigger that stamps the column.
pub fn touch_trigger(column: &str) -> String {
    name_with_suffix(&format!("~pg_migrate_touch_{column}"), "")
}

/// The statement that has the column stamped.
fn touch(key: &str, column: &str) -> String {
    format!(
        "CREATE TRIGGER {} BEFORE UPDATE ON {key} FOR EACH ROW EXECUTE FUNCTION migrate.touch_column({})",
        ident(&touch_trigger(column)),
        literal(column)
    )
}

fn untouch(key: &str, column: &str) -> String {
    format!("DROP TRIGGER {} ON {key}", ident(&touch_trigger(column)))
}

impl Planner<'_> {
    /// What takes the stamping trigger off a column and puts it on again under another name (none:
    /// the column leaves); nothing where there is none.
    pub fn touch_moves(
        &self,
        key: &str,
        from: &str,
        to: Option<&str>,
    ) -> Result<(Option<String>, Option<String>)> {
        if !self.facts.is_touched(key, from)? {
            return Ok((None, None));
        }
        let on = to.map(|to| touch(key, to));
        Ok((Some(untouch(key, from)), on))
    }

    pub fn touch_column(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        self.column(&key, &table, &op.column)?;
        let trigger = ident(&touch_trigger(&op.column));
        self.plan.inverse.push(Operation::UntouchColumn(op.clone()));
        let phase = self.now();
        self.push(
            ddl(
                phase,
                &key,
                Lock::ShareRowExclusive,
                touch(&key, &op.column),
            )
            .undo(format!("DROP TRIGGER IF EXISTS {trigger} ON {key}")),
        );
        Ok(())
    }

    pub fn untouch_column(&mut self, op: &ColumnOf) -> Result<()> {
        let (key, _) = self.table(&op.table)?;
        let trigger = ident(&touch_trigger(&op.column));
        let phase = self.now();
        self.push(ddl(
            phase,
            &key,
            Lock::AccessExclusive,
            format!("DROP TRIGGER IF EXISTS {trigger} ON {key}"),
        ));
        self.plan.inverse.push(Operation::TouchColumn(op.clone()));
        Ok(())
    }
}
