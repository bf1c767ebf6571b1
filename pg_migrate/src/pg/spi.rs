//! SQL from Rust. Rows come back as JSON objects and are shaped by serde, so that no room but
//! `ledger` and `catalog` deals with columns and none deals with datums.

use super::kept;
use super::settings::Scope;
use crate::fault::{Fault, Result, state};
use pgrx::datum::DatumWithOid;
use pgrx::spi::{Spi, SpiError};
use pgrx::{JsonB, pg_sys};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::ffi::CString;

/// A parameter of a statement.
#[derive(Debug, Clone)]
pub enum Arg<'a> {
    Text(&'a str),
    OptText(Option<&'a str>),
    Int(i64),
    OptInt(Option<i64>),
    Float(f64),
    Bool(bool),
    Oid(u32),
    Json(&'a Value),
    OptJson(Option<&'a Value>),
    Texts(Vec<String>),
    Ints(Vec<i64>),
    /// Places of rows: block and line pointer (from 1).
    Tids(&'a [(u32, u16)]),
}

impl<'a> Arg<'a> {
    fn datum(&self) -> DatumWithOid<'a> {
        match self {
            Arg::Text(v) => DatumWithOid::from((*v).to_owned()),
            Arg::OptText(v) => DatumWithOid::from(v.map(str::to_owned)),
            Arg::Int(v) => DatumWithOid::from(*v),
            Arg::OptInt(v) => DatumWithOid::from(*v),
            Arg::Float(v) => DatumWithOid::from(*v),
            Arg::Bool(v) => DatumWithOid::from(*v),
            Arg::Oid(v) => DatumWithOid::from(pg_sys::Oid::from(*v)),
            Arg::Json(v) => DatumWithOid::from(JsonB((*v).clone())),
            Arg::OptJson(v) => DatumWithOid::from(v.map(|v| JsonB(v.clone()))),
            Arg::Texts(v) => DatumWithOid::from(v.clone()),
            Arg::Ints(v) => DatumWithOid::from(v.clone()),
            Arg::Tids(v) => super::page::tid_array(v),
        }
    }
}

fn spi_fault(err: SpiError) -> Fault {
    Fault::internal(format!("SPI: {err}"))
}

/// Runs a statement and gives the number of rows it touched. May write; sees its own earlier writes.
pub fn run(sql: &str, args: &[Arg]) -> Result<u64> {
    Spi::connect_mut(|client| {
        let datums: Vec<_> = args.iter().map(Arg::datum).collect();
        kept::update(client, sql, &datums).map(|table| table.len() as u64)
    })
    .map_err(spi_fault)
}

/// Runs one statement of a user and lets its rows go as they come.
pub fn execute(sql: &str) -> Result<()> {
    let text = CString::new(sql)
        .map_err(|_| Fault::new(state::SYNTAX, "a statement holds a zero byte"))?;
    let code = Spi::connect_mut(|_| {
        // SAFETY: SPI is connected, the text outlives the call; errors unwind.
        unsafe {
            let options = pg_sys::SPIExecuteOptions {
                dest: pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone),
                ..pg_sys::SPIExecuteOptions::default()
            };
            pg_sys::SPI_execute_extended(text.as_ptr(), &options)
        }
    });
    match code {
        pg_sys::SPI_ERROR_COPY => Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            "COPY cannot speak with the client from here",
        )),
        pg_sys::SPI_ERROR_TRANSACTION => Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            "the transaction is the caller's and cannot be begun or ended here",
        )),
        code if code < 0 => Err(Fault::internal(format!("SPI: {code}"))),
        _ => Ok(()),
    }
}

/// The one row of a utility statement that answers with rows, as EXPLAIN does.
pub fn explain<T: DeserializeOwned>(sql: &str) -> Result<Option<T>> {
    let values = Spi::connect_mut(|client| {
        client
            .update(sql, None, &[])?
            .map(|row| row.get::<pgrx::Json>(1))
            .collect::<std::result::Result<Vec<_>, _>>()
    })
    .map_err(spi_fault)?;
    let first = values.into_iter().flatten().next();
    first
        .map(|json| serde_json::from_value(json.0))
        .transpose()
        .map_err(|err| Fault::internal(err.to_string()))
}

