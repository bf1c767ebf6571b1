//! What an upgrade runs and what a downgrade takes back, each in its order.

use super::graph::relative;
use super::{Graph, State};
use crate::fault::{Fault, Result};
use std::collections::HashSet;

impl Graph {
    /// The revisions to run, or to finish, on the way to `target`, each after all it hangs on:
    /// those that are pending, expanding or migrating.
    ///
    /// Targets: `heads`, `head`, a revision or the beginning of its id, a branch label,
    /// `label@head`, `label@id`, `+N` (N more from where the database is), `label@+N`.
    pub fn upgrade_path(&self, target: &str) -> Result<Vec<String>> {
        let goal = self.upgrade_goal(target.trim())?;
        let mut way = Self::closure(goal.iter().copied(), |at| self.before(at));
        way.extend(goal);
        let order = self.topological(&way);
        if let Some(at) = order
            .iter()
            .find(|at| self.nodes[**at].state == State::Downgrading)
        {
            let id = &self.nodes[*at].revision;
            return Err(
                Fault::wrong_state(format!("migration \"{id}\" is being taken back"))
                    .hint(format!("CALL migrate.downgrade('{id}@-1'); finishes that.")),
            );
        }
        Ok(self.ids(
            order
                .into_iter()
                .filter(|at| self.nodes[*at].state.upgradable()),
        ))
    }

    fn upgrade_goal(&self, target: &str) -> Result<HashSet<usize>> {
        let base = || {
            Fault::invalid("\"base\" is a target of a downgrade, not of an upgrade")
                .hint("CALL migrate.upgrade(); brings the database up to the heads.")
        };
        let back = || {
            Fault::invalid(format!("\"{target}\" goes back, and an upgrade goes on")).hint(format!(
                "CALL migrate.downgrade('{target}'); takes migrations back."
            ))
        };
        if let Some((name, rest)) = target.split_once('@') {
            let branch = self.branch(name)?;
            return match (rest, relative(rest)) {
                ("base", _) => Err(base()),
                ("heads", _) => Ok(branch.own),
                (_, Some((false, _))) => Err(back()),
                (_, Some((true, steps))) => self.steps_up(&branch.all(), steps, target),
                _ => branch.number_of(rest).map(|at| HashSet::from([at])),
            };
        }
        match (target, relative(target)) {
            ("heads", _) => Ok(self.everything()),
            ("head", _) if self.nodes.is_empty() => Ok(HashSet::new()),
            ("base", _) => Err(base()),
            (_, Some((false, _))) => Err(back()),
            (_, Some((true, steps))) => self.steps_up(&self.everything(), steps, target),
            _ => self.number_of(target).map(|at| HashSet::from([at])),
        }
    }

    fn everything(&self) -> HashSet<usize> {
        (0..self.nodes.len()).collect()
    }

    /// The next `steps` pending revisions, where there is never a choice.
    fn steps_up(&self, scope: &HashSet<usize>, steps: usize, word: &str) -> Result<HashSet<usize>> {
        at_least_one(steps, word)?;
        let mut reached: HashSet<usize> = self
            .everything()
            .into_iter()
            .filter(|at| self.nodes[*at].state != State::Pending)
            .collect();
        let mut chosen = HashSet::new();
        while chosen.len() < steps {
            let next = self.sorted(scope.iter().copied().filter(|at| {
                let mut parents = self.nodes[*at]
                    .down_revision
                    .iter()
                    .filter_map(|id| self.at(id));
                !reached.contains(at)
                    && parents.all(|parent| reached.contains(&parent) || !scope.contains(&parent))
            }));
            match next.as_slice() {
                [one] => {
                    chosen.insert(*one);
                    reached.insert(*one);
                    reached.extend(Self::closure([*one], |at| self.before(at)));
                }
                [] => return Err(too_many(word, chosen.len(), "pending")),
                _ => return Err(self.choice(word, &next, "+1")),
            }
        }
        Ok(chosen)
    }

    /// The revisions to take back so that `target` is the last that stays, each before all it
    /// hangs on: those that follow or depend on the target and are not pending. Empty if the target
    /// is the last already.
    ///
    /// Targets: a revision or the beginning of its id, a branch label, `label@head`, `label@id`,
    /// `base` (everything goes), `label@base` (all of the branch that is its own), `-N` (the last N
    /// go), `label@-N`. In place of a label any revision of the branch will do: `0007@-1`.
    pub fn downgrade_path(&self, target: &str) -> Result<Vec<String>> {
        let goal = self.downgrade_goal(target.trim())?;
        let mut way = Self::closure(goal.iter().copied(), |at| self.after(at));
        way.extend(goal);
        let order = self.topological(&way);
        Ok(self.ids(
            order
                .into_iter()
                .rev()
                .filter(|at| self.nodes[*at].state.begun()),
        ))
    }

