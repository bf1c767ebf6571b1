//! What names and values mean by the session's settings and the SETs of the script: which schemas
//! an unqualified name is looked for in, and the time zone.

use super::journal::Journal;
use super::session::Block;
use crate::fault::Result;
use crate::pg::parser::Statement;
use crate::pg::settings::{self, Scope};
use crate::pg::spi;
use crate::recipe::quote::{identifiers, idents};
use crate::recipe::script;
use serde::Deserialize;
use std::collections::HashMap;

/// The schemas of the search path that exist, in their order.
#[derive(Debug, Clone, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// That of this session, as it is now.
    pub fn now() -> Result<Path> {
        #[derive(Deserialize)]
        struct Row {
            schemas: Vec<String>,
        }
        let row: Option<Row> = spi::first(
            "SELECT pg_catalog.current_schemas(false)::text[] AS schemas",
            &[],
        )?;
        Ok(Path(row.map(|row| row.schemas).unwrap_or_default()))
    }

    /// The schemas of a SET that exist, or that the script has made, in the order of the SET.
    fn in_order(self, wanted: &[String], made: &[String]) -> Path {
        let mut found: Vec<String> = Vec::new();
        let mut put = |schema: &String| {
            if !found.contains(schema) {
                found.push(schema.clone());
            }
        };
        for schema in wanted {
            if schema == "$user" {
                // The one that exists and is not named.
                self.0
                    .iter()
                    .filter(|there| !wanted.contains(there))
                    .for_each(&mut put);
            } else if self.0.contains(schema) || made.contains(schema) {
                put(schema);
            }
        }
        Path(found)
    }

    pub fn schemas(&self) -> &[String] {
        &self.0
    }

    /// A name as SQL text in its parts: schema and bare name, unquoted.
    pub fn split(&self, name: &str) -> (Option<String>, String) {
        let mut parts = identifiers(name, '.');
        let bare = parts.pop().unwrap_or_default();
        (parts.pop(), bare)
    }
}

/// A setting that the script changes, as it was before.
#[derive(Debug, Clone)]
struct Value {
    name: &'static str,
    text: String,
}

/// The settings that the script has given so far. They are set for real, because PostgreSQL itself
/// is asked what names mean, and put back with the scope.
pub struct Given {
    scope: Scope,
    /// What they were when lint began.
    first: HashMap<&'static str, String>,
    /// Schemas that the script makes and that are not there yet.
    made: Vec<String>,
    journal: Journal<Value>,
    /// What they are again after COMMIT, where SET LOCAL changed them.
    outside: HashMap<&'static str, String>,
}

impl Given {
    pub fn new(scope: Scope) -> Given {
        let first = ["search_path", "timezone"].map(|name| (name, now(name)));
        Given {
            scope,
            first: first.into(),
            made: Vec::new(),
            journal: Journal::default(),
            outside: HashMap::new(),
        }
    }

    pub fn makes_schema(&mut self, schema: String) {
        self.made.push(schema);
    }

    /// Gives the search path where the statement changes it. `inside`: in a transaction.
    pub fn set(&mut self, statement: &Statement, inside: bool) -> Result<Option<Path>> {
        let Some(setting) = &statement.action.setting else {
            return Ok(None);
        };
        if setting.local && !inside {
            return Ok(None);
        }
        let text = |name: &str, value: Option<String>| match (&setting.value, value) {
            (None, _) => self.first.get(name).cloned(),
            (Some(_), value) => value,
        };
        let mut changes = Vec::new();
        if matches!(setting.name.as_str(), "search_path" | "all") {
            let schemas = script::schemas(statement);
            changes.push((
                "search_path",
                text("search_path", schemas.map(|names| idents(&names))),
            ));
        }
        if matches!(setting.name.as_str(), "timezone" | "all") {
            let zone = setting.value.as_deref().and_then(zone);
            changes.push(("timezone", text("timezone", zone)));
        }
        let mut path = false;
        for (name, value) in changes {
            let Some(value) = value else { continue };
            let before = now(name);
            if setting.local {
                self.outside.entry(name).or_insert_with(|| before.clone());
            } else {
                self.outside.remove(name);
            }
            self.journal.note(Value { name, text: before });
            self.scope.set(name, &value);
            path |= name == "search_path";
        }
        self.path(path)
    }

    /// The same after a command of transactions.
    pub fn block(&mut self, word: Block) -> Result<Option<Path>> {
        let before = match word {
            Block::Begins => {
                self.journal.begin();
                Vec::new()
            }
            Block::Savepoint(name) => {
                self.journal.savepoint(name);
                Vec::new()
            }
            Block::Releases(name) => {
                self.journal.release(name);
                Vec::new()
            }
            Block::GoesOn => Vec::new(),
            Block::BackTo(name) => self.journal.roll_back_to(name),
            Block::Commits { chain } | Block::RollsBack { chain } => {
                let mut before = self.journal.roll_back();
                if matches!(word, Block::Commits { .. }) {
                    before.clear();
                }
                let outside = self.outside.drain();
                before.extend(outside.map(|(name, text)| Value { name, text }));
                if chain {
                    self.journal.begin();
                }
                before
            }
        };
        for value in &before {
            self.scope.set(value.name, &value.text);
        }
        self.path(before.iter().any(|value| value.name == "search_path"))
    }

    fn path(&self, changed: bool) -> Result<Option<Path>> {
        if !changed {
            return Ok(None);
        }
        let mut wanted = identifiers(&now("search_path"), ',');
        wanted.retain(|schema| !schema.is_empty());
        Ok(Some(Path::now()?.in_order(&wanted, &self.made)))
    }
}

fn now(name: &str) -> String {
    settings::value(name).unwrap_or_default()
}

/// The zone of SET timezone, where it is a plain string.
fn zone(value: &str) -> Option<String> {
    let inner = value.strip_prefix('\'')?.strip_suffix('\'')?;
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_/+-".contains(letter);
    (!inner.is_empty() && inner.chars().all(plain)).then(|| inner.to_owned())
}
