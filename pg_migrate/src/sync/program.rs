//! What a sync trigger does, worked out from its arguments and the catalog, once per backend.

use crate::fault::{Fault, Result, state};
use crate::pg::expression::Compiled;
use crate::pg::trigger::{self, Definition, Firing, Held, Kept};
use crate::pg::tuple::{Shape, Slot, Value};
use crate::pg::torture::{self, Mutant};
use crate::pg::{relation_column, spi};
use crate::sync::rules::Policy;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;

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
    pub up: Derivation,
    pub new_default: Option<Compiled>,
    pub policy: Policy,
    /// Other columns that `up` reads; empty where following makes no sense.
    pub sources: Vec<Column>,
    /// Each old column is what its `down` gives of the new one alone: in a row that went through the
    /// trigger both sides agree, and one whose sides do not has not been filled.
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
    static KNOWN: RefCell<HashSet<u32>> = RefCell::default();
}

/// The relations of ours are not told apart: they change rarely.
fn changed(relation: u32) {
    let ours = relation == 0
        || KNOWN.with(|known| {
            known
                .try_borrow()
                .map_or(true, |known| known.contains(&relation))
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
    KNOWN.with(|known| known.borrow_mut().insert(relation));
    GENERATION.get()
}

/// The current generation.
pub fn now() -> u64 {
    GENERATION.get()
}

/// The program of this firing's trigger.
pub fn of(firing: Firing) -> Result<Held<Program>> {
    let key = firing.trigger();
    match PROGRAMS.with(|kept| kept.get(key, now())) {
        Some(program) => Ok(program),
        None => {
            let generation = generation(firing.relation());
            let program = build(key, &firing.definition())?;
            Ok(PROGRAMS.with(|kept| kept.keep(key, generation, program)))
        }
    }
}

const USAGE: &str = "CREATE TRIGGER name BEFORE INSERT OR UPDATE ON table FOR EACH ROW EXECUTE \
    FUNCTION migrate.sync_column_trigger('old', 'new' [, 'up' [, 'down' [, 'new' or 'raise']]]); \
    or let SELECT migrate.sync_column_trigger('table', 'old', 'new') do it.";

fn build(trigger: u32, definition: &Definition) -> Result<Program> {
    if !(definition.on_insert && definition.on_update) || (definition.conditional && !torture::mistaken(Mutant::UpdateOf))
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
    let argument = |i: usize| definition.arguments.get(i).map(String::as_str);
    let given = |i: usize| argument(i).filter(|text| !text.is_empty());
    let (Some(old), Some(new)) = (argument(0), given(1)) else {
        return Err(Fault::invalid("the sync trigger needs two column names").hint(USAGE));
    };
    let policy = Policy::named(given(4).unwrap_or("new")).ok_or_else(|| {
        Fault::invalid("the sync trigger's fifth argument is new, raise or fill").hint(USAGE)
    })?;
    let place = Place {
        relation: definition.relation,
        name: &definition.relation_name,
    };
    let new = place.column(new)?;
    let old = match old {
        "" => None,
        name => Some(place.column(name)?),
    };
    let (up, old) = match old {
        Some(column) => {
            let up = place.derivation(given(2), column.number, new.number)?;
            let down = place.derivation(given(3), new.number, column.number)?;
            let default = Compiled::default_of(place.relation, column.number)?;
            (
                up,
                Some(Old {
                    column,
                    down,
                    default,
                }),
            )
        }
        None => {
            let text = given(2).ok_or_else(|| {
                Fault::invalid("without an old column the sync trigger needs an expression")
                    .hint(USAGE)
            })?;
            let up = Compiled::expression(place.relation, text, new.number)?;
            (Derivation::Run(up), None)
        }
    };
    let mut more = Vec::new();
    for pair in definition.arguments.get(5..).unwrap_or(&[]).chunks(2) {
        let [name, down] = pair else {
            return Err(Fault::invalid(
                "each further old column needs its expression",
            ));
        };
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
        column(self.relation, self.name, name).map(|number| self.numbered(number))
    }

    fn derivation(&self, text: Option<&str>, source: i16, target: i16) -> Result<Derivation> {
        Ok(match text {
            Some(text) => Derivation::Run(Compiled::expression(self.relation, text, target)?),
            None => match Compiled::assignment(self.relation, source, target)? {
                Some(compiled) => Derivation::Run(compiled),
                None => Derivation::Copy(source),
            },
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
