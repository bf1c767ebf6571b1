//! Whether what hangs on columns can be made again once they have other types.

use super::relation;
use crate::fault::Result;
use crate::pg::spi::{self, ident};
use crate::pg::subtransaction;
use crate::recipe::facts::Attached;

/// What of the attached objects cannot be made again once columns have other types, each with what
/// PostgreSQL says: tried on an empty table of the same shape and name in the temporary schema.
/// Objects on other tables, and publications, are not tried.
pub fn cannot_be_remade(
    key: &str,
    schema: &str,
    name: &str,
    changes: &[(String, String)],
    attached: &[&Attached],
) -> Result<Vec<String>> {
    let here = spi::qualified("pg_temp", name);
    let mut places = vec![(spi::qualified(schema, name), here.clone())];
    let mut found = Vec::new();
    subtransaction::rehearse(|| {
        spi::run("SET LOCAL client_min_messages = warning", &[])?;
        spi::run(
            &format!(
                "CREATE TEMP TABLE {} (LIKE {key} INCLUDING INDEXES)",
                ident(name)
            ),
            &[],
        )?;
        for (column, data_type) in changes {
            spi::run(
                &format!(
                    "ALTER TABLE {here} ALTER COLUMN {} TYPE {data_type} USING NULL",
                    ident(column)
                ),
                &[],
            )?;
        }
        for one in attached {
            let (Some(make), Some(relation)) = (one.makes.first(), place_of(one, key)) else {
                continue;
            };
            let bare = relation::name_parts(&relation)?.pop().unwrap_or_default();
            let mine = spi::qualified("pg_temp", &bare);
            if one.kind == "view" {
                if places.iter().any(|(_, taken)| *taken == mine) {
                    continue; // of the same name in another schema
                }
                places.push((relation.clone(), mine));
            }
            let sql = places
                .iter()
                .fold(make.clone(), |sql, (from, to)| replaced(&sql, from, to));
            match subtransaction::attempt(|| spi::run(&sql, &[])) {
                Ok(_) => {}
                Err(fault) if fault.is_interruption() => return Err(fault),
                Err(fault) => found.push(format!("{} ({})", one.what, fault.message)),
            }
        }
        Ok(std::mem::take(&mut found))
    })
}

/// The relation whose name a statement that makes the object is tried under; `None`: it is not.
fn place_of(one: &Attached, key: &str) -> Option<String> {
    match one.kind.as_str() {
        "view" => one.relation.clone(),
        "rule" | "policy" | "trigger" => one.relation.clone().filter(|name| name == key),
        "function" => Some(key.to_owned()),
        _ => None,
    }
}

/// `text` with the qualified name `from` as `to`, where it is not part of a longer one.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"');
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let longer = before
            .chars()
            .next_back()
            .is_some_and(|c| inside(c) || c == '.')
            || after.chars().next().is_some_and(inside);
        out.push_str(before);
        out.push_str(if longer { from } else { to });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn only_the_whole_name_is_replaced() {
        let moved = |text: &str| replaced(text, "public.t", "pg_temp.t");
        assert_eq!(
            moved("SELECT t.a FROM public.t"),
            "SELECT t.a FROM pg_temp.t"
        );
        assert_eq!(
            moved("FROM public.t2, x.public.t"),
            "FROM public.t2, x.public.t"
        );
        assert_eq!(
            moved("(public.t JOIN public.t u)"),
            "(pg_temp.t JOIN pg_temp.t u)"
        );
    }
}