    /// Revisions that go; what hangs on them goes too.
    fn downgrade_goal(&self, target: &str) -> Result<HashSet<usize>> {
        if target.is_empty() {
            return Err(Fault::invalid("a downgrade needs a target")
                .hint("CALL migrate.downgrade('-1'); takes the last migration back; name a revision to go back to it, or 'base' for everything."));
        }
        let forward = || {
            Fault::invalid(format!("\"{target}\" goes on, and a downgrade goes back")).hint(
                format!("CALL migrate.upgrade('{target}'); runs migrations."),
            )
        };
        if let Some((name, rest)) = target.split_once('@') {
            let branch = self.branch(name)?;
            return match (rest, relative(rest)) {
                ("base", _) => Ok(branch.own),
                (_, Some((true, _))) => Err(forward()),
                (_, Some((false, steps))) => self.steps_down(&branch.own, steps, target),
                _ => self.above(branch.number_of(rest)?),
            };
        }
        match (target, relative(target)) {
            ("base", _) => Ok(self.everything()),
            (_, Some((true, _))) => Err(forward()),
            (_, Some((false, steps))) => self.steps_down(&self.everything(), steps, target),
            _ => self.above(self.number_of(target)?),
        }
    }

    fn above(&self, at: usize) -> Result<HashSet<usize>> {
        let after = Self::closure([at], |at| self.after(at));
        let begun = |at: &usize| self.nodes[*at].state.begun();
        if begun(&at) || after.iter().any(begun) {
            return Ok(after);
        }
        let last = self.sorted(
            self.everything()
                .into_iter()
                .filter(|at| begun(at) && !self.after(*at).any(|other| begun(&other))),
        );
        Err(Fault::wrong_state(format!(
            "revision \"{}\" is pending, so there is nothing to take back to it",
            self.nodes[at].revision
        ))
        .detail(match last.as_slice() {
            [] => "No migration has been applied.".to_owned(),
            _ => format!("The database is at {}.", self.listed(&last)),
        }))
    }

    /// The last `steps` revisions in the schema, where there is never a choice.
    fn steps_down(
        &self,
        scope: &HashSet<usize>,
        steps: usize,
        word: &str,
    ) -> Result<HashSet<usize>> {
        at_least_one(steps, word)?;
        let mut left: HashSet<usize> = scope
            .iter()
            .copied()
            .filter(|at| self.nodes[*at].state.begun())
            .collect();
        let mut chosen = HashSet::new();
        while chosen.len() < steps {
            let last = self.sorted(
                left.iter()
                    .copied()
                    .filter(|at| !self.after(*at).any(|other| left.contains(&other))),
            );
            match last.as_slice() {
                [one] => {
                    chosen.insert(*one);
                    left.remove(one);
                }
                [] => return Err(too_many(word, chosen.len(), "applied")),
                _ => return Err(self.choice(word, &last, "-1")),
            }
        }
        Ok(chosen)
    }

    fn sorted(&self, numbers: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut sorted: Vec<usize> = numbers.collect();
        sorted.sort_unstable();
        sorted
    }

    fn choice(&self, word: &str, among: &[usize], step: &str) -> Fault {
        Fault::invalid(format!("\"{word}\" could mean several revisions"))
            .detail(format!(
                "Branches meet here: the next is one of {}.",
                self.listed(among)
            ))
            .hint(format!(
                "Name the branch, by its label or by a revision on it: '{}@{step}'.",
                self.nodes[among[0]]
                    .branch_labels
                    .first()
                    .unwrap_or(&self.nodes[among[0]].revision)
            ))
    }
}

fn at_least_one(steps: usize, word: &str) -> Result<()> {
    if steps == 0 {
        return Err(Fault::invalid(format!("\"{word}\" is no step at all")));
    }
    Ok(())
}

fn too_many(word: &str, there: usize, state: &str) -> Fault {
    let what = match there {
        0 => format!("No migration there is {state}."),
        1 => format!("Only one migration there is {state}."),
        _ => format!("Only {there} migrations there are {state}."),
    };
    Fault::invalid(format!("\"{word}\" is more than there is")).detail(what)
}

#[cfg(test)]
mod tests;
