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
        c"point [n] [wait key] [error sqlstate | kill], where n counts from 1; several are parted by commas.",
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

/// What happens at a point: first a wait, if any, then the end.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Action {
    /// Until the advisory lock of this key is free.
    wait: Option<i64>,
    end: End,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    GoOn,
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
    if let Some(key) = action.wait {
        let scope = settings::Scope::new();
        scope.set("lock_timeout", "0");
        advisory::pass(key);
        drop(scope);
    }
    match &action.end {
        End::GoOn => {}
        End::Error(sqlstate) => error::raise(Fault::new(
            sqlstate,
            format!("fault point {}", point.name()),
        )),
        End::Kill => crate::pg::wait::kill_self(),
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
    let wait = match words.next_if_eq(&"wait") {
        Some(_) => Some(
            words
                .next()
                .and_then(|key| key.parse().ok())
                .ok_or_else(wrong)?,
        ),
        None => None,
    };
    let end = match (words.next(), words.next(), words.next()) {
        (None, ..) if wait.is_some() => End::GoOn,
        (Some("error"), Some(sqlstate), None) if sqlstate.len() == 5 => {
            End::Error(sqlstate.to_owned())
        }
        (Some("kill"), None, _) => End::Kill,
        _ => return Err(wrong()),
    };
    let action = Action { wait, end };
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
        let order = |point, time, wait, end| Order {
            point,
            time,
            action: Action { wait, end },
        };
        let error = End::Error("57014".to_owned());
        assert_eq!(
            orders("batch.filled 3 wait 42, job.done kill,verify wait 1 error 57014"),
            Ok(vec![
                order(Point::BatchFilled, 3, Some(42), End::GoOn),
                order(Point::JobDone, 1, None, End::Kill),
                order(Point::Verify, 1, Some(1), error),
            ])
        );
        for wrong in [
            "",
            "batch.filled",
            "nowhere kill",
            "settle wait x",
            "settle error x",
            "settle kill wait 1",
        ] {
            assert!(orders(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn points_are_counted_anew_when_the_setting_changes() {
        let struck = |text: &str| due(Point::Settle, text.to_owned()).map(|due| due.is_some());
        assert_eq!(struck("settle 2 kill"), Ok(false));
        assert_eq!(struck("settle 2 kill"), Ok(true));
        assert_eq!(struck("settle 1 kill"), Ok(true));
        assert_eq!(struck("settle 1 kill"), Ok(false));
    }
}
