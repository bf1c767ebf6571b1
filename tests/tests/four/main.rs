//! Every operation, four ways, while applications write: start, roll back, contract, downgrade,
//! and up again; several migrations at once; operations that build on each other.

mod alter;
mod case;
mod columns;
mod constraints;
mod data;
mod documents;
mod indexes;
mod interrupted;
mod kinds;
mod runner;
mod side;
mod tables;

use runner::run;

#[test]
fn tables() {
    run(&tables::cases());
}

#[test]
fn columns() {
    run(&columns::cases());
}

#[test]
fn altered_columns() {
    run(&alter::cases());
}

#[test]
fn indexes() {
    run(&indexes::cases());
}

#[test]
fn constraints() {
    run(&constraints::cases());
}

#[test]
fn data() {
    run(&data::cases());
}

#[test]
fn documents() {
    run(&documents::cases());
}
