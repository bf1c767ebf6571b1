//! Who a piece of work runs as.

use crate::fault::Result;
use crate::pg::{settings, spi};
use pgrx::pg_sys;

struct Identity {
    user: pg_sys::Oid,
    context: i32,
}

impl Identity {
    fn take(user: pg_sys::Oid, flags: u32) -> Self {
        let mut saved = Identity {
            user: pg_sys::InvalidOid,
            context: 0,
        };
        // SAFETY: plain reads and writes of backend-local state, restored by `Drop` or by the abort.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut saved.user, &mut saved.context);
            pg_sys::SetUserIdAndSecContext(user, saved.context | flags as i32);
        }
        saved
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: puts back what `take` found.
            unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.context) };
        }
    }
}

/// The role whose rights apply now.
pub fn current() -> u32 {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetUserId() }.to_u32()
}

/// The role that logged in (or was set by SET SESSION AUTHORIZATION).
pub fn session() -> u32 {
    // SAFETY: reads backend-local state.
    unsafe { pg_sys::GetSessionUserId() }.to_u32()
}

/// Runs the extension's own fixed SQL as `owner` (the owner of its tables) with a search path on
/// which nobody else can put anything. `body` must run no user SQL and must not commit.
pub fn as_ledger_owner<T>(owner: u32, body: impl FnOnce() -> T) -> T {
    let scope = settings::Scope::new();
    scope.set("search_path", "pg_catalog, pg_temp");
    let identity = Identity::take(
        pg_sys::Oid::from(owner),
        pg_sys::SECURITY_LOCAL_USERID_CHANGE,
    );
    let value = body();
    drop(identity);
    drop(scope);
    value
}

/// Runs user SQL as `role` and nothing more: `SET ROLE` and its kin are refused inside, and triggers
/// that it deferred fire before its rights end, not with the caller's at commit.
/// A no-op when `role` is the current user. `body` must not commit.
pub fn as_role<T>(role: u32, body: impl FnOnce() -> Result<T>) -> Result<T> {
    if role == current() {
        return body();
    }
    let identity = Identity::take(
        pg_sys::Oid::from(role),
        pg_sys::SECURITY_LOCAL_USERID_CHANGE,
    );
    let value = body().and_then(|value| {
        if spi::has_written() {
            spi::run("SET CONSTRAINTS ALL IMMEDIATE", &[])?;
        }
        Ok(value)
    });
    drop(identity);
    value
}

/// Whether the current user has the rights of `role` (is it, is a member of it, or is a superuser).
pub fn has_rights_of(role: u32) -> bool {
    // SAFETY: a catalog lookup inside a transaction.
    unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), pg_sys::Oid::from(role)) }
}

/// Whether `role` has the rights of `other`.
pub fn may_act_as(role: u32, other: u32) -> bool {
    // SAFETY: a catalog lookup inside a transaction.
    unsafe { pg_sys::has_privs_of_role(pg_sys::Oid::from(role), pg_sys::Oid::from(other)) }
}

/// The name of a role; its number where it no longer exists.
pub fn role_name(role: u32) -> String {
    // SAFETY: a catalog lookup inside a transaction; the palloc'd name is copied.
    unsafe {
        let name = pg_sys::GetUserNameFromId(pg_sys::Oid::from(role), true);
        if name.is_null() {
            return role.to_string();
        }
        std::ffi::CStr::from_ptr(name)
            .to_string_lossy()
            .into_owned()
    }
}
