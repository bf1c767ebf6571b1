//! `make torture`: many seeds of the fault harness, and each seeded mistake.
//!
//!   SEEDS       how many (default 200)
//!   FIRST_SEED  the first (default 1)
//!   MUTANTS     off: leaves the mistakes out; only: nothing but them

use std::collections::BTreeSet;
use std::time::Instant;

use pg_migrate_tests::torture::{FAULTS, Fault, Outcome, POINTS, Scenario, Torturer, mutants};

/// Tries to catch a mistake: the clients do not do the same things in the same order each time.
const ATTEMPTS: u64 = 5;

/// More of one seed says nothing new.
const SHOWN: usize = 8;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(default)
}

/// Which points were struck, by which faults.
#[derive(Default)]
struct Coverage {
    pairs: BTreeSet<(&'static str, String)>,
}

impl Coverage {
    fn name(fault: &Fault) -> String {
        format!("{fault:?}").replace('"', "")
    }

    fn add(&mut self, scenario: &Scenario, outcome: &Outcome) {
        if outcome.happened {
            self.pairs
                .insert((scenario.point, Self::name(&scenario.fault)));
        }
    }

    fn print(&self) {
        let points: Vec<&str> = POINTS.iter().map(|(point, _)| *point).collect();
        let faults: Vec<String> = FAULTS.iter().map(Self::name).collect();
        let times = |at: &dyn Fn(&(&str, String)) -> bool| {
            self.pairs.iter().filter(|pair| at(pair)).count()
        };
        println!("points struck, each by how many kinds of faults:");
        for point in &points {
            println!("  {point:16} {}", times(&|pair| pair.0 == *point));
        }
        println!("faults that happened, each at how many points:");
        for fault in &faults {
            println!("  {fault:16} {}", times(&|pair| pair.1 == *fault));
        }
        println!(
            "{} of {} faults at points",
            self.pairs.len(),
            points.len() * faults.len()
        );
    }
}

fn main() {
    let (count, first) = (number("SEEDS", 200), number("FIRST_SEED", 1));
    let mode = std::env::var("MUTANTS").unwrap_or_default();
    let begun = Instant::now();
    let (mut failed, mut reached, mut skipped) = (Vec::new(), 0, 0);
    let mut coverage = Coverage::default();
    let mut torturer = Torturer::new();
    for seed in first..first + if mode == "only" { 0 } else { count } {
        let scenario = Scenario::of(seed);
        let at = Instant::now();
        let outcome = torturer.run(&scenario, None);
        let word = match &outcome {
            Outcome {
                skipped: Some(why), ..
            } => format!("skipped: {why}"),
            outcome if !outcome.wrong.is_empty() => "WRONG".to_owned(),
            outcome if outcome.happened => "right".to_owned(),
            outcome if outcome.reached => "right, the fault could not be done".to_owned(),
            _ => "right, point not reached".to_owned(),
        };
        coverage.add(&scenario, &outcome);
        println!(
            "seed {seed}: {}: {} transactions, {} connections broke, {:.1} s: {word}",
            scenario.describe(),
            outcome.transactions,
            outcome.broken,
            at.elapsed().as_secs_f64()
        );
        reached += u64::from(outcome.reached);
        skipped += u64::from(outcome.skipped.is_some());
        if !outcome.wrong.is_empty() {
            for text in outcome.wrong.iter().take(SHOWN) {
                println!("    {}", text.replace('\n', "\n    "));
            }
            if outcome.wrong.len() > SHOWN {
                println!("    and {} more", outcome.wrong.len() - SHOWN);
            }
            println!("  again: make torture SEEDS=1 FIRST_SEED={seed} MUTANTS=off");
            failed.push(format!("seed {seed}"));
        }
    }
    for (mutant, scenario) in mutants() {
        if mode == "off" {
            break;
        }
        let control = torturer.run(&scenario, None).wrong;
        if let Some(text) = control.first() {
            println!("without mutant {mutant}: WRONG: {text}");
            failed.push(format!("the scenario of {mutant}"));
        }
        let caught = (1..=ATTEMPTS).find_map(|seed| {
            let scenario = Scenario { seed, ..scenario };
            let mut wrong = torturer.run(&scenario, Some(mutant)).wrong;
            wrong.pop().map(|text| (seed, text))
        });
        match caught {
            Some((seed, text)) => {
                println!(
                    "mutant {mutant}: caught at attempt {seed}: {}",
                    text.lines().next().unwrap_or_default()
                );
            }
            None => {
                println!("mutant {mutant}: NOT CAUGHT");
                failed.push(format!("mutant {mutant}"));
            }
        }
    }
    if mode != "only" {
        coverage.print();
    }
    println!(
        "{count} seeds from {first}: {reached} reached their point, {skipped} skipped, {:.0} s; failed: {}",
        begun.elapsed().as_secs_f64(),
        if failed.is_empty() {
            "none".to_owned()
        } else {
            failed.join(", ")
        }
    );
    std::process::exit(i32::from(!failed.is_empty()));
}
