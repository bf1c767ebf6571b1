//! The way back of a statement as written: what the catalog says was there before, or why there is
//! none.

mod renamed;
mod types;

use super::effect::Effect;
use super::scene::{Known, Scene, sql};
use crate::document::model::{Operation, Sql};
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Index, Named, Node, Statement};
use crate::recipe::names;
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, qualified};
use renamed::rename_back;
use types::type_value_back;

/// A question about what is there now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// `definition`, `owner`, `comment`, `options`, …: see `catalog`.
    pub what: &'static str,
    /// As `pg_get_object_address` takes it.
    pub kind: &'static str,
    pub names: Vec<String>,
    pub arguments: Vec<String>,
    /// As DDL names it, with its kind: `FUNCTION f(integer)`.
    pub text: String,
    /// The column, trigger, parameters, … in question.
    pub parts: Vec<String>,
}

impl Earlier {
    pub fn of(what: &'static str, object: &Named) -> Earlier {
        Earlier {
            what,
            kind: object.kind,
            names: object.names.clone(),
            arguments: object.arguments.clone(),
            text: format!("{} {}", object.word, object.text),
            parts: Vec::new(),
        }
    }

    /// About a relation, which `key` names as SQL text.
    pub fn relation(what: &'static str, word: &str, key: &str, parts: &[&str]) -> Earlier {
        Earlier {
            what,
            text: format!("{word} {key}"),
            names: vec![key.to_owned()],
            parts: parts.iter().map(|part| (*part).to_owned()).collect(),
            ..Earlier::default()
        }
    }
}

/// How a statement is taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Back {
    /// There is nothing to take back.
    Nothing,
    /// One or more statements; the operations that do the same after the contract, if they are
    /// others than the statements themselves.
    Statements(String, Vec<Operation>),
    /// There is none, and why.
    OneWay(String),
}

impl Back {
    pub fn statement(sql: impl Into<String>) -> Back {
        Back::Statements(sql.into(), Vec::new())
    }

    pub fn none(why: impl Into<String>) -> Back {
        Back::OneWay(why.into())
    }

    /// `None`: there was nothing before that a statement could put back.
    fn known(found: Option<String>, action: &Action) -> Back {
        found.map_or_else(|| unknown(action), Back::statement)
    }
}

fn unknown(action: &Action) -> Back {
    Back::none(format!("no way back is known of {}", action.tag))
}

const DATA: &str = "it changes rows; give down to be able to take it back";

