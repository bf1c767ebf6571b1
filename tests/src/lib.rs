//! Shared harness of the tests and the demo: throw-away clusters, clients, traffic of applications
//! and the independent record of what they wrote. Knows the extension only as a client does.
//!
//! Helpers panic with everything PostgreSQL said: in a test that is the message one wants to read.

mod cluster;
mod db;
pub mod facts;
mod failure;
mod installation;
mod server;
pub mod torture;
mod traffic;
mod watch;

pub use cluster::{Cluster, Standby, cluster};
pub use db::Db;
pub use failure::Failure;
pub use server::Server;
pub use traffic::{
    Generator, Latency, Mapping, Mappings, Record, Report, Role, Traffic, TrafficSpec, Value,
};
pub use watch::{Hold, LockWatcher, Locks, Wait};
