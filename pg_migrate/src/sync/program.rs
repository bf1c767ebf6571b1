//! What a sync trigger does, worked out from its arguments and the catalog, once per backend.

use crate::fault::{Fault, Result, state};
use crate::pg::expression::Compiled;
use crate::pg::settings::with_search_path;
use crate::pg::torture::{self, Mutant};
use crate::pg::trigger::{self, Changed, Definition, Firing, Held, Kept};
use crate::pg::tuple::{Shape, Slot, Value};
use crate::pg::{error, relation_column, spi};
use crate::sync::arguments::{self, USAGE};
use crate::sync::rules::Policy;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::thread::LocalKey;

/// The comment on a trigger whose backfill is done.
pub const FINISHED: &str = "pg_migrate: every row is filled";

/// A column, in the numbering of this relation: partitions may have others.
pub struct Column {
    pub number: i16,
    pub shape: Shape,
}

/// How one side comes from the row.
pub enum Derivation {
    Copy(i16),
    Run(Compiled),
}

impl Derivation {
    pub fn over(&self, row: Slot) -> Value {
        match self {
            Derivation::Copy(column) => row.value(*column),
            Derivation::Run(compiled) => compiled.evaluate(row),
        }
    }
}

impl Derivation {
    /// Whether nothing but `column` decides the value.
    fn is_of_alone(&self, column: i16) -> bool {
        match self {
            Derivation::Copy(source) => *source == column,
            Derivation::Run(compiled) => {
                compiled.immutable && compiled.reads.iter().all(|read| *read == column)
            }
        }
    }
}

/// The two-way part.
pub struct Old {
    pub column: Column,
    pub down: Derivation,
    pub default: Option<Compiled>,
}

impl Program {
    pub fn olds(&self) -> impl Iterator<Item = &Old> {
        self.old.iter().chain(&self.more)
    }
}

pub struct Program {
    pub old: Option<Old>,
    /// More old columns that the new one holds: all follow it together.
    pub more: Vec<Old>,
    pub new: Column,
    /// The last of the columns, in the order of the row.
    pub last: i16,
    pub up: Derivation,
    pub new_default: Option<Compiled>,
    pub policy: Policy,
    /// Other columns that `up` reads; empty where following makes no sense.
    pub sources: Vec<Column>,
    /// Each `down` reads the new column alone and gives the same every time: a null that was written
    /// on purpose has an old side that agrees with it.
    pub agreeing: bool,
    pub installed: u32,
    pub first_epoch: bool,
    pub finished: bool,
    pub is_partition: bool,
}

thread_local! {
    static PROGRAMS: Kept<Program> = Kept::new();
    /// Counts the changes after which nothing that was worked out before may be used.
    static GENERATION: Cell<u64> = const { Cell::new(0) };
    static KNOWN: RefCell<Known> = RefCell::default();
    /// Whether a program was worked out under a search path that matters to it.
    static BOUND: Cell<bool> = const { Cell::new(false) };
}

/// What programs were worked out from.
#[derive(Default)]
struct Known {
    relations: HashSet<u32>,
    /// Hashes of domains.
    types: HashSet<u32>,
    /// The search path of what is bound to one.
    path: CString,
}

/// The relations of ours are not told apart: they change rarely.
fn changed(what: Changed) {
    let ours = KNOWN.with(|known| {
        known.try_borrow().map_or(true, |known| match what {
            Changed::Relation(relation) => known.relations.contains(&relation),
            Changed::Type(hash) => known.types.contains(&hash),
            Changed::Anything => true,
        })
    });
    if ours {
        GENERATION.set(GENERATION.get() + 1);
    }
}

/// The generation in which what is worked out now about `relation` holds; watches it from now on.
pub fn generation(relation: u32) -> u64 {
    if GENERATION.get() == 0 {
        GENERATION.set(1);
        trigger::watch(changed);
    }
    KNOWN.with(|known| known.borrow_mut().relations.insert(relation));
    GENERATION.get()
}

/// Watches what an expression was planned with.
fn watch(compiled: &Compiled) {
    KNOWN.with(|known| {
        let mut known = known.borrow_mut();
        known.types.extend(&compiled.domains);
        if compiled.inlined && !BOUND.replace(true) {
            known.path = with_search_path(CStr::to_owned);
        }
    });
}

/// The current generation.
pub fn now() -> u64 {
    if BOUND.get() {
        with_search_path(|path| {
            KNOWN.with(|known| {
                if let Ok(mut known) = known.try_borrow_mut()
                    && known.path.as_c_str() != path
                {
                    known.path = path.to_owned();
                    GENERATION.set(GENERATION.get() + 1);
                }
            });
        });
    }
    GENERATION.get()
}

/// The program of this firing's trigger.
pub fn of(firing: Firing) -> Result<Held<Program>> {
    held(&PROGRAMS, firing, |definition| {
        build(firing.trigger(), definition)
    })
}

