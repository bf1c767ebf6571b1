//! What is a comment and what only looks like one; where statements begin.

use super::*;

fn comments(text: &str) -> Vec<&str> {
    scan(text)
        .unwrap()
        .comments
        .iter()
        .map(|comment| comment.text.trim())
        .collect()
}

fn statements(text: &str) -> usize {
    scan(text).unwrap().statements.len()
}

#[test]
fn only_real_comments_are_found() {
    for hidden in [
        "SELECT '-- x'",
        "SELECT 'it''s -- x'",
        "SELECT E'it\\'s -- x'",
        "SELECT e'\\\\\\' -- x'",
        "SELECT E'a'\n  'b\\' -- x'",
        "SELECT \"a \"\" -- x\"",
        "SELECT $$ -- x $$",
        "SELECT $a$ $$ $b$ -- x $$ $a$",
        "SELECT $é$ -- x $é$",
        "/* -- x */",
        "/* /* -- x */ -- x */",
        "/* \n-- x\n */ SELECT 1",
    ] {
        assert!(comments(hidden).is_empty(), "{hidden}");
    }
    for shown in [
        "-- x",
        "--x",
        "SELECT 'a\\' -- x",
        "SELECT a$b$ -- x\n, c$b$",
        "SELECT $1 -- x\n, $2",
        "SELECT 1- -- x",
        "SELECT 1+--x",
        "SELECT U&'a\\' -- x",
        "SELECT 'a'\n 'b\\' -- x",
        "SELECT date'now' -- x",
        "/* */ -- x",
        "SELECT 1e'' -- x",
        "é -- x",
    ] {
        assert_eq!(comments(shown), ["x"], "{shown}");
    }
}

#[test]
fn statements_are_counted() {
    for (count, text) in [
        (0, " ;; -- a\n /* b; */ ;"),
        (1, "SELECT 1"),
        (2, "SELECT ';'; SELECT 2;"),
        (
            1,
            "CREATE RULE r AS ON INSERT TO t DO (DELETE FROM a; DELETE FROM b);",
        ),
        (1, "DO $$ BEGIN a; b; END $$;"),
        (
            2,
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END; SELECT 2",
        ),
        (
            2,
            "CREATE OR REPLACE PROCEDURE f() BEGIN ATOMIC SELECT 1; END; SELECT 2",
        ),
        (3, "BEGIN; SELECT 1; END;"),
    ] {
        assert_eq!(statements(text), count, "{text}");
    }
}

#[test]
fn comments_know_their_place() {
    let scan = scan("-- a\nSELECT 1 -- b\n; -- c\n  -- d\nSELECT\n-- e\n2").unwrap();
    let seen: Vec<_> = scan
        .comments
        .iter()
        .map(|c| (c.line, c.alone, c.statements, c.inside))
        .collect();
    assert_eq!(
        seen,
        [
            (1, true, 0, false),
            (2, false, 1, true),
            (3, false, 1, false),
            (4, true, 1, false),
            (6, true, 2, true)
        ]
    );
    assert_eq!(scan.statements, [(5, 2), (33, 5)]);
}

#[test]
fn what_is_not_closed_is_an_error_with_its_line() {
    for text in ["\n'a", "\n\"a", "\n/* /* */", "\n$a$ $$"] {
        let fault = scan(text).unwrap_err();
        assert_eq!(fault.sqlstate, state::SYNTAX);
        assert_eq!(
            fault.detail.as_deref(),
            Some("It begins on line 2, column 1."),
            "{text}"
        );
    }
    let fault = scan("\nE'a\\'").unwrap_err();
    let quote = "It begins on line 2, column 2.";
    assert_eq!(fault.detail.as_deref(), Some(quote));
}

#[test]
fn any_text_is_survived() {
    let pieces = [
        "'", "\"", "$", "$a$", "--", "/*", "*/", ";", "\n", "é", "e'", "\\", "(", ")", "x", "begin",
    ];
    let mut seed = 1u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..12 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        if let Ok(scan) = scan(&text) {
            for comment in scan.comments {
                assert!(text[comment.offset..].starts_with("--"));
            }
        }
    }
}
