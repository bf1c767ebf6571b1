//! The graph itself, and what a word means in it.

use super::{Node, State};
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use std::collections::{HashMap, HashSet};

/// All revisions of a database that are in its history.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// By ordinal.
    pub(super) nodes: Vec<Node>,
    number: HashMap<String, usize>,
    /// Nodes that follow one: by `down_revision`, and by `depends_on`.
    children: Vec<Vec<usize>>,
    dependents: Vec<Vec<usize>>,
}

impl Graph {
    /// Abandoned revisions are left out.
    pub fn new(mut nodes: Vec<Node>) -> Graph {
        nodes.retain(|node| node.state != State::Abandoned);
        nodes.sort_by_key(|node| node.ordinal);
        let number: HashMap<String, usize> = nodes
            .iter()
            .enumerate()
            .map(|(at, node)| (node.revision.clone(), at))
            .collect();
        let mut children = vec![Vec::new(); nodes.len()];
        let mut dependents = vec![Vec::new(); nodes.len()];
        for (at, node) in nodes.iter().enumerate() {
            for parent in node.down_revision.iter().filter_map(|id| number.get(id)) {
                children[*parent].push(at);
            }
            for needed in node.depends_on.iter().filter_map(|id| number.get(id)) {
                dependents[*needed].push(at);
            }
        }
        Graph {
            nodes,
            number,
            children,
            dependents,
        }
    }

    pub fn node(&self, revision: &str) -> Option<&Node> {
        self.number.get(revision).map(|at| &self.nodes[*at])
    }

    pub(super) fn at(&self, revision: &str) -> Option<usize> {
        self.number.get(revision).copied()
    }

    /// The nodes that name this one in `down_revision`.
    pub(super) fn children(&self, at: usize) -> &[usize] {
        &self.children[at]
    }

    /// The nodes right before and right after one, by either kind of edge.
    pub(super) fn before(&self, at: usize) -> impl Iterator<Item = usize> {
        self.nodes[at].parents().filter_map(|id| self.at(id))
    }

    pub(super) fn after(&self, at: usize) -> impl Iterator<Item = usize> {
        self.children[at]
            .iter()
            .chain(&self.dependents[at])
            .copied()
    }

    /// Everything reachable from `from` over `next`, without `from` (unless a cycle leads back).
    pub(super) fn closure<I: Iterator<Item = usize>>(
        from: impl IntoIterator<Item = usize>,
        next: impl Fn(usize) -> I,
    ) -> HashSet<usize> {
        let mut seen = HashSet::new();
        let mut open: Vec<usize> = from.into_iter().collect();
        while let Some(at) = open.pop() {
            for other in next(at) {
                if seen.insert(other) {
                    open.push(other);
                }
            }
        }
        seen
    }

