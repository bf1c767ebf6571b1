//! What changing a column's type does to the indexes and the foreign keys of its table, by the
//! rules of PostgreSQL's CheckIndexCompatible and TryReuseForeignKey.

use crate::fault::Result;
use crate::pg::conversion::{self, Conversion, Typed};
use crate::pg::parser::before_collation;
use crate::pg::spi::{self, Arg};
use crate::recipe::facts::{Retyped, Table};
use serde::Deserialize;

fn typed(table: &Table) -> Vec<Typed> {
    let known = |column: &&crate::recipe::facts::Column| !column.data_type.is_empty();
    let columns = table.columns.iter().filter(known);
    columns
        .map(|column| {
            let collation = column.collation.as_ref();
            let collation = collation.map(|name| format!(" COLLATE {name}"));
            (
                column.name.clone(),
                format!("{}{}", column.data_type, collation.unwrap_or_default()),
            )
        })
        .collect()
}

/// See `Facts::retyped`.
pub fn retyped(
    table: &Table,
    column: &str,
    data_type: &str,
    using: Option<&str>,
) -> Result<Retyped> {
    let mut columns = typed(table);
    if using.is_none() {
        columns.retain(|(name, _)| name == column);
    }
    let found = conversion::conversion(&columns, &table.name, column, data_type, using)?;
    let other_operators = conversion::btree_class(found.from) != conversion::btree_class(found.to);
    Ok(Retyped {
        rewrites: found.rewrites,
        rebuilds: !found.rewrites && rebuilds(table, column, data_type, found)?,
        rechecks_keys: found.from != found.to && other_operators,
    })
}

#[derive(Deserialize)]
struct Key {
    /// Its index is always built anew: it is over expressions, partial or invalid.
    always: bool,
    /// The index has the collation of the column.
    column_collation: bool,
    class: Option<u32>,
    access_method: u32,
    /// The operators take a type of a family (any array, any enum), not one type.
    polymorphic: bool,
}

#[derive(Deserialize)]
struct Collations {
    before: i64,
    after: i64,
}

fn rebuilds(table: &Table, column: &str, data_type: &str, types: Conversion) -> Result<bool> {
    let mine: Vec<_> = table
        .indexes
        .iter()
        .filter(|index| index.columns.iter().any(|name| name == column))
        .collect();
    if mine.is_empty() {
        return Ok(false);
    }
    // An index of a partitioned table has no file that could be taken over: it is made anew, and with
    // it those of the partitions.
    if table.kind == "p" {
        return Ok(true);
    }
    let (_, clause) = before_collation(data_type);
    let clause = clause.get("collate".len()..).unwrap_or_default().trim();
    let old = table
        .column(column)
        .and_then(|column| column.collation.as_deref());
    let collation = |place: &str, alias: &str| {
        format!(
            "coalesce(pg_catalog.to_regcollation(nullif({place}, ''))::oid, {alias}.typcollation)::int8"
        )
    };
    let collations: Option<Collations> = spi::first(
        &format!(
            "SELECT {} AS before, {} AS after FROM pg_catalog.pg_type a, pg_catalog.pg_type b \
             WHERE a.oid = $3::oid AND b.oid = $4::oid",
            collation("$1", "a"),
            collation("$2", "b")
        ),
        &[
            Arg::Text(old.unwrap_or_default()),
            Arg::Text(clause),
            Arg::Oid(types.from),
            Arg::Oid(types.to),
        ],
    )?;
    let collation_changes = collations.is_none_or(|found| found.before != found.after);
    let mut listed = 0;
    if table.oid != 0 {
        let names: Vec<String> = mine.iter().map(|index| index.name.clone()).collect();
        let keys: Vec<Key> = spi::select(
            "SELECT (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR NOT i.indisvalid) AS always, \
                    k.own_collation = a.attcollation AS column_collation, k.class::int8 AS class, \
                    c.relam::int8 AS access_method, \
                    coalesce(t.typname IN ('anyarray', 'anyenum', 'anyrange', 'anymultirange', 'anyelement'), false) AS polymorphic \
             FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
             CROSS JOIN LATERAL ROWS FROM (pg_catalog.unnest(i.indkey::int2[]), pg_catalog.unnest(i.indclass::oid[]), \
                                           pg_catalog.unnest(i.indcollation::oid[])) k(number, class, own_collation) \
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number <> 0 \
             LEFT JOIN pg_catalog.pg_opclass o ON o.oid = k.class \
             LEFT JOIN pg_catalog.pg_type t ON t.oid = o.opcintype \
             WHERE i.indrelid = $1::oid AND c.relname::text = ANY ($2) \
               AND (a.attname::text = $3 OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL OR NOT i.indisvalid)",
            &[Arg::Oid(table.oid), Arg::Texts(names), Arg::Text(column)],
        )?;
        listed = keys.len();
        for key in &keys {
            let other_class = key.class.is_some_and(|class| {
                let chosen = conversion::operator_class(types.from, key.access_method) != class;
                let next = conversion::operator_class(types.to, key.access_method);
                (!chosen && next != class) || (key.polymorphic && types.from != types.to)
            });
            if key.always || other_class || (key.column_collation && collation_changes) {
                return Ok(true);
            }
        }
    }
    // Those that the script itself makes.
    let other = conversion::btree_class(types.from) != conversion::btree_class(types.to);
    Ok(listed < mine.len()
        && (collation_changes
            || other
            || mine.iter().any(|index| {
                index.definition.contains(" WHERE ") || index.definition.contains("((")
            })))
}

/// See `Facts::proves`.
pub fn proves(table: &Table, condition: &str) -> Result<bool> {
    let checks: Vec<String> = table
        .constraints
        .iter()
        .filter(|found| found.kind == "c" && found.validated)
        .filter_map(|found| {
            let text = found.definition.strip_prefix("CHECK ")?;
            let end = text.rfind(')')?;
            Some(text[..=end].to_owned())
        })
        .collect();
    let filled: Vec<&str> = table
        .columns
        .iter()
        .filter(|column| column.not_null)
        .map(|column| column.name.as_str())
        .collect();
    let known: Vec<&str> = checks.iter().map(String::as_str).collect();
    conversion::implied(&typed(table), &table.name, &known, &filled, condition)
}
