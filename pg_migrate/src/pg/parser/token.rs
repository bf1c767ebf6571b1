//! Tokens of a text that PostgreSQL's parser has accepted: where each begins and ends, so that
//! pieces of a statement can be cut out of it as written. The raw parse tree gives starts only,
//! and not for everything. Follows the lexical rules of scan.l; plain Rust.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key word or an unquoted identifier.
    Word,
    /// A quoted identifier.
    Quoted,
    /// A string or bit-string literal, dollar-quoted or not.
    Literal,
    Number,
    /// One byte of an operator or of punctuation.
    Symbol(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Bytes into the text; `end` is exclusive.
    pub start: usize,
    pub end: usize,
    pub kind: Kind,
    /// How many parentheses and brackets are open around it; those themselves count as outside.
    pub depth: usize,
}

impl Token {
    pub fn is(&self, symbol: u8) -> bool {
        self.kind == Kind::Symbol(symbol)
    }

    /// Whether it is the key word, in any case.
    pub fn word(&self, text: &str, word: &str) -> bool {
        self.kind == Kind::Word
            && text
                .get(self.start..self.end)
                .is_some_and(|found| found.eq_ignore_ascii_case(word))
    }
}

/// All tokens of `text`. `standard` is the setting `standard_conforming_strings`: without it a
/// backslash escapes in every string.
pub fn tokens(text: &str, standard: bool) -> Vec<Token> {
    let mut scanner = Scanner {
        bytes: text.as_bytes(),
        at: 0,
        standard,
    };
    let mut found = Vec::new();
    let mut depth = 0usize;
    while let Some((start, kind)) = scanner.next() {
        if matches!(kind, Kind::Symbol(b')' | b']')) {
            depth = depth.saturating_sub(1);
        }
        found.push(Token {
            start,
            end: scanner.at,
            kind,
            depth,
        });
        if matches!(kind, Kind::Symbol(b'(' | b'[')) {
            depth += 1;
        }
    }
    found
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    standard: bool,
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

impl Scanner<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.at < self.bytes.len() && wanted(self.bytes[self.at]) {
            self.at += 1;
        }
    }

    /// Passes white space and comments; says whether a line ended in them.
    fn skip_blank(&mut self) -> bool {
        let mut line_ended = false;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'\n' | b'\r', _) => {
                    line_ended = true;
                    self.at += 1;
                }
                (b' ' | b'\t' | 0x0b | 0x0c, _) => self.at += 1,
                (b'-', b'-') => self.take_while(|byte| byte != b'\n' && byte != b'\r'),
                (b'/', b'*') => self.skip_block_comment(),
                _ => return line_ended,
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let mut open = 0usize;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    open += 1;
                    self.at += 2;
                }
                (b'*', b'/') => {
                    open -= 1;
                    self.at += 2;
                    if open == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
    }

    fn next(&mut self) -> Option<(usize, Kind)> {
        self.skip_blank();
        let start = self.at;
        let first = *self.bytes.get(start)?;
        let kind = match first {
            b'\'' => self.string(!self.standard),
            b'"' => self.quoted(),
            b'$' if self.dollar_quoted() => Kind::Literal,
            b'$' if self.peek(1).is_ascii_digit() => {
                self.at += 1;
                self.take_while(|byte| byte.is_ascii_digit());
                Kind::Number
            }
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_ascii_digit() => self.number(),
            _ if starts_word(first) => self.word(first),
            _ => {
                self.at += 1;
                Kind::Symbol(first)
            }
        };
        Some((start, kind))
    }

    fn number(&mut self) -> Kind {
        self.take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
        Kind::Number
    }

    /// A word, or a literal with a letter in front of it.
    fn word(&mut self, first: u8) -> Kind {
        let (second, third) = (self.peek(1), self.peek(2));
        match (first.to_ascii_lowercase(), second, third) {
            (b'e', b'\'', _) => {
                self.at += 1;
                self.string(true)
            }
            (b'b' | b'x' | b'n', b'\'', _) => {
                self.at += 1;
                self.string(!self.standard && first.eq_ignore_ascii_case(&b'n'))
            }
            (b'u', b'&', b'\'') => {
                self.at += 2;
                self.string(false)
            }
            (b'u', b'&', b'"') => {
                self.at += 2;
                self.quoted()
            }
            _ => {
                self.take_while(continues_word);
                Kind::Word
            }
        }
    }

    /// At the opening quote. Segments with nothing but white space and a line end between them
    /// are one literal.
    fn string(&mut self, escapes: bool) -> Kind {
        loop {
            self.at += 1;
            while self.at < self.bytes.len() {
                match (self.peek(0), self.peek(1)) {
                    (b'\\', _) if escapes => self.at += 2,
                    (b'\'', b'\'') => self.at += 2,
                    (b'\'', _) => break,
                    _ => self.at += 1,
                }
            }
            self.at = (self.at + 1).min(self.bytes.len());
            let end = self.at;
            if !(self.skip_blank() && self.peek(0) == b'\'') {
                self.at = end;
                return Kind::Literal;
            }
        }
    }

    fn quoted(&mut self) -> Kind {
        self.at += 1;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'"', b'"') => self.at += 2,
                (b'"', _) => break,
                _ => self.at += 1,
            }
        }
        self.at = (self.at + 1).min(self.bytes.len());
        Kind::Quoted
    }

    /// At a `$`: passes the whole literal if one begins here.
    fn dollar_quoted(&mut self) -> bool {
        let rest = &self.bytes[self.at..];
        let inside = rest[1..]
            .iter()
            .take_while(|byte| starts_word(**byte) || byte.is_ascii_digit())
            .count();
        if rest.get(1 + inside) != Some(&b'$') || rest[1].is_ascii_digit() {
            return false;
        }
        let tag = &rest[..inside + 2];
        let body = &rest[tag.len()..];
        let close = body.windows(tag.len()).position(|window| window == tag);
        self.at = close.map_or(self.bytes.len(), |close| self.at + close + 2 * tag.len());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        tokens(sql, true)
            .iter()
            .map(|token| &sql[token.start..token.end])
            .collect()
    }

    #[test]
    fn literals_and_names_are_whole() {
        assert_eq!(
            texts("a 'it''s; --' \"x\"\"y;\" E'\\';' $t$;'$$ $t$ $$;$$ $1 U&\"d\" u&'q'"),
            [
                "a",
                "'it''s; --'",
                "\"x\"\"y;\"",
                "E'\\';'",
                "$t$;'$$ $t$",
                "$$;$$",
                "$1",
                "U&\"d\"",
                "u&'q'"
            ]
        );
        assert_eq!(texts("a$b$c 'x'"), ["a$b$c", "'x'"]);
        assert_eq!(texts("größe=1.5"), ["größe", "=", "1.5"]);
    }

    #[test]
    fn comments_are_no_tokens() {
        assert_eq!(texts("a -- b;\nc /* d /* e */ ; */ f--"), ["a", "c", "f"]);
        assert_eq!(texts("/* open"), Vec::<&str>::new());
    }

    #[test]
    fn a_string_goes_on_after_a_line_end() {
        assert_eq!(texts("E'a'\n  '\\'b' c"), ["E'a'\n  '\\'b'", "c"]);
        assert_eq!(texts("'a' -- x\n 'b'"), ["'a' -- x\n 'b'"]);
        assert_eq!(texts("'a' 'b'"), ["'a'", "'b'"]);
    }

    #[test]
    fn a_backslash_escapes_where_the_setting_says_so() {
        assert_eq!(tokens("'\\';' x", false).len(), 2);
        assert_eq!(tokens("'\\' x", true).len(), 2);
    }

    #[test]
    fn depth_counts_what_is_open_around() {
        let depths: Vec<_> = tokens("a(b[c],d)e", true)
            .iter()
            .map(|token| token.depth)
            .collect();
        assert_eq!(depths, [0, 0, 1, 1, 2, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn an_open_end_does_not_run_over() {
        for sql in ["'a", "\"a", "$$a", "E'\\", "$", "$a", "e", "u&", "-", "/*/"] {
            for token in tokens(sql, true) {
                assert!(token.end <= sql.len(), "{sql}");
            }
        }
    }
}
