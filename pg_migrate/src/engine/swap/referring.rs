//! Foreign keys of partitioned tables, swapped: those to a primary key that changes, and the parts of
//! those that partitions have.

use super::run;
use crate::catalog::Live;
use crate::fault::Result;
use crate::pg::spi::{self, Arg, ident, literal};
use crate::recipe::facts::Facts;
use crate::recipe::foreign_key_definition;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A foreign key to the primary key of a partitioned table, over the new columns.
pub struct Referring {
    pub table: String,
    pub name: String,
    columns: Vec<String>,
    referenced: Vec<String>,
    pub comment: Option<String>,
    /// All after `CONSTRAINT name`.
    pub definition: String,
}

/// The foreign keys to the table's primary key that have one of the old columns in them, as they
/// will be over the new ones.
pub fn referring(table: &str, old: &[String], new: &[String]) -> Result<Vec<Referring>> {
    #[derive(Deserialize)]
    struct Name {
        name: String,
        referencing: String,
    }
    let names: Vec<Name> = spi::select(
        "SELECT key_name AS name, referencing FROM migrate.foreign_key_twins($1, $2, $3) WHERE repointed",
        &[
            Arg::Text(table),
            Arg::Texts(old.to_vec()),
            Arg::Texts(new.to_vec()),
        ],
    )?;
    let moved: BTreeMap<&String, &String> = old.iter().zip(new).collect();
    let mut found = Vec::new();
    for mut key in Live.foreign_keys(table)? {
        let wanted = names
            .iter()
            .any(|one| one.name == key.name && one.referencing == key.table);
        if !wanted {
            continue;
        }
        for column in &mut key.referenced {
            if let Some(to) = moved.get(column) {
                column.clone_from(to);
            }
        }
        found.push(Referring {
            definition: foreign_key_definition(&key),
            table: key.table,
            name: key.name,
            columns: key.columns,
            referenced: key.referenced,
            comment: key.comment,
        });
    }
    Ok(found)
}

/// How many rows refer to the primary key of a partitioned table, and would find nothing by the new
/// columns.
pub fn foreign_key_misses(table: &str, old: &[String], new: &[String]) -> Result<i64> {
    #[derive(Deserialize)]
    struct Count {
        count: i64,
    }
    let mut misses = 0;
    for key in referring(table, old, new)? {
        let pairs = || key.columns.iter().zip(&key.referenced);
        let given: Vec<_> = pairs()
            .map(|(from, _)| format!("r.{} IS NOT NULL", ident(from)))
            .collect();
        let equal: Vec<_> = pairs()
            .map(|(from, to)| format!("p.{} = r.{}", ident(to), ident(from)))
            .collect();
        let count: Option<Count> = spi::first(
            &format!(
                "SELECT count(*) FROM {} r WHERE {} AND NOT EXISTS (SELECT FROM {table} p WHERE {})",
                key.table,
                given.join(" AND "),
                equal.join(" AND ")
            ),
            &[],
        )?;
        misses += count.map_or(0, |row| row.count);
    }
    Ok(misses)
}

/// Validates the foreign keys to a table that are not.
pub fn validate_foreign_keys(table: &str) -> Result<()> {
    let keys = Live.foreign_keys(table)?;
    for key in keys.iter().filter(|key| !key.validated) {
        run(&format!(
            "ALTER TABLE {} VALIDATE CONSTRAINT {}",
            key.table,
            ident(&key.name)
        ))?;
    }
    Ok(())
}

/// The names that the parts of a partitioned table's foreign key have, by partition.
pub fn foreign_key_parts(table: &str, name: &str) -> Result<Vec<KeyPart>> {
    spi::select(
        "WITH RECURSIVE tree(oid) AS ( \
             SELECT k.oid FROM pg_catalog.pg_constraint k \
             WHERE k.conrelid = pg_catalog.to_regclass($1) AND k.conname = $2::name AND k.contype = 'f' \
             UNION ALL \
             SELECT k.oid FROM tree JOIN pg_catalog.pg_constraint k ON k.conparentid = tree.oid) \
         SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS table, \
                k.conname::text AS name, pg_catalog.obj_description(k.oid, 'pg_constraint') AS comment \
         FROM tree JOIN pg_catalog.pg_constraint k USING (oid) \
         JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE k.conrelid <> pg_catalog.to_regclass($1)",
        &[Arg::Text(table), Arg::Text(name)],
    )
}

/// A foreign key of a partition that belongs to that of the whole.
#[derive(Debug, Deserialize)]
pub struct KeyPart {
    pub table: String,
    pub name: String,
    comment: Option<String>,
}

/// Gives the parts of a foreign key the names and comments that those of another had.
pub fn take_key_names(was: &[KeyPart], is: &[KeyPart]) -> Result<()> {
    for old in was {
        let Some(new) = is.iter().find(|part| part.table == old.table) else {
            continue;
        };
        let (on, name) = (&old.table, ident(&old.name));
        if new.name != old.name {
            run(&format!(
                "ALTER TABLE {on} RENAME CONSTRAINT {} TO {name}",
                ident(&new.name)
            ))?;
        }
        if let Some(comment) = &old.comment {
            run(&format!(
                "COMMENT ON CONSTRAINT {name} ON {on} IS {}",
                literal(comment)
            ))?;
        }
    }
    Ok(())
}
