//! The hook on utility statements: hearing of them, and speaking up before one runs.
//!
//! Every client's DDL passes through here, so that errors of PostgreSQL and of other extensions must
//! pass untouched: the hook itself holds nothing that a jump over it would leave behind, and calls
//! the server's functions without pgrx's wrappers, which know only PostgreSQL's own SQLSTATEs.

use super::error;
use crate::fault::Fault;
use pgrx::pg_sys::{self, NodeTag, ProcessUtilityContext as Context};
use std::cell::{Cell, RefCell};
use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// How loudly to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Warning,
    Error,
}

/// What is to be said of a statement before it runs.
pub struct Verdict {
    pub level: Level,
    pub fault: Fault,
}

/// Who judges statements.
#[derive(Clone, Copy)]
pub struct Judge {
    /// Whether there is anything to judge by now: asked before anything else is done.
    pub awake: fn() -> bool,
    /// Is given the statement's text, without others around it. Must not unwind.
    pub verdict: fn(&str) -> Option<Verdict>,
}

thread_local! {
    static JUDGE: Cell<Option<Judge>> = const { Cell::new(None) };
    static PREVIOUS: Cell<pg_sys::ProcessUtility_hook_type> = const { Cell::new(None) };
    /// How deep in work of this extension's own we are.
    static OWN: Cell<usize> = const { Cell::new(0) };
    static OVERHEARD: RefCell<Vec<Vec<String>>> = const { RefCell::new(Vec::new()) };
}

unsafe extern "C-unwind" {
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        query: *const c_char,
        read_only_tree: bool,
        context: Context::Type,
        params: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        receiver: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
    fn errstart(level: c_int, domain: *const c_char) -> bool;
    fn errcode(code: c_int) -> c_int;
    fn errmsg(format: *const c_char, ...) -> c_int;
    fn errdetail(format: *const c_char, ...) -> c_int;
    fn errhint(format: *const c_char, ...) -> c_int;
    fn errfinish(file: *const c_char, line: c_int, function: *const c_char);
}

/// Puts the hook in; called once from `_PG_init`.
pub fn install(judge: Judge) {
    JUDGE.set(Some(judge));
    // SAFETY: the backend's one thread, while the library is loaded.
    unsafe {
        PREVIOUS.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(process_utility);
    }
}

/// As long as it lives, what runs is this extension's own work and is not judged.
pub struct Own(());

pub fn own() -> Own {
    OWN.set(OWN.get() + 1);
    Own(())
}

impl Drop for Own {
    fn drop(&mut self) {
        OWN.set(OWN.get().saturating_sub(1));
    }
}

/// Gathers the utility statements that run inside of another one.
pub struct Overheard(());

/// More than this is not remembered.
const MOST: usize = 1000;

impl Overheard {
    pub fn begin() -> Overheard {
        OVERHEARD.with_borrow_mut(|all| all.push(Vec::new()));
        Overheard(())
    }

    /// Their texts; that of the statement itself, where it is one of those, comes first.
    pub fn end(self) -> Vec<String> {
        OVERHEARD.with_borrow(|all| all.last().cloned().unwrap_or_default())
    }
}

impl Drop for Overheard {
    fn drop(&mut self) {
        OVERHEARD.with_borrow_mut(|all| drop(all.pop()));
    }
}

/// What `ereport` is told, in strings of PostgreSQL's memory.
#[derive(Clone, Copy)]
struct Report {
    level: c_int,
    code: c_int,
    message: *const c_char,
    detail: *const c_char,
    hint: *const c_char,
}

unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const c_char,
    read_only_tree: bool,
    context: Context::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    receiver: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the arguments are the server's; `heard` never unwinds; what is on this frame needs no
    // tidying up when an error jumps over it.
    unsafe {
        if context != Context::PROCESS_UTILITY_SUBCOMMAND
            && let Some(report) = heard(statement, query)
            && errstart(report.level, ptr::null())
        {
            errcode(report.code);
            errmsg(c"%s".as_ptr(), report.message);
            if !report.detail.is_null() {
                errdetail(c"%s".as_ptr(), report.detail);
            }
            if !report.hint.is_null() {
                errhint(c"%s".as_ptr(), report.hint);
            }
            errfinish(c"guard".as_ptr(), 0, c"process_utility".as_ptr());
        }
        let next = PREVIOUS.get().unwrap_or(standard_ProcessUtility);
        next(
            statement,
            query,
            read_only_tree,
            context,
            params,
            environment,
            receiver,
            completion,
        );
    }
}

