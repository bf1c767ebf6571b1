//! Indexes and primary keys of partitioned tables, swapped: which partitions there are by then, and
//! what their parts are called.

use super::referring::referring;
use super::run;
use crate::catalog::Live;
use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg, ident, literal, qualified};
use crate::recipe::facts::Facts;
use serde::Deserialize;

/// An index of a partitioned table, or one of its parts.
#[derive(Debug, Deserialize)]
struct Part {
    /// The table it is on, and that table's name.
    relation: u32,
    table: String,
    schema: String,
    name: String,
    /// The constraint it belongs to.
    constraint: Option<String>,
    comment: Option<String>,
    constraint_comment: Option<String>,
    clustered: bool,
    replica_identity: bool,
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    number: i32,
    target: i32,
}

const PARTS: &str = "WITH RECURSIVE tree(oid, level) AS ( \
        SELECT pg_catalog.to_regclass($1)::oid, 0 \
        UNION ALL \
        SELECT h.inhrelid, tree.level + 1 FROM tree JOIN pg_catalog.pg_inherits h ON h.inhparent = tree.oid) \
    SELECT i.indrelid::int8 AS relation, pg_catalog.quote_ident(tn.nspname) || '.' || pg_catalog.quote_ident(t.relname) AS table, \
           n.nspname::text AS schema, c.relname::text AS name, k.conname::text AS constraint, \
           pg_catalog.obj_description(c.oid, 'pg_class') AS comment, \
           pg_catalog.obj_description(k.oid, 'pg_constraint') AS constraint_comment, \
           i.indisclustered AS clustered, i.indisreplident AS replica_identity, \
           coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('number', a.attnum, 'target', a.attstattarget) ORDER BY a.attnum) \
                     FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0), '[]'::jsonb) AS targets \
    FROM tree JOIN pg_catalog.pg_index i ON i.indexrelid = tree.oid \
    JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    JOIN pg_catalog.pg_class t ON t.oid = i.indrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
    LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u') \
    ORDER BY tree.level, i.indrelid";

/// The index and its parts, itself first.
fn parts(index: &str) -> Result<Vec<Part>> {
    let found: Vec<Part> = spi::select(PARTS, &[Arg::Text(index)])?;
    if found.is_empty() {
        return Err(Fault::new(
            state::UNDEFINED_OBJECT,
            format!("index {index} does not exist"),
        ));
    }
    Ok(found)
}

impl Part {
    fn index(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    fn take_away(&self) -> Result<()> {
        match &self.constraint {
            Some(constraint) => run(&format!(
                "ALTER TABLE {} DROP CONSTRAINT {}",
                self.table,
                ident(constraint)
            )),
            None => run(&format!("DROP INDEX {}", self.index())),
        }
    }

    /// Has the index that is called so now say of itself what this one did.
    fn says(&self) -> Result<()> {
        let (index, table) = (self.index(), &self.table);
        if let Some(comment) = &self.comment {
            run(&format!("COMMENT ON INDEX {index} IS {}", literal(comment)))?;
        }
        if let (Some(comment), Some(constraint)) = (&self.constraint_comment, &self.constraint) {
            run(&format!(
                "COMMENT ON CONSTRAINT {} ON {table} IS {}",
                ident(constraint),
                literal(comment)
            ))?;
        }
        if self.clustered {
            run(&format!(
                "ALTER TABLE {table} CLUSTER ON {}",
                ident(&self.name)
            ))?;
        }
        if self.replica_identity {
            run(&format!(
                "ALTER TABLE ONLY {table} REPLICA IDENTITY USING INDEX {}",
                ident(&self.name)
            ))?;
        }
        for target in &self.targets {
            run(&format!(
                "ALTER INDEX {index} ALTER COLUMN {} SET STATISTICS {}",
                target.number, target.target
            ))?;
        }
        Ok(())
    }
}

/// Gives the parts of `new` the names of those of `old`, which are gone, on the same tables.
fn take_names(old: &[Part], new: &[Part]) -> Result<()> {
    for was in old {
        let is = new.iter().find(|part| part.relation == was.relation);
        if let Some(is) = is.filter(|is| is.name != was.name) {
            run(&format!(
                "ALTER INDEX {} RENAME TO {}",
                is.index(),
                ident(&was.name)
            ))?;
        }
    }
    old.iter().try_for_each(Part::says)
}

/// Drops an index of a partitioned table, or the constraint it belongs to, and puts another one in
/// its place; every part gets the name of the part it replaces.
pub fn swap_partitioned_index(old: &str, new: &str) -> Result<()> {
    let (was, is) = (parts(old)?, parts(new)?);
    if let Some(whole) = was.first() {
        whole.take_away()?;
    }
    take_names(&was, &is)
}

/// The primary key of a partitioned table, and the one that takes its place.
pub struct Key<'a> {
    pub table: &'a str,
    pub constraint: &'a str,
    pub old: &'a [String],
    pub new: &'a [String],
    /// Over the new columns: all after `CONSTRAINT name`.
    pub definition: &'a str,
    /// Its index, after `ON table`.
    pub index: &'a str,
    /// The deferral, with a space before it.
    pub tail: &'a str,
}

