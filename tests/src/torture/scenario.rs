//! What one seed does: which table, which mapping, which fault at which point of the engine.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::model::Mapping;

/// Every named point; see `pg_migrate/src/pg/torture.rs`. The number: how often it is passed at
/// least in a run.
pub const POINTS: &[(&str, u32)] = &[
    ("trigger.lock", 1),
    ("trigger.made", 1),
    ("pass.begin", 1),
    ("pass.survey", 1),
    ("batch.begin", 4),
    ("batch.claimed", 4),
    ("batch.locked", 4),
    ("fill.row", 4),
    ("fill.locked", 1),
    ("fill.quarantine", 1),
    ("batch.filled", 4),
    ("batch.filed", 4),
    ("revisit", 1),
    ("range.replaced", 1),
    ("settle", 2),
    ("verify", 1),
    ("job.done", 1),
    ("step.begin", 4),
    ("step.ran", 1),
    ("step.filled", 1),
    ("contract.begin", 1),
    ("worker.begin", 1),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The session is stopped for a while, no more.
    Nothing,
    /// An error of the moment, with this SQLSTATE.
    Error(&'static str),
    Cancel,
    Terminate,
    Kill9,
    KillPostmaster,
    ImmediateStop,
    Promote,
    StatementTimeout,
    /// Somebody has the table for longer than the engine waits for it.
    TableLock,
    DiskFull,
    VacuumFull,
    Cluster,
    /// ALTER TABLE … TYPE of another column, which writes every row anew.
    Rewrite,
    Truncate,
    Attach,
    DisableTrigger,
    RenameColumn,
    DropColumn,
    /// Many rows that make the table longer.
    Burst,
}

pub const FAULTS: &[Fault] = &[
    Fault::Nothing,
    Fault::Error("57014"),
    Fault::Error("55P03"),
    Fault::Error("53100"),
    Fault::Cancel,
    Fault::Terminate,
    Fault::Kill9,
    Fault::KillPostmaster,
    Fault::ImmediateStop,
    Fault::Promote,
    Fault::StatementTimeout,
    Fault::TableLock,
    Fault::DiskFull,
    Fault::VacuumFull,
    Fault::Cluster,
    Fault::Rewrite,
    Fault::Truncate,
    Fault::Attach,
    Fault::DisableTrigger,
    Fault::RenameColumn,
    Fault::DropColumn,
    Fault::Burst,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavor {
    /// The clients alone.
    None,
    /// Trigger and job by hand.
    Job,
    /// A rename of a column by `migrate.add` and `upgrade`, up to the contract.
    Migration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Plain,
    Partitioned,
    /// Few rows on a page: more than one piece.
    Wide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    pub seed: u64,
    pub flavor: Flavor,
    pub shape: Shape,
    pub map: Mapping,
    pub point: &'static str,
    pub time: u32,
    pub fault: Fault,
    /// Sessions at work on the job besides the one that is struck.
    pub others: u32,
    /// A background worker is struck, not a session.
    pub worker: bool,
    pub stripes: i32,
}

impl Scenario {
    /// Any `POINTS.len() * FAULTS.len()` seeds in a row have every fault at every point.
    pub fn of(seed: u64) -> Self {
        let combinations = (POINTS.len() * FAULTS.len()) as u64;
        // A step that has no divisor in common with the number of combinations visits all of them;
        // this one goes to the next point and nine faults on.
        let at = (seed.wrapping_mul(199) % combinations) as usize;
        let (point, most) = POINTS[at % POINTS.len()];
        let fault = FAULTS[at / POINTS.len()];
        let mut random = StdRng::seed_from_u64(seed);
        let mut pick = |most: u32| random.random_range(0..most);
        let late = matches!(
            point,
            "step.begin" | "step.ran" | "step.filled" | "contract.begin"
        );
        let mut scenario = Scenario {
            seed,
            flavor: Flavor::Job,
            shape: [Shape::Plain, Shape::Plain, Shape::Partitioned, Shape::Wide][pick(4) as usize],
            map: [Mapping::Copy, Mapping::Lossy, Mapping::Nulls][pick(3) as usize],
            point,
            time: pick(most) + 1,
            fault,
            others: pick(3),
            worker: pick(4) == 0 && point.starts_with("batch") || point == "worker.begin",
            stripes: [0, 1, 4][pick(3) as usize],
        };
        let migration = matches!(
            point,
            "batch.begin" | "batch.filed" | "job.done" | "trigger.made"
        );
        if late || migration && pick(3) == 0 && !scenario.worker {
            scenario.flavor = Flavor::Migration;
            scenario.map = Mapping::Copy;
        }
        if point == "verify" {
            scenario.map = Mapping::Copy;
        }
        if point == "fill.row" {
            scenario.stripes = 4;
        }
        // A disk that is full for good, of what many writers leave behind, is another matter.
        if fault == Fault::DiskFull && scenario.shape == Shape::Wide {
            scenario.shape = Shape::Plain;
        }
        if fault == Fault::Attach {
            scenario.shape = Shape::Partitioned;
        }
        scenario
    }

    pub fn parts(&self) -> i32 {
        if self.shape == Shape::Partitioned {
            3
        } else {
            1
        }
    }

    /// One line about it.
    pub fn describe(&self) -> String {
        format!(
            "{:?} at {} {}, {:?} on a {:?} table, mapping {:?}, {} more drivers, stripes {}{}",
            self.fault,
            self.point,
            self.time,
            self.flavor,
            self.shape,
            self.map,
            self.others,
            self.stripes,
            if self.worker { ", in a worker" } else { "" }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_seeds_have_every_point_and_every_fault() {
        let few: Vec<Scenario> = (1..=2 * POINTS.len() as u64).map(Scenario::of).collect();
        for (point, _) in POINTS {
            assert!(few.iter().any(|one| one.point == *point), "{point}");
        }
        for fault in FAULTS {
            assert!(few.iter().any(|one| one.fault == *fault), "{fault:?}");
        }
    }

    #[test]
    fn every_fault_comes_to_every_point() {
        let count = (POINTS.len() * FAULTS.len()) as u64;
        let seen: std::collections::HashSet<(&str, String)> = (1..=count)
            .map(Scenario::of)
            .map(|scenario| (scenario.point, format!("{:?}", scenario.fault)))
            .collect();
        assert_eq!(seen.len() as u64, count);
    }
}
