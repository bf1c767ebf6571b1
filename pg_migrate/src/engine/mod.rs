//! Runs steps: locks and retries, state changes, resume, contract, downgrade. Knows operations only
//! as steps; what SQL they are is the recipes' business, what columns the state has is the
//! ledger's.

mod aside;
mod context;
mod contract;
mod downgrade;
mod drive;
mod locks;
mod register;
mod rehearse;
mod run;
mod settings;
mod start;

pub use aside::{
    purge, rename_table, rename_table_back, restore_column, restore_table, set_aside_column,
    set_aside_table,
};
pub use context::{Caller, Mode, Transactions};
pub use contract::contract;
pub use downgrade::downgrade;
pub use drive::{Scope, drive, upgrade};
pub use register::{Defaults, Registered, baseline, register, repair, stamp};
pub use rehearse::{Difference, rehearse};
pub use settings::register as register_settings;
pub use start::{operations_of, plan_document};
