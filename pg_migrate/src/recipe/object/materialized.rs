//! create_materialized_view, refresh_materialized_view.

use super::view::statement;
use crate::document::model::{
    CreateMaterializedView, DropView, Operation, RefreshMaterializedView,
};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Table;
use crate::recipe::plan::{Planner, concurrent, unlocked};
use crate::recipe::quote::qualified;
use crate::recipe::step::{Lock, Phase, Step};

/// Outside a transaction block: readers of what it reads are not disturbed, and nothing is held
/// beside it.
fn refresh(key: &str, how: &str, lock: Lock) -> Step {
    Step {
        lock: Some(lock),
        scans: true,
        ..concurrent(
            Phase::Migrate,
            key,
            None,
            format!("REFRESH MATERIALIZED VIEW {how}{key}"),
        )
    }
}

impl Planner<'_> {
    pub fn create_materialized_view(&mut self, op: &CreateMaterializedView) -> Result<()> {
        let (schema, name) = self.landing(&op.name)?;
        let key = qualified(&schema, &name);
        self.not_leaving(&key, None)?;
        if self.facts.relation_exists(&schema, &name)? {
            if op.if_not_exists {
                return Ok(());
            }
            return Err(
                Fault::new("42P07", format!("relation {key} already exists")).hint(
                    "Choose another name, or stamp the revision if this migration ran before.",
                ),
            );
        }
        let probe = self.facts.query(&op.definition, &op.columns);
        self.known_now(probe)?;
        let create = statement(
            "MATERIALIZED VIEW",
            &key,
            &op.columns,
            op.options.as_deref(),
            &op.definition,
        );
        let phase = self.now();
        self.push(
            unlocked(phase, format!("{create}\nWITH NO DATA"))
                .undo(format!("DROP MATERIALIZED VIEW IF EXISTS {key}")),
        );
        if op.with_data {
            self.push(refresh(&key, "", Lock::AccessExclusive));
        }
        let phase = self.now();
        for sql in &op.attributes {
            self.push(unlocked(phase, sql));
        }
        self.plan.inverse.push(Operation::DropView(DropView {
            name: key.clone(),
            if_exists: false,
        }));
        self.remember(
            key,
            Table {
                schema,
                name,
                kind: "m".into(),
                empty: true,
                fresh: true,
                ..Table::default()
            },
        );
        Ok(())
    }

    pub fn refresh_materialized_view(&mut self, op: &RefreshMaterializedView) -> Result<()> {
        let (schema, name) = self.landing(&op.name)?;
        let key = qualified(&schema, &name);
        let view = match self.facts.view(&op.name)? {
            Some(view) => view,
            // Made earlier in this migration: nobody reads it yet.
            None if self.has_table(&op.name)? => {
                self.push(refresh(&key, "", Lock::AccessExclusive));
                return Ok(());
            }
            None => {
                return Err(Fault::new(
                    state::UNDEFINED_TABLE,
                    format!("materialized view {} does not exist", op.name),
                ));
            }
        };
        let key = view.name;
        if !view.materialized {
            return Err(Fault::new(
                state::WRONG_OBJECT_TYPE,
                format!("{key} is a view, not a materialized view"),
            )
            .detail("A view holds no rows: it is always as its tables are."));
        }
        let built_here = self.plan.steps.iter().any(|step| {
            step.relation.as_deref() == Some(key.as_str())
                && step.sql.starts_with("CREATE UNIQUE INDEX")
        });
        let step = match (view.populated, view.unique || built_here, op.concurrently) {
            (false, _, _) => {
                let step = refresh(&key, "", Lock::AccessExclusive);
                let back = format!("REFRESH MATERIALIZED VIEW {key} WITH NO DATA");
                self.inverse_sql(back.clone(), &step.sql);
                step.undo(back)
            }
            (true, true, true) => refresh(&key, "CONCURRENTLY ", Lock::Exclusive),
            (true, _, false) => refresh(&key, "", Lock::AccessExclusive)
                .warn("those who read the materialized view wait until it is filled"),
            (true, false, true) => {
                let time = self.facts.size(&key)?.map_or_else(String::new, |size| {
                    format!(
                        " Otherwise readers wait until it is filled, {:.0} rows: {} and the query itself.",
                        size.rows,
                        size.to_rewrite()
                    )
                });
                return Err(Fault::new(
                    state::NOT_IN_PREREQUISITE_STATE,
                    format!("materialized view {key} cannot be refreshed while others read it"),
                )
                .detail(format!("REFRESH … CONCURRENTLY goes by a unique index over columns, without WHERE, and there is none.{time}"))
                .hint("Create one first; or give \"concurrently\": false, in a script -- migrate:as-written before the statement, to let readers wait."));
            }
        };
        // Of one that is filled there is no inverse: the rows are what the tables say, now as before.
        self.push(step);
        Ok(())
    }
}
