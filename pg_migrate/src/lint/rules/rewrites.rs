//! The table, or its indexes, are written anew while nobody reads or writes it.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, error};
use crate::pg::parser::tree::{Change, Column, CommandKind};
use crate::recipe::names;
use crate::recipe::quote::ident;
use crate::recipe::types::rename_identifier;
use crate::recipe::written::{Scene, Work};

const VOLATILE_DEFAULT: Rule = error(
    "volatile-default",
    "a new column's default gives each row another value, so every row is written anew",
);
const STORED_GENERATED: Rule = error(
    "stored-generated-column",
    "a new stored generated column is computed for every row",
);
const IDENTITY: Rule = error(
    "identity-column",
    "a new identity or serial column numbers every row",
);
const DOMAIN_COLUMN: Rule = error(
    "constrained-domain-column",
    "a new column of a domain with constraints has every row checked and written",
);
const TYPE_REWRITES: Rule = error(
    "type-change-rewrites",
    "the new type stores values otherwise, so every row and index is written anew",
);
const TYPE_REBUILDS: Rule = error(
    "type-change-rebuilds-indexes",
    "the new type or collation sorts otherwise, so the column's indexes are built anew",
);
const SET_LOGGED: Rule = error("set-logged", "SET LOGGED or UNLOGGED writes the table anew");
const SET_ACCESS_METHOD: Rule = error(
    "set-access-method",
    "another access method writes the table anew",
);
const SET_TABLESPACE: Rule = error(
    "set-tablespace",
    "another tablespace copies the whole table",
);
const SET_EXPRESSION: Rule = error(
    "set-expression",
    "another expression of a generated column is computed for every row",
);
const VACUUM_FULL: Rule = error("vacuum-full", "VACUUM FULL writes the table anew");
const CLUSTER: Rule = error("cluster", "CLUSTER writes the table anew");

pub const FAMILY: Family = Family {
    name: "rewrites",
    rules: &[
        &VOLATILE_DEFAULT,
        &STORED_GENERATED,
        &IDENTITY,
        &DOMAIN_COLUMN,
        &TYPE_REWRITES,
        &TYPE_REBUILDS,
        &SET_LOGGED,
        &SET_ACCESS_METHOD,
        &SET_TABLESPACE,
        &SET_EXPRESSION,
        &VACUUM_FULL,
        &CLUSTER,
    ],
    check,
};

const MEANWHILE: &str = "nobody reads or writes it meanwhile";

fn check(look: &mut Look) -> Result<()> {
    for (change, part) in look.changes() {
        if part.work == Work::Rewrites {
            subcommand(look, change)?;
        }
    }
    let all = look.action.what == "ALL IN TABLESPACE";
    if look.effect.work < Work::Rewrites && !all {
        return Ok(());
    }
    let key = look.key();
    match (look.tag(), look.action.what) {
        ("VACUUM", "FULL") if look.on.is_empty() => {
            look.say(&VACUUM_FULL, "every table of the database is written anew, one after another, and nobody reads or writes it meanwhile")
                .recipe("VACUUM (ANALYZE);".to_owned());
        }
        ("VACUUM", "FULL") => {
            look.say(
                &VACUUM_FULL,
                format!("{key} and its indexes are written anew, and {MEANWHILE}"),
            )
            .recipe(format!(
                "VACUUM (ANALYZE) {key};\n-- to give the space back: pg_repack or pg_squeeze, which let reads and writes through"
            ));
        }
        ("CLUSTER", _) => {
            look.say(
                &CLUSTER,
                format!("{key} and its indexes are written anew, and {MEANWHILE}"),
            )
            .recipe(format!(
                "-- pg_repack --table={key} --order-by=… sorts it without blocking"
            ));
        }
        ("ALTER TABLE", "ALL IN TABLESPACE") => {
            look.say(
                &SET_TABLESPACE,
                "every table of the tablespace is copied, and nobody reads or writes it meanwhile",
            );
        }
        _ => {}
    }
    Ok(())
}

pub fn is_serial(data_type: &str) -> bool {
    let word = data_type.trim().to_lowercase();
    matches!(
        word.as_str(),
        "serial" | "bigserial" | "smallserial" | "serial2" | "serial4" | "serial8"
    )
}

