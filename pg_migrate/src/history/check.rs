//! What may join the history.

use super::{Graph, Node};
use crate::document::nearest;
use crate::fault::{Fault, Result, state};
use std::collections::HashSet;

impl Graph {
    /// Whether a new revision fits: its parents are there, it closes no cycle, its labels are free,
    /// and it makes neither a second base nor a second head without a branch label of its own.
    pub fn check_new(&self, new: &Node) -> Result<()> {
        let id = new.revision.as_str();
        if self.node(id).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("revision \"{id}\" already exists"),
            ));
        }
        if self.labelled(id).is_some() {
            return Err(Fault::new(
                state::DUPLICATE_OBJECT,
                format!("\"{id}\" is already a branch label"),
            ));
        }
        self.check_parents(new)?;
        self.check_labels(new)?;
        if new.branch_labels.is_empty() {
            self.check_base(new)?;
            self.check_heads(new)?;
        }
        Ok(())
    }

    fn check_parents(&self, new: &Node) -> Result<()> {
        let id = new.revision.as_str();
        for (field, parents) in [
            ("down_revision", &new.down_revision),
            ("depends_on", &new.depends_on),
        ] {
            let mut seen = HashSet::new();
            for parent in parents {
                if parent == id {
                    return Err(Fault::invalid(format!(
                        "revision \"{id}\" names itself in {field}"
                    )));
                }
                if !seen.insert(parent) {
                    return Err(Fault::invalid(format!(
                        "revision \"{id}\" names \"{parent}\" twice in {field}"
                    )));
                }
                if self.node(parent).is_none() {
                    let ids = self.nodes.iter().map(|node| node.revision.as_str());
                    let hint = match nearest(parent, ids) {
                        Some(near) => format!("Did you mean \"{near}\"?"),
                        None => "Register that one first: SELECT migrate.add('…').".to_owned(),
                    };
                    return Err(Fault::new(
                        state::UNDEFINED_OBJECT,
                        format!(
                            "revision \"{parent}\", which \"{id}\" names in {field}, does not exist"
                        ),
                    )
                    .hint(hint));
                }
                // History never holds a node before its parents; but what was abandoned may come
                // again under the same id with others standing on it.
                let back = parent != id
                    && self.nodes.iter().any(|node| {
                        node.parents().any(|other| other == id)
                            && (node.revision == *parent
                                || self.ancestors(parent).contains(&node.revision))
                    });
                if back {
                    return Err(
                        Fault::invalid(format!("revision \"{id}\" would close a cycle")).detail(
                            format!(
                                "It names \"{parent}\" in {field}, which itself stands on \"{id}\"."
                            ),
                        ),
                    );
                }
            }
        }
        for parent in &new.down_revision {
            let ancestors = self.ancestors(parent);
            if let Some(other) = new
                .down_revision
                .iter()
                .find(|other| ancestors.contains(*other))
            {
                return Err(Fault::invalid(format!(
                    "revision \"{id}\" follows \"{parent}\" and also \"{other}\", which is before it already"
                ))
                .hint(format!("Leave \"{other}\" out of down_revision.")));
            }
        }
        Ok(())
    }

    fn check_labels(&self, new: &Node) -> Result<()> {
        let mut seen = HashSet::new();
        for label in &new.branch_labels {
            let taken = |by: &str| {
                Err(Fault::new(
                    state::DUPLICATE_OBJECT,
                    format!("branch label \"{label}\" is already taken"),
                )
                .detail(by.to_owned())
                .hint("Choose another label."))
            };
            if !seen.insert(label) {
                return Err(Fault::invalid(format!(
                    "branch label \"{label}\" is given twice"
                )));
            }
            if let Some(at) = self.labelled(label) {
                return taken(&format!("Revision \"{}\" has it.", self.nodes[at].revision));
            }
            if *label == new.revision || self.node(label).is_some() {
                return taken("It is the id of a revision.");
            }
        }
        Ok(())
    }

    fn check_base(&self, new: &Node) -> Result<()> {
        let first = self
            .nodes
            .iter()
            .find(|node| node.down_revision.is_empty() && node.branch_labels.is_empty());
        let (Some(first), true) = (first, new.down_revision.is_empty()) else {
            return Ok(());
        };
        let heads: Vec<_> = self
            .heads()
            .iter()
            .map(|node| format!("\"{}\"", node.revision))
            .collect();
        Err(Fault::invalid(format!("revision \"{}\" would be a second base", new.revision))
            .detail(format!("The history begins with \"{}\" already.", first.revision))
            .hint(format!(
                "Say what it follows: down_revision {}, or in a script \"-- migrate:revision {} after …\"; or give it branch_labels.",
                heads.join(" or "),
                new.revision
            )))
    }

    fn check_heads(&self, new: &Node) -> Result<()> {
        for parent in &new.down_revision {
            let Some(at) = self.at(parent) else { continue };
            // A labelled child began a side branch; the trunk may still go on.
            let unlabelled = |child: &&usize| self.nodes[**child].branch_labels.is_empty();
            let Some(child) = self.children(at).iter().find(unlabelled) else {
                continue;
            };
            let mut below = Self::closure([*child], |at| self.children(at).iter().copied());
            below.insert(*child);
            let head = self
                .topological(&below)
                .into_iter()
                .rev()
                .find(|at| self.children(*at).is_empty());
            let head = &self.nodes[head.unwrap_or(*child)].revision;
            let id = &new.revision;
            return Err(Fault::invalid(format!("revision \"{id}\" would be a second head"))
                .detail(format!(
                    "\"{parent}\" is followed by \"{}\" already: the heads would be \"{head}\" and \"{id}\".",
                    self.nodes[*child].revision
                ))
                .hint(format!(
                    "Let it follow the head: down_revision \"{head}\"; or give it branch_labels; or merge two heads with a revision that names both."
                )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{graph, node};
    use super::*;

    fn refused(history: &[&str], new: &str) -> Fault {
        graph(history).check_new(&node(99, new)).unwrap_err()
    }

    #[test]
    fn what_fits() {
        for (history, new) in [
            (&[][..], "a"),
            (&["a"], "b < a"),
            (&["a", "b < a"], "x < a # side"),
            (&["a"], "x # other"),
            (&["a", "b < a", "x < a # side"], "m < b, x"),
            (&["a", "x # other"], "y < x ~ a"),
            (&["a", "x < a # side"], "b < a"),
            (&["x # side"], "a"),
        ] {
            assert_eq!(graph(history).check_new(&node(99, new)), Ok(()), "{new}");
        }
    }

    #[test]
    fn what_does_not() {
        for (history, new, message) in [
            (&["a"][..], "a", "revision \"a\" already exists"),
            (
                &["a # side"],
                "side < a",
                "\"side\" is already a branch label",
            ),
            (
                &["a"],
                "b < b",
                "revision \"b\" names itself in down_revision",
            ),
            (
                &["a"],
                "b < a, a",
                "revision \"b\" names \"a\" twice in down_revision",
            ),
            (
                &["a"],
                "b < a ~ z",
                "revision \"z\", which \"b\" names in depends_on, does not exist",
            ),
            (&["a < b"], "b < a", "revision \"b\" would close a cycle"),
            (
                &["a < b", "c < a"],
                "b < c",
                "revision \"b\" would close a cycle",
            ),
            (
                &["a", "b < a"],
                "m < b, a",
                "revision \"m\" follows \"b\" and also \"a\", which is before it already",
            ),
            (
                &["a # side"],
                "b < a # side",
                "branch label \"side\" is already taken",
            ),
            (&["a"], "b < a # a", "branch label \"a\" is already taken"),
            (&["a"], "b < a # b", "branch label \"b\" is already taken"),
            (&["a"], "b < a # c, c", "branch label \"c\" is given twice"),
            (&["a"], "b", "revision \"b\" would be a second base"),
            (
                &["a", "b < a"],
                "c < a",
                "revision \"c\" would be a second head",
            ),
        ] {
            assert_eq!(refused(history, new).message, message, "{new}");
        }
    }

    #[test]
    fn the_hints_say_how_to_go_on() {
        let fault = refused(&["0006"], "0007 < 0005");
        assert_eq!(fault.hint.as_deref(), Some("Did you mean \"0006\"?"));
        let fault = refused(&["a", "b < a", "c < b"], "x < a");
        assert_eq!(
            fault.detail.as_deref(),
            Some("\"a\" is followed by \"b\" already: the heads would be \"c\" and \"x\".")
        );
        assert!(fault.hint.unwrap().contains("down_revision \"c\""));
        let fault = refused(&["a", "b < a"], "x");
        assert!(fault.hint.unwrap().contains("down_revision \"b\""));
    }
}