    /// Numbers so ordered that every node comes after all it hangs on; else as registered.
    pub(super) fn topological(&self, of: &HashSet<usize>) -> Vec<usize> {
        let mut left: Vec<usize> = of.iter().copied().collect();
        left.sort_unstable();
        let mut placed = HashSet::new();
        let mut order = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let ready = left.iter().position(|at| {
                self.before(*at)
                    .all(|parent| placed.contains(&parent) || !of.contains(&parent))
            });
            // Only a cycle, which cannot be registered, leaves nothing ready.
            let next = left.remove(ready.unwrap_or(0));
            placed.insert(next);
            order.push(next);
        }
        order
    }

    pub(super) fn ids(&self, numbers: impl IntoIterator<Item = usize>) -> Vec<String> {
        numbers
            .into_iter()
            .map(|at| self.nodes[at].revision.clone())
            .collect()
    }

    /// Everything that must be there before a revision, by `down_revision` and `depends_on`.
    pub fn ancestors(&self, revision: &str) -> HashSet<String> {
        let from = self.at(revision);
        self.ids(Self::closure(from, |at| self.before(at)))
            .into_iter()
            .collect()
    }

    /// Everything that needs a revision.
    pub fn descendants(&self, revision: &str) -> HashSet<String> {
        let from = self.at(revision);
        self.ids(Self::closure(from, |at| self.after(at)))
            .into_iter()
            .collect()
    }

    /// Revisions that none follows, in the order of registration.
    pub fn heads(&self) -> Vec<&Node> {
        let ends = self
            .children
            .iter()
            .zip(&self.nodes)
            .filter(|(children, _)| children.is_empty());
        ends.map(|(_, node)| node).collect()
    }

    pub(super) fn labelled(&self, label: &str) -> Option<usize> {
        self.nodes
            .iter()
            .position(|node| node.branch_labels.iter().any(|other| other == label))
    }

    /// The one revision a word means: its id, the beginning of it, a branch label, `head`,
    /// `label@head`, `label@id`. Errors name the nearest word, or all that the word could mean.
    pub fn resolve(&self, word: &str) -> Result<&Node> {
        self.number_of(word).map(|at| &self.nodes[at])
    }

    pub(super) fn number_of(&self, word: &str) -> Result<usize> {
        let word = word.trim();
        if word.is_empty() {
            return Err(Fault::invalid("no revision is named")
                .hint("SELECT * FROM migrate.history; shows them."));
        }
        if let Some(at) = self.at(word) {
            return Ok(at);
        }
        if let Some((branch, rest)) = word.split_once('@') {
            return self.branch(branch)?.number_of(rest);
        }
        let heads: Vec<usize> = (0..self.nodes.len())
            .filter(|at| self.children[*at].is_empty())
            .collect();
        match word {
            "head" | "heads" => match heads.as_slice() {
                [] => Err(Fault::wrong_state("the history is empty")
                    .hint("SELECT migrate.apply('…') registers a first migration.")),
                [one] => Ok(*one),
                _ => Err(self.several_heads(&heads)),
            },
            "base" => Err(Fault::invalid(
                "\"base\" is before the first revision and names none",
            )),
            _ if relative(word).is_some() => Err(Fault::invalid(format!(
                "\"{word}\" counts steps and names no revision"
            ))
            .hint("SELECT * FROM migrate.history; shows the revisions.")),
            _ => match self.labelled(word) {
                Some(at) => Ok(at),
                None => self.beginning_with(word, 0..self.nodes.len()),
            },
        }
    }

    pub(super) fn several_heads(&self, heads: &[usize]) -> Fault {
        Fault::invalid("the history has several heads")
            .detail(format!("They are {}.", self.listed(heads)))
            .hint("Name one of them, or a branch as in label@head; heads means all of them.")
    }

    /// The only one of `among` whose id begins so.
    pub(super) fn beginning_with(
        &self,
        word: &str,
        among: impl IntoIterator<Item = usize>,
    ) -> Result<usize> {
        let found: Vec<usize> = among
            .into_iter()
            .filter(|at| self.nodes[*at].revision.starts_with(word))
            .collect();
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(self.unknown(word)),
            _ => Err(
                Fault::invalid(format!("\"{word}\" could mean several revisions"))
                    .detail(format!("They are {}.", self.listed(&found)))
                    .hint("Write more of it."),
            ),
        }
    }

    /// A word that means nothing here.
    pub(super) fn unknown(&self, word: &str) -> Fault {
        let fault = Fault::new(
            state::UNDEFINED_OBJECT,
            format!("revision \"{word}\" does not exist"),
        );
        let words = self.nodes.iter().flat_map(|node| {
            std::iter::once(node.revision.as_str())
                .chain(node.branch_labels.iter().map(String::as_str))
        });
        match nearest(word, words) {
            Some(near) => fault.hint(format!("Did you mean \"{near}\"?")),
            None => fault.hint("SELECT * FROM migrate.history; shows the revisions."),
        }
    }

    /// `"a", "b" and 3 more`.
    pub(super) fn listed(&self, numbers: &[usize]) -> String {
        const SHOWN: usize = 10;
        let shown: Vec<_> = numbers
            .iter()
            .take(SHOWN)
            .map(|at| format!("\"{}\"", self.nodes[*at].revision))
            .collect();
        match numbers.len().saturating_sub(SHOWN) {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }
}

