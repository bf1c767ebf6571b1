//! The settings behind the points and the mistakes. Both are a superuser's.

use super::{Mutant, Point};
use crate::fault::{Fault, Result};
use crate::pg::spi::{self, Arg};
use crate::pg::{advisory, error, settings};
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::CString;

static FAULT_POINT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static MUTANT: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// Makes the settings known to the server; called once from `_PG_init`.
pub fn register() {
    GucRegistry::define_string_guc(
        c"migrate.fault_point",
        c"Where a session of the engine is stopped, and how.",
        c"point [n] wait key | error sqlstate | kill, where n counts from 1; several are parted by commas.",
        &FAULT_POINT,
        GucContext::Suset,
        GucFlags::NO_SHOW_ALL,
    );
    GucRegistry::define_string_guc(
        c"migrate.mutant",
        c"A mistake to make on purpose.",
        c"Empty: none.",
        &MUTANT,
        GucContext::Suset,
        GucFlags::NO_SHOW_ALL,
    );
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    /// Until the advisory lock of this key is free.
    Wait(i64),
    Error(String),
    Kill,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Order {
    point: Point,
    /// The how-manieth time.
    time: u32,
    action: Action,
}

/// What the setting says, and how often each point was passed since it was set.
#[derive(Default)]
struct Standing {
    text: String,
    orders: Vec<Order>,
    passed: HashMap<Point, u32>,
}

thread_local! {
    static STANDING: RefCell<Standing> = RefCell::default();
}

/// Does at this point what the setting asks for.
pub fn at(point: Point) {
    let text = match FAULT_POINT.get() {
        Some(text) if !text.is_empty() => text.to_string_lossy().into_owned(),
        _ => return,
    };
    if let Some(action) = error::or_raise(due(point, text)) {
        act(point, &action);
    }
}

fn due(point: Point, text: String) -> Result<Option<Action>> {
    STANDING.with_borrow_mut(|standing| {
        if standing.text != text {
            *standing = Standing {
                orders: orders(&text)?,
                text,
                passed: HashMap::new(),
            };
        }
        let time = standing.passed.entry(point).or_default();
        *time += 1;
        Ok(standing
            .orders
            .iter()
            .find(|order| order.point == point && order.time == *time)
            .map(|order| order.action.clone()))
    })
}

fn act(point: Point, action: &Action) {
    match action {
        Action::Wait(key) => {
            let scope = settings::Scope::new();
            scope.set("lock_timeout", "0");
            advisory::pass(*key);
            drop(scope);
        }
        Action::Error(sqlstate) => error::raise(Fault::new(
            sqlstate,
            format!("fault point {}", point.name()),
        )),
        Action::Kill => crate::pg::wait::kill_self(),
    }
}

fn orders(text: &str) -> Result<Vec<Order>> {
    text.split(',').map(order).collect()
}

fn order(text: &str) -> Result<Order> {
    let wrong = || {
        let points: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        Fault::invalid(format!("\"{text}\" is no fault point and action"))
            .detail(format!("The points are {}.", points.join(", ")))
            .hint("SET migrate.fault_point = 'batch.filled 3 wait 42';")
    };
    let mut words = text.split_whitespace().peekable();
    let name = words.next().ok_or_else(wrong)?;
    let point = *Point::ALL
        .iter()
        .find(|point| point.name() == name)
        .ok_or_else(wrong)?;
    let time = match words.peek().and_then(|word| word.parse().ok()) {
        Some(time) => {
            words.next();
            time
        }
        None => 1,
    };
    let action = match (words.next(), words.next()) {
        (Some("wait"), Some(key)) => Action::Wait(key.parse().map_err(|_| wrong())?),
        (Some("error"), Some(sqlstate)) if sqlstate.len() == 5 => {
            Action::Error(sqlstate.to_owned())
        }
        (Some("kill"), None) => Action::Kill,
        _ => return Err(wrong()),
    };
    Ok(Order {
        point,
        time,
        action,
    })
}

/// Whether this mistake is to be made.
pub fn mistaken(mutant: Mutant) -> bool {
    let name = match MUTANT.get() {
        Some(name) if !name.is_empty() => name,
        _ => return false,
    };
    let name = name.to_string_lossy();
    if !Mutant::ALL.iter().any(|known| known.name() == name) {
        error::raise(Fault::invalid(format!("\"{name}\" is no mutant")));
    }
    mutant.name() == name
}

thread_local! {
    static ENDS: RefCell<HashMap<u32, i64>> = RefCell::default();
    static OWED: RefCell<HashMap<i64, Vec<(i64, i64)>>> = RefCell::default();
}

/// For a scan whose end is read too early: the end now, by the relation and its name in SQL.
pub fn note_end(relation: u32, name: &str) {
    #[derive(serde::Deserialize)]
    struct Size {
        blocks: i64,
    }
    let size: Result<Option<Size>> = spi::first(
        "SELECT pg_catalog.pg_relation_size($1::pg_catalog.regclass) \
         / pg_catalog.current_setting('block_size')::pg_catalog.int8 AS blocks",
        &[Arg::Text(name)],
    );
    if let Some(size) = error::or_raise(size) {
        ENDS.with_borrow_mut(|ends| ends.insert(relation, size.blocks));
    }
}

/// What was noted for the relation.
pub fn noted_end(relation: u32) -> Option<i64> {
    ENDS.with_borrow(|ends| ends.get(&relation).copied())
}

/// For a cursor that is committed before its rows: the blocks of a piece that it has passed.
pub fn owe(range: i64, first: i64, end: i64) {
    OWED.with_borrow_mut(|owed| owed.entry(range).or_default().push((first, end)));
}

/// The blocks that are owed, which the caller now fills.
pub fn settle(range: i64) -> Vec<(i64, i64)> {
    OWED.with_borrow_mut(|owed| owed.remove(&range).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_point_a_time_and_an_action() {
        assert_eq!(
            orders("batch.filled 3 wait 42, job.done kill,verify error 57014"),
            Ok(vec![
                Order {
                    point: Point::BatchFilled,
                    time: 3,
                    action: Action::Wait(42),
                },
                Order {
                    point: Point::JobDone,
                    time: 1,
                    action: Action::Kill,
                },
                Order {
                    point: Point::Verify,
                    time: 1,
                    action: Action::Error("57014".to_owned()),
                },
            ])
        );
        for wrong in [
            "",
            "batch.filled",
            "nowhere kill",
            "settle wait x",
            "settle error x",
        ] {
            assert!(orders(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn points_are_counted_anew_when_the_setting_changes() {
        let kill = |text: &str| due(Point::Settle, text.to_owned());
        assert_eq!(kill("settle 2 kill"), Ok(None));
        assert_eq!(kill("settle 2 kill"), Ok(Some(Action::Kill)));
        assert_eq!(kill("settle 1 kill"), Ok(Some(Action::Kill)));
        assert_eq!(kill("settle 1 kill"), Ok(None));
    }
}
