//! Indexes and materialized views.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, error, warning};
use crate::pg::parser::tree::Node;
use crate::recipe::quote::ident;

const CREATE: Rule = error(
    "index-without-concurrently",
    "CREATE INDEX makes writes wait until the index is built",
);
const DROP: Rule = warning(
    "drop-index-without-concurrently",
    "DROP INDEX waits for every query on the table, and makes all others wait behind it",
);
const REINDEX: Rule = error(
    "reindex-without-concurrently",
    "REINDEX makes writes wait, and reads that would use the index",
);
const REFRESH: Rule = error(
    "refresh-without-concurrently",
    "REFRESH MATERIALIZED VIEW makes readers wait until all rows are computed",
);
const PARTITIONED: Rule = error(
    "concurrently-on-partitioned",
    "indexes of partitioned tables cannot be made or dropped concurrently",
);
const WIDE: Rule = advice(
    "wide-index",
    "an index of more than three columns serves few queries and costs every write",
);
const EXPRESSION: Rule = advice(
    "unique-index-may-fail",
    "a concurrent unique build that finds duplicates fails, and leaves an invalid index behind",
);

pub const FAMILY: Family = Family {
    name: "indexes",
    rules: &[
        &CREATE,
        &DROP,
        &REINDEX,
        &REFRESH,
        &PARTITIONED,
        &WIDE,
        &EXPRESSION,
    ],
    check,
};

fn check(look: &mut Look) -> Result<()> {
    match look.tag() {
        "CREATE INDEX" => create(look),
        "DROP INDEX" => return drop_index(look),
        "REINDEX" => reindex(look)?,
        "REFRESH MATERIALIZED VIEW" => refresh(look),
        _ => {}
    }
    Ok(())
}

/// The statement with CONCURRENTLY in it.
fn concurrently(text: &str, after: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find(after)? + after.len();
    Some(format!("{} CONCURRENTLY{};", &text[..at], &text[at..]))
}

fn create(look: &mut Look) {
    let Node::CreateIndex(index) = &look.statement.node else {
        return;
    };
    let key = look.key();
    let text = look.statement.text.as_str();
    let partitioned = look.table().is_some_and(|table| table.kind == "p");
    if index.keys.len() > 3 && !index.unique {
        look.say(&WIDE, format!("the index has {} columns", index.keys.len()));
    }
    if look.action.concurrent {
        if partitioned {
            look.say(
                &PARTITIONED,
                format!("{key} is partitioned: PostgreSQL refuses to build its index concurrently"),
            )
            .recipe(on_each_partition(text, key));
        } else if index.unique && look.filled() {
            let name = index.name.clone().unwrap_or_default();
            look.say(
                &EXPRESSION,
                format!("if {key} has duplicates the build fails and leaves {} invalid: drop it concurrently and build again", ident(&name)),
            );
        }
        return;
    }
    if !look.long() || look.effect.idle {
        return;
    }
    let recipe = if partitioned {
        Some(on_each_partition(text, key))
    } else {
        concurrently(text, "index")
    };
    let said = look.say(
        &CREATE,
        format!("writes to {key} wait until the index is built"),
    );
    said.recipe = recipe;
}

fn on_each_partition(text: &str, key: &str) -> String {
    format!(
        "-- SELECT migrate.apply('…{text}…') does all of this; by hand:\n\
         CREATE INDEX name ON ONLY {key} …;\n\
         -- for each partition:\n\
         CREATE INDEX CONCURRENTLY part_name ON partition …;\n\
         ALTER INDEX name ATTACH PARTITION part_name;"
    )
}

fn drop_index(look: &mut Look) -> Result<()> {
    for known in look.on {
        if known.table.kind == "I" && look.action.concurrent {
            look.say(
                &PARTITIONED,
                format!(
                    "{} is of a partitioned table: PostgreSQL refuses to drop it concurrently",
                    known.key
                ),
            )
            .on(&known.key);
            continue;
        }
        if look.action.concurrent || known.table.fresh || known.table.kind == "I" {
            continue;
        }
        let on = look.world.table_of_index(&known.key)?;
        if on
            .as_ref()
            .and_then(|key| look.world.table(key))
            .is_some_and(|table| table.fresh)
        {
            continue;
        }
        let table = on.clone().unwrap_or_else(|| "its table".to_owned());
        let said = look.say(
            &DROP,
            format!(
                "DROP INDEX waits for every query on {table}, and reads and writes wait behind it"
            ),
        );
        said.recipe(format!("DROP INDEX CONCURRENTLY {};", known.key));
        if let Some(on) = on {
            said.on(&on);
        }
    }
    Ok(())
}

fn reindex(look: &mut Look) -> Result<()> {
    if look.action.concurrent || look.effect.unseen {
        return Ok(());
    }
    let what = look.on.first().map_or("the database", |known| &known.key);
    let text = look.statement.text.as_str();
    let recipe = ["index", "table", "schema", "database"]
        .iter()
        .skip_while(|word| !text.to_ascii_lowercase().contains(*word))
        .find_map(|word| {
            let lower = text.to_ascii_lowercase();
            let at = lower.strip_prefix("reindex")?.find(word)? + "reindex".len() + word.len();
            Some(format!("{} CONCURRENTLY{};", &text[..at], &text[at..]))
        });
    let said = look.say(
        &REINDEX,
        format!(
            "writes wait until {what} is built anew, and so do reads that would use its indexes"
        ),
    );
    said.recipe = recipe;
    Ok(())
}

fn refresh(look: &mut Look) {
    let populated = look.table().is_none_or(|table| table.populated);
    if look.action.concurrent || look.action.no_data || !populated || !look.long() {
        return;
    }
    let key = look.key();
    let keyed = look.table().is_some_and(|table| {
        table
            .indexes
            .iter()
            .any(|index| index.unique && index.valid)
    });
    let recipe = match keyed {
        true => format!("REFRESH MATERIALIZED VIEW CONCURRENTLY {key};"),
        false => format!(
            "CREATE UNIQUE INDEX ON {key} (…);  -- over columns that tell its rows apart\n\
             REFRESH MATERIALIZED VIEW CONCURRENTLY {key};"
        ),
    };
    look.say(
        &REFRESH,
        format!("nobody reads {key} until all its rows are computed"),
    )
    .recipe(recipe);
}