fn subcommand(look: &mut Look, change: &Change) -> Result<()> {
    let key = look.key();
    match (&change.kind, change.what) {
        (CommandKind::AddColumn { column, .. }, _) => return added(look, column),
        (
            CommandKind::SetType {
                column,
                data_type,
                using,
            },
            _,
        ) => {
            let done = match look.table() {
                Some(table) => {
                    look.world
                        .facts()
                        .retyped(table, column, data_type, using.as_deref())?
                }
                None => Default::default(),
            };
            let name = ident(column);
            if done.rewrites {
                let was = look
                    .table()
                    .and_then(|table| table.column(column))
                    .map(|found| format!("from {} ", found.data_type));
                let unsure = match was {
                    Some(_) => "",
                    None => " unless the column's type happens to be stored the same way",
                };
                let recipe = look.apply()?;
                look.say(
                    &TYPE_REWRITES,
                    format!(
                        "{key} and its indexes are written anew to change {name} {}to {data_type}{unsure}, and {MEANWHILE}",
                        was.unwrap_or_default()
                    ),
                )
                .recipe(recipe);
            } else {
                let recipe = look.apply()?;
                look.say(
                    &TYPE_REBUILDS,
                    format!("{key} keeps its rows, but the indexes on {name} are built anew, and {MEANWHILE}"),
                )
                .recipe(recipe);
            }
        }
        (_, "SET LOGGED" | "SET UNLOGGED") => {
            look.say(
                &SET_LOGGED,
                format!("{key} and its indexes are written anew, and {MEANWHILE}"),
            );
        }
        (_, "SET ACCESS METHOD") => {
            look.say(
                &SET_ACCESS_METHOD,
                format!("{key} and its indexes are written anew, and {MEANWHILE}"),
            );
        }
        (_, "SET TABLESPACE") => {
            look.say(
                &SET_TABLESPACE,
                format!("{key} is copied as a whole, and {MEANWHILE}"),
            )
            .recipe(format!(
                "-- pg_repack --table={key} --tablespace={} moves it without blocking",
                change.name.as_deref().unwrap_or("…")
            ));
        }
        (_, "SET EXPRESSION") => {
            look.say(
                &SET_EXPRESSION,
                format!("{key} and its indexes are written anew, and {MEANWHILE}"),
            );
        }
        (CommandKind::Other, "ADD COLUMN") => {
            look.say(
                &VOLATILE_DEFAULT,
                format!("{key} and its indexes are written anew, and {MEANWHILE}"),
            );
        }
        _ => {}
    }
    Ok(())
}

fn added(look: &mut Look, column: &Column) -> Result<()> {
    let key = look.key();
    let (name, data_type) = (ident(&column.name), column.data_type.as_str());
    if column.generated.is_some() {
        look.say(
            &STORED_GENERATED,
            format!("{key} and its indexes are written anew to compute {name} for every row, and {MEANWHILE}"),
        )
        .recipe(format!(
            "ALTER TABLE {key} ADD COLUMN {name} {data_type};\n\
             -- then fill it in batches, and keep it by a trigger; or compute it in a view"
        ));
    } else if column.identity.is_some() || is_serial(data_type) {
        let recipe = look.apply()?;
        look.say(
            &IDENTITY,
            format!("{key} and its indexes are written anew to number every row in {name}, and {MEANWHILE}"),
        )
        .recipe(recipe);
    } else if let Some((base, checks)) = look.world.facts().checked_domain(data_type)? {
        let recipe = with_checks(look, &column.name, &base, &checks);
        look.say(
            &DOMAIN_COLUMN,
            format!("{key} and its indexes are written anew because domain {data_type} has constraints that every row must pass, and {MEANWHILE}"),
        )
        .recipe(recipe);
    } else {
        let known = look.before.is_type(look.world, data_type)?;
        let recipe = look.apply()?;
        let because = match (known, column.default.as_deref()) {
            (false, _) => format!(
                "unless {data_type}, which is not known here, and its default have the same value in each row"
            ),
            (true, Some(default)) => {
                format!("because the default {default} gives each row a value of its own")
            }
            (true, None) => {
                format!("because the default of {data_type} gives each row a value of its own")
            }
        };
        look.say(
            &VOLATILE_DEFAULT,
            format!("{key} and its indexes are written anew {because}, and {MEANWHILE}"),
        )
        .recipe(recipe);
    }
    Ok(())
}

/// A column of the domain's base type with the domain's conditions as CHECKs of the table.
fn with_checks(look: &Look, column: &str, base: &str, checks: &str) -> String {
    let key = look.key();
    let name = ident(column);
    let add = format!("ALTER TABLE {key} ADD COLUMN {name} {base};");
    let mut parts = checks.split(", ");
    match (parts.next(), parts.next()) {
        (Some(check), None) if check.starts_with("CHECK (") => {
            let table = look.table().map_or("", |table| table.name.as_str());
            let constraint = names::constraint(table, &[column.to_owned()], "check", 0);
            let constraint = ident(&constraint);
            format!(
                "{add}\n\
                 ALTER TABLE {key} ADD CONSTRAINT {constraint} {} NOT VALID;\n\
                 ALTER TABLE {key} VALIDATE CONSTRAINT {constraint};",
                rename_identifier(check, "value", column)
            )
        }
        _ => format!(
            "{add}\n-- and the domain's rule as constraints of the table, NOT VALID and then validated: {checks}"
        ),
    }
}
