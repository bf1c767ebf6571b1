//! The way back of changes of types.

use super::{Back, Earlier, unknown};
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, CommandKind, Named};
use crate::recipe::plan::Planner;
use crate::recipe::quote::ident;

impl Planner<'_> {
    pub fn domain_back(&mut self, action: &Action) -> Result<Back> {
        let Some(object) = &action.object else {
            return Ok(unknown(action));
        };
        let head = format!("ALTER DOMAIN {}", object.text);
        let part = action.part.as_deref();
        Ok(match (action.what, part) {
            ("ADD CONSTRAINT", Some(name)) => {
                Back::statement(format!("{head} DROP CONSTRAINT {}", ident(name)))
            }
            ("VALIDATE CONSTRAINT", _) => Back::Nothing,
            ("SET DEFAULT" | "SET NOT NULL" | "DROP NOT NULL" | "DROP CONSTRAINT", _) => {
                let ask = Earlier {
                    parts: vec![action.what.to_owned(), part.unwrap_or_default().to_owned()],
                    ..Earlier::of("domain", object)
                };
                Back::known(self.facts.earlier(&ask)?, action)
            }
            _ => unknown(action),
        })
    }

    /// ALTER TYPE of a composite type.
    pub fn type_back(&mut self, action: &Action, object: &Named) -> Result<Back> {
        let name = |change: &Change| match &change.kind {
            CommandKind::AddColumn { column, .. } => column.name.clone(),
            _ => change.name.clone().unwrap_or_default(),
        };
        let dropped: Vec<String> = action
            .changes
            .iter()
            .filter(|change| change.what == "DROP COLUMN")
            .map(name)
            .collect();
        if let (Some(first), tables) = (dropped.first(), self.facts.tables_of_type(&object.text)?)
            && !tables.is_empty()
        {
            return Ok(Back::none(format!(
                "it destroys the values of attribute \"{first}\" in {}",
                tables.join(", ")
            )));
        }
        let ask = |what: &str, names: &[String]| Earlier {
            parts: std::iter::once(what.to_owned())
                .chain(names.iter().cloned())
                .collect(),
            ..Earlier::of("attribute", object)
        };
        let mut made = Vec::new();
        for change in action.changes.iter().rev() {
            let attribute = name(change);
            match change.what {
                "ADD COLUMN" => made.push(format!("DROP ATTRIBUTE {}", ident(&attribute))),
                "DROP COLUMN" => {}
                what => {
                    let mut names = vec![attribute];
                    names.extend(dropped.iter().cloned());
                    match self.facts.earlier(&ask(what, &names))? {
                        Some(text) => made.push(text),
                        None => return Ok(unknown(action)),
                    }
                }
            }
        }
        if !dropped.is_empty() {
            match self.facts.earlier(&ask("DROP COLUMN", &dropped))? {
                Some(text) => made.push(text),
                None => return Ok(unknown(action)),
            }
        }
        made.retain(|text| !text.is_empty());
        Ok(Back::statement(format!(
            "ALTER TYPE {} {}",
            object.text,
            made.join(", ")
        )))
    }
}

pub fn type_value_back(action: &Action) -> Back {
    let (Some(object), Some(to)) = (&action.object, &action.to) else {
        return unknown(action);
    };
    let literal = crate::recipe::quote::literal;
    match &action.part {
        Some(old) => Back::statement(format!(
            "ALTER TYPE {} RENAME VALUE {} TO {}",
            object.text,
            literal(to),
            literal(old)
        )),
        None => Back::none("PostgreSQL cannot take a value out of an enum"),
    }
}