/// Whether this transaction, in any of its subtransactions, has written something.
pub fn has_written() -> bool {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetTopTransactionIdIfAny() != pg_sys::InvalidTransactionId }
}

/// Runs a query of ours. Its plan looks dear to PostgreSQL and its rows are few: compiling it would
/// take longer than running it, by seconds on a busy server.
fn uncompiled<T>(body: impl FnOnce() -> std::result::Result<T, SpiError>) -> Result<T> {
    let scope = Scope::new();
    scope.set("jit", "off");
    let value = body().map_err(spi_fault);
    drop(scope);
    value
}

/// Runs `SELECT` without assigning a transaction id to a transaction that has none (works on a
/// standby). Sees what this transaction has written: in a subtransaction that has not written yet
/// itself, pgrx's `select` would read with the snapshot of the outermost query, from before.
/// `sql` must be a query that can stand in a FROM clause.
pub fn select<T: DeserializeOwned>(sql: &str, args: &[Arg]) -> Result<Vec<T>> {
    if has_written() {
        return write(sql, args);
    }
    let wrapped = format!("SELECT pg_catalog.to_jsonb(q) FROM ({sql}) q");
    let values = uncompiled(|| {
        Spi::connect(|client| {
            let datums: Vec<_> = args.iter().map(Arg::datum).collect();
            kept::select(client, wrapped.as_str(), &datums)?
                .map(|row| row.get::<JsonB>(1))
                .collect::<std::result::Result<Vec<_>, _>>()
        })
    })?;
    shaped(values)
}

/// Like `select` for a data-modifying statement with RETURNING, or a SELECT that must see the
/// writes made earlier in this transaction by the same command.
pub fn write<T: DeserializeOwned>(sql: &str, args: &[Arg]) -> Result<Vec<T>> {
    let wrapped = format!("WITH q AS ({sql}) SELECT pg_catalog.to_jsonb(q) FROM q");
    let values = uncompiled(|| {
        Spi::connect_mut(|client| {
            let datums: Vec<_> = args.iter().map(Arg::datum).collect();
            kept::update(client, wrapped.as_str(), &datums)?
                .map(|row| row.get::<JsonB>(1))
                .collect::<std::result::Result<Vec<_>, _>>()
        })
    })?;
    shaped(values)
}

/// Runs a statement, data-modifying or not, that gives one row of one `jsonb` column.
pub fn value<T: DeserializeOwned>(sql: &str, args: &[Arg]) -> Result<T> {
    let value = Spi::connect_mut(|client| {
        let datums: Vec<_> = args.iter().map(Arg::datum).collect();
        client.update(sql, None, &datums)?.first().get::<JsonB>(1)
    })
    .map_err(spi_fault)?;
    shaped(vec![value])?
        .pop()
        .ok_or_else(|| Fault::internal("a statement gave no row"))
}

/// The first row of `select`, if any.
pub fn first<T: DeserializeOwned>(sql: &str, args: &[Arg]) -> Result<Option<T>> {
    Ok(select(sql, args)?.into_iter().next())
}

fn shaped<T: DeserializeOwned>(values: Vec<Option<JsonB>>) -> Result<Vec<T>> {
    values
        .into_iter()
        .map(|value| {
            let value = value.map_or(Value::Null, |json| json.0);
            serde_json::from_value(value)
                .map_err(|err| Fault::internal(format!("a row has an unexpected shape: {err}")))
        })
        .collect()
}

/// `name` as an identifier in SQL text, quoted where it must be.
pub fn ident(name: &str) -> String {
    pgrx::spi::quote_identifier(name)
}

/// `schema.name` as SQL text, quoted where it must be.
pub fn qualified(schema: &str, name: &str) -> String {
    pgrx::spi::quote_qualified_identifier(schema, name)
}

/// `text` as a string literal in SQL text.
pub fn literal(text: &str) -> String {
    pgrx::spi::quote_literal(text)
}
