//! Which rows of the source were written before the trigger was there.

use crate::fault::{Fault, Result, state};
use crate::pg::spi::{self, Arg};
use crate::pg::trigger;
use crate::sync::names::{SplitTrigger, split_name};
use crate::sync::program::{generation, now};
use crate::sync::version;
use serde::Deserialize;
use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// By relation and target: the generation it was looked up in, and who installed it.
    static INSTALLED: RefCell<HashMap<(u32, String), (u64, u32)>> = RefCell::default();
}

/// Whether the row version that `version` wrote is not known to have gone through the trigger that
/// keeps `target` (qualified) in step with `relation`. Where transaction ids have wrapped around nothing is known of any: a number may be one
/// of an earlier round.
pub fn unseen(relation: u32, target: &str, version: u32) -> Result<bool> {
    let first_epoch = trigger::first_epoch();
    if !first_epoch {
        return Ok(true);
    }
    let key = (relation, target.to_owned());
    let known = INSTALLED.with(|all| all.borrow().get(&key).copied());
    let installed = match known {
        Some((generation, installed)) if generation == now() => installed,
        _ => {
            let generation = generation(relation);
            let installed = installed_by(relation, target)?;
            INSTALLED.with(|all| all.borrow_mut().insert(key, (generation, installed)));
            installed
        }
    };
    Ok(version::predates(version, false, installed, first_epoch))
}

fn installed_by(relation: u32, target: &str) -> Result<u32> {
    #[derive(Deserialize)]
    struct Found {
        oid: u32,
    }
    let found: Option<Found> = spi::first(
        "SELECT t.oid::pg_catalog.int8 AS oid FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid OPERATOR(pg_catalog.=) $1 \
           AND t.tgname::pg_catalog.text OPERATOR(pg_catalog.=) $2",
        &[
            Arg::Oid(relation),
            Arg::Text(&split_name(target, SplitTrigger::After)),
        ],
    )?;
    match found {
        Some(found) => trigger::installed_by(found.oid),
        None => Err(Fault::new(
            state::UNDEFINED_OBJECT,
            format!("no trigger keeps {target} in step with this table"),
        )),
    }
}
