//! The SQL script spelling: directives in line comments around plain statements. Reads the
//! directives and cuts the sections; the statements are left to PostgreSQL's parser.

use super::lexer::{self, Comment};
use super::text::did_you_mean;
use super::{Body, Directive, DirectiveKind, Envelope, Section};
use crate::fault::{Fault, Result, state};

/// The directives by their names, for hints.
const NAMES: [&str; 10] = [
    "revision",
    "message",
    "depends-on",
    "branch-label",
    "up",
    "down",
    "no-transaction",
    "as-written",
    "immediately",
    "ignore",
];

const GOOSE: [&str; 5] = [
    "Up",
    "Down",
    "NO TRANSACTION",
    "StatementBegin",
    "StatementEnd",
];

/// What one directive says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    /// The id, and the parents if `after` is said.
    Revision(String, Option<Vec<String>>),
    Message(String),
    DependsOn(Vec<String>),
    BranchLabel(Vec<String>),
    /// A section begins; whether its transaction is turned off.
    Up(bool),
    Down(bool),
    NoTransaction,
    Statement(DirectiveKind),
}

/// Reads a normalised text.
pub fn parse(text: &str) -> Result<(Envelope, Body)> {
    let scan = lexer::scan(text)?;
    let mut said = Vec::new();
    for comment in &scan.comments {
        if let Some(word) = word(comment)? {
            if !comment.alone {
                return Err(wrong(comment, "a directive stands on a line of its own")
                    .hint("Put it on the line before its statement."));
            }
            said.push((comment, word));
        }
    }
    let marks = Marks::find(&said)?;
    let first = marks
        .up
        .or(marks.down)
        .map_or(text.len(), |(comment, _)| comment.offset);
    let mut envelope = Envelope::default();
    let mut no_transaction = false;
    for (comment, word) in &said {
        let header = comment.offset < first && comment.statements == 0;
        match word {
            Word::NoTransaction if header => no_transaction = true,
            Word::Statement(_) if header && marks.up.is_some() => {
                return Err(wrong(comment, "the directive stands before no statement")
                    .hint("Put it between -- migrate:up and the statement."));
            }
            Word::Revision(..) | Word::Message(_) | Word::DependsOn(_) | Word::BranchLabel(_)
                if !header =>
            {
                return Err(wrong(
                    comment,
                    "the directive is about the whole migration and stands in the wrong place",
                )
                .hint("Put it at the beginning, before -- migrate:up and the first statement."));
            }
            Word::Revision(id, parents) => {
                if envelope.revision.is_some() {
                    return Err(wrong(comment, "the revision is given twice"));
                }
                envelope.revision = Some(id.clone());
                envelope.down_revision = parents.clone();
            }
            Word::Message(message) => {
                if envelope.message.is_some() {
                    return Err(wrong(comment, "the message is given twice"));
                }
                envelope.message = Some(message.clone());
            }
            Word::DependsOn(ids) => envelope.depends_on.extend(ids.iter().cloned()),
            Word::BranchLabel(labels) => envelope.branch_labels.extend(labels.iter().cloned()),
            _ => {}
        }
    }
    if let (Some((up, _)), Some((_, line))) = (marks.up, scan.statements.first())
        && *line < up.line
    {
        return Err(
            Fault::new(state::SYNTAX, "a statement stands before the up section")
                .detail(format!(
                    "It is on line {line}; -- migrate:up is on line {}.",
                    up.line
                ))
                .hint("Put it after -- migrate:up."),
        );
    }
    let end = marks.down.map_or(text.len(), |(comment, _)| comment.offset);
    let up = section(text, marks.up, end, no_transaction)?;
    let merge = envelope
        .down_revision
        .as_ref()
        .is_some_and(|parents| parents.len() > 1);
    if !up.1 && !merge {
        return Err(Fault::new(state::SYNTAX, "the migration has no statements")
            .detail(format!(
                "Its up section, which begins on line {}, is empty.",
                up.0.first_line
            ))
            .hint("SELECT migrate.baseline('…') records a beginning that changes nothing."));
    }
    // A template's section that nobody filled in is no way back: it is generated then.
    let down = match marks.down {
        Some(_) => Some(section(text, marks.down, text.len(), no_transaction)?),
        None => None,
    };
    let down = down
        .filter(|(_, statements)| *statements)
        .map(|(section, _)| section);
    Ok((envelope, Body::Script { up: up.0, down }))
}

/// Where the sections begin.
#[derive(Default)]
struct Marks<'a> {
    up: Option<(&'a Comment<'a>, bool)>,
    down: Option<(&'a Comment<'a>, bool)>,
}

