//! Several backfills of one table in one pass: each row is rewritten once, not once for each.

use super::condition::operand;
use super::spec::{Spec, TableRef};
use crate::fault::Result;
use crate::pg::{analyze, spi};
use serde_json::Value;

/// Takes what `other` fills into `spec`, where both fill only nulls and neither reads what the other
/// fills; whether it did. The other still has a pass of its own, which then finds nothing to write.
/// Errors: what PostgreSQL says of the expressions.
pub fn join(spec: &mut Spec, other: &Spec) -> Result<bool> {
    let (TableRef::Name(table), TableRef::Name(same)) = (&spec.table, &other.table) else {
        return Ok(false);
    };
    let plain = |spec: &Spec| spec.copy.is_none() && !spec.locks_first;
    if table != same || !plain(spec) || !plain(other) || !fills_nulls(spec) || !fills_nulls(other) {
        return Ok(false);
    }
    if reads(table, other, spec)? || reads(table, spec, other)? {
        return Ok(false);
    }
    let (Some(first), Some(second)) = (&spec.predicate, &other.predicate) else {
        return Ok(false);
    };
    let (first, second) = (operand(first), operand(second));
    // Each keeps to the rows that it would have filled alone.
    let only = |set: &serde_json::Map<String, Value>, condition: &str| {
        set.iter()
            .filter_map(|(column, value)| {
                let own = spi::ident(column);
                let value = format!(
                    "CASE WHEN {condition} THEN {} ELSE {own} END",
                    operand(value.as_str()?)
                );
                Some((column.clone(), Value::String(value)))
            })
            .collect::<Vec<_>>()
    };
    let mut both = only(&spec.set, &first);
    both.extend(only(&other.set, &second));
    spec.set = both.into_iter().collect();
    spec.predicate = Some(format!("{first} OR {second}"));
    Ok(true)
}

/// Whether the rows to be filled are those with a null in a column that is filled.
fn fills_nulls(spec: &Spec) -> bool {
    let Some(predicate) = &spec.predicate else {
        return false;
    };
    let predicate = predicate.trim_start_matches(['(', ' ', '\n']);
    spec.set
        .keys()
        .any(|column| predicate.starts_with(&format!("{} IS NULL", spi::ident(column))))
}

/// Whether an expression of `one` reads a column that `other` fills, or fills the same.
fn reads(table: &str, one: &Spec, other: &Spec) -> Result<bool> {
    let mut texts: Vec<&str> = one.set.values().filter_map(Value::as_str).collect();
    texts.extend(one.predicate.as_deref());
    for text in texts {
        let found = analyze::expression(Some(table), text, None)?;
        let meets = |column: &String| column == "*" || other.set.contains_key(column);
        if found.volatile || found.columns.iter().any(meets) {
            return Ok(true);
        }
    }
    Ok(one.set.keys().any(|column| other.set.contains_key(column)))
}
