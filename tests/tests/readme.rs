//! The psql sessions of the README are run, and must print what it shows.

use pg_migrate_tests::{Db, cluster};

const README: &str = include_str!("../../README.md");

/// One command of a session and what it is said to print.
struct Exchange {
    line: usize,
    command: String,
    shown: Vec<String>,
}

/// Blocks fenced as `psql`: lines after the prompt `app=# ` (continued with `app-# `) are typed,
/// the others are output. `…` in the output stands for anything.
fn sessions(text: &str) -> Vec<Vec<Exchange>> {
    let mut sessions: Vec<Vec<Exchange>> = Vec::new();
    let mut inside = false;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```psql";
            if inside {
                sessions.push(Vec::new());
            }
        } else if inside {
            let session = sessions.last_mut().unwrap();
            if let Some(typed) = line.strip_prefix("app=# ") {
                session.push(Exchange {
                    line: number + 1,
                    command: typed.to_owned(),
                    shown: Vec::new(),
                });
            } else {
                let last = session
                    .last_mut()
                    .unwrap_or_else(|| panic!("line {}: output before a command", number + 1));
                match line.strip_prefix("app-# ").or_else(|| {
                    line.strip_prefix("app'# ")
                        .or_else(|| line.strip_prefix("app$# "))
                }) {
                    Some(typed) => {
                        last.command.push('\n');
                        last.command.push_str(typed);
                    }
                    None => last.shown.push(line.trim_end().to_owned()),
                }
            }
        }
    }
    sessions
}

fn run(db: &Db, session: &[Exchange]) {
    let mut script = String::from("\\set ON_ERROR_STOP off\n\\pset pager off\n");
    for (number, exchange) in session.iter().enumerate() {
        script.push_str(&format!("\\echo @@{number}\n{}\n", exchange.command));
    }
    let (_, output) = db.try_psql(&script);
    for (number, exchange) in session.iter().enumerate() {
        let begin = output
            .find(&format!("@@{number}\n"))
            .unwrap_or_else(|| panic!("psql stopped early:\n{output}"));
        let rest = &output[begin + format!("@@{number}\n").len()..];
        let printed = rest
            .split(&format!("@@{}\n", number + 1))
            .next()
            .unwrap_or_default();
        // How far a backfill is, is told every few seconds: by a slow machine more often.
        let tells = |line: &str| line.contains(['█', '░']);
        let told = exchange.shown.iter().any(|line| tells(line));
        let printed: Vec<String> = printed
            .lines()
            .map(clean)
            .filter(|line| !line.is_empty() && (told || !tells(line)))
            .collect();
        let shown: Vec<&String> = exchange
            .shown
            .iter()
            .filter(|line| !line.is_empty())
            .collect();
        let same = printed.len() == shown.len()
            && printed
                .iter()
                .zip(&shown)
                .all(|(printed, shown)| matches(printed, shown));
        assert!(
            same,
            "README.md line {}: {}\nis said to print:\n{}\nbut prints:\n{}",
            exchange.line,
            exchange.command,
            exchange.shown.join("\n"),
            printed.join("\n")
        );
    }
}

/// A message without the place in the script that psql puts before it.
fn clean(line: &str) -> String {
    let line = line.trim_end();
    match line
        .strip_prefix("psql:")
        .and_then(|rest| rest.split_once(": "))
    {
        Some((place, message)) if place.chars().all(|c| c.is_ascii_digit()) => {
            message.trim_start().to_owned()
        }
        _ => line.to_owned(),
    }
}

fn matches(printed: &str, shown: &str) -> bool {
    let squeeze = |text: &str| {
        // Column widths follow the longest value, which may be one that varies.
        text.split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace("--", "-")
    };
    let dashes =
        |text: &str| !text.trim().is_empty() && text.chars().all(|c| matches!(c, '-' | '+' | ' '));
    if dashes(shown) && dashes(printed) {
        return true;
    }
    let (printed, shown) = (squeeze(printed), squeeze(shown));
    let mut rest = printed.as_str();
    let parts: Vec<&str> = shown.split('…').collect();
    for (number, part) in parts.iter().enumerate() {
        let part = part.trim();
        let found = if number == 0 {
            rest.starts_with(part).then_some(0)
        } else if number + 1 == parts.len() {
            rest.ends_with(part).then(|| rest.len() - part.len())
        } else {
            rest.find(part)
        };
        match found {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    parts.len() > 1 || rest.is_empty()
}

#[test]
fn every_session_prints_what_the_readme_shows() {
    let db = cluster().empty_database();
    let sessions = sessions(README);
    assert!(!sessions.is_empty(), "no ```psql block in README.md");
    for session in &sessions {
        run(&db, session);
    }
}

#[test]
fn the_comparison_notices_a_difference() {
    assert!(matches("a | b", "a  |   b"));
    assert!(matches("took 12 ms", "took … ms"));
    assert!(!matches("took 12 s", "took … ms"));
    assert!(!matches("a | b", "a | c"));
    assert!(!matches("a b", "a"));
}
