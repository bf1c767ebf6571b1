//! Paths by example, and what must hold of every path in any graph.

use super::super::samples::{Dice, graph, linear};
use super::*;

fn up(graph: &Graph, target: &str) -> String {
    graph
        .upgrade_path(target)
        .map_or_else(|fault| fault.to_string(), |path| path.join(" "))
}

fn down(graph: &Graph, target: &str) -> String {
    graph
        .downgrade_path(target)
        .map_or_else(|fault| fault.to_string(), |path| path.join(" "))
}

#[test]
fn up_a_line() {
    let line = linear(&["a", "b", "c", "d"], 1);
    for (target, path) in [
        ("heads", "b c d"),
        ("head", "b c d"),
        ("c", "b c"),
        ("a", ""),
        ("+1", "b"),
        ("+3", "b c d"),
        (
            "+4",
            "\"+4\" is more than there is (Only 3 migrations there are pending.)",
        ),
        ("+0", "\"+0\" is no step at all"),
        ("-1", "\"-1\" goes back, and an upgrade goes on"),
        (
            "base",
            "\"base\" is a target of a downgrade, not of an upgrade",
        ),
        ("c@+1", "b"),
        ("c@head", "b c d"),
        ("x", "revision \"x\" does not exist"),
    ] {
        assert_eq!(up(&line, target), path, "{target}");
    }
    assert_eq!(up(&Graph::default(), "heads"), "");
    assert_eq!(up(&Graph::default(), "head"), "");
    assert!(up(&Graph::default(), "+1").contains("No migration there is pending"));
}

#[test]
fn down_a_line() {
    let line = linear(&["a", "b", "c", "d"], 3);
    for (target, path) in [
        ("-1", "c"),
        ("-3", "c b a"),
        (
            "-4",
            "\"-4\" is more than there is (Only 3 migrations there are applied.)",
        ),
        ("a", "c b"),
        ("c", ""),
        ("base", "c b a"),
        ("b@-1", "c"),
        (
            "d",
            "revision \"d\" is pending, so there is nothing to take back to it (The database is at \"c\".)",
        ),
        ("+1", "\"+1\" goes on, and a downgrade goes back"),
        ("", "a downgrade needs a target"),
        ("  ", "a downgrade needs a target"),
    ] {
        assert_eq!(down(&line, target), path, "{target}");
    }
    assert_eq!(down(&linear(&["a"], 0), "base"), "");
    assert!(down(&linear(&["a"], 0), "a").contains("No migration has been applied"));
}

#[test]
fn what_is_interrupted_is_resumed_and_what_rests_is_not() {
    let graph = graph(&[
        "a : applied",
        "b < a : expanded",
        "c < b : migrating",
        "d < c : pending",
    ]);
    assert_eq!(up(&graph, "heads"), "c d");
    assert_eq!(up(&graph, "+1"), "c d");
    assert_eq!(down(&graph, "-1"), "c");
    assert_eq!(down(&graph, "a"), "c b");
}

#[test]
fn what_is_being_taken_back_stands_in_the_way() {
    let graph = graph(&["a : applied", "b < a : downgrading", "c < b", "x # side"]);
    assert_eq!(up(&graph, "heads"), "migration \"b\" is being taken back");
    assert_eq!(up(&graph, "side"), "x", "another branch goes on");
    assert_eq!(down(&graph, "-1"), "b");
}

