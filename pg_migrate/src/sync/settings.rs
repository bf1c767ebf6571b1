//! `migrate.side`: a session says which application it is; `migrate.old_schemas` and
//! `migrate.new_schemas`: its search path does.

use crate::pg::settings::with_search_path;
use crate::sync::rules::Side;
use crate::sync::side::of_path;
use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use std::cell::RefCell;
use std::ffi::CString;

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
static OLD_SCHEMAS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);
static NEW_SCHEMAS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

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
    for (name, meaning, setting) in [
        (
            c"migrate.old_schemas",
            c"Schemas of which one is in the search path of sessions that know the old schema version.",
            &OLD_SCHEMAS,
        ),
        (
            c"migrate.new_schemas",
            c"Schemas of which one is in the search path of sessions that know the new schema version.",
            &NEW_SCHEMAS,
        ),
    ] {
        GucRegistry::define_string_guc(
            name,
            meaning,
            c"Counts where migrate.side is empty. The first schema of the path that is in either list decides.",
            setting,
            GucContext::Userset,
            GucFlags::default(),
        );
    }
}

/// The answer for a search path and two lists.
#[derive(Default)]
struct Answer {
    path: CString,
    old: Option<CString>,
    new: Option<CString>,
    side: Option<Side>,
}

thread_local! {
    static ANSWER: RefCell<Answer> = RefCell::default();
}

/// Raises nothing, so that what it holds is dropped.
fn side_of_path() -> Side {
    let (old, new) = (OLD_SCHEMAS.get(), NEW_SCHEMAS.get());
    if old.is_none() && new.is_none() {
        return Side::Unknown;
    }
    with_search_path(|path| {
        ANSWER.with_borrow_mut(|answer| {
            if let Some(side) = answer.side
                && answer.path.as_c_str() == path
                && answer.old == old
                && answer.new == new
            {
                return side;
            }
            let text = |list: &Option<CString>| {
                list.as_ref()
                    .map(|list| list.to_string_lossy().into_owned())
                    .unwrap_or_default()
            };
            let side = of_path(&path.to_string_lossy(), &text(&old), &text(&new));
            *answer = Answer {
                path: path.to_owned(),
                old,
                new,
                side: Some(side),
            };
            side
        })
    })
}

pub fn side() -> Side {
    match SIDE.get() {
        Known::Unknown => side_of_path(),
        Known::Old => Side::Old,
        Known::New => Side::New,
    }
}
