//! What is known of tables and columns by the turn of an operation: what the catalog says, and what the
//! operations before it make of that.

use super::Planner;
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::{Column, Dependent, Move, Table};
use crate::recipe::quote;
use crate::recipe::step::Phase;

impl Planner<'_> {
    /// The schema in which a new object of this name lands, and the bare name: one that an earlier
    /// operation makes counts where the search path names it.
    pub fn landing(&self, name: &str) -> Result<(String, String)> {
        if self.objects.makes_nothing() {
            return self.facts.landing(name);
        }
        for schema in self.facts.search_path()? {
            if self.objects.is_made(&quote::ident(&schema)) {
                let qualified = format!("{}.{name}", quote::ident(&schema));
                return match self.facts.landing(&qualified) {
                    Err(fault) if fault.is_interruption() => Err(fault),
                    // It has a schema already.
                    Err(_) => self.facts.landing(name),
                    found => found,
                };
            }
            if self.facts.schema_exists(&schema)? {
                break;
            }
        }
        self.facts.landing(name)
    }

    /// What earlier operations of this migration make of a relation, qualified and quoted.
    pub fn overlay(&self, key: &str) -> Option<Table> {
        self.tables.get(key).cloned()
    }

    /// The table an operation names: from the overlay, else from the catalog. Gives the key under
    /// which it is known (qualified and quoted) and a copy of its facts.
    pub fn table(&mut self, name: &str) -> Result<(String, Table)> {
        self.relation(name, &["r", "p"])
    }

    /// Like `table`, of relations of these kinds.
    pub fn relation(&mut self, name: &str, kinds: &[&str]) -> Result<(String, Table)> {
        let (schema, bare) = self.landing(name)?;
        let landing = quote::qualified(&schema, &bare);
        let known = match self.tables.get(&landing) {
            Some(table) => Some((landing, table.clone())),
            None => self.facts.table(name)?.map(|found| {
                let key = quote::qualified(&found.schema, &found.name);
                let table = self.tables.entry(key.clone()).or_insert(found);
                (key, table.clone())
            }),
        };
        let Some((key, table)) = known else {
            let mut fault = Fault::new(
                state::UNDEFINED_TABLE,
                format!("table {name} does not exist"),
            );
            if let Some(similar) = self.facts.similar_table(name)? {
                fault = fault.hint(format!("Did you mean {similar}?"));
            }
            return Err(fault);
        };
        let wrong = |what: &str| {
            Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{name} is {what}, not a table"),
            )
            .hint("Name a table; for anything else use the sql operation."))
        };
        match table.kind.as_str() {
            _ if table.system => wrong("a system relation"),
            _ if table.temporary => wrong("a temporary table"),
            kind if kinds.contains(&kind) => Ok((key, table)),
            "r" | "p" => wrong("a table"),
            "v" => wrong("a view"),
            "m" => wrong("a materialized view"),
            "f" => wrong("a foreign table"),
            "S" => wrong("a sequence"),
            "i" | "I" => wrong("an index"),
            _ => wrong("another kind of relation"),
        }
    }

    /// The table's columns can be kept in sync: every row it shows goes through its triggers.
    pub fn syncable(&self, key: &str, table: &Table) -> Result<()> {
        if let Some(parent) = &table.partition_of {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{key} is a partition of {parent}"),
            )
            .hint(format!("Change {parent}: its partitions follow.")));
        }
        if table.inherited {
            return Err(Fault::new(
                state::FEATURE_NOT_SUPPORTED,
                format!("other tables inherit from {key}, and their rows do not go through its triggers"),
            )
            .hint("Write the statement with -- migrate:as-written: old and new application cannot run side by side."));
        }
        Ok(())
    }

    /// Whether the table, known by its key, is partitioned.
    pub fn is_partitioned(&self, key: &str) -> bool {
        self.tables.get(key).is_some_and(|table| table.kind == "p")
    }

    /// Whether a table of that name exists now or will by then.
    pub fn has_table(&self, name: &str) -> Result<bool> {
        let (schema, bare) = self.landing(name)?;
        Ok(self.tables.contains_key(&quote::qualified(&schema, &bare))
            || self.facts.relation_exists(&schema, &bare)?)
    }

    /// What hangs on a column (on the table: `None`) and will still be there when this operation's
    /// turn comes.
    pub fn dependents(&self, key: &str, column: Option<&str>) -> Result<Vec<Dependent>> {
        let mut found = match column {
            Some(column) => match self.facts.column_dependents(key, column) {
                // Made by an earlier operation: nothing hangs on it that was not seen.
                Err(fault)
                    if fault.sqlstate == state::UNDEFINED_COLUMN
                        && self
                            .tables
                            .get(key)
                            .is_some_and(|table| table.column(column).is_some()) =>
                {
                    Vec::new()
                }
                found => found?,
            },
            None => self.facts.table_dependents(key)?,
        };
        found.retain(|dependent| !self.is_dropped_key(&dependent.what));
        found.retain(|dependent| {
            dependent.relation.as_ref().is_none_or(|relation| {
                !self.gone.contains(relation)
                    && !self.objects.lets_go(relation, key, column)
                    && !self.lets_go(relation, &dependent.what)
            })
        });
        Ok(found)
    }

    /// Whether it is a foreign key that an earlier operation drops.
    fn is_dropped_key(&self, what: &str) -> bool {
        self.dropped.keys().any(|(table, name)| {
            let bare = table.rsplit('.').next().unwrap_or(table);
            let name = quote::ident(name);
            [table.as_str(), bare]
                .iter()
                .any(|table| what == format!("constraint {name} on table {table}"))
        })
    }

    /// Notes a constraint or an index that this operation drops.
    pub fn drops(&mut self, key: &str, name: &str, phase: Phase) {
        self.dropped
            .insert((key.to_owned(), name.to_owned()), phase);
    }

    /// An index's text after `ON table` as it reads when `from` is called `to`.
    pub fn index_renamed(&self, key: &str, text: &str, from: &str, to: &str) -> Result<String> {
        let moves = [Move::renaming(from, to)];
        self.facts
            .index_moved(key, &self.new_columns(key), text, &moves)
    }

    /// A constraint's definition as it reads when `from` is called `to`.
    pub fn constraint_renamed(
        &self,
        key: &str,
        text: &str,
        from: &str,
        to: &str,
    ) -> Result<String> {
        let moves = [Move::renaming(from, to)];
        self.facts
            .constraint_moved(key, &self.new_columns(key), text, &moves)
    }

    /// A column of a table, or an error with the nearest name.
    pub fn column(&self, key: &str, table: &Table, name: &str) -> Result<Column> {
        if let Some(column) = table.column(name) {
            return Ok(column.clone());
        }
        // What a statement as written makes is not known here.
        if table.fresh && (table.unlisted || table.columns.is_empty() || self.written) {
            return Ok(Column {
                name: name.to_owned(),
                ..Column::default()
            });
        }
        let fault = Fault::new(
            state::UNDEFINED_COLUMN,
            format!("column \"{name}\" of table {key} does not exist"),
        );
        let names = table.columns.iter().map(|column| column.name.as_str());
        Err(match nearest(name, names) {
            Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
            None => fault,
        })
    }

    /// Whether the table has columns of which nothing but the name is known: they come back.
    pub fn half_known(&self, key: &str) -> bool {
        let table = self.tables.get(key);
        table.is_some_and(|table| table.columns.iter().any(|c| c.data_type.is_empty()))
    }

    /// Changes the overlay's picture of a table.
    pub fn change(&mut self, key: &str, change: impl FnOnce(&mut Table)) {
        if let Some(table) = self.tables.get_mut(key) {
            change(table);
        }
    }

    pub fn change_column(&mut self, key: &str, name: &str, change: impl FnOnce(&mut Column)) {
        self.change(key, |table| {
            if let Some(column) = table.columns.iter_mut().find(|c| c.name == name) {
                change(column);
            }
        });
    }

    pub fn remember(&mut self, key: String, table: Table) {
        self.tables.insert(key, table);
    }

    /// The tables that operations so far have named, as they will be by now.
    pub fn known_tables(&self) -> impl Iterator<Item = (&String, &Table)> {
        self.tables.iter()
    }

    pub fn forget(&mut self, key: &str) {
        self.tables.remove(key);
    }
}
