//! split_table: columns move to a table of their own, kept in step both ways until contract; and its
//! way back.

mod carried;

use crate::document::model::{
    Operation, Restore, SplitColumn, SplitReferences, SplitTable, UnsplitTable,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::column::{backfill_step, carry_attributes};
use crate::recipe::facts::{self, Table};
use crate::recipe::names;
use crate::recipe::plan::{How, Planner, ddl, unlocked, verify};
use crate::recipe::quote::{ident, idents, literal, qualified};
use crate::recipe::shadow::tuning;
use crate::recipe::step::{Kind, Lock, Phase, Step};
use crate::recipe::table::set_aside_table;
use carried::Carried;
use serde_json::{Map, Value, json};

/// The new table where rows of both are joined; no table of the user's is likely to be called so.
const NEW: &str = "_pgm_split";

/// What a split is about.
struct Split<'a> {
    key: &'a str,
    table: &'a Table,
    /// The new table, qualified and quoted.
    into: String,
    keys: Vec<String>,
    columns: Vec<facts::Column>,
}

impl Split<'_> {
    fn names(&self) -> Vec<String> {
        self.columns
            .iter()
            .map(|column| column.name.clone())
            .collect()
    }

    fn array(names: &[String]) -> String {
        let texts: Vec<_> = names.iter().map(|name| literal(name)).collect();
        format!("ARRAY[{}]", texts.join(", "))
    }

    fn trigger(&self, back: bool) -> String {
        format!(
            "SELECT migrate.sync_split({}, {}, {}, {}{})",
            literal(self.key),
            literal(&self.into),
            Self::array(&self.keys),
            Self::array(&self.names()),
            if back { ", true" } else { "" }
        )
    }

    fn drop_trigger(&self) -> String {
        format!(
            "SELECT migrate.drop_sync_split({}, {})",
            literal(self.key),
            literal(&self.into)
        )
    }

    /// The row of the new table that belongs to one of `outer`.
    fn belongs(&self, outer: &str) -> String {
        let each: Vec<_> = self
            .keys
            .iter()
            .map(|key| format!("{NEW}.{0} = {outer}.{0}", ident(key)))
            .collect();
        each.join(" AND ")
    }

    /// Images of the columns: that compares every type.
    fn record(&self, of: &str) -> String {
        let each: Vec<_> = self
            .columns
            .iter()
            .map(|column| format!("{of}.{}", ident(&column.name)))
            .collect();
        format!("CAST(ROW({}) AS pg_catalog.record)", each.join(", "))
    }

    /// Rows that both tables do not say the same of. `blank`: what a row says that has none in the
    /// new table.
    fn disagree(&self, blank: &str) -> Step {
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

impl Planner<'_> {
    pub fn split_table(&mut self, op: &SplitTable) -> Result<()> {
        let (key, table) = self.table(&op.table)?;
        self.can_be_split(&key, &table)?;
        let (schema, name) = self.facts.landing(&op.into)?;
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
            .undo(split.drop_trigger()),
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

    fn can_be_split(&self, key: &str, table: &Table) -> Result<()> {
        let refused = |why: String| Err(Fault::new(state::FEATURE_NOT_SUPPORTED, why));
        if table.fresh {
            return refused(format!(
                "{key} is made by this migration, and cannot be split by it"
            ))
            .map_err(|fault| fault.hint("Make both tables as they are to be: create_table."));
        }
        self.syncable(key, table)?;
        if table.kind == "p" {
            return refused(format!("partitioned table {key} cannot be split")).map_err(|fault| {
                fault
                    .detail("The rows of a partition that is attached while it is split would have no row in the new table.")
                    .hint("Make the new table with create_table and fill it in a migration of its own; drop the columns in a later one.")
            });
        }
        if table.row_security {
            return refused(format!("table {key} has row level security, and cannot be split"))
                .map_err(|fault| {
                    fault
                        .detail("Its policies would not hold for the columns in the new table.")
                        .hint("Make the new table with its policies, and move the values in a migration of its own.")
                });
        }
        Ok(())
    }

    /// The columns by which rows of both tables belong together.
    fn key_of(&self, op: &SplitTable, key: &str, table: &Table) -> Result<Vec<String>> {
        if op.key.is_empty() {
            let primary = table.constraints.iter().find(|found| found.kind == "p");
            return match primary {
                Some(primary) => Ok(primary.columns.clone()),
                None => Err(Fault::new(
                    state::FEATURE_NOT_SUPPORTED,
                    format!("table {key} has no primary key, and cannot be split by it"),
                )
                .hint("Give key: the columns of a unique index, none of which may be null.")),
            };
        }
        for column in &op.key {
            let column = self.column(key, table, column)?;
            if !column.not_null {
                return Err(Fault::invalid(format!(
                    "column \"{}\" of {key} may be null, and tells no row from another",
                    column.name
                ))
                .hint("SET NOT NULL first, in a migration before this one."));
            }
        }
        if table
            .indexes
            .iter()
            .any(|index| is_key(table, index, &op.key))
        {
            return Ok(op.key.clone());
        }
        Err(Fault::invalid(format!(
            "no unique index of {key} is over {}",
            idents(&op.key)
        ))
        .detail("It must be over these columns and no others, whole, and not deferrable.")
        .hint("Make it first, in a migration before this one."))
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
        let (schema, _) = self.facts.landing(into)?;
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

/// Whether the index tells rows apart by these columns and no others.
fn is_key(table: &Table, index: &facts::Index, key: &[String]) -> bool {
    let deferrable = |name: &String| {
        let found = table.constraints.iter().find(|found| found.name == *name);
        found.is_some_and(|found| found.deferrable)
    };
    let listed = index.definition.strip_prefix("USING btree (");
    let mut keys: Vec<&str> = match listed.and_then(|list| list.strip_suffix(')')) {
        Some(list) => list.split(", ").collect(),
        None => return false,
    };
    keys.sort_unstable();
    let mut wanted: Vec<String> = key.iter().map(|column| ident(column)).collect();
    wanted.sort_unstable();
    index.unique
        && index.valid
        && !index.constraint.as_ref().is_some_and(deferrable)
        && keys == wanted
}

fn can_move(key: &str, column: &facts::Column, keys: &[String]) -> Result<()> {
    let name = &column.name;
    let counted = column.identity.is_some()
        || column
            .default
            .as_deref()
            .is_some_and(|default| default.contains("nextval("));
    let why = if keys.contains(name) {
        "it is part of the key, which both tables have"
    } else if column.generated.is_some() {
        "it is generated"
    } else if counted {
        "its values are counted by a sequence"
    } else {
        return Ok(());
    };
    Err(Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        format!("column \"{name}\" of {key} cannot move to another table: {why}"),
    )
    .hint("Leave it out of columns."))
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

/// Rows that were there before the triggers are copied; who writes one later makes its other half.
fn copying(split: &Split) -> Step {
    let outer = ident(&split.table.name);
    let columns: Vec<String> = split.keys.iter().cloned().chain(split.names()).collect();
    let which = format!(
        "migrate.split_unseen({outer}.tableoid, {}, {outer}.xmin) AND NOT EXISTS (SELECT FROM {} AS {NEW} WHERE {})",
        literal(&split.into),
        split.into,
        split.belongs(&outer)
    );
    let sql = format!(
        "SELECT migrate.backfill_copy({}, {}, {}, {})",
        literal(split.key),
        literal(&split.into),
        Split::array(&columns),
        literal(&which)
    );
    Step {
        kind: Kind::Backfill,
        scans: true,
        args: json!({
            "table": split.key, "set": {}, "where": which, "sync": null, "locks_first": true,
            "copy": {"into": split.into, "columns": columns},
        }),
        ..ddl(Phase::Migrate, split.key, Lock::RowExclusive, sql)
    }
    .also_locks(&split.into, Lock::RowExclusive)
}

/// The way back: the old columns get what the new table says. `fleeting`: columns whose default
/// differs each time, and is given only where there is nothing.
fn filling(split: &Split, columns: &[SplitColumn], fleeting: &[&str]) -> Step {
    let outer = ident(&split.table.name);
    let value = |one: &SplitColumn| {
        let found = format!(
            "(SELECT {NEW}.{} FROM {} AS {NEW} WHERE {})",
            ident(&one.column),
            split.into,
            split.belongs(&outer)
        );
        match &one.otherwise {
            Some(otherwise) => format!("coalesce({found}, {otherwise})"),
            None => found,
        }
    };
    let set: Map<String, Value> = columns
        .iter()
        .map(|one| (one.column.clone(), json!(value(one))))
        .collect();
    let which: Vec<_> = columns
        .iter()
        .map(|one| {
            let own = format!("{outer}.{}", ident(&one.column));
            match &one.otherwise {
                Some(_) if fleeting.contains(&one.column.as_str()) => format!(
                    "({own} IS NULL OR EXISTS (SELECT FROM {} AS {NEW} WHERE {} AND CAST(ROW({own}) AS pg_catalog.record) \
                     OPERATOR(pg_catalog.*<>) CAST(ROW({NEW}.{}) AS pg_catalog.record)))",
                    split.into,
                    split.belongs(&outer),
                    ident(&one.column)
                ),
                _ => format!(
                    "CAST(ROW({own}) AS pg_catalog.record) OPERATOR(pg_catalog.*<>) CAST(ROW({}) AS pg_catalog.record)",
                    value(one)
                ),
            }
        })
        .collect();
    let which = which.join(" OR ");
    let step = backfill_step(split.key, Value::Object(set), Some(&which), Value::Null);
    let sql = format!("{}, locks_first => true)", step.sql.trim_end_matches(')'));
    let mut args = step.args.clone();
    args["locks_first"] = json!(true);
    Step { sql, args, ..step }
}
