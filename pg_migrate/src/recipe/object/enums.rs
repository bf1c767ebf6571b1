//! add_enum_value, rename_enum_value.

use super::brief;
use crate::document::model::{AddEnumValue, Operation, RenameEnumValue};
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use crate::recipe::plan::{Planner, unlocked};
use crate::recipe::quote::{literal, qualified};
use crate::recipe::step::{Lock, Phase};

impl Planner<'_> {
    /// The enum's qualified name and its values; `None` for the values of one that this migration
    /// makes.
    fn enum_of(&self, data_type: &str) -> Result<(String, Option<Vec<String>>)> {
        if let Some((name, values)) = self.facts.enum_values(data_type)? {
            return Ok((name, Some(values)));
        }
        let (schema, bare) = self.landing(data_type)?;
        let key = qualified(&schema, &bare);
        if self.objects.made.contains(&key) {
            return Ok((key, None));
        }
        Err(Fault::new(
            state::UNDEFINED_OBJECT,
            format!("there is no enum type {data_type}"),
        ))
    }

    fn has_value(&self, name: &str, values: Option<&Vec<String>>, value: &str) -> Result<()> {
        match values {
            Some(values)
                if !values.iter().any(|known| known == value)
                    && !self.objects.labels.contains(value) =>
            {
                let fault = Fault::new(
                    state::INVALID_PARAMETER,
                    format!("\"{value}\" is not a value of enum type {name}"),
                );
                Err(match nearest(value, values.iter().map(String::as_str)) {
                    Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
                    None => fault.detail(format!("Its values are {}.", values.join(", "))),
                })
            }
            _ => Ok(()),
        }
    }

    pub fn add_enum_value(&mut self, op: &AddEnumValue) -> Result<()> {
        let (name, values) = self.enum_of(&op.data_type)?;
        for near in op.before.iter().chain(&op.after) {
            self.has_value(&name, values.as_ref(), near)?;
        }
        let there = values
            .as_ref()
            .is_some_and(|values| values.contains(&op.value));
        // What a downgrade could not take away is there again.
        let tolerated = op.if_not_exists || (there && self.facts.taken_back(self.revision)?);
        if there && !tolerated {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("enum type {name} already has the value \"{}\"", op.value),
            )
            .hint("Take the operation out, or give if_not_exists."));
        }
        if there {
            return Ok(());
        }
        let place = match (&op.before, &op.after) {
            (Some(value), _) => format!(" BEFORE {}", literal(value)),
            (_, Some(value)) => format!(" AFTER {}", literal(value)),
            _ => String::new(),
        };
        let sql = format!(
            "ALTER TYPE {name} ADD VALUE {}{}{place}",
            if op.if_not_exists {
                "IF NOT EXISTS "
            } else {
                ""
            },
            literal(&op.value)
        );
        if values.is_none() {
            // It leaves with its type; but even of a new type it can be used once it has committed.
            self.push(unlocked(Phase::Migrate, sql));
            self.objects.labels.insert(op.value.clone());
            return Ok(());
        }
        let stays = format!(
            "SELECT migrate.stays({})",
            literal(&format!("value \"{}\" of enum type {name}", op.value))
        );
        // A transaction of its own: nothing may use the value before it has committed.
        self.push(
            unlocked(Phase::Migrate, sql.clone())
                .undo(stays.clone())
                .warn("PostgreSQL cannot drop a value of an enum: a downgrade leaves it"),
        );
        self.inverse_sql(stays, &sql);
        self.objects.labels.insert(op.value.clone());
        Ok(())
    }

    pub fn rename_enum_value(&mut self, op: &RenameEnumValue) -> Result<()> {
        let (name, values) = self.enum_of(&op.data_type)?;
        self.has_value(&name, values.as_ref(), &op.from)?;
        if values.is_some_and(|values| values.contains(&op.to)) {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("enum type {name} already has the value \"{}\"", op.to),
            ));
        }
        let rename = |from: &str, to: &str| {
            format!(
                "ALTER TYPE {name} RENAME VALUE {} TO {}",
                literal(from),
                literal(to)
            )
        };
        let phase = self.now();
        self.push(
            brief(phase, Lock::RowExclusive, rename(&op.from, &op.to))
                .undo(rename(&op.to, &op.from))
                .warn(format!(
                    "the old application's '{}' is an error from here on; where both releases must run, add a value instead and change the rows",
                    op.from
                )),
        );
        self.plan
            .inverse
            .push(Operation::RenameEnumValue(RenameEnumValue {
                data_type: name,
                from: op.to.clone(),
                to: op.from.clone(),
            }));
        self.objects.labels.insert(op.to.clone());
        Ok(())
    }
}