/// What is kept for this firing's trigger in this generation, or is built now.
pub fn held<T>(
    things: &'static LocalKey<Kept<T>>,
    firing: Firing,
    build: impl FnOnce(&Definition) -> Result<T>,
) -> Result<Held<T>> {
    if let Some(thing) = firing.kept(now()) {
        return Ok(thing);
    }
    let key = firing.trigger();
    let (generation, thing) = match things.with(|kept| kept.get(key, now())) {
        Some(thing) => (now(), thing),
        None => {
            // Building it may itself hear of changes: then it is built again for the next row.
            let generation = generation(firing.relation());
            let thing = build(&firing.definition())?;
            (
                generation,
                things.with(|kept| kept.keep(key, generation, thing)),
            )
        }
    };
    firing.keep(generation, thing);
    Ok(thing)
}

fn build(trigger: u32, definition: &Definition) -> Result<Program> {
    if !(definition.on_insert && definition.on_update)
        || (definition.conditional && !torture::mistaken(Mutant::UpdateOf))
    {
        return Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            "the sync trigger must fire for every INSERT and every UPDATE",
        )
        .detail(
            "With UPDATE OF or WHEN, rows that a backfill has not reached yet slip past it unfilled.",
        )
        .hint(USAGE));
    }
    let given = arguments::read(&definition.arguments)?;
    let policy = given.policy;
    let place = Place {
        relation: definition.relation,
        name: &definition.relation_name,
    };
    let new = place.column(given.new)?;
    let old = match given.old {
        Some(name) => {
            let column = place.column(name)?;
            Some(Old {
                down: place.derivation(given.down, new.number, column.number)?,
                default: Compiled::default_of(place.relation, column.number)?,
                column,
            })
        }
        None => None,
    };
    let source = old.as_ref().map_or(0, |old| old.column.number);
    let up = place.derivation(given.up, source, new.number)?;
    let mut more = Vec::new();
    for (name, down) in given.more {
        let column = place.column(name)?;
        more.push(Old {
            down: place.derivation(Some(down), new.number, column.number)?,
            default: Compiled::default_of(place.relation, column.number)?,
            column,
        });
    }
    if !more.is_empty() && (definition.is_partition || more.len() >= trigger::MOST_COLUMNS) {
        return Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            "several old columns cannot be kept in sync here",
        )
        .detail(format!(
            "The table is a partition, or they are more than {}.",
            trigger::MOST_COLUMNS
        )));
    }
    let olds: Vec<i16> = old
        .iter()
        .chain(&more)
        .map(|old| old.column.number)
        .collect();
    let sources = match (&up, policy) {
        (Derivation::Run(up), Policy::New | Policy::Raise) if !up.volatile => up
            .reads
            .iter()
            .filter(|number| **number != new.number && !olds.contains(number))
            .map(|number| place.numbered(*number))
            .collect(),
        _ => Vec::new(),
    };
    Ok(Program {
        last: olds.iter().copied().fold(new.number, i16::max),
        new_default: Compiled::default_of(place.relation, new.number)?,
        agreeing: old.is_some()
            && old
                .iter()
                .chain(&more)
                .all(|old| old.down.is_of_alone(new.number)),
        old,
        more,
        new,
        up,
        policy,
        sources,
        installed: trigger::installed_by(trigger)?,
        first_epoch: trigger::first_epoch(),
        finished: trigger::comment(trigger).is_some_and(|text| text.starts_with(FINISHED)),
        is_partition: definition.is_partition,
    })
}

struct Place<'a> {
    relation: u32,
    name: &'a str,
}

impl Place<'_> {
    fn numbered(&self, number: i16) -> Column {
        Column {
            number,
            shape: Shape::of(self.relation, number),
        }
    }

    fn column(&self, name: &str) -> Result<Column> {
        let number = column(self.relation, self.name, name)?;
        relation_column::must_be_written(self.relation, self.name, number, name)?;
        Ok(self.numbered(number))
    }

    fn derivation(&self, text: Option<&str>, source: i16, target: i16) -> Result<Derivation> {
        let compiled = match text {
            Some(text) => {
                error::to_say_more(|| Compiled::expression(self.relation, text, target).map(Some))
                    .map_err(|fault| {
                    let place = format!("In the expression {text} of the trigger.");
                    let detail = match &fault.detail {
                        Some(detail) => format!("{detail} {place}"),
                        None => place,
                    };
                    fault.detail(detail)
                })?
            }
            None => Compiled::assignment(self.relation, source, target)?,
        };
        Ok(match compiled {
            Some(compiled) => {
                watch(&compiled);
                Derivation::Run(compiled)
            }
            None => Derivation::Copy(source),
        })
    }
}

/// The number of a column; the error says what to do when it was renamed under the trigger.
pub fn column(relation: u32, relation_name: &str, name: &str) -> Result<i16> {
    relation_column::number(relation, name).ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_COLUMN,
            format!("table {relation_name} has no column \"{name}\", which its sync trigger names"),
        )
        .detail("A trigger knows its columns by the names they had when it was made.")
        .hint(format!(
            "Rename the column back, or drop the trigger and make it again: \
             SELECT migrate.drop_sync_trigger({}, 'old', 'new');",
            spi::literal(relation_name)
        ))
    })
}