impl<'a> Marks<'a> {
    fn find(said: &[(&'a Comment<'a>, Word)]) -> Result<Self> {
        let mut marks = Marks::default();
        for (comment, word) in said {
            let (mark, off, name) = match word {
                Word::Up(off) => (&mut marks.up, *off, "up"),
                Word::Down(off) => (&mut marks.down, *off, "down"),
                _ => continue,
            };
            if let Some((first, _)) = mark {
                return Err(
                    wrong(comment, &format!("the script has two {name} sections")).hint(format!(
                        "The first begins on line {}. Put all its statements in one.",
                        first.line
                    )),
                );
            }
            *mark = Some((comment, off));
        }
        match (marks.up, marks.down) {
            (Some((up, _)), Some((down, _))) if down.offset < up.offset => {
                Err(wrong(down, "the down section stands before the up section")
                    .hint("Put -- migrate:up and its statements first."))
            }
            _ => Ok(marks),
        }
    }
}

/// The section that begins behind `mark` (or at the top) and ends at `end`; and whether there is a
/// statement in it.
fn section(
    text: &str,
    mark: Option<(&Comment, bool)>,
    end: usize,
    no_transaction: bool,
) -> Result<(Section, bool)> {
    let (start, first_line, off) = mark.map_or((0, 1, false), |(comment, off)| {
        let behind = comment.offset + 2 + comment.text.len() + 1;
        (behind.min(end), comment.line + 1, off)
    });
    let body = &text[start..end];
    // Scanned by itself: the last statement before a section may lack its semicolon.
    let scan = lexer::scan(body)?;
    let mut section = Section {
        text: body.to_owned(),
        first_line,
        no_transaction: no_transaction || off,
        directives: Vec::new(),
    };
    for comment in &scan.comments {
        let placed = Comment {
            line: comment.line + first_line - 1,
            ..comment.clone()
        };
        match word(&placed)? {
            Some(Word::NoTransaction) if comment.statements == 0 => section.no_transaction = true,
            Some(Word::NoTransaction) => {
                return Err(wrong(
                    &placed,
                    "the directive is about the whole section and stands in the wrong place",
                )
                .hint("Put it before the section's first statement."));
            }
            Some(Word::Statement(_)) if comment.inside => {
                return Err(wrong(&placed, "the directive stands inside a statement")
                    .hint("Put it before the statement, on a line of its own; or end the statement before it with a semicolon."));
            }
            Some(Word::Statement(_)) if comment.statements == scan.statements.len() => {
                return Err(wrong(&placed, "the directive stands before no statement")
                    .hint("Put it before the statement it is about."));
            }
            Some(Word::Statement(kind)) => {
                section.directives.push(Directive {
                    offset: comment.offset,
                    line: placed.line,
                    kind,
                });
            }
            _ => {}
        }
    }
    Ok((section, !scan.statements.is_empty()))
}

fn wrong(comment: &Comment, message: &str) -> Fault {
    let shown: String = comment.text.trim().chars().take(120).collect();
    Fault::new(state::SYNTAX, message).detail(format!("Line {}: -- {shown}", comment.line))
}

fn after_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| text[prefix.len()..].trim())
}

/// The directive a comment is, if it is one.
fn word(comment: &Comment) -> Result<Option<Word>> {
    let text = comment.text.trim();
    if let Some(rest) = after_prefix(text, "migrate:") {
        return ours(comment, rest).map(Some);
    }
    if let Some(rest) = after_prefix(text, "+goose") {
        return goose(comment, rest);
    }
    // sqlx looks at the beginning of the file only.
    let sqlx =
        text.eq_ignore_ascii_case("no-transaction") && comment.statements == 0 && comment.alone;
    Ok(sqlx.then_some(Word::NoTransaction))
}

fn ours(comment: &Comment, text: &str) -> Result<Word> {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (name, rest) = (name.to_ascii_lowercase(), rest.trim());
    let nothing_more = |word: Word| {
        if rest.is_empty() {
            return Ok(word);
        }
        Err(wrong(
            comment,
            &format!("the directive {name} takes no argument, \"{rest}\" is one too many"),
        ))
    };
    let needed = |what: &str, shape: &str| {
        if rest.is_empty() {
            return Err(
                wrong(comment, &format!("the directive {name} needs {what}"))
                    .hint(format!("Write: -- migrate:{name} {shape}")),
            );
        }
        Ok(rest)
    };
    match name.as_str() {
        "revision" => revision(comment, needed("the revision's id", "0007 after 0006")?),
        "message" => {
            needed("a text", "rename username to email").map(|text| Word::Message(text.to_owned()))
        }
        "depends-on" => needed("the revisions", "0005, 0006").map(|ids| Word::DependsOn(list(ids))),
        "branch-label" => {
            needed("the label", "billing").map(|labels| Word::BranchLabel(list(labels)))
        }
        "up" => transaction(comment, rest).map(Word::Up),
        "down" => transaction(comment, rest).map(Word::Down),
        "no-transaction" => nothing_more(Word::NoTransaction),
        "as-written" => nothing_more(Word::Statement(DirectiveKind::AsWritten)),
        "immediately" => nothing_more(Word::Statement(DirectiveKind::Immediately)),
        "ignore" => needed("the lint rules", "rule, rule reason").map(|rest| {
            let (rules, reason) = ignored(rest);
            Word::Statement(DirectiveKind::Ignore { rules, reason })
        }),
        _ => Err(
            wrong(comment, &format!("unknown directive \"migrate:{name}\""))
                .hint(did_you_mean(&name, &NAMES)),
        ),
    }
}

