//! Which schema version a session knows, told by the schemas of its search path. No PostgreSQL.

use crate::sync::rules::Side;

/// The names in a list of identifiers: unquoted ones in lower case, as SQL reads them.
fn names(list: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    let (mut quoted, mut chars) = (false, list.chars().peekable());
    while let Some(c) = chars.next() {
        let Some(name) = names.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => names.push(String::new()),
            c if !quoted && c.is_whitespace() => {}
            c if quoted => name.push(c),
            c => name.push(c.to_ascii_lowercase()),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The side of the first schema in `path` that either list has; the new side's where both do.
pub fn of_path(path: &str, old: &str, new: &str) -> Side {
    let (old, new) = (names(old), names(new));
    for schema in names(path) {
        if new.contains(&schema) {
            return Side::New;
        }
        if old.contains(&schema) {
            return Side::Old;
        }
    }
    Side::Unknown
}

#[cfg(test)]
mod tests {
    use super::{names, of_path};
    use crate::sync::rules::Side;

    #[test]
    fn names_are_read_as_sql_reads_them() {
        assert_eq!(
            names(r#" App_V1, "Odd, "" Name",public,, "$user" "#),
            ["app_v1", "Odd, \" Name", "public", "$user"]
        );
        assert!(names("").is_empty());
    }

    #[test]
    fn the_first_known_schema_decides() {
        for (path, side) in [
            ("app_v1, public", Side::Old),
            ("public, app_v2, app_v1", Side::New),
            ("\"APP_V2\"", Side::Unknown),
            ("APP_V2", Side::New),
            ("\"$user\", public", Side::Unknown),
            ("", Side::Unknown),
        ] {
            assert_eq!(of_path(path, "app_v0, app_v1", "app_v2"), side, "{path}");
        }
        assert_eq!(of_path("a", "a", "a"), Side::New);
        assert_eq!(of_path("a", "", ""), Side::Unknown);
    }
}
