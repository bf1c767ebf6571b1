//! What the bounds of a partition demand of its rows, in PostgreSQL's own words: partitions with
//! these bounds are made of an empty mirror of the table, in a subtransaction that is rolled back.

use super::relation;
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, Arg, ident};
use crate::pg::subtransaction;
use crate::recipe::facts::{Condition, Partition};
use serde::Deserialize;
use std::collections::BTreeSet;

const MIRROR: &str = "pg_temp.pg_migrate_mirror";

#[derive(Deserialize)]
struct Text {
    value: Option<String>,
}

fn text(sql: &str, args: &[Arg]) -> Result<Option<String>> {
    Ok(spi::write::<Text>(sql, args)?
        .into_iter()
        .next()
        .and_then(|row| row.value))
}

/// The condition that the partition called `name` with these bounds would have, beside those of
/// `siblings`; `None`: any row fits. Errors: what PostgreSQL says of the bounds.
pub fn condition(
    table: &str,
    siblings: &[Partition],
    name: &str,
    bounds: &str,
) -> Result<Option<Condition>> {
    let oid = relation::must_resolve(table)?;
    subtransaction::rehearse(|| {
        spi::run("SET LOCAL client_min_messages = warning", &[])?;
        let key = text(
            "SELECT pg_catalog.pg_get_partkeydef($1::oid) AS value",
            &[Arg::Oid(oid)],
        )?
        .ok_or_else(|| Fault::internal(format!("{table} has no partition key")))?;
        spi::run(
            &format!("CREATE TEMP TABLE pg_migrate_mirror (LIKE {table}) PARTITION BY {key}"),
            &[],
        )?;
        let mut taken: BTreeSet<String> = BTreeSet::from(["pg_migrate_mirror".to_owned()]);
        let mut make = |wanted: &str, bounds: &str| -> Result<String> {
            // Under its own name, for PostgreSQL's messages.
            let name = match taken.contains(wanted) {
                true => format!("pg_migrate_mirror_{}", taken.len()),
                false => wanted.to_owned(),
            };
            let mirror = format!("pg_temp.{}", ident(&name));
            spi::run(
                &format!(
                    "CREATE TEMP TABLE {} PARTITION OF {MIRROR} {bounds}",
                    ident(&name)
                ),
                &[],
            )?;
            taken.insert(name);
            Ok(mirror)
        };
        for sibling in siblings {
            make(&sibling.name, &sibling.bounds)?;
        }
        let mirror = make(name, bounds)?;
        let found = text(
            "SELECT pg_catalog.pg_get_partition_constraintdef($1::pg_catalog.regclass) AS value",
            &[Arg::Text(&mirror)],
        )?;
        // The condition of a hash partition names its table by number.
        let own = text(
            "SELECT $1::pg_catalog.regclass::oid::text AS value",
            &[Arg::Text(MIRROR)],
        )?
        .unwrap_or_default();
        // A CHECK reads back with the collations of the columns, and with none where nothing asks
        // for one: a key of another collation is not what it says.
        let unprovable = text(
            "SELECT 'yes' AS value FROM pg_catalog.pg_partitioned_table p \
             CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(p.partattrs::int2[]), \
                                           pg_catalog.unnest(p.partcollation::oid[])) k(number, key_collation) \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = k.number AND k.number <> 0 \
             WHERE p.partrelid = $1::oid \
               AND ((p.partstrat = 'h' AND k.key_collation <> 0) \
                    OR k.key_collation <> coalesce(a.attcollation, CASE WHEN k.key_collation = 0 THEN 0 ELSE 100 END::oid)) \
             LIMIT 1",
            &[Arg::Oid(oid)],
        )?;
        Ok(found.map(|condition| Condition {
            text: condition.replace(
                &format!("satisfies_hash_partition('{own}'::oid"),
                &format!("satisfies_hash_partition('{oid}'::oid"),
            ),
            provable: unprovable.is_none(),
        }))
    })
}

/// The condition that a table fulfils as a partition of those above it; `None`: none.
pub fn of_partition(table: &str) -> Result<Option<String>> {
    let oid = relation::must_resolve(table)?;
    text(
        "SELECT pg_catalog.pg_get_partition_constraintdef($1::oid) AS value",
        &[Arg::Oid(oid)],
    )
}

/// The columns that a condition over a row of the table mentions.
pub fn columns(table: &str, condition: &str) -> Result<Vec<String>> {
    subtransaction::rehearse(|| {
        spi::run("SET LOCAL client_min_messages = warning", &[])?;
        spi::run(
            &format!("CREATE TEMP TABLE pg_migrate_mirror (LIKE {table}, CHECK ({condition}))"),
            &[],
        )?;
        let rows: Vec<Text> = spi::write(
            "SELECT a.attname AS value FROM pg_catalog.pg_constraint k \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) \
             WHERE k.conrelid = $1::pg_catalog.regclass AND k.contype = 'c' ORDER BY a.attnum",
            &[Arg::Text(MIRROR)],
        )?;
        Ok(rows.into_iter().filter_map(|row| row.value).collect())
    })
}
