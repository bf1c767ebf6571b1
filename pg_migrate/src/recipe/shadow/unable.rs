//! Type changes that are refused for what stands beside the column.

use super::retype::Group;
use super::{SHADOW, refused};
use crate::fault::{Fault, Result};
use crate::recipe::plan::Planner;
use crate::recipe::quote::name_with_suffix;

impl Planner<'_> {
    /// What is over a changed column and over one that another migration is changing cannot be
    /// carried by both.
    pub fn refuse_shared(&self, group: &Group) -> Result<()> {
        let table = group.table;
        let moving = |columns: &[String]| {
            group.involves(columns)
                && columns.iter().any(|column| {
                    group.shadow_of(column).is_none()
                        && table.column(&name_with_suffix(column, SHADOW)).is_some()
                })
        };
        let indexes = table.indexes.iter().filter(|i| moving(&i.columns));
        let checks = table
            .constraints
            .iter()
            .filter(|c| c.kind != "f" && moving(&c.columns));
        let mut shared: Vec<String> = indexes.map(|i| format!("index {}", i.name)).collect();
        shared.extend(checks.map(|c| format!("constraint {}", c.name)));
        if shared.is_empty() {
            return Ok(());
        }
        Err(Fault {
            hint: Some("Contract the migration that changes the other column first; or change both columns in one migration.".into()),
            ..refused(group, &shared)
        })
    }

    /// Identity columns are integers, and the sequence must have room.
    pub fn refuse_lost_identity(&self, group: &Group) -> Result<()> {
        for change in &group.changes {
            let name = &change.column.name;
            let limit = match change.new_type.as_str() {
                "smallint" => i64::from(i16::MAX),
                "integer" => i64::from(i32::MAX),
                "bigint" => i64::MAX,
                _ if change.column.identity.is_some() => {
                    return Err(refused(
                        group,
                        &[format!(
                            "the identity of \"{name}\" (an identity column is smallint, integer or bigint)"
                        )],
                    ));
                }
                _ => continue,
            };
            let beyond = group.attached.iter().find(|one| {
                let last = one.detail.get("last").and_then(serde_json::Value::as_i64);
                one.kind == "identity"
                    && one.detail.get("column").is_some_and(|c| c == name)
                    && last.is_some_and(|last| last > limit)
            });
            if let Some(sequence) = beyond {
                return Err(refused(
                    group,
                    &[format!("{} (it has passed {limit})", sequence.what)],
                ));
            }
        }
        Ok(())
    }
}
