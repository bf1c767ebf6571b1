//! DROP of anything but indexes, triggers, policies and rules.

use super::{DROP_OTHER, DROP_ROUTINE, DROP_SCHEMA, DROP_TABLE, DROP_TYPE, DROP_VIEW};
use crate::fault::Result;
use crate::lint::look::Look;
use crate::recipe::written::Scene;

pub fn drops(look: &mut Look) -> Result<()> {
    let tag = look.tag();
    if !tag.starts_with("DROP ")
        || matches!(
            tag,
            "DROP INDEX" | "DROP TRIGGER" | "DROP POLICY" | "DROP RULE"
        )
    {
        return Ok(());
    }
    let relations = matches!(
        tag,
        "DROP TABLE"
            | "DROP FOREIGN TABLE"
            | "DROP VIEW"
            | "DROP MATERIALIZED VIEW"
            | "DROP SEQUENCE"
    );
    if relations {
        let recipe = look.apply()?;
        for known in look.on {
            if known.table.fresh || known.table.temporary {
                continue;
            }
            let key = &known.key;
            match tag {
                "DROP TABLE" | "DROP FOREIGN TABLE" => {
                    look.say(
                        &DROP_TABLE,
                        format!("queries that name {key} fail from then on, and its data is gone for good"),
                    )
                    .on(key)
                    .recipe(recipe.clone());
                }
                "DROP SEQUENCE" => {
                    look.say(
                        &DROP_OTHER,
                        format!("what takes numbers from {key} fails from then on"),
                    )
                    .on(key);
                }
                _ => {
                    look.say(
                        &DROP_VIEW,
                        format!("queries that name {key} fail from then on"),
                    )
                    .on(key)
                    .recipe(recipe.clone());
                }
            }
        }
        return Ok(());
    }
    let names: Vec<&str> = look
        .action
        .dropped
        .iter()
        .map(|object| object.text.as_str())
        .collect();
    let mut made = !names.is_empty();
    for name in &names {
        made &= look.world.is_made_here(name)?;
    }
    if made {
        return Ok(());
    }
    let names = match names.is_empty() {
        true => "it".to_owned(),
        false => names.join(", "),
    };
    let (rule, message) = match tag {
        "DROP TYPE" | "DROP DOMAIN" => (
            &DROP_TYPE,
            format!("queries and functions that name {names} fail from then on"),
        ),
        "DROP FUNCTION" | "DROP PROCEDURE" | "DROP ROUTINE" | "DROP AGGREGATE" => (
            &DROP_ROUTINE,
            format!("queries that call {names} fail from then on"),
        ),
        "DROP SCHEMA" => (
            &DROP_SCHEMA,
            format!(
                "queries that name a thing in {names} fail from then on, and its data is gone for good"
            ),
        ),
        "DROP OWNED" => (
            &DROP_SCHEMA,
            "everything that the role owns in this database is gone for good".to_owned(),
        ),
        // Of the whole server: see the family of kinds.
        "DROP DATABASE" | "DROP ROLE" | "DROP TABLESPACE" => return Ok(()),
        _ => (&DROP_OTHER, format!("what uses {names} fails from then on")),
    };
    look.say(rule, message);
    Ok(())
}
