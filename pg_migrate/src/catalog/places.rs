//! In which schema a name is meant.

use super::relation;
use crate::fault::{Fault, Result};
use crate::pg::spi;
use crate::recipe::quote::identifiers;
use serde::Deserialize;

#[derive(Deserialize)]
struct Text {
    value: Option<String>,
}

/// The schemas in which names without one are looked up, whether they exist or not.
pub fn search_path() -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Path {
        path: String,
        user: String,
    }
    let found: Option<Path> = spi::first(
        "SELECT pg_catalog.current_setting('search_path') AS path, current_user::text AS user",
        &[],
    )?;
    Ok(found.map_or_else(Vec::new, |found| {
        let mut schemas = identifiers(&found.path, ',');
        schemas.retain(|name| !name.is_empty());
        let known = |name: String| {
            if name == "$user" {
                found.user.clone()
            } else {
                name
            }
        };
        schemas.into_iter().map(known).collect()
    }))
}

/// The schema in which an unqualified new object lands, and the bare name.
pub fn landing(name: &str) -> Result<(String, String)> {
    let parts: Vec<String> = relation::name_parts(name)?;
    match parts.as_slice() {
        [table] => {
            let row: Option<Text> =
                spi::first("SELECT pg_catalog.current_schema()::text AS value", &[])?;
            let schema = row.and_then(|row| row.value).ok_or_else(|| {
                Fault::new("3F000", "no schema has been selected to create in")
                    .hint("SET search_path, or qualify the name.")
            })?;
            Ok((schema, table.clone()))
        }
        [schema, table] => Ok((schema.clone(), table.clone())),
        _ => Err(Fault::invalid(format!("\"{name}\" is not a table name"))
            .hint("Write table or schema.table.")),
    }
}
