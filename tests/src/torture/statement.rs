//! The statements of the clients, each with what must come of it.

use rand::Rng;
use rand::rngs::StdRng;

use super::book::Changes;
use super::model::{Cell, Mapping, New, Row, Side, inserted, updated};

/// What a client knows while it writes.
#[derive(Debug, Clone, Copy)]
pub struct Knows {
    pub map: Mapping,
    pub side: Side,
    /// The new column is there and both are kept in step.
    pub both: bool,
    /// The sync trigger is at work; otherwise nothing is derived.
    pub synced: bool,
    /// An ALTER TABLE has written every row anew.
    pub rewritten: bool,
    pub parts: i32,
}

/// One statement and the rows it must give back: for each key what it may hold.
pub struct Statement {
    pub sql: String,
    /// Rows of COPY's input; `sql` is then the COPY.
    pub input: Option<String>,
    pub expected: Vec<(i64, Vec<Row>)>,
    /// Keys that are gone afterwards.
    pub gone: Vec<i64>,
}

pub fn literal(cell: &Cell) -> String {
    match cell {
        Some(text) => format!("'{text}'"),
        None => "NULL".to_owned(),
    }
}

/// A value of the side, now and then NULL or one that is stored out of line.
pub fn value(random: &mut StdRng, map: Mapping, new: bool, n: u64) -> Cell {
    if random.random_ratio(1, 12) {
        return None;
    }
    let long = random.random_ratio(1, 15);
    let filler = if long {
        "x".repeat(2500)
    } else {
        String::new()
    };
    Some(match (map, new) {
        (Mapping::Copy, _) => format!("v{n}{filler}"),
        (Mapping::Lossy, false) => format!("{n}{filler}.{}", random.random_range(0..10)),
        (Mapping::Lossy, true) => format!("{n}{filler}"),
        (Mapping::Nulls, false) if random.random_ratio(1, 10) => "void".to_owned(),
        (Mapping::Nulls, true) if random.random_ratio(1, 10) => "NONE".to_owned(),
        (Mapping::Nulls, false) => format!("v{n}{filler}"),
        (Mapping::Nulls, true) => format!("V{n}{}", filler.to_uppercase()),
    })
}

pub const COLUMNS: &str = "id, part, other, split_part(left(fat, 30), '-', 1), old";

/// The SQL of a value of `fat`; see `check`.
pub fn fat(n: i64) -> String {
    format!("repeat('{n}-', 700)")
}

fn returning(knows: Knows) -> String {
    format!(
        "RETURNING {COLUMNS}{}",
        if knows.both { ", new" } else { "" }
    )
}

/// What a client that does not know the new column, or while nothing is derived, leaves there.
fn settled(knows: Knows, row: &Row, outcomes: Vec<(Cell, Cell)>) -> Vec<Row> {
    outcomes
        .into_iter()
        .map(|(old, new)| Row {
            old,
            new: if knows.both && knows.synced {
                New::Is(new)
            } else {
                New::Unfilled
            },
            ..row.clone()
        })
        .collect()
}

fn given(random: &mut StdRng, knows: Knows, n: u64) -> (Option<Cell>, Option<Cell>) {
    let old = |random: &mut StdRng| Some(value(random, knows.map, false, n));
    if !(knows.both && knows.synced) {
        return (old(random), None);
    }
    match random.random_range(0..10) {
        0..4 => (old(random), None),
        4..8 => (None, Some(value(random, knows.map, true, n))),
        _ => {
            let old = value(random, knows.map, false, n);
            let new = if random.random_bool(0.5) {
                knows.map.up(&old)
            } else {
                value(random, knows.map, true, n + 1)
            };
            (Some(old), Some(new))
        }
    }
}

fn fresh_row(random: &mut StdRng, knows: Knows, n: u64) -> Row {
    Row {
        part: random.random_range(0..knows.parts.max(1)),
        other: 0,
        fat: (n % 1_000_000) as i64,
        old: None,
        new: New::Unfilled,
    }
}

fn insert_outcome(knows: Knows, row: &Row, old: &Option<Cell>, new: &Option<Cell>) -> Vec<Row> {
    let (old, new) = (old.clone().flatten(), new.clone().flatten());
    if !knows.synced {
        return settled(knows, row, vec![(old, None)]);
    }
    settled(knows, row, vec![inserted(knows.map, knows.side, old, new)])
}

fn columns_of(old: &Option<Cell>, new: &Option<Cell>) -> (String, String) {
    let mut names = String::new();
    let mut values = String::new();
    for (name, cell) in [("old", old), ("new", new)] {
        if let Some(cell) = cell {
            names.push_str(&format!(", {name}"));
            values.push_str(&format!(", {}", literal(cell)));
        }
    }
    (names, values)
}