/// Tells those who gather, and asks the judge.
///
/// # Safety
/// Both are arguments of the hook.
unsafe fn heard(statement: *const pg_sys::PlannedStmt, query: *const c_char) -> Option<Report> {
    let gathering = OVERHEARD.with(|all| all.try_borrow().is_ok_and(|all| !all.is_empty()));
    let judge = JUDGE.get().filter(|judge| (judge.awake)() && concerns_us());
    if !gathering && judge.is_none() {
        return None;
    }
    // SAFETY: as the caller says.
    let (statement, query) = unsafe { (statement.as_ref()?, query) };
    // SAFETY: a planned statement of a utility has its node.
    if query.is_null() || !unsafe { statement.utilityStmt.as_ref() }.is_some_and(changes) {
        return None;
    }
    // SAFETY: the query string of the hook, of which the statement is a part.
    let text = unsafe { cut(query, statement.stmt_location, statement.stmt_len) };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        if gathering {
            OVERHEARD.with_borrow_mut(|all| {
                if let Some(heard) = all.last_mut().filter(|heard| heard.len() < MOST) {
                    heard.push(text.clone());
                }
            });
        }
        (judge?.verdict)(&text)
    }));
    // SAFETY: copies strings into the current memory context.
    outcome
        .ok()
        .flatten()
        .map(|verdict| unsafe { report(verdict) })
}

/// Not: restoring a cluster, installing an extension, replaying what another server did, helping
/// another backend, ending a failed transaction, what cannot write; nor what this extension does
/// itself.
fn concerns_us() -> bool {
    // SAFETY: reads backend-local state.
    unsafe {
        OWN.get() == 0
            && !pg_sys::IsBinaryUpgrade
            && !pg_sys::creating_extension
            && pg_sys::SessionReplicationRole != pg_sys::SESSION_REPLICATION_ROLE_REPLICA as c_int
            && pg_sys::ParallelWorkerNumber < 0
            && pg_sys::IsTransactionState()
            && !pg_sys::IsAbortedTransactionBlockState()
            && !pg_sys::XactReadOnly
            && !pg_sys::RecoveryInProgress()
    }
}

/// Statements that change something of the schema; the others are let through unread.
fn changes(node: &pg_sys::Node) -> bool {
    !matches!(
        node.type_,
        NodeTag::T_TransactionStmt
            | NodeTag::T_DeclareCursorStmt
            | NodeTag::T_ClosePortalStmt
            | NodeTag::T_FetchStmt
            | NodeTag::T_PrepareStmt
            | NodeTag::T_ExecuteStmt
            | NodeTag::T_DeallocateStmt
            | NodeTag::T_ExplainStmt
            | NodeTag::T_VariableSetStmt
            | NodeTag::T_VariableShowStmt
            | NodeTag::T_CopyStmt
            | NodeTag::T_DoStmt
            | NodeTag::T_CallStmt
            | NodeTag::T_NotifyStmt
            | NodeTag::T_ListenStmt
            | NodeTag::T_UnlistenStmt
            | NodeTag::T_DiscardStmt
            | NodeTag::T_LoadStmt
            | NodeTag::T_CheckPointStmt
            | NodeTag::T_ConstraintsSetStmt
    )
}

/// # Safety
/// `query` is a string ended by a zero byte, and the place is one in it.
unsafe fn cut(query: *const c_char, location: c_int, length: c_int) -> String {
    let from = usize::try_from(location).unwrap_or(0);
    // SAFETY: as the caller says.
    let bytes = unsafe {
        let start = query.add(from).cast::<u8>();
        match usize::try_from(length) {
            Ok(length) if length > 0 => std::slice::from_raw_parts(start, length),
            _ => CStr::from_ptr(start.cast()).to_bytes(),
        }
    };
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// # Safety
/// Inside a memory context that lives until the message is sent.
unsafe fn report(verdict: Verdict) -> Report {
    let copy = |text: Option<String>| match text.map(|text| CString::new(text.replace('\0', ""))) {
        // SAFETY: copies a string.
        Some(Ok(text)) => unsafe { pg_sys::pstrdup(text.as_ptr()) }.cast_const(),
        _ => ptr::null(),
    };
    let fault = verdict.fault;
    Report {
        level: match verdict.level {
            Level::Warning => pg_sys::WARNING as c_int,
            Level::Error => pg_sys::PGERROR as c_int,
        },
        code: error::packed(&fault.sqlstate),
        message: copy(Some(fault.message)),
        detail: copy(fault.detail),
        hint: copy(fault.hint),
    }
}
