//! The backfills of a split, there and back.

use super::halves::{NEW, Split};
use crate::document::model::SplitColumn;
use crate::recipe::column::backfill_step;
use crate::recipe::plan::ddl;
use crate::recipe::quote::{ident, literal};
use crate::recipe::step::{Kind, Lock, Phase, Step};
use serde_json::{Map, Value, json};

/// Rows that were there before the triggers are copied; who writes one later makes its other half.
pub fn copying(split: &Split) -> Step {
    let outer = ident(&split.table.name);
    let columns: Vec<String> = split.keys.iter().cloned().chain(split.names()).collect();
    let which = format!(
        "migrate.split_unseen({outer}.tableoid, {}, {outer}.xmin) AND NOT EXISTS (SELECT FROM {} AS {NEW} WHERE {})",
        literal(&split.into),
        split.into,
        split.belongs(&outer)
    );
    let sql = format!(
        "SELECT migrate.backfill_copy({}, {}, {}, {})",
        literal(split.key),
        literal(&split.into),
        Split::array(&columns),
        literal(&which)
    );
    Step {
        kind: Kind::Backfill,
        scans: true,
        args: json!({
            "table": split.key, "set": {}, "where": which, "sync": null, "locks_first": true,
            "copy": {"into": split.into, "columns": columns},
        }),
        ..ddl(Phase::Migrate, split.key, Lock::RowExclusive, sql)
    }
    .also_locks(&split.into, Lock::RowExclusive)
}

/// The way back: the old columns get what the new table says. `fleeting`: columns whose default
/// differs each time, and is given only where there is nothing.
pub fn filling(split: &Split, columns: &[SplitColumn], fleeting: &[&str]) -> Step {
    let outer = ident(&split.table.name);
    let value = |one: &SplitColumn| {
        let found = format!(
            "(SELECT {NEW}.{} FROM {} AS {NEW} WHERE {})",
            ident(&one.column),
            split.into,
            split.belongs(&outer)
        );
        match &one.otherwise {
            Some(otherwise) => format!("coalesce({found}, {otherwise})"),
            None => found,
        }
    };
    let set: Map<String, Value> = columns
        .iter()
        .map(|one| (one.column.clone(), json!(value(one))))
        .collect();
    let which: Vec<_> = columns
        .iter()
        .map(|one| {
            let own = format!("{outer}.{}", ident(&one.column));
            match &one.otherwise {
                Some(_) if fleeting.contains(&one.column.as_str()) => format!(
                    "({own} IS NULL OR EXISTS (SELECT FROM {} AS {NEW} WHERE {} AND CAST(ROW({own}) AS pg_catalog.record) \
                     OPERATOR(pg_catalog.*<>) CAST(ROW({NEW}.{}) AS pg_catalog.record)))",
                    split.into,
                    split.belongs(&outer),
                    ident(&one.column)
                ),
                _ => format!(
                    "CAST(ROW({own}) AS pg_catalog.record) OPERATOR(pg_catalog.*<>) CAST(ROW({}) AS pg_catalog.record)",
                    value(one)
                ),
            }
        })
        .collect();
    let which = which.join(" OR ");
    let step = backfill_step(split.key, Value::Object(set), Some(&which), Value::Null);
    let sql = format!("{}, locks_first => true)", step.sql.trim_end_matches(')'));
    let mut args = step.args.clone();
    args["locks_first"] = json!(true);
    Step { sql, args, ..step }
}
