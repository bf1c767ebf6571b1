//! The statements of a swap, and for which partition each is.

use super::attached::remade;
use super::retype::Group;
use crate::recipe::facts::Attached;

/// A partition that a statement of the swap is for: once it has left, the statement is needless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub partition: String,
    pub parent: String,
}

/// A statement of the swap.
#[derive(Debug, Clone)]
pub struct Statement {
    pub sql: String,
    pub of: Option<Place>,
}

impl From<String> for Statement {
    fn from(sql: String) -> Statement {
        Statement { sql, of: None }
    }
}

/// Statements of the whole.
pub fn whole(list: Vec<String>) -> impl Iterator<Item = Statement> {
    list.into_iter().map(Statement::from)
}

/// Statements for one partition.
pub fn of(place: &Place, list: Vec<String>) -> impl Iterator<Item = Statement> {
    list.into_iter().map(|sql| Statement {
        sql,
        of: Some(place.clone()),
    })
}

/// What stands on the columns of the whole or of a partition, once each; what stands on several
/// leaves as the one that is furthest from them.
fn standing(group: &Group, parts: &[(Place, Group)]) -> Vec<(Attached, Option<Place>)> {
    let of_whole = group.attached.iter().map(|one| (one, None));
    let of_parts = parts
        .iter()
        .flat_map(|(place, part)| part.attached.iter().map(move |one| (one, Some(place))));
    let mut found: Vec<(Attached, Option<Place>)> = Vec::new();
    for (one, place) in of_whole.chain(of_parts) {
        if !remade(&one.kind) {
            continue;
        }
        match found.iter_mut().find(|(known, _)| known.what == one.what) {
            Some((known, at)) => {
                known.rank = known.rank.max(one.rank);
                *at = None;
            }
            None => found.push((one.clone(), place.cloned())),
        }
    }
    found.sort_by_key(|(one, _)| (one.kind != "view", one.rank));
    found
}

/// Statements that take away what stands on the columns, last made first, and those that make it
/// again.
pub fn remaking(group: &Group, parts: &[(Place, Group)]) -> (Vec<Statement>, Vec<Statement>) {
    let statements = |list: &[String], place: &Option<Place>| -> Vec<Statement> {
        let list = list.iter().cloned();
        list.map(|sql| Statement {
            sql,
            of: place.clone(),
        })
        .collect()
    };
    let list = standing(group, parts);
    let makes = list
        .iter()
        .flat_map(|(one, place)| statements(&one.makes, place))
        .collect();
    let mut leaving: Vec<_> = list.iter().collect();
    leaving.sort_by_key(|(one, _)| (one.kind == "view", -one.rank));
    let drops = leaving
        .iter()
        .flat_map(|(one, place)| statements(&one.drops, place))
        .collect();
    (drops, makes)
}
