//! What a split's trigger does, worked out from its arguments and the catalog, once per backend.

use super::text::{Key, Split};
use crate::fault::{Fault, Result, state};
use crate::pg::expression::Compiled;
use crate::pg::prepared::{MOST_PARAMETERS, Prepared};
use crate::pg::spi::{self, Arg};
use crate::pg::trigger::{self, Definition, Event, Held, Kept};
use crate::pg::tuple::Shape;
use crate::pg::{identity, relation_column};
use crate::sync::program::{self, Column, generation, now};
use serde::Deserialize;

/// Which end of a split a trigger is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The table that the columns leave.
    Source,
    /// The one they go to.
    Target,
    /// The one they went to and now come back from: the source only follows.
    Back,
}

impl End {
    pub fn word(self) -> &'static str {
        match self {
            End::Source => "source",
            End::Target => "target",
            End::Back => "back",
        }
    }

    fn named(word: &str) -> Option<End> {
        [End::Source, End::Target, End::Back]
            .into_iter()
            .find(|end| end.word() == word)
    }
}

/// A statement and who runs it: the owner of the table that it writes.
pub struct Step {
    pub prepared: Prepared,
    pub owner: u32,
}

pub struct Program {
    pub end: End,
    pub key: Vec<Column>,
    pub columns: Vec<Column>,
    /// At the source: makes the target's row.
    pub put: Option<Step>,
    /// Makes the other row the same, if it is there.
    pub same: Step,
    /// At the source: takes the target's row away. Else: empties the source's.
    pub gone: Step,
    /// At the target: locks the source's row, and makes room for one that is inserted.
    pub lock: Option<Step>,
    pub room: Option<Step>,
    /// The columns' defaults; `None`: none, or another one each time.
    pub defaults: Vec<Option<Compiled>>,
    pub installed: u32,
    pub first_epoch: bool,
}

thread_local! {
    static PROGRAMS: Kept<Program> = Kept::new();
}

/// The program of this firing's trigger.
pub fn of(event: Event) -> Result<Held<Program>> {
    let key = event.trigger();
    match PROGRAMS.with(|kept| kept.get(key, now())) {
        Some(program) => Ok(program),
        None => {
            let generation = generation(event.relation());
            let program = build(key, &event.definition())?;
            Ok(PROGRAMS.with(|kept| kept.keep(key, generation, program)))
        }
    }
}

#[derive(Deserialize)]
struct Place {
    oid: u32,
    name: String,
    owner: u32,
}

fn place(relation: &str) -> Result<Place> {
    let found: Option<Place> = spi::first(
        "SELECT c.oid::pg_catalog.int8 AS oid, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name, \
                c.relowner::pg_catalog.int8 AS owner \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1)",
        &[Arg::Text(relation)],
    )?;
    found.ok_or_else(|| {
        Fault::new(
            state::UNDEFINED_TABLE,
            format!("table {relation} does not exist, which a trigger keeps in step with this one"),
        )
        .hint("Rename it back, or take the migration back: CALL migrate.downgrade('-1');")
    })
}

/// The partitioned table that a partition is a part of at the top; else the table itself.
fn root(relation: u32) -> Result<String> {
    #[derive(Deserialize)]
    struct Root {
        name: String,
    }
    let found: Option<Root> = spi::first(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
         WHERE c.oid OPERATOR(pg_catalog.=) coalesce(pg_catalog.pg_partition_root($1::pg_catalog.oid::pg_catalog.regclass), $1)",
        &[Arg::Oid(relation)],
    )?;
    found
        .map(|root| root.name)
        .ok_or_else(|| Fault::internal(format!("relation {relation} has no root")))
}

fn operator(data_type: u32) -> Result<String> {
    #[derive(Deserialize)]
    struct Operator {
        text: String,
    }
    let missing = || Fault::internal(format!("type {data_type} has no equality"));
    let oid = relation_column::equality(data_type).ok_or_else(missing)?;
    let found: Option<Operator> = spi::first(
        "SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) AS text \
         FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace \
         WHERE o.oid OPERATOR(pg_catalog.=) $1",
        &[Arg::Oid(oid)],
    )?;
    found.map(|operator| operator.text).ok_or_else(missing)
}

/// What the catalog says of a column. Its name, quoted.
#[derive(Deserialize)]
struct Told {
    name: String,
    required: bool,
    defaulted: bool,
}

fn told(relation: u32) -> Result<Vec<Told>> {
    spi::select(
        "SELECT pg_catalog.quote_ident(a.attname) AS name, a.attnotnull AS required, a.atthasdef AS defaulted \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) $1 \
           AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2 AND NOT a.attisdropped",
        &[Arg::Oid(relation)],
    )
}

