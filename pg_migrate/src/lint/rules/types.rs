//! Types and names that are regretted later.

use crate::fault::Result;
use crate::lint::look::{Look, Unindexed};
use crate::lint::rule::{Family, Rule, advice, warning};
use crate::pg::parser::tree::{Column, CommandKind, Constraint, ConstraintKind};
use crate::recipe::facts::Table;
use crate::recipe::quote::ident;
use crate::recipe::written::{Scene, sql};

const JSON: Rule = advice(
    "json",
    "json has no equality: DISTINCT, GROUP BY and UNION over it fail",
);
const SMALL_KEY: Rule = warning(
    "small-key",
    "an integer or smallint key runs out of numbers",
);
const KEY_TYPE: Rule = warning(
    "foreign-key-type",
    "a foreign key's column has another type than the column it refers to",
);
const KEY_INDEX: Rule = warning(
    "foreign-key-without-index",
    "without an index on the foreign key, deletes and key updates of the target read the whole table",
);
const CHAR: Rule = advice("char", "char(n) pads with blanks, and is no faster");
const VARCHAR: Rule = advice(
    "varchar-limit",
    "a limit that has to grow is easier to change as a CHECK on text",
);
const TIMESTAMP: Rule = advice(
    "timestamp-without-zone",
    "timestamp without time zone does not say which moment it means",
);
const SERIAL: Rule = advice(
    "serial",
    "serial leaves its sequence with rights and ownership of its own; identity columns are the standard",
);
const MONEY: Rule = advice(
    "money",
    "money is read and written by the session's lc_monetary",
);
const ENUM: Rule = advice(
    "enum",
    "an enum's values cannot be dropped, nor used in the transaction that adds them",
);
const DOMAIN: Rule = advice(
    "domain-with-constraint",
    "a domain's constraint can only be changed by reading every table that has a column of it",
);
const LONG_NAME: Rule = warning(
    "long-identifier",
    "PostgreSQL cuts identifiers off after 63 bytes",
);

pub const FAMILY: Family = Family {
    name: "types",
    rules: &[
        &JSON, &SMALL_KEY, &KEY_TYPE, &KEY_INDEX, &CHAR, &VARCHAR, &TIMESTAMP, &SERIAL, &MONEY,
        &ENUM, &DOMAIN, &LONG_NAME,
    ],
    check,
};

pub fn key_without_index() -> &'static Rule {
    &KEY_INDEX
}

