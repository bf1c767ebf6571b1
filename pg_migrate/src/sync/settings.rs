//! `migrate.side`: a session says which application it is.

use crate::sync::rules::Side;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

#[derive(Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum Known {
    #[name = c""]
    Unknown,
    #[name = c"old"]
    Old,
    #[name = c"new"]
    New,
}

static SIDE: GucSetting<Known> = GucSetting::<Known>::new(Known::Unknown);

/// Makes the settings known to the server; called once from `_PG_init`.
pub fn register_settings() {
    GucRegistry::define_enum_guc(
        c"migrate.side",
        c"The schema version this session's application was written for, while both exist.",
        c"Its column is the one written, whatever the values. Empty: told from the values.",
        &SIDE,
        GucContext::Userset,
        GucFlags::default(),
    );
}

pub fn side() -> Side {
    match SIDE.get() {
        Known::Unknown => Side::Unknown,
        Known::Old => Side::Old,
        Known::New => Side::New,
    }
}
