//! split_table: columns move to a table of their own, kept in step both ways until contract; and its
//! way back.

mod carried;
mod checks;
mod fill;
mod halves;

use crate::document::model::{
    Operation, Restore, SplitColumn, SplitReferences, SplitTable, UnsplitTable,
};
use crate::fault::{Fault, Result};
use crate::recipe::column::carry_attributes;
use crate::recipe::facts::{self, Table};
use crate::recipe::names;
use crate::recipe::plan::{How, Planner, ddl, unlocked};
use crate::recipe::quote::{ident, idents, literal, qualified};
use crate::recipe::shadow::tuning;
use crate::recipe::step::{Lock, Phase};
use crate::recipe::table::set_aside_table;
use carried::Carried;
use checks::can_move;
use fill::{copying, filling};
use halves::Split;

impl Planner<'_> {
    pub fn split_table(&mut self, op: &SplitTable) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        self.can_be_split(&key, &table)?;
        let (schema, name) = self.landing(&op.into)?;
        let into = qualified(&schema, &name);
        self.not_leaving(&into, None)?;
        if self.has_table(&op.into)? {
            return Err(
                Fault::new("42P07", format!("relation {into} already exists")).hint(
                    "Choose another name, or stamp the revision if this migration ran before.",
                ),
            );
        }
        let keys = self.key_of(op, &key, &table)?;
        let mut columns = Vec::new();
        for column in &op.columns {
            self.settled(&key, column)?;
            let column = self.column(&key, &table, column)?;
            can_move(&key, &column, &keys)?;
            columns.push(column);
        }
        let split = Split {
            key: &key,
            table: &table,
            into: into.clone(),
            keys,
            columns,
        };
        let carried = carried::of(&split)?;
        let mut blank = Vec::new();
        let mut fleeting = Vec::new();
        for column in &split.columns {
            let own = format!("{}.{}", ident(&table.name), ident(&column.name));
            match &column.default {
                None => blank.push(format!("{own} IS NULL")),
                Some(default) if self.reads_alone(default, Some(&column.data_type))? => {
                    fleeting.push(column.name.clone());
                }
                Some(default) => blank.push(format!(
                    "({own} IS NULL OR CAST(ROW({own}) AS pg_catalog.record) OPERATOR(pg_catalog.*=) \
                     CAST(ROW(CAST(({default}) AS {})) AS pg_catalog.record))",
                    column.data_type
                )),
            }
        }
        blank.push("true".into());
        self.new_half(op, &split, &name, &carried, &fleeting)?;
        for column in split
            .columns
            .iter()
            .filter(|c| c.not_null && c.default.is_none())
        {
            let sql = |what: &str| {
                format!(
                    "ALTER TABLE {key} ALTER COLUMN {} {what} NOT NULL",
                    ident(&column.name)
                )
            };
            // The new application no longer gives a value.
            let step = ddl(Phase::Expand, &key, Lock::AccessExclusive, sql("DROP"));
            self.push(step.undo(sql("SET")).warn(format!(
                "a row that is written meanwhile without \"{}\" holds null there until it has one in {into}",
                column.name
            )));
        }
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::ShareRowExclusive,
                split.trigger(false),
            )
            .undo(split.drop_trigger())
            .warn(format!(
                "where both releases write one row in the same instant, one through {key} and one through {into}, \
                 PostgreSQL may end one of them with a deadlock error (40P01): nothing is lost, and it can be repeated"
            )),
        );
        self.push(copying(&split));
        carried.build(self, &split, &schema, &name)?;
        self.push(split.disagree(&blank.join(" AND ")));
        let restore = self.leave_together(&split)?;
        for column in &split.names() {
            self.touch_as(&into, column, How::Fill);
        }
        for column in &split.keys {
            self.touch_as(&into, column, How::Hold);
            self.touch_as(&key, column, How::Hold);
        }
        self.plan
            .inverse
            .push(Operation::UnsplitTable(UnsplitTable {
                table: key.clone(),
                from: into,
                key: split.keys.clone(),
                columns: split
                    .columns
                    .iter()
                    .map(|column| SplitColumn {
                        column: column.name.clone(),
                        otherwise: column.default.clone().filter(|_| column.not_null),
                    })
                    .collect(),
                restore,
            }));
        Ok(())
    }

    /// The new table, empty, with what belongs to its columns.
    fn new_half(
        &mut self,
        op: &SplitTable,
        split: &Split,
        name: &str,
        carried: &Carried,
        fleeting: &[String],
    ) -> Result<()> {
        let (key, into) = (split.key, &split.into);
        let keys: Vec<facts::Column> = split
            .keys
            .iter()
            .map(|column| {
                let column = self.column(key, split.table, column)?;
                Ok(facts::Column {
                    default: None,
                    identity: None,
                    not_null: true,
                    grants: Vec::new(),
                    ..column
                })
            })
            .collect::<Result<_>>()?;
        let mut lines: Vec<String> = keys.iter().chain(&split.columns).map(line).collect();
        let primary = names::constraint(name, &split.keys, "pkey", 0);
        lines.push(format!(
            "CONSTRAINT {} PRIMARY KEY ({})",
            ident(&primary),
            idents(&split.keys)
        ));
        lines.extend(carried.lines.iter().cloned());
        let foreign = match &op.references {
            Some(SplitReferences { name }) => name.clone(),
            None => names::constraint(name, &split.keys, "fkey", 0),
        };
        lines.push(format!(
            "CONSTRAINT {} FOREIGN KEY ({keys}) REFERENCES {key} ({keys}) ON UPDATE CASCADE ON DELETE CASCADE",
            ident(&foreign),
            keys = idents(&split.keys)
        ));
        let mut step = unlocked(
            Phase::Expand,
            format!("CREATE TABLE {into} (\n    {}\n)", lines.join(",\n    ")),
        )
        .undo(format!("DROP TABLE {into}"))
        .also_locks(key, Lock::ShareRowExclusive);
        for target in &carried.references {
            step = step.also_locks(target, Lock::ShareRowExclusive);
        }
        if !fleeting.is_empty() {
            step = step.warn(format!(
                "\"{}\" has another default each time: an application that inserts into {key} and into {into} in two \
                 transactions must SET migrate.side = 'new'",
                fleeting.join("\", \"")
            ));
        }
        self.push(step);
        self.push(unlocked(
            Phase::Expand,
            format!(
                "SELECT migrate.carry_grants({}, {})",
                literal(key),
                literal(into)
            ),
        ));
        if let Some(comment) = &op.comment {
            self.push(unlocked(
                Phase::Expand,
                format!("COMMENT ON TABLE {into} IS {}", literal(comment)),
            ));
        }
        for column in &split.columns {
            let mut sql = carry_attributes(into, column, &column.name);
            sql.extend(tuning(into, column));
            for sql in sql {
                self.push(unlocked(Phase::Expand, sql));
            }
        }
        let (schema, _) = self.landing(into)?;
        let made = Table {
            schema,
            name: name.to_owned(),
            kind: "r".into(),
            rows: split.table.rows,
            owner: split.table.owner.clone(),
            replica_identity: "d".into(),
            comment: op.comment.clone(),
            columns: keys
                .into_iter()
                .chain(split.columns.iter().cloned())
                .collect(),
            ..Table::default()
        };
        self.remember(into.clone(), made);
        Ok(())
    }

    /// At contract: the triggers and the columns leave in one transaction. Gives what restores them.
    fn leave_together(&mut self, split: &Split) -> Result<Vec<Restore>> {
        let mark = self.plan.steps.len();
        let restore = self.drop_together(split.key, &split.names(), split.drop_trigger())?;
        for step in &mut self.plan.steps[mark..] {
            if step.sql == split.drop_trigger() {
                *step = step.clone().also_locks(&split.into, Lock::AccessExclusive);
            }
        }
        Ok(restore)
    }

    pub fn unsplit_table(&mut self, op: &UnsplitTable) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        for one in &op.restore {
            self.restore(&Restore {
                operations: Vec::new(),
                fill: None,
                ..one.clone()
            })?;
        }
        let split = Split {
            key: &key,
            table: &table,
            into: op.from.clone(),
            keys: op.key.clone(),
            columns: op
                .columns
                .iter()
                .map(|one| facts::Column {
                    name: one.column.clone(),
                    ..facts::Column::default()
                })
                .collect(),
        };
        self.push(
            ddl(
                Phase::Expand,
                &key,
                Lock::ShareRowExclusive,
                split.trigger(true),
            )
            .also_locks(&split.into, Lock::ShareRowExclusive)
            .undo(split.drop_trigger()),
        );
        let mut fleeting = Vec::new();
        for one in &op.columns {
            if let Some(otherwise) = &one.otherwise
                && self.reads_alone(otherwise, None)?
            {
                fleeting.push(one.column.as_str());
            }
        }
        self.push(filling(&split, &op.columns, &fleeting));
        for one in &op.restore {
            self.restore_operations(one)?;
        }
        self.push(split.disagree("true"));
        for sql in [
            split.drop_trigger(),
            set_aside_table(&split.into, self.revision),
        ] {
            self.push(
                ddl(Phase::Contract, &key, Lock::AccessExclusive, sql)
                    .also_locks(&split.into, Lock::AccessExclusive),
            );
        }
        Ok(())
    }
}

/// A column of the new table.
fn line(column: &facts::Column) -> String {
    let mut sql = format!("{} {}", ident(&column.name), column.data_type);
    if let Some(collation) = &column.collation {
        sql.push_str(&format!(" COLLATE {collation}"));
    }
    if let Some(default) = &column.default {
        sql.push_str(&format!(" DEFAULT {default}"));
    }
    if column.not_null {
        sql.push_str(" NOT NULL");
    }
    sql
}
