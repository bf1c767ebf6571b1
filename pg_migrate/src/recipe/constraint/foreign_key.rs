//! add_foreign_key, and the index that serves it.

use crate::document::model::{AddForeignKey, CreateConstraint, CreateIndex};
use crate::fault::Result;
use crate::recipe::facts;
use crate::recipe::names;
use crate::recipe::plan::Planner;
use crate::recipe::quote::{ident, idents};

/// Whether the index finds the rows that have given values in these columns.
fn serves(index: &facts::Index, columns: &[String]) -> bool {
    let Some((_, rest)) = index.definition.split_once('(') else {
        return false;
    };
    let keys = rest.split_once(')').map_or(rest, |(keys, _)| keys);
    let first: Vec<&str> = keys
        .split(',')
        .map(|key| key.trim().split(' ').next().unwrap_or_default())
        .take(columns.len())
        .collect();
    index.valid
        && !index.definition.contains(" WHERE ")
        && columns
            .iter()
            .all(|column| first.contains(&ident(column).as_str()))
}

impl Planner<'_> {
    pub fn add_foreign_key(&mut self, op: &AddForeignKey) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        let served =
            table.fresh || table.empty || table.indexes.iter().any(|i| serves(i, &op.columns));
        if op.index && !table.indexes.iter().any(|i| serves(i, &op.columns)) {
            self.create_index(&CreateIndex {
                name: names::index(&table.name, &op.columns),
                table: key.clone(),
                columns: op
                    .columns
                    .iter()
                    .map(|column| column.as_str().into())
                    .collect(),
                ..CreateIndex::default()
            })?;
        }
        let mark = self.plan.steps.len();
        self.create_constraint(&CreateConstraint {
            name: op.name.clone(),
            table: op.table.clone(),
            kind: "foreign_key".into(),
            columns: op.columns.clone(),
            references: Some(op.references.clone()),
            deferrable: op.deferrable,
            initially_deferred: op.initially_deferred,
            ..CreateConstraint::default()
        })?;
        let built = self.plan.steps[..mark].iter().any(|step| {
            step.relation.as_deref() == Some(key.as_str())
                && step.sql.contains("INDEX")
                && step.sql.contains(&format!("({}", idents(&op.columns)))
        });
        if !served
            && !built
            && let Some(step) = self.plan.steps.get_mut(mark)
        {
            step.warning.get_or_insert(format!(
                "no index of {key} begins with ({}): each DELETE and key UPDATE in {} reads all of it; \"index\": true builds one",
                op.columns.join(", "),
                op.references.table
            ));
        }
        Ok(())
    }

    /// On the way back the columns of a primary key may hold null again, where they could before.
    fn nullable_again(&mut self, key: &str, table: &Table, columns: &[String]) {
        for name in columns {
            if table.column(name).is_some_and(|column| !column.not_null) {
                self.plan.inverse.push(Operation::DropNotNull(ColumnOf {
                    table: key.to_owned(),
                    column: name.clone(),
                }));
            }
        }
    }
}
