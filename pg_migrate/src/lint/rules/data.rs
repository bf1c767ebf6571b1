//! Rows, and code that is not to be read beforehand.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, error, warning};

const NO_WHERE: Rule = error(
    "write-without-where",
    "UPDATE or DELETE of all rows in one statement keeps each of them locked until it ends",
);
const MANY_ROWS: Rule = warning(
    "write-many-rows",
    "one statement keeps every row it writes locked until it ends",
);
const WITH_DDL: Rule = error(
    "write-in-ddl-transaction",
    "rows are written while the transaction's DDL keeps a table locked",
);
const ENUM_VALUE: Rule = error(
    "enum-value-used",
    "a new enum value cannot be used in the transaction that adds it",
);
const DYNAMIC: Rule = warning(
    "dynamic-sql",
    "a DO block runs SQL that is put together only then",
);
const DO_BLOCK: Rule = advice(
    "do-block",
    "what a DO block or a procedure does is not known before it runs",
);
const TRUNCATE: Rule = error(
    "truncate",
    "TRUNCATE destroys all rows, and reads and writes wait for it",
);

pub const FAMILY: Family = Family {
    name: "data",
    rules: &[
        &NO_WHERE,
        &MANY_ROWS,
        &WITH_DDL,
        &ENUM_VALUE,
        &DYNAMIC,
        &DO_BLOCK,
        &TRUNCATE,
    ],
    check,
};

/// Rows that one statement may lock without being noticed.
const MANY: f64 = 100_000.0;

fn check(look: &mut Look) -> Result<()> {
    let key = look.key();
    let text = look.statement.text.as_str();
    match look.tag() {
        "UPDATE" | "DELETE" | "MERGE" if look.filled() => {
            if look.action.unconditional {
                let recipe = batches(look);
                look.say(
                    &NO_WHERE,
                    format!("all rows of {key} are written in one statement, and each stays locked until it ends"),
                )
                .recipe(recipe);
            } else {
                many(look)?;
            }
            with_ddl(look)?;
        }
        "INSERT" | "COPY" if look.filled() => with_ddl(look)?,
        "TRUNCATE TABLE" if look.filled() && look.seen() => {
            look.say(
                &TRUNCATE,
                format!("all rows of {key} are gone for good, and its reads and writes wait for the lock"),
            )
            .recipe(format!(
                "-- to keep them for a while, in one transaction: ALTER TABLE {key} RENAME TO …, and make an empty one"
            ));
        }
        "DO" | "CALL" => {
            let traced = look.trace();
            if has_word(text, "execute") {
                look.say(
                    &DYNAMIC,
                    "the block puts SQL together and runs it: what that locks, reads or writes is not known beforehand",
                )
                .recipe(traced);
            } else {
                look.say(
                    &DO_BLOCK,
                    "what is inside is not judged; its locks last until it ends",
                )
                .recipe(traced);
            }
        }
        _ => {}
    }
    enum_values(look);
    Ok(())
}

/// An identifier or key word in the text, in any case.
fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .any(|found| found.eq_ignore_ascii_case(word))
}

fn batches(look: &Look) -> String {
    let key = look.key();
    match &look.statement.node {
        crate::pg::parser::tree::Node::Update(update) if update.plain => {
            let set: serde_json::Map<String, serde_json::Value> = update
                .set
                .iter()
                .map(|(column, value)| (column.clone(), value.clone().into()))
                .collect();
            let set = serde_json::Value::Object(set)
                .to_string()
                .replace('\'', "''");
            let filter = update
                .predicate
                .as_ref()
                .map(|text| format!(", '{}'", text.replace('\'', "''")))
                .unwrap_or_default();
            format!(
                "SELECT migrate.backfill('{key}', '{set}'::jsonb{filter});\nCALL migrate.upgrade();"
            )
        }
        _ if look.tag() == "DELETE" && look.action.unconditional => format!(
            "DO $$BEGIN\n\
             \x20   LOOP\n\
             \x20       DELETE FROM {key} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {key} LIMIT 5000));\n\
             \x20       EXIT WHEN NOT FOUND;\n\
             \x20       COMMIT;\n\
             \x20   END LOOP;\n\
             END$$;"
        ),
        _ => format!(
            "-- in batches, each in a transaction of its own, until none is left:\n\
             -- … {key} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {key} WHERE … LIMIT 5000));"
        ),
    }
}

fn many(look: &mut Look) -> Result<()> {
    let key = look.key();
    let live = look
        .on
        .iter()
        .all(|known| known.table.oid != 0 && !look.world.busy.contains(&known.key));
    let big = look.world.size(key)?.is_some_and(|size| size.rows > MANY);
    if !live || !big {
        return Ok(());
    }
    if let Some(rows) = look.touched_rows()?.filter(|rows| *rows > MANY) {
        let recipe = batches(look);
        look.say(
            &MANY_ROWS,
            format!("about {rows:.0} rows of {key} are written in one statement, and each stays locked until it ends"),
        )
        .recipe(recipe);
    }
    Ok(())
}

/// One row or a few, as the tools that run migrations write it into their own table.
fn few_rows(look: &mut Look) -> Result<bool> {
    if look.tag() == "INSERT" {
        const FEW: usize = 20;
        return Ok(look.action.rows.is_some_and(|rows| rows <= FEW));
    }
    let live = look
        .on
        .iter()
        .all(|known| known.table.oid != 0 && !look.world.busy.contains(&known.key));
    if !live || look.action.unconditional || !matches!(look.tag(), "UPDATE" | "DELETE") {
        return Ok(false);
    }
    Ok(look.touched_rows()?.is_some_and(|rows| rows <= 1.0))
}

fn with_ddl(look: &mut Look) -> Result<()> {
    if look.session.held.is_empty() || few_rows(look)? {
        return Ok(());
    }
    let held: Option<(String, i32, &'static str)> = look
        .session
        .held
        .iter()
        .map(|(table, held)| (table.clone(), held.since, held.lock.mode()))
        .next();
    if let Some((table, since, mode)) = held {
        look.say(
            &WITH_DDL,
            format!(
                "{table} stays locked since statement {since} ({mode}) while these rows are written"
            ),
        )
        .on(&table)
        .recipe("COMMIT;\n-- then the rows, in transactions of their own".to_owned());
    }
    Ok(())
}

/// What stands between single quotes.
fn literals(text: &str) -> impl Iterator<Item = String> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = &rest[rest.find('\'')? + 1..];
        let mut value = String::new();
        loop {
            let (before, after) = rest.split_once('\'')?;
            value.push_str(before);
            rest = after;
            match rest.strip_prefix('\'') {
                Some(after) => {
                    value.push('\'');
                    rest = after;
                }
                None => return Some(value),
            }
        }
    })
}

fn enum_values(look: &mut Look) {
    if look.session.enum_values.is_empty() || look.action.what == "ADD VALUE" {
        return;
    }
    let text = look.statement.text.as_str();
    let used = literals(text).find(|value| look.session.enum_values.contains(value));
    if let Some(value) = used {
        look.say(
            &ENUM_VALUE,
            format!("'{value}' was added in this transaction, and PostgreSQL refuses to use it before COMMIT"),
        )
        .recipe(format!("COMMIT;\n{text};"));
    }
}

#[cfg(test)]
mod tests {
    use super::literals;

    #[test]
    fn literals_are_what_stands_in_quotes() {
        let found: Vec<String> = literals("a 'b' c 'it''s' '' 'open").collect();
        assert_eq!(found, ["b", "it's", ""]);
    }
}
