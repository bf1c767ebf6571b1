//! The index a UNIQUE or PRIMARY KEY constraint asks for, read from the constraint's definition.

/// From the definition of a UNIQUE or PRIMARY KEY constraint: what stands after `ON table` in the
/// definition of its index, and what the constraint adds (its deferral, with a space before it).
pub fn index_of(definition: &str) -> (String, String) {
    let words = |text: &str, words: &[&str]| -> Option<usize> {
        let mut rest = text;
        for word in words {
            rest = rest.trim_start();
            let head = rest.get(..word.len())?;
            if !head.eq_ignore_ascii_case(word) {
                return None;
            }
            rest = &rest[word.len()..];
        }
        Some(text.len() - rest.len())
    };
    let mut rest = definition.trim();
    for prefix in [&["UNIQUE"][..], &["PRIMARY", "KEY"]] {
        if let Some(length) = words(rest, prefix) {
            rest = rest[length..].trim_start();
            break;
        }
    }
    let mut nulls = "";
    for (prefix, text) in [
        (&["NULLS", "NOT", "DISTINCT"][..], " NULLS NOT DISTINCT"),
        (&["NULLS", "DISTINCT"], ""),
    ] {
        if let Some(length) = words(rest, prefix) {
            rest = rest[length..].trim_start();
            nulls = text;
            break;
        }
    }
    // The first word of the deferral outside parentheses and quotes ends the index's part.
    let (mut depth, mut quoted) = (0, false);
    let mut cut = rest.len();
    for (at, letter) in rest.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ if letter.is_whitespace() && !quoted && depth == 0 => {
                let deferral = [&["DEFERRABLE"][..], &["NOT", "DEFERRABLE"], &["INITIALLY"]];
                if deferral
                    .iter()
                    .any(|start| words(&rest[at..], start).is_some())
                {
                    cut = at;
                    break;
                }
            }
            _ => {}
        }
    }
    let (index, tail) = rest.split_at(cut);
    // `(a) NULLS NOT DISTINCT WITH (…)`: of an index it stands after the columns and INCLUDE.
    let index = match index.find(" WITH ").or_else(|| index.find(" USING INDEX ")) {
        Some(at) if !nulls.is_empty() => format!("{}{nulls}{}", &index[..at], &index[at..]),
        _ => format!("{}{nulls}", index.trim_end()),
    };
    (
        index.replace(" USING INDEX TABLESPACE ", " TABLESPACE "),
        tail.trim_end().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::index_of;

    #[test]
    fn a_unique_constraint_says_what_its_index_is() {
        for (definition, index, tail) in [
            ("UNIQUE (a, b)", "(a, b)", ""),
            ("unique(a)", "(a)", ""),
            ("PRIMARY KEY (a) INCLUDE (b)", "(a) INCLUDE (b)", ""),
            (
                "UNIQUE NULLS NOT DISTINCT (a) DEFERRABLE",
                "(a) NULLS NOT DISTINCT",
                " DEFERRABLE",
            ),
            (
                "UNIQUE (\"x deferrable\") WITH (fillfactor='70') NOT DEFERRABLE INITIALLY IMMEDIATE",
                "(\"x deferrable\") WITH (fillfactor='70')",
                " NOT DEFERRABLE INITIALLY IMMEDIATE",
            ),
        ] {
            assert_eq!(
                index_of(definition),
                (index.to_owned(), tail.to_owned()),
                "{definition}"
            );
        }
    }
}
