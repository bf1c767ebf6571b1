//! The recipes' questions answered from the live catalog.

use super::{mirror, relation};
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use crate::pg::analyze;
use crate::pg::parser::before_collation;
use crate::pg::spi::{self, Arg};
use crate::recipe::facts::{Column, Dependent, Facts, Table};
use serde::Deserialize;

const TABLE: &str = include_str!("table.sql");
const DEPENDENTS: &str = include_str!("dependents.sql");

/// The database as it is now.
pub struct Live;

#[derive(Deserialize)]
struct Text {
    value: Option<String>,
}

impl Facts for Live {
    fn table(&self, name: &str) -> Result<Option<Table>> {
        let Some(oid) = relation::resolve(name)? else {
            return Ok(None);
        };
        let Some(mut table) = spi::first::<Table>(TABLE, &[Arg::Oid(oid)])? else {
            return Ok(None);
        };
        for index in &mut table.indexes {
            index.definition =
                mirror::after_table(&index.definition, &index.name, &table.schema, &table.name)?;
        }
        table.empty = matches!(table.kind.as_str(), "r" | "p") && relation::is_empty(oid)?;
        Ok(Some(table))
    }

    fn similar_table(&self, name: &str) -> Result<Option<String>> {
        let Some(wanted) = relation::name_parts(name)?.pop() else {
            return Ok(None);
        };
        let names: Vec<Text> = spi::select(
            "SELECT c.relname::text AS value FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') \
               AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast', 'migrate', 'migrate_aside') \
             LIMIT 10000",
            &[],
        )?;
        let names: Vec<String> = names.into_iter().filter_map(|row| row.value).collect();
        Ok(nearest(&wanted, names.iter().map(String::as_str)).map(str::to_owned))
    }

    fn table_of_index(&self, index: &str) -> Result<Option<String>> {
        let Some(oid) = relation::resolve(index)? else {
            return Ok(None);
        };
        let row: Option<Text> = spi::first(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS value \
             FROM pg_catalog.pg_index i \
             JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE i.indexrelid = $1::oid",
            &[Arg::Oid(oid)],
        )?;
        Ok(row.and_then(|row| row.value))
    }

    fn landing(&self, name: &str) -> Result<(String, String)> {
        let parts: Vec<String> = relation::name_parts(name)?;
        match parts.as_slice() {
            [table] => {
                let row: Option<Text> =
                    spi::first("SELECT pg_catalog.current_schema()::text AS value", &[])?;
                let schema = row.and_then(|row| row.value).ok_or_else(|| {
                    Fault::new("3F000", "no schema has been selected to create in")
                        .hint("SET search_path, or qualify the name.")
                })?;
                Ok((schema, table.clone()))
            }
            [schema, table] => Ok((schema.clone(), table.clone())),
            _ => Err(Fault::invalid(format!("\"{name}\" is not a table name"))
                .hint("Write table or schema.table.")),
        }
    }

    fn column_dependents(&self, table: &str, column: &str) -> Result<Vec<Dependent>> {
        let oid = relation::must_resolve(table)?;
        #[derive(Deserialize)]
        struct Number {
            attnum: i64,
        }
        let number: Option<Number> = spi::first(
            "SELECT attnum FROM pg_catalog.pg_attribute \
             WHERE attrelid = $1::oid AND attname = $2 AND NOT attisdropped",
            &[Arg::Oid(oid), Arg::Text(column)],
        )?;
        let number = number.ok_or_else(|| {
            Fault::new(
                state::UNDEFINED_COLUMN,
                format!("column \"{column}\" of table {table} does not exist"),
            )
        })?;
        spi::select(DEPENDENTS, &[Arg::Oid(oid), Arg::Int(number.attnum)])
    }

    fn table_dependents(&self, table: &str) -> Result<Vec<Dependent>> {
        spi::select(
            DEPENDENTS,
            &[Arg::Oid(relation::must_resolve(table)?), Arg::Int(0)],
        )
    }

    fn index_with_column_renamed(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        from: &str,
        to: &str,
    ) -> Result<String> {
        mirror::index(table, columns, definition, from, to)
    }

    fn constraint_with_column_renamed(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        from: &str,
        to: &str,
    ) -> Result<String> {
        mirror::constraint(table, columns, definition, from, to)
    }

    fn expression(&self, table: &str, expression: &str, target: Option<&str>) -> Result<bool> {
        let table = (!table.is_empty()).then_some(table);
        Ok(analyze::expression(table, expression, target)?.volatile)
    }

    fn canonical_type(&self, data_type: &str) -> Result<String> {
        analyze::canonical_type(data_type)
    }

    fn toastable(&self, data_type: &str) -> Result<bool> {
        #[derive(Deserialize)]
        struct Toastable {
            value: bool,
        }
        let row: Option<Toastable> = spi::first(
            "SELECT t.typstorage <> 'p' AS value FROM pg_catalog.pg_type t \
             WHERE t.oid = pg_catalog.to_regtype($1)",
            &[Arg::Text(before_collation(data_type).0)],
        )?;
        Ok(row.is_some_and(|row| row.value))
    }

    fn relation_exists(&self, schema: &str, name: &str) -> Result<bool> {
        relation::exists(schema, name)
    }
}
