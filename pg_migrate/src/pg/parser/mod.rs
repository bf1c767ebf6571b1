//! Splitting a script into statements with PostgreSQL's own parser, and reading of each what
//! recipes and lint need. Nothing is looked up in a catalog and nothing is run.

mod action;
mod alter;
mod block;
mod comment;
mod constraint;
mod cut;
mod made;
mod named;
mod object;
mod raw;
mod read;
mod table;
mod token;
pub mod tree;

#[cfg(test)]
pub use alter::words as change_words;
pub use cut::{bare_type, before_collation, is_constant, is_literal};
pub use tree::Statement;

use crate::fault::{Fault, Result, state};
use crate::pg::error;
use cut::{Cut, scan};
use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use std::ffi::{CStr, CString, c_int, c_void};
use std::panic::AssertUnwindSafe;
use token::Token;

/// The statements of a script, in order. `first_line`: that of the script's first character in the
/// document it is a part of; errors count from there, `Statement::line` does not.
/// Errors: PostgreSQL's own for what it cannot read, with line, column and the line itself in
/// DETAIL; psql's commands and inline COPY data by name.
pub fn split(sql: &str, first_line: usize) -> Result<Vec<Statement>> {
    // SAFETY: reads a constant of the backend.
    let utf8 = unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as c_int;
    if !utf8 && !sql.is_ascii() {
        return Err(not_ascii());
    }
    let sql = &without_restrict(sql);
    let text = CString::new(sql.as_str())
        .map_err(|_| Fault::new(state::SYNTAX, "the script holds a zero byte"))?;
    let arena = Arena::new();
    let list = parse(&text).map_err(|(fault, at)| explain(fault, at, sql, first_line))?;
    let tokens = scan(sql);
    let mut lines = Lines { at: 0, line: 1 };
    let found = raw::items(list)
        .into_iter()
        .filter_map(raw::cast::<pg_sys::RawStmt>)
        .filter_map(|raw| statement(raw, sql, &tokens, &mut lines))
        .collect();
    drop(arena);
    Ok(found)
}

/// Of a script with other characters in a database of another encoding.
pub fn not_ascii() -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        "scripts in a database that is not UTF8 must be ASCII",
    )
    .hint("Write other characters as escapes: U&'\\00e9'.")
}

/// pg_dump puts its output between `\restrict` and `\unrestrict`, two commands of psql that hold
/// nothing of the schema: they become blanks where each stands there once.
fn without_restrict(sql: &str) -> String {
    let mark = |line: &str, word: &str| {
        line.strip_prefix(word)
            .is_some_and(|rest| rest.starts_with(' ') && !rest.trim().contains(char::is_whitespace))
    };
    let both = ["\\restrict", "\\unrestrict"]
        .iter()
        .all(|word| sql.lines().filter(|line| mark(line, word)).count() == 1);
    if !both {
        return sql.to_owned();
    }
    let blank = |line: &str| {
        if mark(line, "\\restrict") || mark(line, "\\unrestrict") {
            line.chars()
                .map(|letter| if letter == '\n' { letter } else { ' ' })
                .collect()
        } else {
            line.to_owned()
        }
    };
    sql.split_inclusive('\n').map(blank).collect()
}

/// Counts lines on the way through a script.
struct Lines {
    at: usize,
    line: usize,
}

impl Lines {
    fn of(&mut self, sql: &str, offset: usize) -> usize {
        self.line += newlines(sql.get(self.at..offset).unwrap_or_default());
        self.at = offset;
        self.line
    }
}

fn newlines(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'\n').count()
}

fn statement(
    raw: &pg_sys::RawStmt,
    sql: &str,
    tokens: &[Token],
    lines: &mut Lines,
) -> Option<Statement> {
    let from = usize::try_from(raw.stmt_location).unwrap_or(0);
    let to = match usize::try_from(raw.stmt_len) {
        Ok(length) if length > 0 => from + length,
        _ => sql.len(),
    };
    // Before PostgreSQL 18 the location is that of the white space and the comments before it.
    let first = tokens.partition_point(|token| token.start < from);
    let last = tokens.partition_point(|token| token.end <= to);
    let cut = Cut {
        script: sql,
        tokens: tokens.get(first..last)?,
    };
    let offset = cut.tokens.first()?.start;
    Some(Statement {
        text: cut.text(&(0..cut.len()))?.to_owned(),
        offset,
        line: lines.of(sql, offset),
        node: read::node(raw.stmt, &cut),
        transactional: block::transactional(raw.stmt),
        action: action::action(raw.stmt, &cut),
        long_names: long_names(&cut),
    })
}

/// PostgreSQL cuts them off, with no more than a NOTICE.
fn long_names(cut: &Cut) -> Vec<String> {
    const KEPT: usize = pg_sys::NAMEDATALEN as usize - 1;
    let mut found = Vec::new();
    for token in cut.tokens {
        if token.end - token.start <= KEPT {
            continue;
        }
        let text = cut.script.get(token.start..token.end).unwrap_or_default();
        let name = match token.kind {
            token::Kind::Word => text.to_owned(),
            token::Kind::Quoted => text.trim_matches('"').replace("\"\"", "\""),
            _ => continue,
        };
        if name.len() > KEPT {
            found.push(name);
        }
    }
    found
}

/// A memory context of its own for a parse tree, current as long as this lives.
struct Arena {
    context: pg_sys::MemoryContext,
    before: pg_sys::MemoryContext,
}

