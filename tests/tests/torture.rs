//! A few seeds of the fault harness, and the mistakes that it must notice. `make torture` runs
//! hundreds; see `pg_migrate_tests::torture`.

use std::process::Command;

use pg_migrate_tests::cluster;
use pg_migrate_tests::torture::{
    Fault, Flavor, Mapping, Outcome, Scenario, Shape, Torturer, mutants,
};

const QUIET: Scenario = Scenario {
    seed: 1,
    flavor: Flavor::Job,
    shape: Shape::Plain,
    map: Mapping::Nulls,
    point: "batch.filed",
    time: 2,
    fault: Fault::Nothing,
    others: 1,
    worker: false,
    stripes: 0,
};

#[track_caller]
fn right(scenario: &Scenario, outcome: &Outcome) {
    assert!(
        outcome.wrong.is_empty(),
        "{}:\n{}",
        scenario.describe(),
        outcome.wrong.join("\n")
    );
    assert!(outcome.transactions > 100, "{outcome:?}");
}

/// The harness accuses nobody where nothing is migrated.
#[test]
fn no_migration() {
    let mut torturer = Torturer::new();
    for (seed, fault) in [(1, Fault::VacuumFull), (2, Fault::KillPostmaster)] {
        let scenario = Scenario {
            seed,
            fault,
            flavor: Flavor::None,
            ..QUIET
        };
        let outcome = torturer.run(&scenario, None);
        right(&scenario, &outcome);
        if fault == Fault::KillPostmaster {
            assert!(outcome.broken > 0, "{outcome:?}");
        }
    }
}

#[test]
fn faults_at_points() {
    let mut torturer = Torturer::new();
    let scenarios = [
        Scenario {
            map: Mapping::Lossy,
            fault: Fault::Kill9,
            point: "batch.filled",
            ..QUIET
        },
        Scenario {
            fault: Fault::Rewrite,
            point: "batch.claimed",
            stripes: 4,
            ..QUIET
        },
        Scenario {
            fault: Fault::DisableTrigger,
            point: "settle",
            time: 1,
            ..QUIET
        },
        Scenario {
            fault: Fault::Attach,
            point: "pass.survey",
            time: 1,
            shape: Shape::Partitioned,
            ..QUIET
        },
        Scenario {
            fault: Fault::RenameColumn,
            point: "batch.begin",
            time: 3,
            others: 0,
            ..QUIET
        },
        Scenario {
            flavor: Flavor::Migration,
            map: Mapping::Copy,
            fault: Fault::ImmediateStop,
            point: "step.filled",
            time: 1,
            ..QUIET
        },
        Scenario {
            map: Mapping::Copy,
            fault: Fault::Promote,
            point: "batch.filed",
            ..QUIET
        },
    ];
    for scenario in scenarios {
        right(&scenario, &torturer.run(&scenario, None));
    }
}

/// What looks at a library before others use it finds the fault points of the one under test.
#[test]
fn a_library_with_fault_points_is_no_release() {
    let server = cluster();
    let said = Command::new(server.bin().join("pg_config"))
        .arg("--pkglibdir")
        .output()
        .expect("pg_config");
    let folder = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let check = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/released");
    let looked = Command::new(check)
        .arg(format!("{folder}/pg_migrate.so"))
        .output()
        .expect("a look");
    let said = String::from_utf8_lossy(&looked.stderr);
    assert!(!looked.status.success(), "{said}");
    assert!(
        said.contains("knows the setting migrate.fault_point"),
        "{said}"
    );
    // Only a superuser's word counts here too.
    let db = server.database();
    db.run("CREATE ROLE nobody_tortured");
    let failure = db.error_as(
        "postgres",
        "LOAD 'pg_migrate'; SET ROLE nobody_tortured; SET migrate.fault_point = 'settle kill'",
    );
    db.run("DROP ROLE nobody_tortured");
    assert_eq!(failure.sqlstate, "42501", "{failure:?}");
}

/// Each mistake shows, and the same without it is right.
#[test]
fn mistakes_are_noticed() {
    let mut torturer = Torturer::new();
    for (mutant, scenario) in mutants() {
        right(&scenario, &torturer.run(&scenario, None));
        // What the clients do differs from run to run: one in which nothing shows proves nothing.
        let caught = (1..=5).any(|seed| {
            let scenario = Scenario { seed, ..scenario };
            !torturer.run(&scenario, Some(mutant)).wrong.is_empty()
        });
        assert!(caught, "the mutant {mutant} was not noticed");
    }
}
