//! What partitions say of a column otherwise than the whole does.

use super::run;
use crate::catalog::Live;
use crate::fault::{Fault, Result};
use crate::pg::spi::{ident, literal};
use crate::pg::subtransaction;
use crate::recipe::carry_attributes;
use crate::recipe::facts::{Column, Facts};

/// What partitions say of a column otherwise than the whole does, for the column that takes its
/// place: comment, privileges, statistics target and options, and the default. Takes from the old
/// column what would stand in the way of rows once nobody writes it.
pub fn carry_partition_settings(table: &str, old: &str, new: &str) -> Result<()> {
    let whole = Live.table(table)?.unwrap_or_default();
    let Some(of_whole) = whole.column(old) else {
        return Ok(());
    };
    for node in Live.partitions(table)?.into_iter().skip(1) {
        let Some(found) = Live.table(&node.key)? else {
            continue;
        };
        let (Some(from), Some(to)) = (found.column(old), found.column(new)) else {
            continue;
        };
        for sql in settings(&node.key, from, to) {
            run(&sql)?;
        }
        let alter = |column: &str, clause: &str| {
            format!(
                "ALTER TABLE ONLY {} ALTER COLUMN {} {clause}",
                node.key,
                ident(column)
            )
        };
        if from.default != of_whole.default {
            match &from.default {
                None if to.default.is_none() => {}
                None => run(&alter(new, "DROP DEFAULT"))?,
                Some(text) => set_default(&node.key, new, text, &to.data_type)?,
            }
        }
        if from.default.is_some() {
            run(&alter(old, "DROP DEFAULT"))?;
        }
        if of_whole.not_null || !from.not_null {
            continue;
        }
        if !to.not_null {
            return Err(Fault::wrong_state(format!(
                "column \"{old}\" of partition {} is NOT NULL, which that of {table} is not",
                node.key
            ))
            .detail("The partition was attached meanwhile: it is not known that the new column holds no null there.")
            .hint(format!("ALTER TABLE {} ALTER COLUMN {} SET NOT NULL; or drop it from the old one.", node.key, ident(new))));
        }
        run(&format!(
            "ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL",
            node.key,
            ident(old)
        ))?;
    }
    Ok(())
}

/// As it stands where it fits the type, else cast.
fn set_default(table: &str, column: &str, text: &str, data_type: &str) -> Result<()> {
    let set = |value: &str| {
        format!(
            "ALTER TABLE ONLY {table} ALTER COLUMN {} SET DEFAULT {value}",
            ident(column)
        )
    };
    match subtransaction::attempt(|| run(&set(text))) {
        Err(fault) if fault.is_interruption() => Err(fault),
        Err(_) => run(&set(&format!("({text})::{data_type}"))),
        Ok(()) => Ok(()),
    }
}

fn settings(table: &str, from: &Column, to: &Column) -> Vec<String> {
    let name = ident(&to.name);
    let alter = |clause: &str| format!("ALTER TABLE ONLY {table} ALTER COLUMN {name} {clause}");
    let mut sql = Vec::new();
    if from.statistics != to.statistics {
        sql.push(alter(&format!(
            "SET STATISTICS {}",
            from.statistics.unwrap_or(-1)
        )));
    }
    if from.options != to.options {
        let names: Vec<_> = to.options.iter().map(|one| ident(&one.name)).collect();
        if !names.is_empty() {
            sql.push(alter(&format!("RESET ({})", names.join(", "))));
        }
        let given = from.options.iter();
        let given: Vec<_> = given
            .map(|one| format!("{} = {}", ident(&one.name), literal(&one.value)))
            .collect();
        if !given.is_empty() {
            sql.push(alter(&format!("SET ({})", given.join(", "))));
        }
    }
    if from.comment.is_none() && to.comment.is_some() {
        sql.push(format!("COMMENT ON COLUMN {table}.{name} IS NULL"));
    }
    let grants = match from.grants == to.grants {
        true => Vec::new(),
        false => from.grants.clone(),
    };
    if from.grants != to.grants {
        sql.extend(to.grants.iter().map(|grant| {
            format!(
                "REVOKE {} ({name}) ON {table} FROM {}",
                grant.privilege, grant.grantee
            )
        }));
    }
    let carried = Column {
        grants,
        comment: from.comment.clone(),
        ..Column::default()
    };
    sql.extend(carry_attributes(table, &carried, &to.name));
    sql
}