impl Arena {
    fn new() -> Arena {
        // SAFETY: makes a context below the current one and switches; `drop` undoes both.
        unsafe {
            let context = pg_sys::AllocSetContextCreateExtended(
                pg_sys::CurrentMemoryContext,
                c"pg_migrate script".as_ptr(),
                pg_sys::ALLOCSET_DEFAULT_MINSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            Arena {
                context,
                before: pg_sys::MemoryContextSwitchTo(context),
            }
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: everything read from the tree has been copied into Rust values.
        unsafe {
            pg_sys::MemoryContextSwitchTo(self.before);
            pg_sys::MemoryContextDelete(self.context);
        }
    }
}

/// Runs the raw parser. The error comes with the character (from 1; 0: unknown) it is at, which
/// an error context callback picks up because pgrx drops it.
fn parse(text: &CStr) -> std::result::Result<*mut pg_sys::List, (Fault, c_int)> {
    let mut position: c_int = 0;
    // SAFETY: read in the backend's one thread.
    let previous = unsafe { pg_sys::error_context_stack };
    let mut callback = pg_sys::ErrorContextCallback {
        previous,
        callback: Some(remember_position),
        arg: (&raw mut position).cast(),
    };
    let callback = &raw mut callback;
    // The raw parser takes no lock and reads no catalog: an error needs no subtransaction.
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the callback and the text outlive the call; the stack is put back below.
        Ok(unsafe {
            pg_sys::error_context_stack = callback;
            pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT)
        })
    }))
    .catch_others(|caught| Err(Box::new(error::fault_of(&caught))))
    .execute();
    // SAFETY: as it was found.
    unsafe { pg_sys::error_context_stack = previous };
    outcome.map_err(|fault| (*fault, position))
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn remember_position(position: *mut c_void) {
    // SAFETY: `position` is the integer of `parse`, alive while the callback is on the stack.
    unsafe { *position.cast::<c_int>() = pg_sys::geterrposition() };
}

/// Adds the place to a syntax error, or says what it is that looks like one.
fn explain(fault: Fault, position: c_int, sql: &str, first_line: usize) -> Fault {
    let Some(character) = usize::try_from(position).ok().filter(|at| *at > 0) else {
        return fault;
    };
    let offset = sql
        .char_indices()
        .nth(character - 1)
        .map_or(sql.trim_end().len(), |(at, _)| at);
    let detail = place(sql, offset, first_line);
    if sql[offset..].starts_with('\\') {
        return Fault::new(
            state::SYNTAX,
            "a psql command cannot be part of a migration",
        )
        .detail(detail)
        .hint("Take the line out: the server runs the script, and knows SQL only.");
    }
    if let Some(name) = placeholder(&sql[offset..]) {
        return Fault::new(
            state::SYNTAX,
            format!("the placeholder ${{{name}}} has no value here"),
        )
        .detail(detail)
        .hint("The tool that the script was written for fills it in: write the value itself.");
    }
    if let Some(copy) = inline_copy(&sql[..offset]) {
        return copy_from_stdin().detail(place(sql, copy, first_line));
    }
    fault.detail(detail)
}

/// The name in `${name}`, as Flyway writes it.
fn placeholder(sql: &str) -> Option<&str> {
    let (name, _) = sql.strip_prefix("${")?.split_once('}')?;
    let plain = |letter: char| letter.is_alphanumeric() || "_.:-".contains(letter);
    (!name.is_empty() && name.chars().all(plain)).then_some(name)
}

/// `COPY … FROM STDIN` has no data to read here.
pub fn copy_from_stdin() -> Fault {
    Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        "COPY FROM STDIN cannot be part of a migration",
    )
    .hint("Write the rows as INSERT … VALUES, or load them outside the migration.")
}

/// Where the script so far has a `COPY … FROM STDIN`, whose data no parser can read.
fn inline_copy(sql: &str) -> Option<usize> {
    let tokens = scan(sql);
    tokens
        .split(|token| token.is(b';') && token.depth == 0)
        .filter(|statement| {
            statement
                .windows(2)
                .any(|two| two[0].word(sql, "from") && two[1].word(sql, "stdin"))
        })
        .filter_map(|statement| statement.first())
        .find(|first| first.word(sql, "copy"))
        .map(|first| first.start)
}

/// `Line 3, column 8:` with the line and a caret under the column.
fn place(sql: &str, offset: usize, first_line: usize) -> String {
    const BEFORE: usize = 60;
    const AFTER: usize = 40;
    let start = sql[..offset].rfind('\n').map_or(0, |at| at + 1);
    let end = sql[offset..].find('\n').map_or(sql.len(), |at| offset + at);
    let line = first_line + newlines(&sql[..start]);
    let column = sql[start..offset].chars().count();
    let skip = column.saturating_sub(BEFORE);
    let mut shown: String = sql[start..end]
        .trim_end()
        .chars()
        .skip(skip)
        .take(BEFORE + AFTER)
        .map(|c| if c == '\t' { ' ' } else { c })
        .collect();
    if skip > 0 {
        shown = format!("…{}", shown.chars().skip(1).collect::<String>());
    }
    format!(
        "Line {line}, column {}:\n{shown}\n{}^",
        column + 1,
        " ".repeat(column - skip)
    )
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_place_has_its_line_and_a_caret() {
        let sql = "SELECT 1;\nALTER TABL users;\n";
        assert_eq!(
            place(sql, 16, 1),
            "Line 2, column 7:\nALTER TABL users;\n      ^"
        );
        assert_eq!(
            place(sql, 16, 11).lines().next(),
            Some("Line 12, column 7:")
        );
        assert_eq!(place("é x", 3, 1), "Line 1, column 3:\né x\n  ^");
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let sql = format!("{}x{}", "a".repeat(300), "b".repeat(300));
        let text = place(&sql, 300, 1);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "Line 1, column 301:");
        assert_eq!(lines[1].chars().nth(60), Some('x'));
        assert_eq!(lines[2].len(), 61);
        assert!(lines[1].chars().count() <= 100);
    }
}
