//! SET in a script. Steps run in several transactions and sessions, so no SET runs as such: some are
//! passed over because steps have their own, some go with the statements after them, and what would
//! change what names mean or whose rights count is refused.

use crate::fault::{Fault, Result, state};
use crate::pg::parser::tree::{Setting, Statement};
use crate::recipe::quote::{identifiers, idents};

#[derive(Debug, PartialEq, Eq)]
pub enum Meaning {
    PassedOver,
    /// From here on; `None`: no longer.
    Keep(String, Option<String>),
    ForgetAll,
}

/// Steps have limits of their own, and the text is in the server's encoding by now.
const OURS: [&str; 11] = [
    "client_encoding",
    "client_min_messages",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "names",
    "row_security",
    "standard_conforming_strings",
    "statement_timeout",
    "transaction_timeout",
    "xmloption",
    "application_name",
];

/// Errors: settings that would have to hold for whole sessions.
pub fn meaning(setting: &Setting) -> Result<Meaning> {
    let name = setting.name.as_str();
    let value = setting.value.as_deref().map(plain);
    if OURS.contains(&name) {
        return Ok(Meaning::PassedOver);
    }
    let refuse = |hint: &str| {
        Err(Fault::new(
            state::FEATURE_NOT_SUPPORTED,
            format!("{name} cannot be set by a migration"),
        )
        .detail("Its steps run in transactions and sessions of their own.")
        .hint(hint))
    };
    match (name, value.as_deref()) {
        ("all", None) => Ok(Meaning::ForgetAll),
        // With an empty path every name is qualified, as in what pg_dump writes.
        ("search_path", None | Some("")) => Ok(Meaning::PassedOver),
        ("search_path", _) => refuse(
            "Put it once, before the script's first statement (but after CREATE SCHEMA), or SET it in the session that calls migrate.apply: the migration keeps it. Or qualify the names.",
        ),
        ("role" | "session_authorization", _) => refuse(
            "SET ROLE in the session that calls migrate.apply: the steps run with that role's rights.",
        ),
        ("default_tablespace", None | Some("")) => Ok(Meaning::PassedOver),
        ("default_table_access_method", None | Some("heap")) => Ok(Meaning::PassedOver),
        ("default_tablespace" | "default_table_access_method", _) => {
            refuse("Name it in the statement: TABLESPACE …, USING ….")
        }
        (_, value) => Ok(Meaning::Keep(name.to_owned(), value.map(str::to_owned))),
    }
}

/// The schemas of the search path that the statement sets, unquoted; `None`: another statement, or
/// the default path.
pub fn schemas(statement: &Statement) -> Option<Vec<String>> {
    let setting = statement.action.setting.as_ref()?;
    let value = setting
        .value
        .as_deref()
        .filter(|_| setting.name == "search_path")?;
    // A list of names, each an identifier or a string; the argument of `set_config` is such a list.
    let mut names = match statement.action.tag.as_str() {
        "SELECT" => identifiers(&plain(value), ','),
        _ => identifiers(value, ','),
    };
    names.retain(|name| !name.is_empty());
    Some(names)
}

/// The same as `set_config` takes it; `None` for an empty path too.
pub fn path(statement: &Statement) -> Option<String> {
    schemas(statement)
        .filter(|names| !names.is_empty())
        .map(|names| idents(&names))
}

/// The value of a setting as `set_config` takes it.
fn plain(value: &str) -> String {
    match value
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        Some(inside) => inside.replace("''", "'"),
        None => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: Option<&str>) -> Setting {
        Setting {
            name: name.into(),
            value: value.map(str::to_owned),
            local: false,
        }
    }

    #[test]
    fn what_steps_have_themselves_is_passed_over() {
        for (name, value) in [
            ("lock_timeout", Some("'5s'")),
            ("statement_timeout", Some("0")),
            ("search_path", Some("''")),
            ("default_table_access_method", Some("heap")),
        ] {
            assert_eq!(
                meaning(&set(name, value)).unwrap(),
                Meaning::PassedOver,
                "{name}"
            );
        }
    }

    #[test]
    fn a_search_path_is_a_list_of_names() {
        let path = |tag: &str, value: &str| {
            let mut statement = Statement {
                text: String::new(),
                offset: 0,
                line: 1,
                node: crate::pg::parser::tree::Node::Other,
                transactional: true,
                action: Default::default(),
                long_names: Vec::new(),
            };
            statement.action.tag = tag.into();
            statement.action.setting = Some(set("search_path", Some(value)));
            super::path(&statement)
        };
        for (value, wanted) in [
            ("App, public", Some("app, public")),
            (
                "\"$user\", \"Sales, Ops\"",
                Some("\"$user\", \"Sales, Ops\""),
            ),
            ("'app'", Some("app")),
            ("'a, b', c", Some("\"a, b\", c")),
            ("''", None),
        ] {
            assert_eq!(path("SET", value).as_deref(), wanted, "{value}");
        }
        assert_eq!(
            path("SELECT", "'app, public'").as_deref(),
            Some("app, public")
        );
        assert_eq!(path("SELECT", "''"), None);
    }

    #[test]
    fn what_changes_the_meaning_of_names_is_refused() {
        for name in [
            "search_path",
            "role",
            "session_authorization",
            "default_tablespace",
        ] {
            assert!(meaning(&set(name, Some("app"))).is_err(), "{name}");
        }
    }

    #[test]
    fn the_rest_goes_with_the_statements_after_it() {
        assert_eq!(
            meaning(&set("check_function_bodies", Some("false"))).unwrap(),
            Meaning::Keep("check_function_bodies".into(), Some("false".into()))
        );
        assert_eq!(
            meaning(&set("timezone", Some("'it''s'"))).unwrap(),
            Meaning::Keep("timezone".into(), Some("it's".into()))
        );
        assert_eq!(meaning(&set("all", None)).unwrap(), Meaning::ForgetAll);
    }
}
