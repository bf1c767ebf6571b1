//! The database as it will be when a statement's turn comes: the catalog, and over it what the
//! statements before have made, changed and dropped. A relation that is not there is assumed: it
//! will be where the script runs.

use super::journal::Journal;
use super::search_path::Path;
use super::session::Block;
use crate::catalog::{self, Live};
use crate::fault::{Result, state};
use crate::pg::parser::tree::{Action, Name};
use crate::pg::spi::{self, Arg};
use crate::pg::subtransaction;
use crate::recipe::estimate::Size;
use crate::recipe::facts::{Facts, Table};
use crate::recipe::quote::{ident, identifiers, qualified};
use crate::recipe::written::{Known, Scene, sql};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// No table has more columns; of indexes and constraints no more are kept in mind.
pub const MOST: usize = 1700;

pub struct World {
    pub path: Path,
    tables: HashMap<String, Rc<Table>>,
    /// What names mean, as far as it was asked; forgotten when it may have changed.
    names: HashMap<String, Option<String>>,
    /// Relations of the catalog by the names of the script, under the current search path.
    catalog: HashMap<String, u32>,
    asked: bool,
    gone: HashSet<String>,
    /// Objects other than relations that the script makes, by their names as SQL text, and the kind
    /// that DROP calls them by.
    made: HashMap<String, &'static str>,
    sizes: HashMap<String, Option<Size>>,
    /// Relations that another session has locked: not to be looked at now.
    pub busy: HashSet<String>,
    /// The table an index is on.
    on: HashMap<String, Option<String>>,
    /// The partitions of tables of the catalog.
    children: HashMap<String, Vec<String>>,
    /// What kind an unknown name is assumed to be (`pg_class.relkind`); `None`: it is taken to be
    /// absent.
    assumed: Option<&'static str>,
    /// Every relation the script names.
    mentioned: HashSet<String>,
    journal: Journal<Before>,
    /// Where in the journal a relation was noted last.
    noted: HashMap<String, usize>,
}

/// What was there before a statement of the transaction changed it.
#[derive(Debug)]
enum Before {
    Relation {
        key: String,
        table: Option<Rc<Table>>,
        gone: bool,
    },
    Made(String),
}

/// A name's kind, by the statement that names it.
fn kind_of(action: &Action) -> &'static str {
    let tag = action.tag.as_str();
    match tag {
        "CREATE INDEX" => "r",
        _ if tag.ends_with(" INDEX") => "i",
        "REINDEX" if action.what == "INDEX" => "i",
        _ if tag.ends_with("MATERIALIZED VIEW") => "m",
        _ if tag.ends_with(" VIEW") => "v",
        _ if tag.ends_with(" SEQUENCE") => "S",
        _ if tag.ends_with("FOREIGN TABLE") => "f",
        _ => "r",
    }
}

