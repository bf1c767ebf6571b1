//! Finds the line comments of an SQL text, and what statement they are before or in. Knows just
//! enough of PostgreSQL's lexer for that: strings, quoted identifiers, dollar quotes, comments.

use crate::fault::{Fault, Result, state};

/// A `--` comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment<'a> {
    /// Bytes into the text, of its first `-`.
    pub offset: usize,
    /// Line, from 1.
    pub line: usize,
    /// Without the `--`.
    pub text: &'a str,
    /// Nothing but blanks stands before it on its line.
    pub alone: bool,
    /// Statements that have begun before it.
    pub statements: usize,
    /// It stands inside a statement, after its first word.
    pub inside: bool,
}

/// What was found in a text.
#[derive(Debug, Default)]
pub struct Scan<'a> {
    pub comments: Vec<Comment<'a>>,
    /// Byte offset and line of each statement's first character.
    pub statements: Vec<(usize, usize)>,
}

pub fn scan(text: &str) -> Result<Scan<'_>> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 1,
        line_start: 0,
        ..Lexer::default()
    };
    lexer.run()?;
    Ok(lexer.found)
}

struct Place {
    line: usize,
    /// What stands before it on the line.
    bytes: std::ops::Range<usize>,
}

#[derive(Default)]
struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
    found: Scan<'a>,
    inside: bool,
    parentheses: usize,
    /// The statement's first words, lower case; enough to know a function definition.
    words: Vec<String>,
    /// Depth of BEGIN ATOMIC … END, in which semicolons end nothing.
    blocks: usize,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn step(&mut self) {
        if self.peek(0) == b'\n' {
            self.line += 1;
            self.line_start = self.at + 1;
        }
        self.at += 1;
    }

    fn skip(&mut self, bytes: usize) {
        for _ in 0..bytes {
            self.step();
        }
    }

    /// Where the next byte is. Its column is counted only where it is told: a long line may hold
    /// very many strings.
    fn place(&self) -> Place {
        Place {
            line: self.line,
            bytes: self.line_start..self.at,
        }
    }

    fn unclosed(&self, what: &str, begun: Place) -> Fault {
        let before = self.text.get(begun.bytes).unwrap_or_default();
        Fault::new(state::SYNTAX, format!("{what} is not closed")).detail(format!(
            "It begins on line {}, column {}.",
            begun.line,
            before.chars().count() + 1
        ))
    }

    fn run(&mut self) -> Result<()> {
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            match byte {
                b'-' if self.peek(1) == b'-' => self.comment(),
                b'/' if self.peek(1) == b'*' => self.block_comment()?,
                _ if byte.is_ascii_whitespace() => self.step(),
                b';' if self.parentheses == 0 && self.blocks == 0 => {
                    self.step();
                    self.inside = false;
                    self.words.clear();
                }
                _ => {
                    self.begin();
                    self.token(byte)?;
                }
            }
        }
        Ok(())
    }

    fn begin(&mut self) {
        if !self.inside {
            self.inside = true;
            self.found.statements.push((self.at, self.line));
            self.parentheses = 0;
            self.blocks = 0;
        }
    }

    fn token(&mut self, byte: u8) -> Result<()> {
        match byte {
            b'\'' => self.quoted(b'\'', false, "a string"),
            b'"' => self.quoted(b'"', false, "a quoted identifier"),
            b'$' => self.dollar(),
            b'(' => {
                self.parentheses += 1;
                self.step();
                Ok(())
            }
            b')' => {
                self.parentheses = self.parentheses.saturating_sub(1);
                self.step();
                Ok(())
            }
            _ if starts_word(byte) => self.word(),
            b'0'..=b'9' => {
                // Digits and the letters after them, so that the `e` of 1e'…' is no prefix.
                while starts_word(self.peek(0)) || self.peek(0).is_ascii_digit() {
                    self.step();
                }
                Ok(())
            }
            _ => {
                self.step();
                Ok(())
            }
        }
    }

    fn comment(&mut self) {
        let (offset, line) = (self.at, self.line);
        let alone = self.bytes[self.line_start..offset]
            .iter()
            .all(u8::is_ascii_whitespace);
        while self.at < self.bytes.len() && self.peek(0) != b'\n' {
            self.at += 1;
        }
        self.found.comments.push(Comment {
            offset,
            line,
            text: &self.text[offset + 2..self.at],
            alone,
            statements: self.found.statements.len(),
            inside: self.inside,
        });
    }

    fn block_comment(&mut self) -> Result<()> {
        let begun = self.place();
        let mut depth = 0;
        while self.at < self.bytes.len() {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => {
                    depth += 1;
                    self.skip(2);
                }
                (b'*', b'/') => {
                    depth -= 1;
                    self.skip(2);
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => self.step(),
            }
        }
        Err(self.unclosed("a comment", begun))
    }

    /// From the opening quote to behind the closing one.
    fn quoted(&mut self, quote: u8, backslash: bool, what: &str) -> Result<()> {
        let begun = self.place();
        self.step();
        while self.at < self.bytes.len() {
            let byte = self.peek(0);
            if byte == quote && self.peek(1) == quote || backslash && byte == b'\\' {
                self.skip(2);
            } else if byte == quote {
                self.step();
                // 'a' <newline> 'b' is one string, with the escapes of its first part.
                if backslash && self.continues() {
                    continue;
                }
                return Ok(());
            } else {
                self.step();
            }
        }
        Err(self.unclosed(what, begun))
    }

    /// Goes behind the next quote if only blanks with a newline among them are before it.
    fn continues(&mut self) -> bool {
        let blanks = self.bytes[self.at..]
            .iter()
            .take_while(|b| b.is_ascii_whitespace())
            .count();
        let newline = self.bytes[self.at..self.at + blanks].contains(&b'\n');
        if newline && self.peek(blanks) == b'\'' {
            self.skip(blanks + 1);
            return true;
        }
        false
    }

    fn dollar(&mut self) -> Result<()> {
        let begun = self.place();
        let rest = &self.text[self.at + 1..];
        let tag = rest
            .find(|c: char| !(c == '_' || c.is_ascii_alphanumeric() || !c.is_ascii()))
            .unwrap_or(rest.len());
        if !rest[tag..].starts_with('$') || rest.starts_with(|c: char| c.is_ascii_digit()) {
            self.step();
            return Ok(());
        }
        let delimiter = &self.text[self.at..self.at + tag + 2];
        let body = self.at + delimiter.len();
        match self.text[body..].find(delimiter) {
            Some(length) => {
                self.skip(length + 2 * delimiter.len());
                Ok(())
            }
            None => Err(self.unclosed(&format!("the dollar quote {delimiter}"), begun)),
        }
    }

    fn word(&mut self) -> Result<()> {
        let start = self.at;
        while starts_word(self.peek(0)) || self.peek(0).is_ascii_digit() || self.peek(0) == b'$' {
            self.at += 1;
        }
        let word = self.text[start..self.at].to_ascii_lowercase();
        if self.peek(0) == b'\'' && word == "e" {
            return self.quoted(b'\'', true, "a string");
        }
        match word.as_str() {
            "begin" if self.defines_routine() => self.blocks += 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        if self.words.len() < 4 {
            self.words.push(word);
        }
        Ok(())
    }

    /// Whether the statement is CREATE [OR REPLACE] FUNCTION or PROCEDURE, as psql tells too.
    fn defines_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words.as_slice(),
            ["create", "function" | "procedure", ..]
                | ["create", "or", "replace", "function" | "procedure"]
        )
    }
}

fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests;
