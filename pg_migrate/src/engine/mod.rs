//! Runs steps: locks and retries, state changes, resume, contract, downgrade. Knows operations only
//! as steps; what SQL they are is the recipes' business, what columns the state has is the
//! ledger's.

mod aside;
mod context;
mod contract;
mod downgrade;
mod drift;
mod drive;
mod drivers;
mod locks;
mod objects;
mod offline;
mod register;
mod rehearse;
mod run;
mod settings;
mod start;
mod swap;
mod verify;

pub use aside::{
    carry_grants, purge, rename_table, rename_table_back, restore_column, restore_table,
    set_aside_column, set_aside_table,
};
pub use context::{Caller, Mode};
pub use contract::contract;
pub use downgrade::downgrade;
pub use drift::drift;
pub use drive::{Scope, drive, upgrade};
pub use drivers::{grant_to, help_with, launch_driver, schedule, stop_drivers, unschedule};
pub use objects::{move_relation, move_relation_back, replace_view, set_aside_type, stays};
pub use offline::{Preview, named_or_read, preview, record_step, script, size_of};
pub use register::{
    Registered, announce, baseline, begin, find, graph, refuse_on_standby, register, repair, stamp,
};
pub use rehearse::{rehearse, run_through};
pub use settings::register as register_settings;
pub use swap::{
    Key, carry_partition_settings, foreign_key_misses, move_identity, swap_foreign_keys,
    swap_partitioned_index, swap_partitioned_key, take_back_column, validate_foreign_keys,
};
pub use verify::verify;