fn goose(comment: &Comment, text: &str) -> Result<Option<Word>> {
    let name = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_ascii_lowercase();
    match name.as_str() {
        "up" => Ok(Some(Word::Up(false))),
        "down" => Ok(Some(Word::Down(false))),
        "no transaction" => Ok(Some(Word::NoTransaction)),
        // PostgreSQL's parser knows where a statement ends.
        "statementbegin" | "statementend" => Ok(None),
        _ => Err(
            wrong(comment, &format!("unknown goose annotation \"{text}\""))
                .hint(did_you_mean(&name, &GOOSE)),
        ),
    }
}

/// `0007`, `0007 after 0006, 0005b`, `0007 after base`.
fn revision(comment: &Comment, text: &str) -> Result<Word> {
    let shape = "Write: -- migrate:revision 0007 after 0006";
    let (id, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    if rest.is_empty() {
        return Ok(Word::Revision(id.to_owned(), None));
    }
    let (after, parents) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    if !after.eq_ignore_ascii_case("after") {
        return Err(wrong(
            comment,
            &format!("\"after\" is expected behind the revision, not \"{after}\""),
        )
        .hint(shape));
    }
    let parents = list(parents);
    match parents.as_slice() {
        [] => Err(wrong(comment, "the revision it comes after is missing")
            .hint(format!("{shape}, or: after base"))),
        [one] if one.eq_ignore_ascii_case("base") => {
            Ok(Word::Revision(id.to_owned(), Some(Vec::new())))
        }
        _ => Ok(Word::Revision(id.to_owned(), Some(parents))),
    }
}

/// dbmate's option of a section, and a remark in parentheses. Gives whether it is turned off.
fn transaction(comment: &Comment, text: &str) -> Result<bool> {
    let option = text
        .split_once('(')
        .map_or(text, |(before, _)| before)
        .trim();
    match option.to_ascii_lowercase().replace(' ', "").as_str() {
        "" | "transaction:true" => Ok(false),
        "transaction:false" => Ok(true),
        _ => Err(wrong(comment, &format!("unknown option \"{option}\""))
            .hint("Possible here: transaction:false.")),
    }
}

/// `rule, rule why they do not count here`.
fn ignored(text: &str) -> (Vec<String>, Option<String>) {
    let mut rules = Vec::new();
    let mut rest = text.trim();
    loop {
        let end = rest
            .find(|letter: char| matches!(letter, ',' | ':') || letter.is_whitespace())
            .unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if !word.is_empty() {
            rules.push(word.to_owned());
        }
        let behind = behind.trim_start();
        match behind.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None => {
                let reason = behind.trim_start_matches(['-', ':', '–', '—']).trim();
                return (rules, (!reason.is_empty()).then(|| reason.to_owned()));
            }
        }
    }
}

/// What a comment says to lint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The section of the way back begins.
    Down,
    Revision(String),
    Ignore {
        rules: Vec<String>,
        reason: Option<String>,
    },
}

/// The marks of any SQL text, whether it is a document or not: what is no directive is passed over.
pub fn marks(text: &str) -> Result<Vec<(Comment<'_>, Mark)>> {
    let scan = lexer::scan(text)?;
    let mark = |comment: &Comment| match word(comment).ok().flatten()? {
        Word::Down(_) => Some(Mark::Down),
        Word::Revision(id, _) => Some(Mark::Revision(id)),
        Word::Statement(DirectiveKind::Ignore { rules, reason }) => {
            Some(Mark::Ignore { rules, reason })
        }
        _ => None,
    };
    Ok(scan
        .comments
        .into_iter()
        .filter_map(|comment| mark(&comment).map(|found| (comment, found)))
        .collect())
}

fn list(text: &str) -> Vec<String> {
    text.split(|c: char| c == ',' || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