#[test]
fn branches() {
    // a ← b ← c; a ← x(billing) ← y, and y needs c
    let graph = |state: &str| {
        graph(&[
            &format!("a : {state}"),
            &format!("b < a : {state}"),
            &format!("c < b : {state}"),
            &format!("x < a # billing : {state}"),
            &format!("y < x ~ c : {state}"),
        ])
    };
    let (fresh, full) = (graph("pending"), graph("applied"));
    assert_eq!(up(&fresh, "heads"), "a b c x y");
    assert_eq!(up(&fresh, "billing"), "a x");
    assert_eq!(
        up(&fresh, "billing@head"),
        "a b c x y",
        "a dependency comes first"
    );
    assert_eq!(up(&fresh, "billing@+2"), "a x");
    assert_eq!(up(&fresh, "c@head"), "a b c");
    assert_eq!(up(&fresh, "+1"), "a");
    assert!(
        up(&fresh, "+2").contains("one of \"b\", \"x\""),
        "{}",
        up(&fresh, "+2")
    );
    assert!(up(&fresh, "head").contains("several heads"));
    assert_eq!(down(&full, "base"), "y x c b a");
    assert_eq!(down(&full, "billing@base"), "y x");
    assert_eq!(down(&full, "billing@-1"), "y");
    assert_eq!(down(&full, "billing"), "y");
    assert_eq!(down(&full, "b"), "y c", "what depends on it goes first");
    assert_eq!(down(&full, "c@-1"), "y c");
    assert_eq!(down(&full, "-1"), "y", "only y has nothing after it");
    assert!(
        down(&full, "-2").contains("several"),
        "{}",
        down(&full, "-2")
    );
    assert!(down(&full, "billing@-3").contains("Only 2"));
}

#[test]
fn merges() {
    let graph = graph(&[
        "a : applied",
        "b < a : applied",
        "x < a # side : applied",
        "m < b, x : applied",
        "n < m",
    ]);
    assert_eq!(up(&graph, "head"), "n");
    assert_eq!(down(&graph, "-1"), "m");
    assert!(down(&graph, "-2").contains("one of \"b\", \"x\""));
    assert_eq!(down(&graph, "side@-2"), "m x");
    assert_eq!(down(&graph, "a"), "m x b");
    assert_eq!(down(&graph, "m@-1"), "m");
}

/// Every node comes after all of its ancestors that are in the path too.
fn assert_ordered(graph: &Graph, path: &[String]) {
    for (at, id) in path.iter().enumerate() {
        let ancestors = graph.ancestors(id);
        for later in &path[at..] {
            assert!(
                !ancestors.contains(later),
                "{id} before its ancestor {later} in {path:?}"
            );
        }
    }
}

#[test]
fn in_any_graph_paths_are_complete_and_in_order() {
    let mut dice = Dice(7);
    for round in 0..300 {
        let graph = dice.graph(1 + round % 17);
        let all = graph.upgrade_path("heads").unwrap();
        assert_ordered(&graph, &all);
        for node in &graph.nodes {
            assert_eq!(all.contains(&node.revision), node.state.upgradable());
            let id = node.revision.as_str();

            let up = graph.upgrade_path(id).unwrap();
            assert_ordered(&graph, &up);
            let mut way = graph.ancestors(id);
            way.insert(id.to_owned());
            for other in &graph.nodes {
                let expected = way.contains(&other.revision) && other.state.upgradable();
                assert_eq!(up.contains(&other.revision), expected);
            }

            let after = graph.descendants(id);
            let down = graph.downgrade_path(id);
            let begun = |id: &String| graph.node(id).unwrap().state.begun();
            if !node.state.begun() && !after.iter().any(begun) {
                assert!(down.is_err());
                continue;
            }
            let mut down = down.unwrap();
            for other in &graph.nodes {
                let expected = after.contains(&other.revision) && other.state.begun();
                assert_eq!(down.contains(&other.revision), expected);
            }
            down.reverse();
            assert_ordered(&graph, &down);
        }
    }
}

#[test]
fn in_any_graph_down_undoes_up() {
    let mut dice = Dice(11);
    for round in 0..200 {
        let mut nodes = dice.graph(1 + round % 13).nodes.to_vec();
        for node in &mut nodes {
            node.state = State::Pending;
        }
        let mut up = Graph::new(nodes.clone()).upgrade_path("heads").unwrap();
        for node in &mut nodes {
            node.state = State::Applied;
        }
        let applied = Graph::new(nodes);
        let down = applied.downgrade_path("base").unwrap();
        up.reverse();
        assert_eq!(up, down);
        // Steps back, where they are unambiguous, are the same path cut short.
        for steps in 1..=down.len() {
            if let Ok(path) = applied.downgrade_path(&format!("-{steps}")) {
                assert_eq!(path, down[..steps]);
            }
        }
    }
}
