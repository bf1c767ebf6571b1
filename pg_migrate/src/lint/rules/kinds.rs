//! Statements that are judged by their kind alone.

use crate::fault::Result;
use crate::lint::look::Look;
use crate::lint::rule::{Family, Rule, advice, warning};
use crate::recipe::written::Answer;

const SERVER: Rule = warning(
    "whole-server",
    "the statement changes the whole server, not this database's schema",
);
const INSIDE: Rule = advice(
    "unknown-inside",
    "what the statement runs inside is not known beforehand",
);
const UNNAMED: Rule = warning(
    "unnamed-tables",
    "the statement locks tables that it does not name",
);

pub const FAMILY: Family = Family {
    name: "kinds",
    rules: &[&SERVER, &INSIDE, &UNNAMED],
    check,
};

fn check(look: &mut Look) -> Result<()> {
    let tag = look.tag();
    match tag {
        "ALTER SYSTEM" | "CREATE DATABASE" | "DROP DATABASE" | "CREATE TABLESPACE"
        | "DROP TABLESPACE" | "ALTER TABLESPACE" => server(look),
        "ALTER DATABASE" if matches!(look.effect.answer, Answer::Foreign { .. }) => server(look),
        "CREATE ROLE" | "DROP ROLE" | "ALTER ROLE" | "GRANT ROLE" | "REVOKE ROLE" => {
            look.say(&SERVER, "roles are shared by all databases of the server");
        }
        "CREATE EXTENSION" if look.action.if_exists => {}
        "CREATE EXTENSION" | "ALTER EXTENSION" | "IMPORT FOREIGN SCHEMA" | "EXECUTE" => {
            let traced = look.trace();
            look.say(
                &INSIDE,
                "what it runs inside is not known; its locks last until it ends",
            )
            .recipe(traced);
        }
        "REASSIGN OWNED" => {
            look.say(
                &UNNAMED,
                "each table of the role is locked under ACCESS EXCLUSIVE until it ends",
            )
            .recipe(
                "-- ALTER TABLE … OWNER TO …, one table at a time, each with a lock_timeout"
                    .to_owned(),
            );
        }
        _ => {}
    }
    Ok(())
}

fn server(look: &mut Look) {
    let tag = look.tag();
    look.say(
        &SERVER,
        format!("{tag} changes the whole server, not this database's schema"),
    )
    .recipe("-- run it by hand, outside migrations".to_owned());
}