/// `+2` or `-1`: whether it goes up, and how many steps.
pub(super) fn relative(word: &str) -> Option<(bool, usize)> {
    let (up, digits) = match word.strip_prefix('+') {
        Some(digits) => (true, digits),
        None => (false, word.strip_prefix('-')?),
    };
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More steps than fit are more than there are revisions.
    plain.then(|| (up, digits.parse().unwrap_or(usize::MAX)))
}

#[cfg(test)]
mod tests {
    use super::super::samples::{graph, linear};
    use super::*;

    fn meaning(graph: &Graph, word: &str) -> String {
        graph
            .resolve(word)
            .map_or_else(|fault| format!("{fault}"), |node| node.revision.clone())
    }

    #[test]
    fn words_of_a_line() {
        let line = linear(&["0001", "0002", "0010_users"], 0);
        for (word, revision) in [
            ("0001", "0001"),
            ("head", "0010_users"),
            ("heads", "0010_users"),
            ("0010", "0010_users"),
            (" 0002 ", "0002"),
        ] {
            assert_eq!(meaning(&line, word), revision);
        }
        assert!(meaning(&line, "00").starts_with("\"00\" could mean several revisions"));
        assert!(meaning(&line, "").contains("no revision"));
        assert!(meaning(&line, "base").contains("names none"));
        assert!(meaning(&line, "-1").contains("counts steps"));
        assert!(meaning(&Graph::default(), "head").contains("empty"));
        let fault = line.resolve("0003").unwrap_err();
        assert_eq!(fault.sqlstate, state::UNDEFINED_OBJECT);
        assert!(fault.hint.unwrap().starts_with("Did you mean \"000"));
    }

    #[test]
    fn words_of_branches() {
        // a ← b ← c; a ← x(billing) ← y
        let graph = graph(&["a", "b < a", "c < b", "x < a # billing", "y < x"]);
        assert_eq!(meaning(&graph, "billing"), "x");
        assert_eq!(meaning(&graph, "billing@head"), "y");
        assert_eq!(meaning(&graph, "billing@y"), "y");
        assert_eq!(meaning(&graph, "x@head"), "y");
        assert_eq!(meaning(&graph, "c@head"), "c");
        assert!(meaning(&graph, "head").contains("They are \"c\", \"y\"."));
        assert!(meaning(&graph, "a@head").contains("several heads"));
        assert!(meaning(&graph, "billing@c").contains("not in the branch"));
        assert_eq!(
            graph.resolve("biling@head").unwrap_err().hint.as_deref(),
            Some("Did you mean \"billing\"?")
        );
    }

    #[test]
    fn kinship_goes_over_both_edges() {
        let graph = graph(&["a", "b < a", "x # other", "y < x ~ b"]);
        let sorted = |set: HashSet<String>| {
            let mut list: Vec<_> = set.into_iter().collect();
            list.sort();
            list.join("")
        };
        assert_eq!(sorted(graph.ancestors("y")), "abx");
        assert_eq!(sorted(graph.descendants("a")), "by");
        assert!(graph.descendants("y").is_empty() && graph.ancestors("nobody").is_empty());
        let heads: Vec<_> = graph
            .heads()
            .iter()
            .map(|node| node.revision.as_str())
            .collect();
        assert_eq!(heads, ["b", "y"]);
    }

    #[test]
    fn steps_are_counted() {
        assert_eq!(relative("+2"), Some((true, 2)));
        assert_eq!(relative("-1"), Some((false, 1)));
        assert_eq!(
            relative("-99999999999999999999999"),
            Some((false, usize::MAX))
        );
        for none in ["2", "-", "+x", "", "- 1"] {
            assert_eq!(relative(none), None);
        }
    }
}
