//! Both halves of a split, and the SQL that speaks of them.

use crate::recipe::facts::{self, Table};
use crate::recipe::plan::verify;
use crate::recipe::quote::{ident, literal};
use crate::recipe::step::Step;

/// The new table where rows of both are joined; no table of the user's is likely to be called so.
pub const NEW: &str = "_pgm_split";

/// What a split is about.
pub struct Split<'a> {
    pub key: &'a str,
    pub table: &'a Table,
    /// The new table, qualified and quoted.
    pub into: String,
    pub keys: Vec<String>,
    pub columns: Vec<facts::Column>,
}

impl Split<'_> {
    pub fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    pub fn array(names: &[String]) -> String {
        let texts: Vec<_> = names.iter().map(|name| literal(name)).collect();
        format!("ARRAY[{}]", texts.join(", "))
    }

    pub fn trigger(&self, back: bool) -> String {
        format!(
            "SELECT migrate.sync_split({}, {}, {}, {}{})",
            literal(self.key),
            literal(&self.into),
            Self::array(&self.keys),
            Self::array(&self.names()),
            if back { ", true" } else { "" }
        )
    }

    pub fn drop_trigger(&self) -> String {
        format!(
            "SELECT migrate.drop_sync_split({}, {})",
            literal(self.key),
            literal(&self.into)
        )
    }

    /// The row of the new table that belongs to one of `outer`.
    pub fn belongs(&self, outer: &str) -> String {
        let each: Vec<_> = self
            .keys
            .iter()
            .map(|key| format!("{NEW}.{0} = {outer}.{0}", ident(key)))
            .collect();
        each.join(" AND ")
    }

    /// Images of the columns: that compares every type.
    pub fn record(&self, of: &str) -> String {
        let each: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("{of}.{}", ident(&column.name)))
            .collect();
        format!("CAST(ROW({}) AS pg_catalog.record)", each.join(", "))
    }

    /// Rows that both tables do not say the same of. `blank`: what a row says that has none in the
    /// new table.
    pub fn disagree(&self, blank: &str) -> Step {
        let outer = ident(&self.table.name);
        let first = self.keys.first().map(|key| ident(key)).unwrap_or_default();
        let sql = format!(
            "SELECT count(*) FROM {} AS {outer} LEFT JOIN {} AS {NEW} ON {} WHERE CASE WHEN {NEW}.{first} IS NULL \
             THEN NOT ({blank}) ELSE {} OPERATOR(pg_catalog.*<>) {} END",
            self.key,
            self.into,
            self.belongs(&outer),
            self.record(&outer),
            self.record(NEW),
        );
        verify(
            self.key,
            sql,
            &format!("rows of {} and {} disagree", self.key, self.into),
        )
    }
}