impl World {
    pub fn new<'a>(path: Path, names: impl Iterator<Item = &'a Name>) -> World {
        let mentioned: HashSet<String> = names.map(sql).collect();
        World {
            path,
            tables: HashMap::new(),
            names: HashMap::new(),
            catalog: HashMap::new(),
            asked: false,
            gone: HashSet::new(),
            made: HashMap::new(),
            sizes: HashMap::new(),
            busy: HashSet::new(),
            on: HashMap::new(),
            children: HashMap::new(),
            assumed: None,
            mentioned,
            journal: Journal::default(),
            noted: HashMap::new(),
        }
    }

    /// Before a statement is looked at.
    pub fn turn(&mut self, action: &Action) {
        self.assumed = (!action.if_exists).then(|| kind_of(action));
    }

    /// After the search path has changed.
    pub fn path_changed(&mut self, path: Path) {
        self.path = path;
        self.names.clear();
        self.catalog.clear();
        self.asked = false;
    }

    /// All names of the script in one question.
    fn ask_catalog(&mut self) -> Result<()> {
        #[derive(Deserialize)]
        struct Row {
            name: String,
            oid: i64,
        }
        self.asked = true;
        let rows: Vec<Row> = spi::select(
            "SELECT q.name, q.oid FROM ( \
                 SELECT n AS name, pg_catalog.to_regclass(n)::oid::int8 AS oid FROM pg_catalog.unnest($1) n) q \
             WHERE q.oid IS NOT NULL",
            &[Arg::Texts(self.mentioned.iter().cloned().collect())],
        )?;
        self.catalog = rows
            .into_iter()
            .filter_map(|row| Some((row.name, u32::try_from(row.oid).ok()?)))
            .collect();
        Ok(())
    }

    /// The key of the relation the name means, which is in `tables` then.
    fn resolve(&mut self, name: &str) -> Result<Option<String>> {
        if let Some(found) = self.names.get(name)
            && (found.is_some() || self.assumed.is_none())
        {
            return Ok(found.clone());
        }
        let found = self.look_up(name)?;
        self.names.insert(name.to_owned(), found.clone());
        Ok(found)
    }

    fn look_up(&mut self, name: &str) -> Result<Option<String>> {
        let (schema, bare) = self.path.split(name);
        let places = match &schema {
            Some(schema) => vec![schema.clone()],
            None => self.path.schemas().to_vec(),
        };
        let temporary = schema.is_none().then(|| qualified("pg_temp", &bare));
        let made = temporary
            .into_iter()
            .chain(places.iter().map(|place| qualified(place, &bare)))
            .find(|key| self.tables.contains_key(key));
        if made.is_some() {
            return Ok(made);
        }
        if !self.asked {
            self.ask_catalog()?;
        }
        let oid = match self.catalog.get(name) {
            Some(oid) => Some(*oid),
            // Not a name of the script, but of a relation it leads to.
            None if !self.mentioned.contains(name) => catalog::resolve(name)?,
            None => None,
        };
        if let Some(oid) = oid
            && let Some((key, table)) = self.load(name, oid)?
            && !self.gone.contains(&key)
        {
            self.tables.entry(key.clone()).or_insert(Rc::new(table));
            return Ok(Some(key));
        }
        let Some(kind) = self.assumed else {
            return Ok(None);
        };
        let Some(place) = places.first() else {
            return Ok(None);
        };
        let key = qualified(place, &bare);
        let table = Table {
            schema: place.clone(),
            name: bare,
            kind: kind.to_owned(),
            populated: true,
            unlisted: true,
            ..Table::default()
        };
        self.tables.insert(key.clone(), Rc::new(table));
        Ok(Some(key))
    }

    fn load(&mut self, name: &str, oid: u32) -> Result<Option<(String, Table)>> {
        let found = match catalog::is_free(oid)? {
            true => match subtransaction::attempt(|| Live.table(name)) {
                Err(fault) if fault.sqlstate == state::LOCK_NOT_AVAILABLE => None,
                other => Some(other?),
            },
            false => None,
        };
        if let Some(found) = found {
            return Ok(found.map(|table| (qualified(&table.schema, &table.name), table)));
        }
        // What can be told without looking at it.
        Ok(catalog::outline(oid)?.map(|table| {
            let key = qualified(&table.schema, &table.name);
            self.busy.insert(key.clone());
            (key, table)
        }))
    }

    /// How big it is; `None`: it is not there, or not to be looked at now.
    pub fn size(&mut self, key: &str) -> Result<Option<Size>> {
        if let Some(size) = self.sizes.get(key) {
            return Ok(*size);
        }
        let there = self.tables.get(key).is_some_and(|table| table.oid != 0);
        let size = if there && !self.busy.contains(key) {
            match subtransaction::attempt(|| catalog::size(key)) {
                Err(fault) if fault.is_interruption() => return Err(fault),
                found => found.unwrap_or(None),
            }
        } else {
            None
        };
        self.sizes.insert(key.to_owned(), size);
        Ok(size)
    }

    pub fn table(&self, key: &str) -> Option<&Rc<Table>> {
        self.tables.get(key)
    }

    /// The relation, if it is known by now: nothing is assumed.
    pub fn there(&mut self, name: &str) -> Result<Option<Known>> {
        let assumed = self.assumed.take();
        let found = self.known(name);
        self.assumed = assumed;
        found
    }

    /// The table an index is on; `None`: not known.
    pub fn table_of_index(&mut self, key: &str) -> Result<Option<String>> {
        if let Some(found) = self.on.get(key) {
            return Ok(found.clone());
        }
        let found = Live.table_of_index(key)?;
        self.on.insert(key.to_owned(), found.clone());
        Ok(found)
    }

    /// The partitions of a table, at any depth.
    pub fn partitions(&mut self, key: &str) -> Result<Vec<String>> {
        if let Some(found) = self.children.get(key) {
            return Ok(found.clone());
        }
        let found: Vec<String> = Live
            .partitions(key)?
            .into_iter()
            .filter(|partition| partition.parent.is_some())
            .map(|partition| partition.key)
            .collect();
        self.children.insert(key.to_owned(), found.clone());
        Ok(found)
    }

    /// The tables with a foreign key to a table, and, `deep`, those that refer to them in turn.
    pub fn referring(&mut self, key: &str, deep: bool) -> Result<Vec<String>> {
        let mut found: Vec<String> = Vec::new();
        let mut open = vec![key.to_owned()];
        while let Some(next) = open.pop() {
            for foreign in Live.foreign_keys(&next)? {
                if foreign.references == next
                    && foreign.table != key
                    && !found.contains(&foreign.table)
                {
                    found.push(foreign.table.clone());
                    if deep {
                        open.push(foreign.table);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Where an unqualified new name lands.
    pub fn landing(&self, name: &Name) -> String {
        match &name.schema {
            Some(schema) => qualified(schema, &name.name),
            None => match self.path.schemas().first() {
                Some(schema) => qualified(schema, &name.name),
                None => ident(&name.name),
            },
        }
    }

    /// Changes the picture of a table.
    pub fn change(&mut self, key: &str, change: impl FnOnce(&mut Table)) {
        self.note(key);
        if let Some(table) = self.tables.get_mut(key) {
            change(Rc::make_mut(table));
        }
    }

    pub fn insert(&mut self, key: String, table: Table) {
        self.note(&key);
        self.gone.remove(&key);
        self.tables.insert(key, Rc::new(table));
        self.names.clear();
    }

    pub fn remove(&mut self, key: &str) -> Option<Rc<Table>> {
        self.note(key);
        self.gone.insert(key.to_owned());
        self.names.clear();
        self.tables.remove(key)
    }

    /// After a command of transactions: relations are as they were where it takes something back.
    pub fn block(&mut self, word: Block) {
        let before = match word {
            Block::Begins => {
                self.journal.begin();
                return;
            }
            Block::Savepoint(name) => {
                self.journal.savepoint(name);
                return;
            }
            Block::Releases(name) => {
                self.journal.release(name);
                return;
            }
            Block::GoesOn => return,
            Block::BackTo(name) => self.journal.roll_back_to(name),
            Block::Commits { chain } | Block::RollsBack { chain } => {
                let mut before = self.journal.roll_back();
                if matches!(word, Block::Commits { .. }) {
                    before.clear();
                }
                self.noted.clear();
                if chain {
                    self.journal.begin();
                }
                before
            }
        };
        for change in before {
            match change {
                Before::Relation { key, table, gone } => {
                    if gone {
                        self.gone.insert(key.clone());
                    } else {
                        self.gone.remove(&key);
                    }
                    match table {
                        Some(table) => drop(self.tables.insert(key, table)),
                        None => drop(self.tables.remove(&key)),
                    }
                }
                Before::Made(name) => drop(self.made.remove(&name)),
            }
        }
        self.names.clear();
    }

    fn note(&mut self, key: &str) {
        if !self.journal.is_open() {
            return;
        }
        let before = self.noted.get(key).and_then(|at| self.journal.noted(*at));
        if matches!(before, Some(Before::Relation { key: known, .. }) if known == key) {
            return;
        }
        self.noted.insert(key.to_owned(), self.journal.len());
        self.journal.note(Before::Relation {
            key: key.to_owned(),
            table: self.tables.get(key).map(Rc::clone),
            gone: self.gone.contains(key),
        });
    }

    pub fn put_index(&mut self, index: &str, table: &str) {
        self.on.insert(index.to_owned(), Some(table.to_owned()));
    }

    pub fn make(&mut self, kind: &'static str, name: &str) {
        if self.made.insert(name.to_owned(), kind).is_none() {
            self.journal.note(Before::Made(name.to_owned()));
        }
    }
}

impl Scene for World {
    fn facts(&self) -> &dyn Facts {
        &Live
    }

    fn known(&mut self, name: &str) -> Result<Option<Known>> {
        let Some(key) = self.resolve(name)? else {
            return Ok(None);
        };
        Ok(self.tables.get(&key).map(|table| Known {
            table: Rc::clone(table),
            key,
        }))
    }

    fn size(&mut self, key: &str) -> Result<Option<Size>> {
        World::size(self, key)
    }

    fn is_made_here(&self, name: &str) -> Result<bool> {
        Ok(self.made.contains_key(name))
    }

    fn makes_type(&self, data_type: &str) -> bool {
        let bare = data_type.split('[').next().unwrap_or_default();
        let mut parts = identifiers(bare, '.');
        let name = parts.pop().unwrap_or_default();
        let is_type = |key: &str| self.made.get(key) == Some(&"type");
        let first = self.path.schemas().first();
        match parts.pop() {
            Some(schema) => {
                is_type(&qualified(&schema, &name))
                    || (first == Some(&schema) && is_type(&ident(&name)))
            }
            None => {
                is_type(&ident(&name))
                    || first.is_some_and(|schema| is_type(&qualified(schema, &name)))
            }
        }
    }
}
