//! Shared harness of the tests and the demo: throw-away clusters, clients, traffic of applications
//! and the independent record of what they wrote. Knows the extension only as a client does.
//!
//! Helpers panic with everything PostgreSQL said: in a test that is the message one wants to read.

mod cluster;
mod db;
mod failure;
mod installation;
mod server;

pub use cluster::{Cluster, Standby, cluster};
pub use db::Db;
pub use failure::Failure;
pub use server::Server;
