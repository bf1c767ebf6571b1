//! Graphs for tests.

use super::{Graph, Node, State};

/// Reads `id < parent, parent ~ dependency # label : state` (each part but the id optional).
pub fn node(ordinal: usize, text: &str) -> Node {
    let mut node = Node {
        revision: String::new(),
        ordinal: ordinal as i64,
        down_revision: Vec::new(),
        depends_on: Vec::new(),
        branch_labels: Vec::new(),
        state: State::Pending,
        message: None,
    };
    let mut part = '=';
    for word in text.split([' ', ',']).filter(|word| !word.is_empty()) {
        match (word, part) {
            ("<" | "~" | "#" | ":", _) => part = word.chars().next().unwrap(),
            (_, '<') => node.down_revision.push(word.to_owned()),
            (_, '~') => node.depends_on.push(word.to_owned()),
            (_, '#') => node.branch_labels.push(word.to_owned()),
            (_, ':') => node.state = serde_json::from_value(word.into()).unwrap(),
            _ => node.revision = word.to_owned(),
        }
    }
    node
}

pub fn graph(nodes: &[&str]) -> Graph {
    Graph::new(
        nodes
            .iter()
            .enumerate()
            .map(|(at, text)| node(at, text))
            .collect(),
    )
}

/// A line of revisions of which the first `applied` are applied.
pub fn linear(ids: &[&str], applied: usize) -> Graph {
    let nodes = ids.iter().enumerate().map(|(at, id)| {
        let parent = if at == 0 {
            String::new()
        } else {
            format!("< {}", ids[at - 1])
        };
        let state = if at < applied { "applied" } else { "pending" };
        node(at, &format!("{id} {parent} : {state}"))
    });
    Graph::new(nodes.collect())
}

/// Numbers that look random and are the same each time (Knuth's constants).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// A graph of `size` nodes with any edges to earlier ones, and states that can be: nothing
    /// begun stands on something pending.
    pub fn graph(&mut self, size: usize) -> Graph {
        let mut nodes: Vec<Node> = Vec::new();
        for at in 0..size {
            let mut made = node(at, &format!("r{at}"));
            for earlier in 0..at {
                match self.below(size) {
                    0 => made.down_revision.push(format!("r{earlier}")),
                    1 if self.below(2) == 0 => made.depends_on.push(format!("r{earlier}")),
                    _ => {}
                }
            }
            let stands = made.parents().all(|id| {
                nodes
                    .iter()
                    .any(|other| other.revision == id && !other.state.upgradable())
            });
            if stands {
                let states = [
                    State::Applied,
                    State::Applied,
                    State::Expanded,
                    State::Migrating,
                    State::Pending,
                ];
                made.state = states[self.below(states.len())];
            }
            nodes.push(made);
        }
        // Registered in another order than they stand.
        for node in &mut nodes {
            node.ordinal = self.below(1000) as i64;
        }
        Graph::new(nodes)
    }
}