impl Planner<'_> {
    pub fn way_back(&mut self, op: &Sql, statement: &Statement, effect: &Effect) -> Result<Back> {
        let action = &statement.action;
        let on = self.named(&action.on)?;
        if effect.passing || effect.idle {
            return Ok(Back::Nothing);
        }
        let fresh = !on.is_empty() && on.iter().all(|known| known.table.fresh);
        let leaves = !matches!(action.what, "RENAME" | "SET SCHEMA")
            && !action.tag.ends_with(" PUBLICATION");
        if fresh && leaves {
            // It leaves with its table.
            return Ok(Back::Nothing);
        }
        let whole = action
            .object
            .as_ref()
            .map(|object| match object.relation() {
                Some(relation) => sql(&relation),
                None => object.text.clone(),
            });
        for name in whole.into_iter().chain(action.on.iter().map(sql)) {
            // It leaves with what this migration makes.
            if self.is_made_here(&name)? {
                return Ok(Back::Nothing);
            }
        }
        if !action.changes.is_empty() {
            return match (on.first(), &action.object) {
                (Some(known), _) => self.changes_back(action, known),
                (None, Some(object)) => self.type_back(action, object),
                (None, None) => Ok(unknown(action)),
            };
        }
        match action.what {
            "RENAME" | "RENAME COLUMN" | "RENAME ATTRIBUTE" | "RENAME CONSTRAINT" => {
                return Ok(rename_back(action, on.first()));
            }
            "OWNER TO" => return self.earlier_of("owner", action),
            "SET SCHEMA" => return self.schema_back(action, on.first()),
            _ => {}
        }
        self.by_tag(op, statement, &on)
    }

    fn by_tag(&mut self, op: &Sql, statement: &Statement, on: &[Known]) -> Result<Back> {
        let action = &statement.action;
        let part = action.part.as_deref().unwrap_or_default();
        let on_table = |word: &'static str, kind: &'static str| {
            on.first().map(|known| Named {
                kind,
                word,
                names: vec![
                    known.table.schema.clone(),
                    known.table.name.clone(),
                    part.to_owned(),
                ],
                arguments: Vec::new(),
                text: format!("{} ON {}", ident(part), known.key),
            })
        };
        Ok(match action.tag.as_str() {
            "CREATE TABLE" | "CREATE TABLE AS" | "SELECT INTO" | "CREATE VIEW"
                if action.what == "TEMPORARY" =>
            {
                Back::Nothing
            }
            "CREATE INDEX" => match (&statement.node, on.first()) {
                (Node::CreateIndex(index), Some(known)) => {
                    let name = index_name(index, known);
                    Back::statement(format!(
                        "DROP INDEX {}",
                        qualified(&known.table.schema, &name)
                    ))
                }
                _ => unknown(action),
            },
            "CREATE FUNCTION" | "CREATE PROCEDURE" => match &action.object {
                Some(object) => match self.facts.earlier(&Earlier::of("routine", object))? {
                    Some(before) => Back::statement(before),
                    None => Back::statement(format!("DROP {} {}", object.word, object.text)),
                },
                None => unknown(action),
            },
            "COMMENT" => self.earlier_of("comment", action)?,
            tag if tag.starts_with("DROP ") => self.dropped_back(action)?,
            "ALTER POLICY" => self.replaced(on_table("POLICY", "policy"), action)?,
            "CREATE TRIGGER" if action.replace => {
                self.replaced(on_table("TRIGGER", "trigger"), action)?
            }
            "CREATE RULE" if action.replace => self.replaced(on_table("RULE", "rule"), action)?,
            "CREATE VIEW" if action.replace => match on.first() {
                Some(known) => Back::known(
                    self.facts
                        .earlier(&Earlier::relation("view", "VIEW", &known.key, &[]))?,
                    action,
                ),
                None => match action.on.first() {
                    Some(name) => Back::statement(format!("DROP VIEW {}", sql(name))),
                    None => unknown(action),
                },
            },
            "ALTER FUNCTION" | "ALTER PROCEDURE" | "ALTER ROUTINE" => {
                self.earlier_of("routine", action)?
            }
            "ALTER SEQUENCE" => match on.first() {
                Some(known) => Back::known(
                    self.facts.earlier(&Earlier::relation(
                        "sequence",
                        "SEQUENCE",
                        &known.key,
                        &[],
                    ))?,
                    action,
                ),
                None => unknown(action),
            },
            "ALTER STATISTICS" => self.earlier_of("statistics target", action)?,
            "ALTER PUBLICATION" => Back::known(
                self.facts.earlier(&Earlier::relation(
                    "publication",
                    "PUBLICATION",
                    part,
                    &[part],
                ))?,
                action,
            ),
            "ALTER DOMAIN" => self.domain_back(action)?,
            "CLUSTER" => match on.first() {
                Some(known) => Back::statement(clustering(known)),
                None => Back::Nothing,
            },
            "ALTER TYPE" => type_value_back(action),
            "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY" | "TRUNCATE TABLE" => {
                Back::none(DATA)
            }
            _ if op.creates.is_none() && action.if_exists => {
                Back::none("whether it made anything is not known beforehand")
            }
            _ => unknown(action),
        })
    }

    fn earlier_of(&mut self, what: &'static str, action: &Action) -> Result<Back> {
        match &action.object {
            Some(object) => Ok(Back::known(
                self.facts.earlier(&Earlier::of(what, object))?,
                action,
            )),
            None => Ok(unknown(action)),
        }
    }

    fn schema_back(&mut self, action: &Action, on: Option<&Known>) -> Result<Back> {
        let (Some(object), Some(to)) = (&action.object, &action.to) else {
            return Ok(unknown(action));
        };
        let name = object.names.last().cloned().unwrap_or_default();
        let arguments = object.text.find('(').map_or("", |at| &object.text[at..]);
        let there = match on {
            // ALTER TABLE is also said of views, sequences and their kin.
            Some(known) => format!(
                "{} {}",
                action.tag.trim_start_matches("ALTER "),
                qualified(to, &known.table.name)
            ),
            None if object.kind == "extension" => format!("EXTENSION {}", object.text),
            None => format!("{} {}{arguments}", object.word, qualified(to, &name)),
        };
        let ask = Earlier {
            text: there,
            ..Earlier::of("schema", object)
        };
        Ok(Back::known(self.facts.earlier(&ask)?, action))
    }

    /// What is changed in one piece goes back in one piece: it is dropped and made as it was.
    fn replaced(&mut self, object: Option<Named>, action: &Action) -> Result<Back> {
        let Some(object) = object else {
            return Ok(unknown(action));
        };
        let drop = format!("DROP {} {}", object.word, object.text);
        Ok(
            match self.facts.earlier(&Earlier::of("definition", &object))? {
                Some(made) => Back::statement(format!("{drop};\n{made}")),
                None if action.replace => Back::statement(drop),
                None => unknown(action),
            },
        )
    }

    fn dropped_back(&mut self, action: &Action) -> Result<Back> {
        if action.cascade {
            return Ok(Back::none("what CASCADE drops is not known beforehand"));
        }
        if matches!(action.tag.as_str(), "DROP TABLE" | "DROP FOREIGN TABLE") {
            return Ok(Back::none("it destroys the table's data for good"));
        }
        let mut made = Vec::new();
        for object in &action.dropped {
            match self.facts.earlier(&Earlier::of("definition", object))? {
                Some(definition) => made.push(definition),
                None if action.if_exists => {}
                None => return Ok(unknown(action)),
            }
        }
        made.reverse();
        Ok(match made.is_empty() {
            true if action.if_exists => Back::Nothing,
            true => unknown(action),
            false => Back::statement(made.join(";\n")),
        })
    }
}

/// The name an index has, or gets from PostgreSQL.
pub fn index_name(index: &Index, known: &Known) -> String {
    match &index.name {
        Some(name) => name.clone(),
        None => names::index(&known.table.name, &index.keys),
    }
}

/// Which index CLUSTER goes by now.
pub fn clustering(known: &Known) -> String {
    match known.table.indexes.iter().find(|index| index.clustered) {
        Some(index) => format!(
            "ALTER TABLE {} CLUSTER ON {}",
            known.key,
            ident(&index.name)
        ),
        None => format!("ALTER TABLE {} SET WITHOUT CLUSTER", known.key),
    }
}