pub fn insert(random: &mut StdRng, knows: Knows, key: i64, n: u64) -> Statement {
    let row = fresh_row(random, knows, n);
    let (old, new) = given(random, knows, n);
    let (names, values) = columns_of(&old, &new);
    Statement {
        sql: format!(
            "INSERT INTO t (id, part, fat, kept{names}) VALUES ({key}, {}, {}, 'k{key}'{values}) {}",
            row.part,
            fat(row.fat),
            returning(knows)
        ),
        input: None,
        expected: vec![(key, insert_outcome(knows, &row, &old, &new))],
        gone: Vec::new(),
    }
}

/// `INSERT … ON CONFLICT DO UPDATE`; `existing` is what the key holds.
pub fn upsert(
    random: &mut StdRng,
    knows: Knows,
    key: i64,
    existing: Option<&Row>,
    n: u64,
) -> Statement {
    let row = existing
        .cloned()
        .unwrap_or_else(|| fresh_row(random, knows, n));
    let (old, new) = given(random, knows, n);
    let (names, values) = columns_of(&old, &new);
    let mut set = vec!["other = t.other + 1"];
    if old.is_some() {
        set.push("old = excluded.old");
    }
    if new.is_some() {
        set.push("new = excluded.new");
    }
    let expected = match existing {
        None => insert_outcome(knows, &row, &old, &new),
        Some(existing) => {
            // The proposed row has been through the trigger before the conflict shows.
            let (was_old, was_new) = (old.clone().flatten(), new.clone().flatten());
            let (o, n) = if knows.synced {
                inserted(knows.map, knows.side, was_old, was_new)
            } else {
                (was_old, was_new)
            };
            let after = Row {
                other: existing.other + 1,
                ..existing.clone()
            };
            update_outcome(
                knows,
                existing,
                &after,
                old.is_some().then_some(&o),
                new.is_some().then_some(&n),
            )
        }
    };
    Statement {
        sql: format!(
            "INSERT INTO t (id, part, fat, kept{names}) VALUES ({key}, {}, {}, 'k{key}'{values}) \
             ON CONFLICT (id, part) DO UPDATE SET {} {}",
            row.part,
            fat(row.fat),
            set.join(", "),
            returning(knows)
        ),
        input: None,
        expected: vec![(key, expected)],
        gone: Vec::new(),
    }
}

fn update_outcome(
    knows: Knows,
    before: &Row,
    after: &Row,
    old: Option<&Cell>,
    new: Option<&Cell>,
) -> Vec<Row> {
    if !knows.synced {
        let cell = old.unwrap_or(&before.old).clone();
        let mut rows = settled(knows, after, vec![(cell, None)]);
        // Nothing is derived: what was written before stays as it is.
        rows.iter_mut().for_each(|row| row.new = before.new.clone());
        return rows;
    }
    if !knows.both {
        let mut rows = settled(
            knows,
            after,
            updated(knows.map, Side::Unknown, before, old, None, knows.rewritten),
        );
        // Its new column is right if it is what the old one gives, which no other client knows yet.
        rows.dedup();
        return rows;
    }
    settled(
        knows,
        after,
        updated(knows.map, knows.side, before, old, new, knows.rewritten),
    )
}

/// An UPDATE of an existing row: of either column or both, of others only, of its key or its
/// partition; or a DELETE.
pub fn change(
    random: &mut StdRng,
    knows: Knows,
    key: i64,
    row: &Row,
    to: impl FnOnce() -> i64,
    n: u64,
) -> Statement {
    let mut after = row.clone();
    let mut gone = Vec::new();
    let mut at = key;
    let (mut old, mut new) = (None, None);
    let set = match random.random_range(0..100) {
        0..10 => {
            return Statement {
                sql: format!("DELETE FROM t WHERE id = {key} AND part = {}", row.part),
                input: None,
                expected: Vec::new(),
                gone: vec![key],
            };
        }
        10..40 => {
            after.other += 1;
            "other = other + 1".to_owned()
        }
        40..46 => {
            after.fat = (n % 1_000_000) as i64;
            format!("fat = {}", fat(after.fat))
        }
        46..52 => {
            at = to();
            gone.push(key);
            format!("id = {at}, kept = 'k{at}'")
        }
        52..60 if knows.parts > 1 => {
            after.part = (row.part + 1) % knows.parts;
            format!("part = {}", after.part)
        }
        // What is derived would be stale: see `Knows::synced`.
        52.. if !knows.synced => {
            after.other += 2;
            "other = other + 2".to_owned()
        }
        _ => {
            let (o, n) = given(random, knows, n);
            let mut set = Vec::new();
            if let Some(cell) = &o {
                set.push(format!("old = {}", literal(cell)));
            }
            if let Some(cell) = &n {
                set.push(format!("new = {}", literal(cell)));
            }
            (old, new) = (o, n);
            set.join(", ")
        }
    };
    let expected = update_outcome(knows, row, &after, old.as_ref(), new.as_ref());
    Statement {
        sql: format!(
            "UPDATE t SET {set} WHERE id = {key} AND part = {} {}",
            row.part,
            returning(knows)
        ),
        input: None,
        expected: vec![(at, expected)],
        gone,
    }
}

