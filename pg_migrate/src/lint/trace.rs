//! What really happens: SQL is run in a subtransaction that is always rolled back, and around each
//! statement the server's own state is compared: this backend's locks by OID, the files of
//! relations, the scans of tables, and what the server says of its work at DEBUG1.

mod evidence;
mod observe;
mod others;
mod script;

pub use observe::watched;
pub use script::{Row, State, trace, traced};
