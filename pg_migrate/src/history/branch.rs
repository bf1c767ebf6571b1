//! One branch of the graph, as `label@…` or `revision@…` names it.

use super::Graph;
use super::graph::relative;
use crate::fault::{Fault, Result};
use std::collections::HashSet;

/// The branch that goes through a revision.
pub(super) struct Branch<'a> {
    graph: &'a Graph,
    /// What it was called by.
    pub name: String,
    /// Where it leaves the trunk, and all that follows.
    pub own: HashSet<usize>,
    /// What the root stands on.
    pub trunk: HashSet<usize>,
}

impl Graph {
    /// The branch a label or a revision is on.
    pub(super) fn branch(&self, name: &str) -> Result<Branch<'_>> {
        let through = match self.labelled(name).or_else(|| self.at(name)) {
            Some(at) => at,
            None if name.is_empty() => {
                return Err(Fault::invalid("the branch label before \"@\" is missing")
                    .hint("Write it as in billing@head."));
            }
            None => self.beginning_with(name, 0..self.nodes.len())?,
        };
        let mut root = through;
        // Down to where the branch leaves the trunk, a merge, or the base.
        while let [parent] = self.nodes[root].down_revision.as_slice()
            && let Some(parent) = self.at(parent)
            && self.children(parent).len() == 1
        {
            root = parent;
        }
        let mut own = Self::closure([root], |at| self.children(at).iter().copied());
        own.insert(root);
        let trunk = Self::closure([root], |at| self.before(at));
        Ok(Branch {
            graph: self,
            name: name.to_owned(),
            own,
            trunk,
        })
    }
}

impl Branch<'_> {
    /// The revision a word means within the branch: `head`, an id, the beginning of one.
    pub fn number_of(&self, word: &str) -> Result<usize> {
        match word {
            "head" | "heads" => {
                let heads: Vec<usize> = self
                    .own
                    .iter()
                    .copied()
                    .filter(|at| self.graph.children(*at).is_empty())
                    .collect();
                match heads.as_slice() {
                    [one] => Ok(*one),
                    _ => Err(self.graph.several_heads(&self.sorted(heads))),
                }
            }
            "base" => Err(Fault::invalid(
                "\"base\" is before the first revision and names none",
            )),
            _ if relative(word).is_some() => Err(Fault::invalid(format!(
                "\"{}@{word}\" counts steps and names no revision",
                self.name
            ))),
            _ => {
                let at = match self.graph.at(word) {
                    Some(at) => at,
                    None => self
                        .graph
                        .beginning_with(word, self.graph.topological(&self.all()))?,
                };
                if self.all().contains(&at) {
                    return Ok(at);
                }
                Err(Fault::invalid(format!(
                    "revision \"{word}\" is not in the branch \"{}\"",
                    self.name
                )))
            }
        }
    }

    /// The branch with what it stands on.
    pub fn all(&self) -> HashSet<usize> {
        self.own.union(&self.trunk).copied().collect()
    }

    fn sorted(&self, mut numbers: Vec<usize>) -> Vec<usize> {
        numbers.sort_unstable();
        numbers
    }
}
