//! Cutting pieces out of a statement as written. A piece is a run of tokens, so it begins and
//! ends with something that means something, and never inside a literal or a comment.

use super::token::{Kind, Token, tokens};
use std::ops::Range;

/// A statement in its script.
#[derive(Clone, Copy)]
pub struct Cut<'a> {
    pub script: &'a str,
    pub tokens: &'a [Token],
}

impl<'a> Cut<'a> {
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Bytes of the script from the first token of the run to the end of its last.
    pub fn span(&self, run: &Range<usize>) -> Option<Range<usize>> {
        let found = self.tokens.get(run.clone())?;
        Some(found.first()?.start..found.last()?.end)
    }

    pub fn text(&self, run: &Range<usize>) -> Option<&'a str> {
        self.script.get(self.span(run)?)
    }

    /// The token that begins at a location of the parse tree.
    pub fn at(&self, location: i32) -> Option<usize> {
        let location = usize::try_from(location).ok()?;
        self.tokens
            .binary_search_by_key(&location, |token| token.start)
            .ok()
    }

    pub fn word(&self, at: usize, word: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|token| token.word(self.script, word))
    }

    pub fn symbol(&self, at: usize, symbol: u8) -> bool {
        self.tokens.get(at).is_some_and(|token| token.is(symbol))
    }

    /// The first key word `word` of the run that stands in no parentheses the run's first token
    /// does not stand in.
    pub fn find(&self, run: &Range<usize>, word: &str) -> Option<usize> {
        let depth = self.tokens.get(run.start)?.depth;
        run.clone().find(|at| {
            self.tokens.get(*at).is_some_and(|t| t.depth == depth) && self.word(*at, word)
        })
    }

    /// The run split at its own commas.
    pub fn chunks(&self, run: &Range<usize>) -> Vec<Range<usize>> {
        let Some(depth) = self.tokens.get(run.start).map(|token| token.depth) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut start = run.start;
        for at in run.clone() {
            if self.symbol(at, b',') && self.tokens[at].depth == depth {
                found.push(start..at);
                start = at + 1;
            }
        }
        found.push(start..run.end);
        found
    }

    /// What stands between the parenthesis at `open` and the one that closes it.
    pub fn inside(&self, open: usize) -> Option<Range<usize>> {
        let depth = self.tokens.get(open).filter(|token| token.is(b'('))?.depth;
        let close = (open + 1..self.len())
            .find(|at| self.symbol(*at, b')') && self.tokens[*at].depth == depth)?;
        Some(open + 1..close)
    }

    /// The first opening parenthesis of the run, at the depth of its first token.
    pub fn parenthesis(&self, run: &Range<usize>) -> Option<usize> {
        let depth = self.tokens.get(run.start)?.depth;
        run.clone()
            .find(|at| self.symbol(*at, b'(') && self.tokens[*at].depth == depth)
    }

    /// The token after a possibly qualified name that begins at `at`.
    pub fn after_name(&self, mut at: usize) -> usize {
        at += 1;
        while self.symbol(at, b'.') {
            at += 2;
        }
        at
    }
}

/// Tokens of a whole script, as the current session's parser reads it.
pub fn scan(script: &str) -> Vec<Token> {
    // SAFETY: a setting, read in the backend's one thread.
    tokens(script, unsafe { pgrx::pg_sys::standard_conforming_strings })
}

/// Whether bounds of a partition hold nothing that would run code of a user to be computed: no
/// call, no operator.
pub fn is_constant(bounds: &str) -> bool {
    const BEFORE_LIST: [&str; 4] = ["from", "in", "to", "with"];
    let tokens = scan(bounds);
    let calls = tokens.windows(2).any(|two| {
        let [first, second] = two else { return false };
        let named = matches!(first.kind, Kind::Word | Kind::Quoted);
        second.is(b'(') && named && !BEFORE_LIST.iter().any(|word| first.word(bounds, word))
    });
    let plain = |token: &Token| match token.kind {
        Kind::Symbol(symbol) => b"(),:.+-[]".contains(&symbol),
        _ => true,
    };
    !calls && tokens.iter().all(plain)
}

/// Whether an expression is a single literal.
pub fn is_literal(expression: &str) -> bool {
    matches!(
        scan(expression).as_slice(),
        [token] if matches!(token.kind, Kind::Literal | Kind::Number) || token.word(expression, "null")
    )
}

/// A type as a column definition has it, cut in two before its COLLATE clause.
pub fn before_collation(data_type: &str) -> (&str, &str) {
    scan(data_type)
        .iter()
        .find(|token| token.depth == 0 && token.word(data_type, "collate"))
        .map_or((data_type, ""), |token| data_type.split_at(token.start))
}

/// The type alone, of a column definition that may go on with COLLATE, COMPRESSION or STORAGE.
pub fn bare_type(data_type: &str) -> &str {
    scan(data_type)
        .iter()
        .skip(1) // a type may have such a name
        .find(|token| {
            token.depth == 0
                && ["collate", "compression", "storage"]
                    .iter()
                    .any(|word| token.word(data_type, word))
        })
        .map_or(data_type, |token| &data_type[..token.start])
}
