//! The part of a swap that only shows when it comes: which partitions there are by then, what their
//! indexes and foreign keys are called, and what they say of the column.

use crate::catalog::Live;
use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg, ident, literal, qualified};
use crate::pg::subtransaction;
use crate::recipe::facts::{Column, Facts};
use crate::recipe::{carry_attributes, foreign_key_definition};
use serde::Deserialize;
use std::collections::BTreeMap;

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

fn run(sql: &str) -> Result<()> {
    spi::run(sql, &[]).map(drop)
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
        run(&format!(
            "ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY USING INDEX {}{}",
            leaf.key,
            ident(part),
            ident(index),
            key.tail
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

/// A foreign key to the primary key of a partitioned table, over the new columns.
struct Referring {
    table: String,
    name: String,
    columns: Vec<String>,
    referenced: Vec<String>,
    comment: Option<String>,
    /// All after `CONSTRAINT name`.
    definition: String,
}

/// The foreign keys to the table's primary key that have one of the old columns in them, as they
/// will be over the new ones.
fn referring(table: &str, old: &[String], new: &[String]) -> Result<Vec<Referring>> {
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
