//! Procedures: they commit as they go.

use super::lint;
use crate::engine::{self, Scope};
use crate::fault::{Fault, Result};
use crate::ledger;
use crate::pg::procedure::NonAtomic;
use crate::pg::{error, subtransaction, utility};
use pgrx::pg_sys;
use pgrx::prelude::*;
use std::time::Duration;

fn procedure(fcinfo: pg_sys::FunctionCallInfo, body: impl FnOnce(&mut NonAtomic) -> Result<()>) {
    let own = utility::own();
    let outcome = NonAtomic::connect(fcinfo).and_then(|mut transactions| {
        engine::refuse_on_standby()?;
        body(&mut transactions)
    });
    drop(own);
    error::or_raise(outcome);
}

fn limit(seconds: Option<i32>) -> Result<Option<Duration>> {
    seconds
        .map(|seconds| {
            u64::try_from(seconds)
                .map(Duration::from_secs)
                .map_err(|_| Fault::invalid("max_seconds must not be negative"))
        })
        .transpose()
}

fn required(value: Option<String>, name: &str, example: &str) -> Result<String> {
    value.ok_or_else(|| {
        Fault::invalid(format!("{name} must not be null")).hint(format!("For example: {example}"))
    })
}

/// What of the migrations that are to come runs as it is written and hurts. What is wrong with a
/// target or a document is told when it is driven.
fn tell_hazards(target: &str) -> Result<()> {
    let told = subtransaction::attempt(|| {
        let graph = engine::graph()?;
        for id in graph.upgrade_path(target)? {
            let pending = graph
                .node(&id)
                .is_some_and(|node| node.state == ledger::State::Pending);
            if pending {
                lint::notices(&engine::named_or_read(&id)?)?;
            }
        }
        Ok(())
    });
    match told {
        Err(fault) if fault.is_interruption() => Err(fault),
        _ => Ok(()),
    }
}

/// Brings the database up to `target` in the foreground: applies what is pending, resumes what was
/// interrupted, drives what is queued.
#[pg_extern(
    schema = "migrate",
    sql = "CREATE PROCEDURE migrate.upgrade(target text DEFAULT 'heads', max_seconds int DEFAULT NULL) \
           LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn upgrade(target: Option<String>, max_seconds: Option<i32>, fcinfo: pg_sys::FunctionCallInfo) {
    procedure(fcinfo, |transactions| {
        let target = required(target, "target", "CALL migrate.upgrade('heads');")?;
        tell_hazards(&target)?;
        engine::upgrade(transactions, &target, limit(max_seconds)?)
    });
}

/// Ends a migration: verifies, then removes the old shape.
#[pg_extern(
    schema = "migrate",
    sql = "CREATE PROCEDURE migrate.contract(revision text) LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn contract(revision: Option<String>, fcinfo: pg_sys::FunctionCallInfo) {
    procedure(fcinfo, |transactions| {
        let revision = required(revision, "revision", "CALL migrate.contract('0007');")?;
        engine::contract(transactions, &revision)
    });
}

/// Takes migrations back.
#[pg_extern(
    schema = "migrate",
    sql = "CREATE PROCEDURE migrate.downgrade(target text) LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn downgrade(target: Option<String>, fcinfo: pg_sys::FunctionCallInfo) {
    procedure(fcinfo, |transactions| {
        let target = required(target, "target", "CALL migrate.downgrade('-1');")?;
        engine::downgrade(transactions, &target)
    });
}

/// Drives everything that is queued and that the caller may drive, at most for `max_seconds`; a
/// step that failed is left to `upgrade` and `repair`. For workers and pg_cron.
#[pg_extern(
    schema = "migrate",
    sql = "CREATE PROCEDURE migrate.work(max_seconds int DEFAULT NULL) LANGUAGE c AS 'MODULE_PATHNAME', '@FUNCTION_NAME@';"
)]
fn work(max_seconds: Option<i32>, fcinfo: pg_sys::FunctionCallInfo) {
    procedure(fcinfo, |transactions| {
        let scope = Scope {
            limit: limit(max_seconds)?,
            ..Scope::default()
        };
        engine::drive(transactions, &scope)
    });
}