/// Puts a primary key over the new columns in place of the old one, of unique indexes that the
/// leaves have; foreign keys to it are made anew, unchecked.
pub fn swap_partitioned_key(key: &Key) -> Result<()> {
    let table = key.table;
    let tree = Live.partitions(table)?;
    let Some(schema) = tree.first().map(|root| root.schema.clone()) else {
        return Err(Fault::internal(format!("{table} has no partitions")));
    };
    let old = parts(&qualified(&schema, key.constraint))?;
    let mut found = Vec::new();
    for leaf in tree.iter().filter(|node| node.kind == "r") {
        let Some(index) = leaf.loose_index(key.index) else {
            return Err(Fault::wrong_state(format!(
                "partition {} has no index for the new primary key of {table}",
                leaf.key
            ))
            .detail("It came after the last look for such partitions.")
            .hint("CALL migrate.contract(…) again: it is built first."));
        };
        let was = old.iter().find(|part| part.table == leaf.key);
        found.push((leaf, index, was.map_or(index, |part| part.name.as_str())));
    }
    let referring = referring(table, key.old, key.new)?;
    for one in &referring {
        run(&format!(
            "ALTER TABLE {} DROP CONSTRAINT {}",
            one.table,
            ident(&one.name)
        ))?;
    }
    let name = ident(key.constraint);
    run(&format!("ALTER TABLE {table} DROP CONSTRAINT {name}"))?;
    for (leaf, index, part) in found {
        let name = ident(part);
        if index != part {
            // PostgreSQL would rename it as well, and say so.
            run(&format!(
                "ALTER INDEX {} RENAME TO {name}",
                qualified(&leaf.schema, index)
            ))?;
        }
        run(&format!(
            "ALTER TABLE {} ADD CONSTRAINT {name} PRIMARY KEY USING INDEX {name}{}",
            leaf.key, key.tail
        ))?;
    }
    // Takes over what the leaves have, and builds nothing.
    run(&format!(
        "ALTER TABLE {table} ADD CONSTRAINT {name} {}",
        key.definition
    ))?;
    let new = parts(&qualified(&schema, key.constraint))?;
    take_names(&old, &new)?;
    for one in &referring {
        let (on, name) = (&one.table, ident(&one.name));
        run(&format!(
            "ALTER TABLE {on} ADD CONSTRAINT {name} {} NOT VALID",
            one.definition
        ))?;
        if let Some(comment) = &one.comment {
            run(&format!(
                "COMMENT ON CONSTRAINT {name} ON {on} IS {}",
                literal(comment)
            ))?;
        }
    }
    Ok(())
}