/// COPY of some new rows. It gives nothing back: what it writes is certain.
pub fn copy(random: &mut StdRng, knows: Knows, keys: &[i64], n: u64) -> Statement {
    let (old, new) = given(random, knows, n);
    let (names, _) = columns_of(&old, &new);
    let mut input = String::new();
    let mut expected = Vec::new();
    for (i, key) in keys.iter().enumerate() {
        let row = fresh_row(random, knows, n + i as u64);
        let fresh = |random: &mut StdRng, side: &Option<Cell>, is_new| {
            side.as_ref()
                .map(|_| value(random, knows.map, is_new, n + i as u64))
        };
        let (o, w) = (fresh(random, &old, false), fresh(random, &new, true));
        input.push_str(&format!(
            "{key}\t{}\t{}\tk{key}",
            row.part,
            format!("{}-", row.fat).repeat(700)
        ));
        for cell in [&o, &w].into_iter().flatten() {
            input.push('\t');
            input.push_str(cell.as_deref().unwrap_or("\\N"));
        }
        input.push('\n');
        expected.push((*key, insert_outcome(knows, &row, &o, &w)));
    }
    Statement {
        sql: format!("COPY t (id, part, fat, kept{names}) FROM STDIN"),
        input: Some(input),
        expected,
        gone: Vec::new(),
    }
}

/// A row as `RETURNING` gave it.
pub fn read(row: &[Option<&str>], both: bool) -> Option<(i64, Row)> {
    let number = |i: usize| row.get(i).copied().flatten()?.parse::<i64>().ok();
    let cell = |i: usize| row.get(i).copied().flatten().map(str::to_owned);
    Some((
        number(0)?,
        Row {
            part: i32::try_from(number(1)?).ok()?,
            other: number(2)?,
            fat: number(3)?,
            old: cell(4),
            new: if both {
                New::Is(cell(5))
            } else {
                New::Unfilled
            },
        },
    ))
}

/// What the statement has made of its rows, if that is right.
pub fn judge(
    statement: &Statement,
    found: Vec<(i64, Row)>,
    knows: Knows,
) -> Result<Changes, String> {
    let mut changes: Changes = statement.gone.iter().map(|key| (*key, None)).collect();
    if found.len() != statement.expected.len() {
        return Err(format!(
            "{} rows came of it, not {}",
            found.len(),
            statement.expected.len()
        ));
    }
    for ((key, row), (wanted, may)) in found.into_iter().zip(&statement.expected) {
        let alike = may.iter().find(|one| {
            key == *wanted
                && (one.part, one.other, one.fat) == (row.part, row.other, row.fat)
                && one.old == row.old
                && match (&one.new, &row.new) {
                    (New::Is(one), New::Is(found)) => one == found,
                    (New::Unfilled, New::Is(found)) => {
                        found.is_none() || *found == knows.map.up(&row.old)
                    }
                    (_, New::Unfilled) => true,
                }
        });
        let Some(alike) = alike else {
            return Err(format!(
                "key {key} holds {}, and may hold {}",
                short(&row),
                may.iter().map(short).collect::<Vec<_>>().join(" or ")
            ));
        };
        changes.insert(key, Some(alike.clone()));
    }
    Ok(changes)
}

/// A row without the length of its long values.
pub fn short(row: &Row) -> String {
    let cut = |cell: &Cell| match cell {
        Some(text) if text.len() > 30 => format!("'{}…' ({} bytes)", &text[..20], text.len()),
        Some(text) => format!("'{text}'"),
        None => "NULL".to_owned(),
    };
    let new = match &row.new {
        New::Is(cell) => cut(cell),
        New::Unfilled => "not filled".to_owned(),
    };
    format!(
        "(part {}, other {}, fat {}, old {}, new {new})",
        row.part,
        row.other,
        row.fat,
        cut(&row.old)
    )
}
