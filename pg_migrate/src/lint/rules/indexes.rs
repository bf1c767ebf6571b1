//! Indexes and materialized views.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, error, warning};
use crate::pg::parser::tree::Node;
use crate::recipe::quote::ident;
use crate::recipe::written::concurrently;

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
        "DROP INDEX" => drop_index(look),
        "REINDEX" => {
            reindex(look);
            Ok(())
        }
        "REFRESH MATERIALIZED VIEW" => {
            refresh(look);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn create(look: &mut Look) -> Result<()> {
    let Node::CreateIndex(index) = &look.statement.node else {
        return Ok(());
    };
    let key = look.key();
    let text = look.statement.text.as_str();
    let partitioned = look.table().is_some_and(|table| table.kind == "p");
    if index.keys.len() > 3 && !index.unique {
        look.say(&WIDE, format!("the index has {} columns", index.keys.len()));
    }
    if look.action.concurrent {
        if partitioned {
            let recipe = look.apply()?;
            look.say(
                &PARTITIONED,
                format!("{key} is partitioned: PostgreSQL refuses to build its index concurrently"),
            )
            .recipe(recipe);
        } else if index.unique && look.filled() {
            let name = index.name.clone().unwrap_or_default();
            look.say(
                &EXPRESSION,
                format!("if {key} has duplicates the build fails and leaves {} invalid: drop it concurrently and build again", ident(&name)),
            );
        }
        return Ok(());
    }
    if !look.long() || look.effect.idle {
        return Ok(());
    }
    let recipe = if partitioned {
        look.apply()?
    } else {
        concurrently(text, &["index"]).map(|text| format!("{text};"))
    };
    look.say(
        &CREATE,
        format!("writes to {key} wait until the index is built"),
    )
    .recipe(recipe);
    Ok(())
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

fn reindex(look: &mut Look) {
    if look.action.concurrent || look.effect.unseen || !look.long() {
        return;
    }
    let what = look.on.first().map_or("the database", |known| &known.key);
    let recipe = concurrently(
        &look.statement.text,
        &["index", "table", "schema", "database"],
    );
    look.say(
        &REINDEX,
        format!(
            "writes wait until {what} is built anew, and so do reads that would use its indexes"
        ),
    )
    .recipe(recipe.map(|text| format!("{text};")));
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
            "-- first, over columns that tell its rows apart: CREATE UNIQUE INDEX ON {key} (…);\n\
             -- then: REFRESH MATERIALIZED VIEW CONCURRENTLY {key};"
        ),
    };
    look.say(
        &REFRESH,
        format!("nobody reads {key} until all its rows are computed"),
    )
    .recipe(recipe);
}