fn names(definition: &Definition, argument: usize) -> Result<Vec<String>> {
    let text = definition.arguments.get(argument);
    let names: Option<Vec<String>> = text.and_then(|text| serde_json::from_str(text).ok());
    names.filter(|names| !names.is_empty()).ok_or_else(|| {
        Fault::invalid(format!(
            "a trigger of table {} has lost its columns",
            definition.relation_name
        ))
        .hint("SELECT migrate.sync_split(…) makes such triggers.")
    })
}

fn build(trigger: u32, definition: &Definition) -> Result<Program> {
    let argument = |at: usize| definition.arguments.get(at).map_or("", String::as_str);
    let end = End::named(argument(0)).ok_or_else(|| {
        Fault::invalid("the first argument of the trigger is source, target or back")
            .hint("SELECT migrate.sync_split(…) makes such triggers.")
    })?;
    let own = place(&root(definition.relation)?)?;
    let other = place(argument(1))?;
    generation(other.oid);
    // The statements run with the rights of the owners: one must be allowed to write what is the
    // other's.
    if !identity::may_act_as(own.owner, other.owner) {
        return Err(Fault::new(
            state::INSUFFICIENT_PRIVILEGE,
            format!("the owner of {} has no rights in {}", own.name, other.name),
        )
        .detail("A trigger keeps both tables in step.")
        .hint("Give both tables one owner."));
    }
    let (keys, columns) = (names(definition, 2)?, names(definition, 3)?);
    if keys.len() + columns.len() > MOST_PARAMETERS {
        return Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("a table cannot be split at more than {MOST_PARAMETERS} columns"),
        ));
    }
    let numbered = |name: &String| {
        program::column(definition.relation, &definition.relation_name, name).map(|number| Column {
            number,
            shape: Shape::of(definition.relation, number),
        })
    };
    let key: Vec<Column> = keys.iter().map(numbered).collect::<Result<_>>()?;
    let moved: Vec<Column> = columns.iter().map(numbered).collect::<Result<_>>()?;
    let types = |of: &[Column]| -> Vec<u32> {
        of.iter()
            .map(|column| relation_column::data_type(definition.relation, column.number))
            .collect()
    };
    let (key_types, all_types) = (types(&key), [types(&key), types(&moved)].concat());
    let (source, target) = match end {
        End::Source => (&own, &other),
        End::Target | End::Back => (&other, &own),
    };
    let text = Split {
        source: source.name.clone(),
        target: target.name.clone(),
        key: keys
            .iter()
            .zip(&key_types)
            .map(|(name, data_type)| {
                Ok(Key {
                    column: spi::ident(name),
                    equals: operator(*data_type)?,
                })
            })
            .collect::<Result<_>>()?,
        columns: columns.iter().map(|name| spi::ident(name)).collect(),
    };
    let step = |sql: String, owner: u32| -> Result<Step> {
        let types = if sql.contains(&format!("${}", key.len() + 1)) {
            &all_types
        } else {
            &key_types
        };
        Ok(Step {
            prepared: Prepared::new(&sql, types)?,
            owner,
        })
    };
    let (at_source, at_other) = (told(source.oid)?, told(target.oid)?);
    let among = |all: &[Told], name: &String, is: fn(&Told) -> bool| {
        all.iter().any(|one| one.name == *name && is(one))
    };
    let required = |name: &&String| among(&at_other, name, |one| one.required);
    let needed: Vec<String> = text.columns.iter().filter(required).cloned().collect();
    // While columns come back, the source does not ask yet for what it will ask for.
    let kept: Vec<String> = text
        .columns
        .iter()
        .filter(|name| required(name) || among(&at_source, name, |one| one.required))
        .filter(|name| among(&at_source, name, |one| one.defaulted))
        .cloned()
        .collect();
    let at_target = end == End::Target;
    Ok(Program {
        put: match end {
            End::Source => Some(step(text.put(&needed), target.owner)?),
            _ => None,
        },
        same: match end {
            End::Source => step(text.to_target(), target.owner)?,
            _ => step(text.to_source(), source.owner)?,
        },
        gone: match end {
            End::Source => step(text.gone(), target.owner)?,
            _ => step(text.emptied(&kept), source.owner)?,
        },
        lock: match at_target {
            true => Some(step(text.locked(), source.owner)?),
            false => None,
        },
        room: match at_target {
            true => Some(step(text.yielded(), target.owner)?),
            false => None,
        },
        defaults: match at_target {
            true => moved
                .iter()
                .map(|column| Compiled::default_of(definition.relation, column.number))
                .collect::<Result<_>>()?,
            false => Vec::new(),
        },
        end,
        key,
        columns: moved,
        installed: trigger::installed_by(trigger)?,
        first_epoch: trigger::first_epoch(),
    })
}
