//! Settings for the length of a Rust scope.

use pgrx::pg_sys;
use std::ffi::CString;

/// Settings changed through this scope are put back when it ends.
/// On the way out of an error nothing is done: the abort of the (sub)transaction restores them,
/// as after a function with a `SET` clause.
pub struct Scope(i32);

impl Scope {
    pub fn new() -> Self {
        // SAFETY: opens a nest level that `Drop` or the abort closes.
        Scope(unsafe { pg_sys::NewGUCNestLevel() })
    }

    /// Sets `name` for this scope with the rights of the session (never of a superuser).
    pub fn set(&self, name: &str, value: &str) {
        self.set_as(name, value, pg_sys::GucContext::PGC_USERSET);
    }

    /// Sets, for this scope, what only the server or a superuser may: never on a user's word.
    pub fn set_as_server(&self, name: &str, value: &str) {
        self.set_as(name, value, pg_sys::GucContext::PGC_SUSET);
    }

    fn set_as(&self, name: &str, value: &str, context: pg_sys::GucContext::Type) {
        let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) else {
            return;
        };
        // SAFETY: both strings outlive the call, which copies them.
        unsafe {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                context,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: closes the nest level opened by `new`; scopes nest because Rust scopes do.
            unsafe { pg_sys::AtEOXact_GUC(false, self.0) };
        }
    }
}

/// From now on a setting `prefix.…` that nobody defined is an error, so that a misspelt one is noticed.
pub fn reserve(prefix: &std::ffi::CStr) {
    // SAFETY: the name outlives the call, which copies it.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) };
}

/// What a setting is now, as `SHOW` would print it; `None`: there is none of that name.
pub fn value(name: &str) -> Option<String> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name outlives the call; the palloc'd value is copied; a missing one is null.
    unsafe {
        let value = pg_sys::GetConfigOptionByName(name.as_ptr(), std::ptr::null_mut(), true);
        (!value.is_null()).then(|| {
            std::ffi::CStr::from_ptr(value)
                .to_string_lossy()
                .into_owned()
        })
    }
}

/// Calls `look` with the session's `search_path` as it was set.
pub fn with_search_path<T>(look: impl FnOnce(&std::ffi::CStr) -> T) -> T {
    // SAFETY: a string that the server keeps until the setting changes, which `look` cannot do.
    unsafe {
        let path = pg_sys::namespace_search_path;
        look(if path.is_null() {
            c""
        } else {
            std::ffi::CStr::from_ptr(path)
        })
    }
}
