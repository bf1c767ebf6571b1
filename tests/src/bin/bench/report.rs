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
