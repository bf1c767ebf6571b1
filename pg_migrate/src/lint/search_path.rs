//! Which schemas an unqualified name is looked for in, by the session's search path and the SETs of
//! the script.

use crate::fault::Result;
use crate::pg::parser::tree::Setting;
use crate::pg::settings::Scope;
use crate::pg::spi::{self, ident};
use serde::Deserialize;

/// The schemas of the search path that exist, in their order.
#[derive(Debug, Clone, Default)]
pub struct Path(Vec<String>);

impl Path {
    /// That of this session, as it is now.
    pub fn now() -> Result<Path> {
        #[derive(Deserialize)]
        struct Row {
            schemas: Vec<String>,
        }
        let row: Option<Row> = spi::first(
            "SELECT pg_catalog.current_schemas(false)::text[] AS schemas",
            &[],
        )?;
        Ok(Path(row.map(|row| row.schemas).unwrap_or_default()))
    }

    /// The schemas of a SET that exist, or that the script has made, in the order of the SET.
    pub fn in_order(self, wanted: &[String], made: &[String]) -> Path {
        let mut found: Vec<String> = Vec::new();
        let mut put = |schema: &String| {
            if !found.contains(schema) {
                found.push(schema.clone());
            }
        };
        for schema in wanted {
            if schema == "$user" {
                // The one that exists and is not named.
                self.0
                    .iter()
                    .filter(|there| !wanted.contains(there))
                    .for_each(&mut put);
            } else if self.0.contains(schema) || made.contains(schema) {
                put(schema);
            }
        }
        Path(found)
    }

    pub fn schemas(&self) -> &[String] {
        &self.0
    }

    /// A name as SQL text in its parts: schema and bare name, unquoted.
    pub fn split(&self, name: &str) -> (Option<String>, String) {
        let mut parts = parts(name, '.');
        let bare = parts.pop().unwrap_or_default();
        (parts.pop(), bare)
    }
}

/// The identifiers of a list, unquoted; unquoted ones in lower case.
fn parts(text: &str, separator: char) -> Vec<String> {
    let mut found = vec![String::new()];
    let mut letters = text.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(letter) = letters.next() {
        let Some(last) = found.last_mut() else { break };
        match quote {
            Some(mark) if letter == mark && letters.peek() == Some(&mark) => {
                letters.next();
                last.push(mark);
            }
            Some(mark) if letter == mark => quote = None,
            Some(_) => last.push(letter),
            None if letter == '"' || letter == '\'' => quote = Some(letter),
            None if letter == separator => found.push(String::new()),
            None if letter.is_whitespace() => {}
            None => last.extend(letter.to_lowercase()),
        }
    }
    found
}

/// The schemas a SET search_path names; `whole`: its value is the list itself (set_config).
pub fn schemas(setting: &Setting, whole: bool) -> Option<Vec<String>> {
    let value = setting.value.as_deref()?;
    let mut list = parts(value, ',');
    if whole {
        list = parts(&list.concat(), ',');
    }
    list.retain(|schema| !schema.is_empty());
    Some(list)
}

/// Sets it for as long as the scope lasts; `None`: as it was.
pub fn set(scope: &Scope, schemas: &[String]) {
    let list: Vec<String> = schemas
        .iter()
        .map(|schema| match schema.as_str() {
            "$user" => "\"$user\"".to_owned(),
            name => ident(name),
        })
        .collect();
    scope.set("search_path", &list.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &str, whole: bool) -> Vec<String> {
        let setting = Setting {
            name: "search_path".into(),
            value: Some(value.into()),
            local: false,
        };
        schemas(&setting, whole).unwrap_or_default()
    }

    #[test]
    fn a_path_is_a_list_of_schemas() {
        assert_eq!(found("App, \"Other One\"", false), ["app", "Other One"]);
        assert_eq!(found("'$user', public", false), ["$user", "public"]);
        assert_eq!(found("'a, b'", false), ["a, b"]);
        assert_eq!(found("'a, b'", true), ["a", "b"]);
        assert!(found("''", true).is_empty());
    }

    #[test]
    fn a_name_has_parts() {
        let path = Path::default();
        assert_eq!(
            path.split("app.\"The \"\"Table\"\".x\""),
            (Some("app".into()), "The \"Table\".x".into())
        );
        assert_eq!(path.split("t"), (None, "t".into()));
    }
}
