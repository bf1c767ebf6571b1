//! Hearing what the server says to its log while a piece of work runs, down to DEBUG1.

use super::settings::Scope;
use pgrx::pg_sys;
use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};

/// A message of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The text as it stands in PostgreSQL's source, with `%s` for what differs; not translated.
    pub id: String,
    pub text: String,
}

/// More than this is not remembered.
const MOST: usize = 10_000;

#[derive(Default)]
struct Heard {
    messages: Vec<Message>,
    /// How many listen now; one trace may be run by another.
    listeners: usize,
    /// The setting that the log had before the first.
    log_level: c_int,
    /// Nothing that is said now concerns anybody.
    muted: bool,
    previous: pg_sys::emit_log_hook_type,
}

thread_local! {
    static HEARD: RefCell<Heard> = RefCell::default();
}

/// Listens until it ends. What the log would not have had before does not reach it.
pub struct Listening {
    _scope: Scope,
}

impl Listening {
    pub fn new() -> Listening {
        HEARD.with_borrow_mut(|heard| {
            if heard.listeners == 0 {
                // SAFETY: hooks and settings of the backend's one thread; `drop` puts the hook back.
                unsafe {
                    heard.log_level = pg_sys::log_min_messages;
                    heard.previous = pg_sys::emit_log_hook;
                    pg_sys::emit_log_hook = Some(hear);
                }
            }
            heard.listeners += 1;
        });
        let scope = Scope::new();
        // A setting of superusers, lowered for the ear alone: the hook keeps the log as it was.
        scope.set_as_server("log_min_messages", "debug1");
        Listening { _scope: scope }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        HEARD.with_borrow_mut(|heard| {
            heard.listeners = heard.listeners.saturating_sub(1);
            if heard.listeners == 0 {
                // SAFETY: as it was found.
                unsafe { pg_sys::emit_log_hook = heard.previous };
                *heard = Heard::default();
            }
        });
    }
}

/// What was said since the last call.
pub fn take() -> Vec<Message> {
    HEARD.with_borrow_mut(|heard| std::mem::take(&mut heard.messages))
}

/// Runs `body` while nobody, neither the client nor the log, hears anything short of an error.
pub fn muted<T>(body: impl FnOnce() -> T) -> T {
    let mute = |on: bool| HEARD.with_borrow_mut(|heard| heard.muted = on);
    let scope = Scope::new();
    scope.set("client_min_messages", "error");
    mute(true);
    let value = body();
    mute(false);
    drop(scope);
    value
}

/// The hook. Called inside error reporting: it must neither fail nor say anything itself.
unsafe extern "C-unwind" fn hear(report: *mut pg_sys::ErrorData) {
    let previous = HEARD.with(|heard| {
        let Ok(mut heard) = heard.try_borrow_mut() else {
            return None;
        };
        // SAFETY: the server's report, alive during the call; no other reference to it is used.
        let Some(report) = (unsafe { report.as_mut() }) else {
            return heard.previous;
        };
        if heard.muted && report.elevel < pg_sys::PGERROR as c_int {
            report.output_to_server = false;
            return None;
        }
        if report.elevel == pg_sys::DEBUG1 as c_int && heard.messages.len() < MOST {
            let message = Message {
                id: copied(report.message_id),
                text: copied(report.message),
            };
            heard.messages.push(message);
        }
        if !belongs_to_log(report.elevel, heard.log_level) {
            report.output_to_server = false;
            return None;
        }
        heard.previous
    });
    if let Some(previous) = previous {
        // SAFETY: another extension's hook, called as the server would.
        unsafe { previous(report) };
    }
}

fn copied(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: a string of the server's report, ended by a zero byte.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// `is_log_level_output` of elog.c.
fn belongs_to_log(level: c_int, log_level: c_int) -> bool {
    let [log, log_server, error, fatal, client] = [
        pg_sys::LOG,
        pg_sys::LOG_SERVER_ONLY,
        pg_sys::PGERROR,
        pg_sys::FATAL,
        pg_sys::WARNING_CLIENT_ONLY,
    ]
    .map(|level| level as c_int);
    if level == log || level == log_server {
        log_level == log || log_level <= error
    } else if level == client {
        false
    } else if log_level == log {
        level >= fatal
    } else {
        level >= log_level
    }
}
