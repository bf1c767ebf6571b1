//! Every `unsafe`: safe wrappers over PostgreSQL. Knows nothing of migrations; nothing below it
//! but `fault`. A PostgreSQL error unwinds as a panic until `subtransaction::attempt` turns it
//! into a `Fault`.

pub mod advisory;
pub mod analyze;
pub mod assign;
pub mod background;
pub mod conversion;
pub mod error;
pub mod expression;
pub mod identity;
pub mod kept;
pub mod lock_table;
pub mod messages;
pub mod page;
pub mod parser;
pub mod past;
pub mod portal;
pub mod prepared;
pub mod procedure;
pub mod relation_column;
pub mod relation_lock;
pub mod settings;
pub mod spi;
pub mod subtransaction;
pub mod torture;
pub mod transaction;
pub mod trigger;
pub mod tuple;
pub mod usage;
pub mod utility;
pub mod wait;
