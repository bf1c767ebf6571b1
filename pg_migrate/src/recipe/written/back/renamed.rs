//! The way back of renamings.

use super::super::scene::{Known, sql};
use super::{Back, unknown};
use crate::pg::parser::tree::Action;
use crate::recipe::quote::{ident, qualified};

/// The same with the names the other way round.
pub fn rename_back(action: &Action, on: Option<&Known>) -> Back {
    let (Some(object), Some(to)) = (&action.object, &action.to) else {
        return unknown(action);
    };
    let part = action.part.as_deref().map(ident).unwrap_or_default();
    let word = action.tag.trim_start_matches("ALTER ");
    let Some((name, before)) = object.names.split_last() else {
        return unknown(action);
    };
    let with_name = |last: &str| {
        let mut names: Vec<String> = before.iter().map(|part| ident(part)).collect();
        names.push(ident(last));
        names.join(".")
    };
    Back::statement(match action.what {
        "RENAME COLUMN" => format!(
            "ALTER {word} {} RENAME COLUMN {} TO {part}",
            whole_of(action, on),
            ident(to)
        ),
        "RENAME ATTRIBUTE" => {
            format!(
                "ALTER TYPE {} RENAME ATTRIBUTE {} TO {part}",
                object.text,
                ident(to)
            )
        }
        "RENAME CONSTRAINT" => format!(
            "ALTER {word} {} RENAME CONSTRAINT {} TO {part}",
            whole_of(action, on),
            ident(to)
        ),
        _ => match object.kind {
            "policy" | "trigger" | "rule" => format!(
                "ALTER {word} {} ON {} RENAME TO {}",
                ident(to),
                on.map_or_else(|| before.join("."), |known| known.key.clone()),
                ident(name)
            ),
            "function" | "procedure" | "routine" | "aggregate" => {
                let list = object.text.split_once('(').map_or("", |(_, list)| list);
                format!(
                    "ALTER {word} {}({list} RENAME TO {}",
                    with_name(to),
                    ident(name)
                )
            }
            _ => match on {
                // Where it is found by then, whatever the search path.
                Some(known) => format!(
                    "ALTER {word} {} RENAME TO {}",
                    qualified(&known.table.schema, to),
                    ident(name)
                ),
                None => format!("ALTER {word} {} RENAME TO {}", with_name(to), ident(name)),
            },
        },
    })
}

pub fn whole_of(action: &Action, on: Option<&Known>) -> String {
    match (on, action.on.first(), &action.object) {
        (Some(known), ..) => known.key.clone(),
        (None, Some(name), _) => sql(name),
        (None, None, Some(object)) => object.text.clone(),
        _ => String::new(),
    }
}