fn check(look: &mut Look) -> Result<()> {
    for name in &look.statement.long_names {
        let mut end = 63.min(name.len());
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        look.say(
            &LONG_NAME,
            format!("\"{name}\" is kept as \"{}\"", &name[..end]),
        );
    }
    let text = look.statement.text.to_lowercase();
    match look.tag() {
        "CREATE TYPE" if has_words(&text, &["as", "enum"]) => {
            look.say(
                &ENUM,
                "a value that is no longer wanted stays for good; a table of values, or a CHECK on text, can change",
            );
        }
        "CREATE DOMAIN" if text.contains("check") || has_words(&text, &["not", "null"]) => {
            look.say(
                &DOMAIN,
                "to change the constraint later reads every table with a column of the domain, and a new column of it writes its table anew",
            )
            .recipe("-- a CHECK on each column can be added NOT VALID and validated".to_owned());
        }
        _ => {}
    }
    for (name, data_type) in look.typed_columns() {
        column_type(look, name, data_type);
    }
    if matches!(look.tag(), "CREATE TABLE" | "ALTER TABLE") {
        for made in look.new_constraints() {
            match made.kind {
                ConstraintKind::PrimaryKey => small_key(look, made)?,
                ConstraintKind::ForeignKey => foreign_key(look, made)?,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Whether these words follow each other in the text.
fn has_words(text: &str, words: &[&str]) -> bool {
    let found: Vec<&str> = text
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|word| !word.is_empty())
        .collect();
    found.windows(words.len()).any(|window| window == words)
}

/// The type's first word, its rest in parentheses, and whether it is an array.
fn bare(data_type: &str) -> (String, bool, bool) {
    let text = data_type.trim().to_lowercase();
    let text = text.strip_prefix("pg_catalog.").unwrap_or(&text);
    let head = text.split(['(', '[']).next().unwrap_or_default().trim();
    (head.to_owned(), text.contains('('), text.contains('['))
}

fn column_type(look: &mut Look, name: &str, data_type: &str) {
    let name = ident(name);
    let (head, limited, _) = bare(data_type);
    match head.as_str() {
        "json" => {
            look.say(
                &JSON,
                format!("{name} is json: DISTINCT, GROUP BY and UNION over it fail"),
            )
            .recipe(format!("{name} jsonb"));
        }
        "char" | "character" | "bpchar" | "nchar" | "national character"
            if !data_type.contains('"') =>
        {
            look.say(&CHAR, format!("{name} is padded with blanks"))
                .recipe(format!("{name} text"));
        }
        "varchar" | "character varying" if limited => {
            look.say(
                &VARCHAR,
                format!(
                    "{name} has a limit in its type: a smaller one later reads and writes every row"
                ),
            )
            .recipe(format!("{name} text CHECK (length({name}) <= …)"));
        }
        "timestamp" if !data_type.to_lowercase().contains("with time zone") => {
            timestamp(look, &name)
        }
        "timestamp without time zone" => timestamp(look, &name),
        "money" => {
            look.say(&MONEY, format!("{name} reads otherwise in another locale"))
                .recipe(format!("{name} numeric"));
        }
        _ if super::rewrites::is_serial(data_type) => {
            let plain = match head.as_str() {
                "bigserial" | "serial8" => "bigint",
                "smallserial" | "serial2" => "smallint",
                _ => "integer",
            };
            look.say(
                &SERIAL,
                format!("{name} gets a sequence with rights of its own, and takes any number an INSERT gives"),
            )
            .recipe(format!("{name} {plain} GENERATED ALWAYS AS IDENTITY"));
        }
        _ => {}
    }
}

fn timestamp(look: &mut Look, name: &str) {
    look.say(
        &TIMESTAMP,
        format!("{name} does not say which moment it means: sessions in other time zones read another one"),
    )
    .recipe(format!("{name} timestamptz"));
}

/// The column as the statement makes it, or as the table has it.
fn type_of(look: &Look, name: &str) -> Option<String> {
    let new = look
        .new_columns()
        .into_iter()
        .find(|column| column.name == name)
        .map(|column: &Column| column.data_type.clone());
    let changed = look
        .action
        .changes
        .iter()
        .find_map(|change| match &change.kind {
            CommandKind::SetType {
                column, data_type, ..
            } if column == name => Some(data_type.clone()),
            _ => None,
        });
    new.or(changed).or_else(|| {
        let found = look.table()?.column(name)?;
        Some(found.data_type.clone())
    })
}

fn small_key(look: &mut Look, made: &Constraint) -> Result<()> {
    let [column] = made.columns.as_slice() else {
        return Ok(());
    };
    let Some(data_type) = type_of(look, column) else {
        return Ok(());
    };
    let (head, ..) = bare(&data_type);
    let most = match head.as_str() {
        "int" | "int4" | "integer" | "serial" | "serial4" => "2,147,483,647",
        "smallint" | "int2" | "smallserial" | "serial2" => "32,767",
        _ => return Ok(()),
    };
    look.say(
        &SMALL_KEY,
        format!(
            "{} is a key of at most {most}: to widen it later writes the table anew",
            ident(column)
        ),
    )
    .recipe(format!(
        "{} bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        ident(column)
    ));
    Ok(())
}

fn primary_key(table: &Table) -> Vec<String> {
    table
        .constraints
        .iter()
        .find(|found| found.kind == "p")
        .map(|found| found.columns.clone())
        .unwrap_or_default()
}

fn foreign_key(look: &mut Look, made: &Constraint) -> Result<()> {
    let Some(references) = &made.references else {
        return Ok(());
    };
    let own = match (&look.action.makes, look.on.first()) {
        (Some(name), _) if look.tag() == "CREATE TABLE" => look.world.landing(name),
        (_, Some(known)) => known.key.clone(),
        _ => return Ok(()),
    };
    let target = look.world.known(&sql(&references.table))?;
    if let Some(target) = &target {
        let theirs = match references.columns.is_empty() {
            true => primary_key(&target.table),
            false => references.columns.clone(),
        };
        for (column, referenced) in made.columns.iter().zip(&theirs) {
            let there = target
                .table
                .column(referenced)
                .map(|found| found.data_type.clone());
            let (Some(one), Some(two)) = (type_of(look, column), there) else {
                continue;
            };
            let (one, two) = (plain_type(&one), plain_type(&two));
            let (one, two) = (
                look.before.canonical(look.world, &one)?,
                look.before.canonical(look.world, &two)?,
            );
            if one != two {
                look.say(
                    &KEY_TYPE,
                    format!(
                        "{} is {one}, but {} of {} is {two}",
                        ident(column),
                        ident(referenced),
                        target.key
                    ),
                )
                .recipe(format!("{} {two}", ident(column)));
            }
        }
    }
    look.before.keys.push(Unindexed {
        statement: look.index,
        table: own,
        columns: made.columns.clone(),
        target: target.map_or_else(|| sql(&references.table), |found| found.key),
    });
    Ok(())
}

/// What a serial column holds.
fn plain_type(data_type: &str) -> String {
    match data_type.trim().to_lowercase().as_str() {
        "serial" | "serial4" => "integer".to_owned(),
        "bigserial" | "serial8" => "bigint".to_owned(),
        "smallserial" | "serial2" => "smallint".to_owned(),
        _ => data_type.to_owned(),
    }
}

/// Whether an index of the table begins with these columns, in any order.
pub fn has_index(table: &Table, columns: &[String]) -> bool {
    let covers = |keys: &[String]| {
        keys.len() >= columns.len()
            && columns
                .iter()
                .all(|column| keys[..columns.len()].contains(column))
    };
    let by_constraint = table
        .constraints
        .iter()
        .any(|found| matches!(found.kind.as_str(), "p" | "u") && covers(&found.columns));
    by_constraint
        || table.indexes.iter().any(|index| {
            let partial = index.definition.contains(" WHERE ");
            !partial && covers(&leading(&index.definition, &index.columns))
        })
}

/// The columns of an index in their order, by its text after `ON table`.
fn leading(definition: &str, columns: &[String]) -> Vec<String> {
    let open = definition.find('(').map_or(0, |at| at + 1);
    let inside = definition.get(open..).unwrap_or_default();
    inside
        .split(',')
        .map(|key| {
            let word = key.split_whitespace().next().unwrap_or_default();
            let name = word
                .trim_end_matches(')')
                .trim_matches('"')
                .replace("\"\"", "\"");
            columns.iter().find(|column| **column == name).cloned()
        })
        .take_while(Option::is_some)
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_serves_by_its_first_columns() {
        let columns = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let all = columns(&["a", "B c", "d"]);
        assert_eq!(
            leading("USING btree (a, \"B c\" DESC, lower(d))", &all),
            columns(&["a"])
        );
        assert_eq!(leading("USING btree (d, a)", &all), columns(&["d", "a"]));
        assert!(leading("(lower(d))", &all).is_empty());
    }

    #[test]
    fn a_type_is_told_by_its_first_words() {
        assert_eq!(bare("VARCHAR(20)[]"), ("varchar".into(), true, true));
        assert_eq!(
            bare("timestamp with time zone").0,
            "timestamp with time zone"
        );
    }
}
