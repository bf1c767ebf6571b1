//! The fault harness: clients that write to a table in every way there is, the engine at work on
//! it, and a fault at a named point, chosen by a seed. What was committed is kept outside of the
//! table and compared with it.
//!
//! The installed extension must have been built with the feature `torture`, as `tests/tools/prefix`
//! does for tests.

mod book;
mod client;
mod crowd;
mod driver;
mod model;
mod run;
mod scenario;
mod statement;
mod strike;
mod table;

pub use model::Mapping;
pub use run::{Outcome, Torturer};
pub use scenario::{FAULTS, Fault, Flavor, POINTS, Scenario, Shape};

/// Mistakes that the engine can be told to make, each with a scenario in which it must show.
pub fn mutants() -> Vec<(&'static str, Scenario)> {
    let base = Scenario {
        seed: 1,
        flavor: Flavor::Job,
        shape: Shape::Plain,
        map: Mapping::Copy,
        point: "batch.begin",
        time: 3,
        fault: Fault::Nothing,
        others: 0,
        worker: false,
        stripes: 1,
    };
    vec![
        (
            "join_copy",
            Scenario {
                point: "fill.row",
                time: 1,
                stripes: 4,
                ..base
            },
        ),
        (
            "update_of",
            Scenario {
                point: "batch.filed",
                time: 1,
                ..base
            },
        ),
        (
            "no_filenode_guard",
            Scenario {
                fault: Fault::VacuumFull,
                ..base
            },
        ),
        (
            "no_revisit",
            Scenario {
                point: "revisit",
                time: 1,
                ..base
            },
        ),
        (
            "cursor_first",
            Scenario {
                fault: Fault::Terminate,
                ..base
            },
        ),
        (
            "reverse_mapping",
            Scenario {
                map: Mapping::Lossy,
                ..base
            },
        ),
        (
            "early_end",
            Scenario {
                point: "trigger.lock",
                time: 1,
                fault: Fault::Burst,
                ..base
            },
        ),
    ]
}
