//! What a run has found: printed as it comes, and kept as Markdown.

/// The report of one run.
#[derive(Debug, Default)]
pub struct Report {
    text: String,
}

impl Report {
    fn put(&mut self, text: &str) {
        println!("{text}");
        self.text.push_str(text);
        self.text.push('\n');
    }

    pub fn title(&mut self, text: &str) {
        self.put(&format!("# {text}\n"));
    }

    pub fn heading(&mut self, text: &str) {
        self.put(&format!("\n## {text}\n"));
    }

    /// A paragraph.
    pub fn say(&mut self, text: &str) {
        self.put(&format!("{text}\n"));
    }

    /// The first column reads from the left, figures end at the right.
    pub fn table(&mut self, header: &[&str], rows: &[Vec<String>]) {
        let header: Vec<String> = header.iter().map(|&name| name.to_owned()).collect();
        let width = |column: usize| {
            rows.iter()
                .chain([&header])
                .filter_map(|row| row.get(column))
                .map(|text| text.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..header.len()).map(width).collect();
        let line = |row: &[String]| {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(column, (text, &width))| match column {
                    0 => format!("{text:<width$}"),
                    _ => format!("{text:>width$}"),
                })
                .collect();
            format!("| {} |", cells.join(" | "))
        };
        let rule: Vec<String> = widths
            .iter()
            .enumerate()
            .map(|(column, &width)| match column {
                0 => "-".repeat(width + 2),
                _ => format!("{}:", "-".repeat(width + 1)),
            })
            .collect();
        self.put(&line(&header));
        self.put(&format!("|{}|", rule.join("|")));
        for row in rows {
            self.put(&line(row));
        }
        self.put("");
    }

    pub fn text(&self) -> &str {
        &self.text
    }
}

/// `value` to that of the baseline, as `1.23x`.
pub fn ratio(value: f64, baseline: f64) -> String {
    if baseline > 0.0 {
        format!("{:.2}x", value / baseline)
    } else {
        "-".to_owned()
    }
}

/// 1234567 as 1,234,567.
pub fn grouped(number: i64) -> String {
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

/// A figure beside what it should be at least (`more`) or at most.
pub fn verdict(what: &str, reached: f64, goal: f64, more: bool) -> Vec<String> {
    let good = if more {
        reached >= goal
    } else {
        reached <= goal
    };
    vec![
        what.to_owned(),
        format!("{reached:.2}"),
        format!("{} {goal}", if more { "≥" } else { "≤" }),
        if good { "reached" } else { "missed" }.to_owned(),
    ]
}
