//! Several old columns and a new one that holds what they say.

use super::{Table, put_on_all, trigger_name};
use crate::fault::{Fault, Result};
use crate::pg::expression;
use crate::pg::trigger::MOST_COLUMNS;

/// Puts a trigger on `relation` that keeps `new` = `up` and each old column = its `down`, whichever
/// side a statement writes. `back`: see `Policy::Back`. Otherwise like `install`.
pub fn install_several(
    relation: u32,
    olds: &[String],
    new: &str,
    up: &str,
    downs: &[String],
    back: bool,
) -> Result<String> {
    let table = Table::owned(relation)?;
    if olds.len() != downs.len() || olds.is_empty() || olds.len() > MOST_COLUMNS {
        return Err(Fault::invalid(format!(
            "1 to {MOST_COLUMNS} old columns are needed, each with its expression"
        )));
    }
    if table.kind != "r" {
        return Err(Fault::new(
            crate::fault::state::FEATURE_NOT_SUPPORTED,
            format!("several columns of {} cannot be kept in sync", table.name),
        )
        .detail("A row that moves to another partition would be judged twice."));
    }
    let up = expression::check(relation, up, table.column(relation, new)?)?;
    let mut pairs = Vec::new();
    for (old, down) in olds.iter().zip(downs) {
        let number = table.column(relation, old)?;
        pairs.push((old.as_str(), expression::check(relation, down, number)?));
    }
    let (first, rest) = pairs
        .split_first()
        .ok_or_else(|| Fault::invalid("no old column is given"))?;
    let policy = if back { "back" } else { "new" };
    let mut arguments = vec![first.0, new, up.as_str(), first.1.as_str(), policy];
    for (old, down) in rest {
        arguments.extend([*old, down.as_str()]);
    }
    let name = trigger_name(first.0, new);
    put_on_all(relation, &table, &name, &arguments)?;
    Ok(name)
}
