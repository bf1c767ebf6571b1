//! The settings of the engine: names, defaults and meanings in one table.

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use std::time::Duration;

static LOCK_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(500);
static LOCK_DEADLINE: GucSetting<i32> = GucSetting::<i32>::new(600);
static AUTOSTART: GucSetting<bool> = GucSetting::<bool>::new(false);

/// Makes the settings known to the server; called once from `_PG_init`.
pub fn register() {
    GucRegistry::define_int_guc(
        c"migrate.lock_timeout",
        c"Longest time a migration step waits for a table lock before it steps back.",
        c"Application queries queue behind a waiting DDL lock: this bounds for how long.",
        &LOCK_TIMEOUT,
        1,
        60_000,
        GucContext::Userset,
        GucFlags::UNIT_MS,
    );
    GucRegistry::define_int_guc(
        c"migrate.lock_deadline",
        c"Time after which a step that cannot get its lock fails.",
        c"Between attempts it holds no lock and waits 1 s, doubling to 1 min.",
        &LOCK_DEADLINE,
        1,
        86_400,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_bool_guc(
        c"migrate.autostart",
        c"Start a background worker when a transaction that queued steps commits.",
        c"Off: the queue waits for CALL migrate.upgrade(), a worker or pg_cron.",
        &AUTOSTART,
        GucContext::Userset,
        GucFlags::default(),
    );
}

pub fn lock_timeout() -> Duration {
    Duration::from_millis(u64::try_from(LOCK_TIMEOUT.get()).unwrap_or(500))
}

pub fn lock_deadline() -> Duration {
    Duration::from_secs(u64::try_from(LOCK_DEADLINE.get()).unwrap_or(600))
}

pub fn autostart() -> bool {
    AUTOSTART.get()
}
