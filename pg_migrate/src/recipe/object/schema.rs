//! set_schema: to another schema; what stood at the old place goes on working until contract,
//! where a view can stand in for it.

use super::brief;
use crate::document::model::{Operation, SetSchema};
use crate::fault::{Fault, Result, state};
use crate::recipe::facts::Object;
use crate::recipe::plan::{Planner, ddl, unlocked};
use crate::recipe::quote::{ident, literal, qualified};
use crate::recipe::step::{Lock, Phase};

impl Planner<'_> {
    pub fn set_schema(&mut self, op: &SetSchema) -> Result<()> {
        let target = ident(&op.schema);
        if !self.facts.schema_exists(&op.schema)? && !self.objects.made.contains(&target) {
            return Err(
                Fault::new("3F000", format!("schema \"{}\" does not exist", op.schema))
                    .hint("Create it first, in this migration or an earlier one."),
            );
        }
        let kind = op.kind.to_lowercase();
        if kind == "table" && self.moves_new_table(op)? {
            return Ok(());
        }
        let Some(object) = self.facts.object(&kind, &op.name)? else {
            return Err(Fault::new(
                state::UNDEFINED_OBJECT,
                format!("{kind} {} does not exist", op.name),
            ));
        };
        if object.schema == op.schema {
            return Ok(());
        }
        let new = format!("{target}.{}", after_schema(&object));
        if kind != "function" && self.facts.relation_exists(&op.schema, &object.name)? {
            return Err(Fault::new("42P07", format!("{new} already exists"))
                .hint("Rename one of the two first."));
        }
        self.plan.inverse.push(Operation::SetSchema(SetSchema {
            kind,
            name: new.clone(),
            schema: object.schema.clone(),
        }));
        match object.noun.as_str() {
            "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" => {
                self.leave_view(op, &object, &new)
            }
            _ => {
                let (noun, sql) = (&object.noun, &object.sql);
                let phase = self.now();
                self.push(
                    brief(
                        phase,
                        Lock::AccessExclusive,
                        format!("ALTER {noun} {sql} SET SCHEMA {target}"),
                    )
                    .undo(format!(
                        "ALTER {noun} {new} SET SCHEMA {}",
                        ident(&object.schema)
                    ))
                    .warn(format!(
                        "{sql} is not found under that name from here on, but through the search path"
                    )),
                );
                Ok(())
            }
        }
    }

    /// A table of this migration just goes; nobody knows it yet.
    fn moves_new_table(&mut self, op: &SetSchema) -> Result<bool> {
        let (schema, name) = self.landing(&op.name)?;
        let key = qualified(&schema, &name);
        if self.facts.relation_exists(&schema, &name)? || !self.has_table(&op.name)? {
            return Ok(false);
        }
        let (_, table) = self.table(&op.name)?;
        let phase = self.now();
        let new = qualified(&op.schema, &name);
        self.push(
            unlocked(
                phase,
                format!("ALTER TABLE {key} SET SCHEMA {}", ident(&op.schema)),
            )
            .undo(format!("ALTER TABLE {new} SET SCHEMA {}", ident(&schema))),
        );
        self.plan.inverse.push(Operation::SetSchema(SetSchema {
            kind: "table".into(),
            name: new.clone(),
            schema,
        }));
        self.remember(
            new,
            crate::recipe::facts::Table {
                schema: op.schema.clone(),
                ..table
            },
        );
        Ok(true)
    }

    fn leave_view(&mut self, op: &SetSchema, object: &Object, new: &str) -> Result<()> {
        let key = object.sql.clone();
        let sql = format!(
            "SELECT migrate.move_relation({}, {})",
            literal(&key),
            literal(&op.schema)
        );
        let undo = format!(
            "SELECT migrate.move_relation_back({}, {})",
            literal(new),
            literal(&object.schema)
        );
        let phase = self.now();
        let table = object.noun == "TABLE";
        let step = if table {
            let (_, facts) = self.table(&op.name)?;
            self.remember(
                new.to_owned(),
                crate::recipe::facts::Table {
                    schema: op.schema.clone(),
                    ..facts
                },
            );
            ddl(phase, &key, Lock::AccessExclusive, sql)
        } else {
            brief(phase, Lock::AccessExclusive, sql)
        };
        self.push(step.undo(undo));
        // LOCK TABLE on a view locks what it reads too: the statement itself locks the view alone.
        self.push(
            brief(
                Phase::Contract,
                Lock::AccessExclusive,
                format!("DROP VIEW {key}"),
            )
            .warn("the old place stops working"),
        );
        self.touch(&key, "*");
        Ok(())
    }
}

/// The name without its schema, as SQL text.
fn after_schema(object: &Object) -> String {
    let head = format!("{}.", ident(&object.schema));
    object
        .sql
        .strip_prefix(&head)
        .unwrap_or(&object.sql)
        .to_owned()
}
