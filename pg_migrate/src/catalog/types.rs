//! Questions about a type.

use crate::fault::Result;
use crate::pg::spi::{self, Arg};
use serde::Deserialize;

/// The tables with a column of the type, or of a domain over it; qualified and quoted.
pub fn tables_of(data_type: &str) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Name {
        name: String,
    }
    let rows: Vec<Name> = spi::select(
        "WITH RECURSIVE types AS ( \
             SELECT pg_catalog.to_regtype($1)::oid AS oid \
             UNION SELECT t.oid FROM pg_catalog.pg_type t JOIN types ON t.typbasetype = types.oid OR t.typelem = types.oid) \
         SELECT DISTINCT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS name \
         FROM types JOIN pg_catalog.pg_attribute a ON a.atttypid = types.oid AND NOT a.attisdropped \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'm') \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace ORDER BY 1",
        &[Arg::Text(data_type)],
    )?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// See `Facts::composite`.
pub fn composite(data_type: &str) -> Result<Option<Vec<String>>> {
    #[derive(Deserialize)]
    struct Row {
        tables: Vec<String>,
    }
    let row: Option<Row> = spi::first(
        "SELECT ARRAY(SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) \
                      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                      WHERE c.reloftype = t.oid ORDER BY 1) AS tables \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_class r ON r.oid = t.typrelid \
         WHERE t.oid = pg_catalog.to_regtype($1)::oid AND r.relkind = 'c'",
        &[Arg::Text(data_type)],
    )?;
    Ok(row.map(|row| row.tables))
}
