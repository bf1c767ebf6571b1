//! Who else is concerned by a lock.

use crate::catalog::observed::{self, Session};
use crate::fault::Result;
use crate::pg::lock_table::{Entry, Target, conflict};
use crate::recipe::step::Lock;

/// How another session and a lock of ours meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// It holds what our lock has to wait for.
    Holds,
    /// It held what our lock had to wait for.
    Held,
    /// It waits for ours.
    Waits,
}

impl Meeting {
    fn word(self) -> &'static str {
        match self {
            Meeting::Holds => "holds",
            Meeting::Held => "held",
            Meeting::Waits => "waits for",
        }
    }
}

/// The entries of others that conflict with one of these locks.
pub fn meeting(
    table: &[Entry],
    ours: &[(Target, u8)],
    granted: bool,
    meeting: Meeting,
) -> Vec<(Entry, Meeting)> {
    table
        .iter()
        .filter(|other| !other.mine && other.granted == granted)
        .filter(|other| {
            ours.iter().any(|(target, mode)| {
                let (first, second) = if granted {
                    (other.mode, *mode)
                } else {
                    (*mode, other.mode)
                };
                *target == other.target && conflict(first, second)
            })
        })
        .map(|other| (*other, meeting))
        .collect()
}

/// One line for each: who, what lock, since when, doing what.
pub fn lines(
    found: &[(Entry, Meeting)],
    name: impl Fn(&Target) -> Option<String>,
) -> Result<Vec<String>> {
    let mut pids: Vec<i32> = found.iter().map(|(entry, _)| entry.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    let sessions = observed::sessions(&pids)?;
    let mut lines = Vec::new();
    for (entry, meeting) in found {
        let Some(what) = name(&entry.target) else {
            continue;
        };
        let mode = Lock::numbered(entry.mode).map_or("a lock", Lock::mode);
        let who = sessions
            .iter()
            .find(|session| session.pid == i64::from(entry.pid));
        lines.push(format!(
            "{} {} {mode} on {what}{}",
            subject(entry.pid, who),
            meeting.word(),
            who.map(circumstances).unwrap_or_default()
        ));
    }
    lines.sort();
    lines.dedup();
    Ok(lines)
}

fn subject(pid: i32, who: Option<&Session>) -> String {
    if pid == 0 {
        return "a prepared transaction".to_owned();
    }
    let about: Vec<&str> = who
        .into_iter()
        .flat_map(|who| [&who.user, &who.application])
        .filter_map(|word| word.as_deref())
        .collect();
    match about.is_empty() {
        true => format!("pid {pid}"),
        false => format!("pid {pid} ({})", about.join(", ")),
    }
}

fn circumstances(who: &Session) -> String {
    let mut text = String::new();
    if let Some(age) = &who.age {
        text.push_str(&format!(", transaction age {age}"));
    }
    if let Some(state) = &who.state {
        text.push_str(&format!(", {state}"));
    }
    if let Some(query) = &who.query {
        text.push_str(&format!(": {query}"));
    }
    text
}
