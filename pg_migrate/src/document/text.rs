//! The document as text: normalising, checksum, differences, and the nearest of several words.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// The text as it is stored: no byte order mark, line endings LF, nothing blank at the end.
pub fn normalise(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    text.truncate(text.trim_end().len());
    text
}

/// Whether a text is the JSON spelling: it begins with `{`.
pub fn is_json(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
        .starts_with('{')
}

/// `v1:` and the SHA-256 of a normalised text, in hexadecimal.
pub fn checksum(normalised: &str) -> String {
    Sha256::digest(normalised.as_bytes())
        .iter()
        .fold("v1:".to_owned(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// One spelling for every JSON text of the same value: keys sorted, no blanks, whole numbers
/// without a fraction (as `jsonb` has it too).
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    /// Up to here every whole number is a double of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort();
            keys.into_iter()
                .map(|key| (key.clone(), sorted(&map[key])))
                .collect()
        }
        Value::Array(list) => list.iter().map(sorted).collect(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
                Value::from(float as i64)
            }
            _ => value.clone(),
        },
        _ => value.clone(),
    }
}

/// Lines of each side that `difference` shows.
const SHOWN: usize = 4;
/// Characters of a line that it shows.
const WIDTH: usize = 160;

/// Where two documents differ first, in the manner of a unified diff; for the DETAIL of an error.
/// JSON is compared as values, so that neither blanks nor the order of keys count.
pub fn difference(old_text: &str, new_text: &str) -> String {
    let (old_text, new_text) = (comparable(old_text), comparable(new_text));
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old_text.lines().collect(), new_text.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let most = old.len().min(new.len()) - same;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(most)
        .take_while(|(a, b)| a == b)
        .count();
    let (gone, come) = (&old[same..old.len() - tail], &new[same..new.len() - tail]);
    if gone.is_empty() && come.is_empty() {
        return "The documents read the same.".to_owned();
    }
    let mut text = format!("First difference, at line {}:", same + 1);
    for (mark, lines) in [('-', gone), ('+', come)] {
        for line in lines.iter().take(SHOWN) {
            let mut shown: String = line.chars().take(WIDTH).collect();
            if shown.len() < line.len() {
                shown.push('…');
            }
            let _ = write!(text, "\n{mark} {shown}");
        }
        if lines.len() > SHOWN {
            let _ = write!(text, "\n{mark} … {} more lines", lines.len() - SHOWN);
        }
    }
    text
}

fn comparable(text: &str) -> String {
    let text = normalise(text);
    if is_json(&text)
        && let Ok(value) = serde_json::from_str::<Value>(&text)
        && let Ok(pretty) = serde_json::to_string_pretty(&sorted(&value))
    {
        return pretty;
    }
    text
}

/// The candidate that was probably meant: a third of the letters wrong at most, or one that has
/// the word among its words. Case, `-` and `_` do not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let word = plain(word);
    let letters = word.chars().count();
    if letters == 0 {
        return None;
    }
    let limit = (letters / 3).max(1);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = plain(candidate);
            let distance = strsim::damerau_levenshtein(&word, &other);
            let within = letters > 3 && format!("_{other}_").contains(&format!("_{word}_"));
            if distance <= limit && distance < other.chars().count() {
                Some((distance, candidate))
            } else if within {
                Some((limit + distance, candidate))
            } else {
                None
            }
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A HINT from `nearest`, or the whole list where nothing is near.
pub fn did_you_mean(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!(
            "Did you mean \"{near}\"? Possible here: {}.",
            candidates.join(", ")
        ),
        None => format!("Possible here: {}.", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn line_endings_mark_and_tail_do_not_count() {
        let plain = normalise("a\n  b\nc");
        for text in [
            "a\r\n  b\r\nc\r\n\r\n",
            "\u{feff}a\n  b\nc  \n\t",
            "a\r  b\rc\r",
        ] {
            assert_eq!(normalise(text), plain);
        }
        assert_ne!(
            normalise(" a"),
            normalise("a"),
            "the lines must keep their numbers"
        );
    }

    #[test]
    fn a_checksum_is_that_of_sha256sum() {
        assert_eq!(
            checksum("abc"),
            "v1:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn json_is_canonical_at_every_depth() {
        let one: Value = serde_json::from_str(r#"{"b":[{"z":1.0,"a":null}],"a":1e2}"#).unwrap();
        let other: Value =
            serde_json::from_str(r#"{ "a": 100, "b": [ {"a": null, "z": 1} ] }"#).unwrap();
        assert_eq!(canonical(&one), canonical(&other));
        assert_ne!(canonical(&json!([1, 2])), canonical(&json!([2, 1])));
        assert_ne!(canonical(&json!({"a": null})), canonical(&json!({})));
        assert_ne!(canonical(&json!(0.5)), canonical(&json!(0)));
    }

    #[test]
    fn a_difference_shows_the_first_lines() {
        assert_eq!(
            difference("a\nb\nc\nd", "a\nB\nc\nd"),
            "First difference, at line 2:\n- b\n+ B"
        );
        assert_eq!(
            difference("a\nb", "a\nb\nc"),
            "First difference, at line 3:\n+ c"
        );
        assert_eq!(
            difference("a\nb\nb", "a\nb"),
            "First difference, at line 3:\n- b"
        );
        assert_eq!(difference("", "x"), "First difference, at line 1:\n+ x");
        let long = difference("a", &(0..9).map(|n| format!("{n}\n")).collect::<String>());
        assert!(long.contains("+ … 5 more lines"), "{long}");
        assert!(difference("é", &"é".repeat(500)).ends_with('…'));
    }

    #[test]
    fn a_difference_of_json_is_one_of_values() {
        let old = r#"{"revision":"1","operations":[{"drop_index":{"name":"a"}}]}"#;
        let new = r#"{"operations": [{"drop_index": {"name": "b"}}], "revision": "1"}"#;
        let text = difference(old, new);
        assert!(
            text.contains("- ") && text.contains(r#"+         "name": "b""#),
            "{text}"
        );
        assert!(!text.contains("revision"), "{text}");
    }

    #[test]
    fn the_nearest_is_near() {
        let fields = ["table", "from", "to"];
        assert_eq!(nearest("form", fields), Some("from"));
        assert_eq!(nearest("tabel", fields), Some("table"));
        assert_eq!(nearest("TABLE", fields), Some("table"));
        assert_eq!(nearest("x", ["to", "up"]), None);
        assert_eq!(nearest("a", ["b"]), None);
        assert_eq!(nearest("", fields), None);
        assert_eq!(nearest("colour", fields), None);
        assert_eq!(
            nearest("foreign_key", ["add_foreign_key", "sql"]),
            Some("add_foreign_key")
        );
        assert_eq!(
            nearest("as_written", ["as-written", "immediately"]),
            Some("as-written")
        );
        assert_eq!(nearest("0006", ["0007", "0016", "users"]), Some("0007"));
    }
}
