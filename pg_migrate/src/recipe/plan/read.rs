//! Reading the expressions and types of a document before anything runs, over the tables as they
//! will be by then.

use super::Planner;
use crate::fault::{Fault, Result, state};

/// 42883, 42704: no such function, no such type.
const UNKNOWN_FUNCTION: &str = "42883";
const UNKNOWN_OBJECT: &str = "42704";

impl Planner<'_> {
    /// Whether an expression over a row of the table is volatile; an error if PostgreSQL cannot read
    /// it or it does not fit the type.
    pub fn reads(&mut self, key: &str, text: &str, target: Option<&str>) -> Result<bool> {
        if self.objects.mentions_label(text) {
            return Ok(false);
        }
        let Some(table) = self.tables.get(key) else {
            return self.facts.expression(key, text, target);
        };
        if table.fresh && table.columns.is_empty() {
            self.doubts.push(text.to_owned());
            return Ok(false);
        }
        // Of columns that come back nothing but the name is known.
        let half = self.half_known(key);
        let columns: Vec<_> = table
            .columns
            .iter()
            .filter(|column| !column.data_type.is_empty())
            .cloned()
            .collect();
        let read = self
            .facts
            .expression_over(key, &columns, table.fresh, text, target);
        match read {
            Err(fault) if half && fault.sqlstate == state::UNDEFINED_COLUMN => {
                self.doubts.push(text.to_owned());
                Ok(false)
            }
            read => self.or_later(read, text),
        }
    }

    /// The same of one that reads no row, as a default is.
    pub fn reads_alone(&mut self, text: &str, target: Option<&str>) -> Result<bool> {
        if self.objects.mentions_label(text) {
            return Ok(false);
        }
        let read = self.facts.expression("", text, target);
        self.or_later(read, text)
    }

    /// The canonical spelling of a type; as it was given where it is not there yet.
    pub fn data_type(&mut self, text: &str) -> Result<String> {
        // serial and its kin are spellings of the parser, not types.
        if text.to_lowercase().contains("serial") || self.makes_type(text) {
            return Ok(text.to_owned());
        }
        match self.facts.canonical_type(text) {
            Err(fault) if self.may_come(&fault) => {
                self.doubts.push(format!("type {text}"));
                Ok(text.to_owned())
            }
            other => other,
        }
    }

    fn or_later(&mut self, read: Result<bool>, text: &str) -> Result<bool> {
        match read {
            Err(fault) if self.may_come(&fault) => {
                self.doubts.push(text.to_owned());
                Ok(false)
            }
            other => other,
        }
    }

    /// Whether what is missing may be made by an earlier operation.
    fn may_come(&self, fault: &Fault) -> bool {
        if fault.is_interruption() {
            return false;
        }
        match fault.sqlstate.as_str() {
            state::UNDEFINED_TABLE => self.written || self.tables.values().any(|table| table.fresh),
            state::UNDEFINED_COLUMN | UNKNOWN_FUNCTION | UNKNOWN_OBJECT => self.written,
            _ => false,
        }
    }
}
