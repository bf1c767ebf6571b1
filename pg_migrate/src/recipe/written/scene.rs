//! The database as it will be when a statement's turn comes: what the planner knows of it, or lint.

use super::effect::Effect;
use crate::document::model::Sql;
use crate::fault::Result;
use crate::pg::parser::tree::{Name, Statement};
use crate::recipe::estimate::Size;
use crate::recipe::facts::{Facts, Table};
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, qualified};
use std::rc::Rc;

/// A name as SQL text.
pub fn sql(name: &Name) -> String {
    match &name.schema {
        Some(schema) => qualified(schema, &name.name),
        None => ident(&name.name),
    }
}

/// A relation that a statement names.
pub struct Known {
    /// Qualified and quoted.
    pub key: String,
    pub table: Rc<Table>,
}

impl Known {
    /// It has rows that others can see.
    pub fn filled(&self) -> bool {
        !self.table.fresh && !self.table.empty
    }

    pub fn is_table(&self) -> bool {
        matches!(self.table.kind.as_str(), "r" | "p")
    }
}

/// The database as it will be when a statement's turn comes.
pub trait Scene {
    /// As it is now.
    fn facts(&self) -> &dyn Facts;
    /// The relation of that name, which is SQL text.
    fn known(&mut self, name: &str) -> Result<Option<Known>>;
    /// How big a relation is; `None`: it is not there, or not to be looked at now.
    fn size(&mut self, key: &str) -> Result<Option<Size>>;
    /// Whether an earlier statement makes an object of that name.
    fn is_made_here(&self, name: &str) -> Result<bool>;
    /// Whether an earlier statement makes the type, and it is no domain.
    fn makes_type(&self, _data_type: &str) -> bool {
        false
    }
}

impl Scene for Planner<'_> {
    fn facts(&self) -> &dyn Facts {
        self.facts
    }

    fn known(&mut self, name: &str) -> Result<Option<Known>> {
        let (schema, bare) = self.landing(name)?;
        let landing = qualified(&schema, &bare);
        if let Some(table) = self.overlay(&landing) {
            return Ok(Some(Known {
                key: landing,
                table: Rc::new(table),
            }));
        }
        Ok(self.facts.table(name)?.map(|table| Known {
            key: qualified(&table.schema, &table.name),
            table: Rc::new(table),
        }))
    }

    fn size(&mut self, key: &str) -> Result<Option<Size>> {
        self.facts.size(key)
    }

    fn is_made_here(&self, name: &str) -> Result<bool> {
        Ok(self.made_objects.contains(&self.bare(name)?))
    }
}

impl Planner<'_> {
    pub fn named(&mut self, names: &[Name]) -> Result<Vec<Known>> {
        (self as &mut dyn Scene).named(names)
    }

    pub fn effect(&mut self, op: &Sql, statement: &Statement) -> Result<Option<Effect>> {
        (self as &mut dyn Scene).effect(op, statement)
    }
}
