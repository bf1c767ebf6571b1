//! everything SQL can call, thin: check arguments, call the engine, shape rows.
mod sync;
