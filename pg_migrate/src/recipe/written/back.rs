//! The way back of a statement as written: what the catalog says was there before, or why there is
//! none.

use super::effect::Effect;
use super::scene::{Known, Scene, sql};
use crate::document::model::{Operation, Sql};
use crate::fault::Result;
use crate::pg::parser::tree::{Action, Change, CommandKind, Index, Named, Node, Statement};
use crate::recipe::names;
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, qualified};

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

    fn domain_back(&mut self, action: &Action) -> Result<Back> {
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
    fn type_back(&mut self, action: &Action, object: &Named) -> Result<Back> {
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

/// The same with the names the other way round.
fn rename_back(action: &Action, on: Option<&Known>) -> Back {
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

fn whole_of(action: &Action, on: Option<&Known>) -> String {
    match (on, action.on.first(), &action.object) {
        (Some(known), ..) => known.key.clone(),
        (None, Some(name), _) => sql(name),
        (None, None, Some(object)) => object.text.clone(),
        _ => String::new(),
    }
}

fn type_value_back(action: &Action) -> Back {
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
