//! The recipes' questions answered from the live catalog.

use super::{attached, bounds, conversion, earlier, mirror, places, relation, remake, types};
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use crate::ledger::{self, State};
use crate::pg::parser::before_collation;
use crate::pg::parser::{self, Statement};
use crate::pg::spi::{self, Arg};
use crate::pg::{analyze, subtransaction};
use crate::recipe::estimate::Size;
use crate::recipe::facts::{
    Attached, Column, Condition, Dependent, Effect, Facts, ForeignKey, IndexShape, Move, Partition,
    Retyped, Table,
};
use crate::recipe::written::Earlier;
use crate::recipe::{How, Touch, touch_trigger};
use serde::Deserialize;

const TABLE: &str = include_str!("table.sql");
const DEPENDENTS: &str = include_str!("dependents.sql");
const PARTITIONS: &str = include_str!("partitions.sql");

/// The database as it is now.
pub struct Live;

/// What cannot be told here has the careful answer.
fn careful<T>(tell: impl FnOnce() -> Result<T>, otherwise: T) -> Result<T> {
    match subtransaction::attempt(tell) {
        Err(fault) if fault.is_interruption() => Err(fault),
        told => Ok(told.unwrap_or(otherwise)),
    }
}

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
        table.empty = matches!(table.kind.as_str(), "r" | "p") && relation::is_empty(oid, "")?;
        table.hollow = match table.kind.as_str() {
            "m" => relation::has_no_page(oid)?,
            _ => table.inherited && !table.empty && relation::is_empty(oid, "ONLY ")?,
        };
        Ok(Some(table))
    }

    fn partitions(&self, table: &str) -> Result<Vec<Partition>> {
        let oid = relation::must_resolve(table)?;
        let mut found: Vec<Partition> = spi::select(PARTITIONS, &[Arg::Oid(oid)])?;
        for partition in &mut found {
            for index in &mut partition.indexes {
                index.definition = mirror::after_table(
                    &index.definition,
                    &index.name,
                    &partition.schema,
                    &partition.name,
                )?;
            }
        }
        Ok(found)
    }

    fn partition_condition(
        &self,
        table: &str,
        siblings: &[Partition],
        name: &str,
        bounds: &str,
    ) -> Result<Option<Condition>> {
        bounds::condition(table, siblings, name, bounds)
    }

    fn condition_of(&self, partition: &str) -> Result<Option<String>> {
        bounds::of_partition(partition)
    }

    fn columns_of_condition(&self, table: &str, condition: &str) -> Result<Vec<String>> {
        bounds::columns(table, condition)
    }

    fn index_shape(&self, table: &str, columns: &[Column], definition: &str) -> Result<IndexShape> {
        mirror::shape(table, columns, definition)
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

    fn search_path(&self) -> Result<Vec<String>> {
        places::search_path()
    }

    fn landing(&self, name: &str) -> Result<(String, String)> {
        places::landing(name)
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

    fn attached(&self, table: &str, columns: &[String]) -> Result<Vec<Attached>> {
        attached::attached(table, columns)
    }

    fn foreign_keys(&self, table: &str) -> Result<Vec<ForeignKey>> {
        attached::foreign_keys(table)
    }

    fn index_moved(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        moves: &[Move],
    ) -> Result<String> {
        mirror::index(table, columns, definition, moves)
    }

    fn constraint_moved(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        moves: &[Move],
    ) -> Result<String> {
        mirror::constraint(table, columns, definition, moves)
    }

    fn statistics_moved(
        &self,
        table: &str,
        columns: &[Column],
        definition: &str,
        moves: &[Move],
    ) -> Result<String> {
        mirror::statistics(table, columns, definition, moves)
    }

    fn effect(
        &self,
        table: &str,
        columns: &[Column],
        indexes: &[String],
        column: &str,
        data_type: &str,
        using: Option<&str>,
    ) -> Result<Effect> {
        mirror::effect(table, columns, indexes, column, data_type, using)
    }

    fn comparable(&self, from: &[String], to: &[String]) -> Result<()> {
        mirror::comparable(from, to)
    }

    fn cannot_be_remade(
        &self,
        table: &Table,
        changes: &[(String, String)],
        attached: &[&Attached],
    ) -> Result<Vec<String>> {
        let key = spi::qualified(&table.schema, &table.name);
        remake::cannot_be_remade(&key, &table.schema, &table.name, changes, attached)
    }

    fn time_zone(&self) -> Result<String> {
        let row: Option<Text> = spi::first(
            "SELECT pg_catalog.current_setting('TimeZone') AS value",
            &[],
        )?;
        Ok(row.and_then(|row| row.value).unwrap_or_default())
    }

    fn aside(&self, table: &str, column: &str, revision: &str) -> Result<Option<String>> {
        let parts = relation::name_parts(table)?;
        let [schema, bare] = parts.as_slice() else {
            return Ok(None);
        };
        let found = ledger::aside_of(schema, bare, Some(column))?;
        Ok(found
            .filter(|aside| aside.revision == revision)
            .map(|aside| aside.aside_name))
    }

    fn changed_by(
        &self,
        table: &str,
        column: &str,
        revision: &str,
    ) -> Result<Option<(String, String)>> {
        let others = ledger::revisions_in_flight()?.into_iter();
        let mut others =
            others.filter(|row| row.revision != revision && row.state != State::Pending);
        Ok(others
            .find(|row| {
                let touches: Vec<Touch> =
                    serde_json::from_value(row.touches.clone()).unwrap_or_default();
                touches.iter().any(|touch| {
                    touch.table == table && touch.column == column && touch.how == How::Change
                })
            })
            .map(|row| (row.revision, row.state.as_str().to_owned())))
    }

    fn expression(&self, table: &str, expression: &str, target: Option<&str>) -> Result<bool> {
        let table = (!table.is_empty()).then_some(table);
        Ok(analyze::expression(table, expression, target)?.volatile)
    }

    fn expression_over(
        &self,
        table: &str,
        columns: &[Column],
        fresh: bool,
        expression: &str,
        target: Option<&str>,
    ) -> Result<bool> {
        if !fresh {
            let oid = relation::must_resolve(table)?;
            let mut known = true;
            for column in columns {
                known = known && relation::has_column(oid, &column.name)?;
            }
            if known {
                return self.expression(table, expression, target);
            }
        }
        mirror::expression(table, columns, fresh, expression, target)
    }

    fn foreign_keys_on(&self, table: &str, constraint: &str) -> Result<Vec<ForeignKey>> {
        spi::select(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS \"table\", \
                    f.conname::text AS name \
             FROM pg_catalog.pg_constraint k \
             JOIN pg_catalog.pg_constraint f ON f.conindid = k.conindid AND f.contype = 'f' \
             JOIN pg_catalog.pg_class c ON c.oid = f.conrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE k.conrelid = $1::oid AND k.conname = $2 AND f.conparentid = 0 ORDER BY 1, 2",
            &[
                Arg::Oid(relation::must_resolve(table)?),
                Arg::Text(constraint),
            ],
        )
    }

    fn columns_read(&self, table: &str, expression: &str) -> Result<Vec<String>> {
        Ok(analyze::expression(Some(table), expression, None)?.columns)
    }

    fn is_touched(&self, table: &str, column: &str) -> Result<bool> {
        let relation = relation::must_resolve(table)?;
        let found: Option<Text> = spi::first(
            "SELECT t.tgname::text AS value FROM pg_catalog.pg_trigger t \
             JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
             WHERE t.tgrelid = $1::oid AND n.nspname = 'migrate' AND p.proname = 'touch_column' \
               AND t.tgname = $2::pg_catalog.name",
            &[Arg::Oid(relation), Arg::Text(&touch_trigger(column))],
        )?;
        Ok(found.is_some())
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

    fn statements(&self, sql: &str) -> Result<Vec<Statement>> {
        parser::split(sql, 1)
    }

    fn size(&self, relation: &str) -> Result<Option<Size>> {
        relation::size(relation)
    }

    fn tables_of_type(&self, data_type: &str) -> Result<Vec<String>> {
        types::tables_of(data_type)
    }

    fn composite(&self, data_type: &str) -> Result<Option<Vec<String>>> {
        types::composite(data_type)
    }

    fn touched_rows(&self, sql: &str) -> Result<Option<f64>> {
        let explained = subtransaction::look(|| {
            spi::explain::<serde_json::Value>(&format!("EXPLAIN (FORMAT JSON) {sql}"))
        });
        match explained {
            Ok(plan) => Ok(plan.and_then(|plan| {
                plan.pointer("/0/Plan/Plans/0/Plan Rows")
                    .and_then(serde_json::Value::as_f64)
            })),
            Err(fault) if fault.is_interruption() => Err(fault),
            // It names what earlier statements will make, or is wrong: running it will tell.
            Err(_) => Ok(None),
        }
    }

    fn scans_whole(&self, sql: &str) -> Result<bool> {
        let plan = subtransaction::look(|| {
            spi::explain::<serde_json::Value>(&format!("EXPLAIN (FORMAT JSON) {sql}"))
        })?;
        Ok(plan.is_some_and(|plan| plan.to_string().contains("\"Node Type\":\"Seq Scan\"")))
    }

    fn retyped(
        &self,
        table: &Table,
        column: &str,
        data_type: &str,
        using: Option<&str>,
    ) -> Result<Retyped> {
        careful(
            || conversion::retyped(table, column, data_type, using),
            Retyped {
                rewrites: true,
                ..Retyped::default()
            },
        )
    }

    fn fills_rows(&self, data_type: &str, default: Option<&str>) -> Result<bool> {
        careful(
            || crate::pg::conversion::fills_rows(data_type, default),
            true,
        )
    }

    fn proves(&self, table: &Table, condition: &str) -> Result<bool> {
        careful(|| conversion::proves(table, condition), false)
    }

    fn default_partition(&self, table: &str) -> Result<Option<String>> {
        let row: Option<Text> = spi::first(
            "SELECT pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) AS value \
             FROM pg_catalog.pg_partitioned_table p \
             JOIN pg_catalog.pg_class c ON c.oid = p.partdefid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE p.partrelid = $1::oid",
            &[Arg::Oid(relation::resolve(table)?.unwrap_or(0))],
        )?;
        Ok(row.and_then(|row| row.value))
    }

    fn is_already(&self, table: &str, change: &str, name: Option<&str>) -> Result<bool> {
        relation::is_already(relation::resolve(table)?.unwrap_or(0), change, name)
    }

    fn object_exists(&self, kind: &str, name: &str) -> Result<bool> {
        relation::object_exists(kind, name)
    }

    fn earlier(&self, what: &Earlier) -> Result<Option<String>> {
        earlier::earlier(what)
    }
}
