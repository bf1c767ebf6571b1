//! The graph as text for people: Mermaid and DOT.

use super::{Graph, Node};
use std::fmt::Write as _;

impl Graph {
    /// A Mermaid flowchart, oldest on top; dependencies are dashed, states have colours.
    pub fn mermaid(&self) -> String {
        let mut text = "flowchart TD\n".to_owned();
        for (at, node) in self.nodes.iter().enumerate() {
            let lines: Vec<_> = lines(node).iter().map(|line| mermaid_text(line)).collect();
            let _ = writeln!(
                text,
                "    n{at}[\"{}\"]:::{}",
                lines.join("<br/>"),
                node.state.as_str()
            );
        }
        self.edges(|from, to, dashed| {
            let arrow = if dashed { "-.->" } else { "-->" };
            let _ = writeln!(text, "    n{from} {arrow} n{to}");
        });
        for (state, fill) in COLOURS {
            if self.nodes.iter().any(|node| node.state.as_str() == state) {
                let _ = writeln!(text, "    classDef {state} fill:{fill},color:#000");
            }
        }
        text
    }

    /// A graph in DOT, for Graphviz; dependencies are dashed, states have colours.
    pub fn dot(&self) -> String {
        let mut text =
            "digraph history {\n    node [shape=box, style=filled, fillcolor=white];\n".to_owned();
        for (at, node) in self.nodes.iter().enumerate() {
            let lines: Vec<_> = lines(node).iter().map(|line| dot_text(line)).collect();
            let fill = COLOURS
                .iter()
                .find(|(state, _)| *state == node.state.as_str());
            let _ = writeln!(
                text,
                "    n{at} [label=\"{}\", fillcolor=\"{}\"];",
                lines.join("\\n"),
                fill.map_or("white", |(_, fill)| fill)
            );
        }
        self.edges(|from, to, dashed| {
            let style = if dashed { " [style=dashed]" } else { "" };
            let _ = writeln!(text, "    n{from} -> n{to}{style};");
        });
        text.push_str("}\n");
        text
    }

    /// Each edge from the older to the newer, and whether it is a dependency.
    fn edges(&self, mut each: impl FnMut(usize, usize, bool)) {
        for (at, node) in self.nodes.iter().enumerate() {
            for (ids, dashed) in [(&node.down_revision, false), (&node.depends_on, true)] {
                for from in ids.iter().filter_map(|id| self.at(id)) {
                    each(from, at, dashed);
                }
            }
        }
    }
}

const COLOURS: [(&str, &str); 7] = [
    ("pending", "#ffffff"),
    ("expanding", "#cfe8ff"),
    ("migrating", "#cfe8ff"),
    ("expanded", "#fff3bf"),
    ("contracting", "#ffe0b2"),
    ("applied", "#d3f9d8"),
    ("downgrading", "#ffd6d6"),
];

/// Id, message, labels and state of a node.
fn lines(node: &Node) -> Vec<String> {
    let mut lines = vec![node.revision.clone()];
    lines.extend(node.message.as_deref().map(|message| {
        const WIDTH: usize = 60;
        let plain = message.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = plain.chars().take(WIDTH).collect();
        if cut.len() < plain.len() {
            format!("{cut}…")
        } else {
            cut
        }
    }));
    if !node.branch_labels.is_empty() {
        lines.push(format!("({})", node.branch_labels.join(", ")));
    }
    lines.push(node.state.as_str().to_owned());
    lines
}

/// Mermaid has no escapes but character references, which it writes with `#`.
fn mermaid_text(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '#' | '<' | '>' | '&' | '`' | '\\' | ';' => format!("#{};", u32::from(c)),
            _ => c.to_string(),
        })
        .collect()
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::samples::{graph, node};
    use super::*;

    fn sample() -> Graph {
        let mut nodes = graph(&["a : applied", "b < a # side ~ a : expanded"])
            .nodes
            .to_vec();
        nodes[1].message = Some("say \"hi\"\n<b> & `x` \\".to_owned());
        Graph::new(nodes)
    }

    #[test]
    fn as_mermaid() {
        assert_eq!(
            sample().mermaid(),
            "flowchart TD\n    \
             n0[\"a<br/>applied\"]:::applied\n    \
             n1[\"b<br/>say #34;hi#34; #60;b#62; #38; #96;x#96; #92;<br/>(side)<br/>expanded\"]:::expanded\n    \
             n0 --> n1\n    \
             n0 -.-> n1\n    \
             classDef expanded fill:#fff3bf,color:#000\n    \
             classDef applied fill:#d3f9d8,color:#000\n"
        );
        assert_eq!(Graph::default().mermaid(), "flowchart TD\n");
    }

    #[test]
    fn as_dot() {
        let text = sample().dot();
        assert!(text.contains(r##"n1 [label="b\nsay \"hi\" <b> & `x` \\\n(side)\nexpanded", fillcolor="#fff3bf"];"##), "{text}");
        assert!(text.contains("n0 -> n1;\n") && text.contains("n0 -> n1 [style=dashed];\n"));
    }

    #[test]
    fn every_state_has_a_colour() {
        for (state, _) in COLOURS {
            assert_eq!(node(0, &format!("a : {state}")).state.as_str(), state);
        }
    }
}
