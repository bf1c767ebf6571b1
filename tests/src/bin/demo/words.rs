//! How the demo writes things down.

use std::time::Duration;

pub fn say(what: &str, text: &str) {
    println!("  {what:<15} {text}");
}

/// 1234567 as 1,234,567.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds, with a decimal where it says something.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.1}")
    } else {
        format!("{ms:.0}")
    }
}

/// On one line, and no longer than that.
pub fn shortened(text: &str, length: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= length {
        return line;
    }
    line.chars()
        .take(length.saturating_sub(1))
        .chain(['…'])
        .collect()
}

/// What the server last said, when something went wrong.
pub fn last_lines(log: &str) {
    let lines: Vec<_> = log.lines().collect();
    eprintln!("\nend of the server's log:");
    lines
        .iter()
        .skip(lines.len().saturating_sub(20))
        .for_each(|line| eprintln!("  {line}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn long_statements_are_cut() {
        assert_eq!(shortened("SELECT\n  1", 20), "SELECT 1");
        assert_eq!(shortened("aéaéaéa", 4), "aéa…");
    }
}
