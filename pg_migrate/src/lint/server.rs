//! What only a server knows: who holds what now, what is old, what will lag. Asked once, when a
//! rule wants it.

use crate::catalog::{self, Blocker, Old};
use crate::fault::Result;
use crate::history::Graph;
use crate::ledger;
use crate::pg::subtransaction;
use std::collections::HashMap;

#[derive(Default)]
pub struct Server {
    oldest: Option<Option<Old>>,
    followers: Option<Vec<String>>,
    holders: HashMap<(u32, bool), Vec<Blocker>>,
    next: Option<String>,
}

impl Server {
    pub fn oldest(&mut self) -> Result<Option<Old>> {
        if self.oldest.is_none() {
            self.oldest = Some(catalog::oldest_transaction()?);
        }
        Ok(self.oldest.clone().flatten())
    }

    pub fn followers(&mut self) -> Result<Vec<String>> {
        if self.followers.is_none() {
            self.followers = Some(catalog::followers()?);
        }
        Ok(self.followers.clone().unwrap_or_default())
    }

    /// What a directive would call the next migration: `0008 after 0007`.
    pub fn next_revision(&mut self) -> Result<String> {
        if let Some(next) = &self.next {
            return Ok(next.clone());
        }
        let nodes = match subtransaction::look(ledger::nodes) {
            Err(fault) if fault.is_interruption() => return Err(fault),
            // The extension is not in this database, say.
            nodes => nodes.unwrap_or_default(),
        };
        let next = following(&Graph::new(nodes));
        self.next = Some(next.clone());
        Ok(next)
    }

    /// Sessions whose locks are in the way of a strong lock now. `exclusive`: readers are too.
    pub fn holders(&mut self, relation: u32, exclusive: bool) -> Result<Vec<Blocker>> {
        let key = (relation, exclusive);
        if let Some(found) = self.holders.get(&key) {
            return Ok(found.clone());
        }
        let found = catalog::blockers(&[relation], exclusive)?;
        self.holders.insert(key, found.clone());
        Ok(found)
    }
}

fn following(graph: &Graph) -> String {
    let heads: Vec<&str> = graph
        .heads()
        .into_iter()
        .map(|node| node.revision.as_str())
        .collect();
    let Some(last) = heads.last() else {
        return "0001".to_owned();
    };
    let mut next = incremented(last);
    while graph.node(&next).is_some() {
        next = incremented(&next);
    }
    format!("{next} after {}", heads.join(", "))
}

/// `0007` → `0008`; without a number at its end it gets one.
fn incremented(revision: &str) -> String {
    let head = revision.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let digits = &revision[head.len()..];
    match digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_add(1))
    {
        Some(number) => format!("{head}{number:0width$}", width = digits.len()),
        None => format!("{revision}_2"),
    }
}

#[cfg(test)]
mod tests {
    use super::incremented;

    #[test]
    fn the_next_revision_counts_on() {
        assert_eq!(incremented("0007"), "0008");
        assert_eq!(incremented("v9"), "v10");
        assert_eq!(incremented("ae1027a6acf"), "ae1027a6acf_2");
        assert_eq!(
            incremented("99999999999999999999999"),
            "99999999999999999999999_2"
        );
    }
}
