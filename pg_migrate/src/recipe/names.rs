//! The names PostgreSQL gives to constraints and indexes that have none (`ChooseConstraintName`,
//! `ChooseIndexName`), so that a script ends with the names it would have had.

/// NAMEDATALEN without the zero byte.
const LONGEST: usize = 63;

fn clip(text: &str, bytes: usize) -> &str {
    let mut end = text.len().min(bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// `table_addition_label`, the longer of the first two cut until all fits (`makeObjectName`).
fn object_name(table: &str, addition: &str, label: &str) -> String {
    let overhead = label.len() + 1 + usize::from(!addition.is_empty());
    let room = LONGEST.saturating_sub(overhead);
    let (mut first, mut second) = (table.len(), addition.len());
    while first + second > room {
        if first > second {
            first -= 1;
        } else {
            second -= 1;
        }
    }
    let table = clip(table, first);
    if addition.is_empty() {
        format!("{table}_{label}")
    } else {
        format!("{table}_{}_{label}", clip(addition, second))
    }
}

/// Columns joined, no longer than a name (`ChooseIndexNameAddition`).
fn addition(columns: &[String]) -> String {
    let mut joined = String::new();
    for column in columns {
        if !joined.is_empty() {
            joined.push('_');
        }
        joined.push_str(column);
        if joined.len() > LONGEST {
            break;
        }
    }
    clip(&joined, LONGEST).to_owned()
}

/// The name of a constraint; `label`: `key`, `fkey`, `pkey`, `check`, `excl`. `pass`: how many
/// names before this one were taken.
pub fn constraint(table: &str, columns: &[String], label: &str, pass: usize) -> String {
    let columns = match (label, columns) {
        ("pkey", _) => &[],
        // A CHECK is called after its column if it has only one.
        ("check", [_]) => columns,
        ("check", _) => &[],
        _ => columns,
    };
    let addition = addition(columns);
    match pass {
        0 => object_name(table, &addition, label),
        _ => object_name(table, &addition, &format!("{label}{pass}")),
    }
}

/// The name of an index over `keys`; the same key twice gets a number.
pub fn index(table: &str, keys: &[String]) -> String {
    numbered_index(table, keys, "idx", 0)
}

/// The name of an index, or of one that belongs to a constraint (`label`: `idx`, `key`, `pkey`).
/// `pass`: how many names before this one were taken.
pub fn numbered_index(table: &str, keys: &[String], label: &str, pass: usize) -> String {
    let mut names: Vec<String> = Vec::new();
    for key in keys {
        let mut name = key.clone();
        let mut number = 0;
        while names.contains(&name) {
            number += 1;
            let suffix = number.to_string();
            name = format!("{}{suffix}", clip(key, LONGEST - suffix.len()));
        }
        names.push(name);
    }
    let addition = match label {
        "pkey" => String::new(),
        _ => addition(&names),
    };
    match pass {
        0 => object_name(table, &addition, label),
        _ => object_name(table, &addition, &format!("{label}{pass}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &[&str]) -> Vec<String> {
        list.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn names_are_those_of_postgresql() {
        let name = |columns: &[&str], label| constraint("orders", &words(columns), label, 0);
        assert_eq!(name(&["user_id"], "fkey"), "orders_user_id_fkey");
        assert_eq!(name(&["a", "b"], "key"), "orders_a_b_key");
        assert_eq!(name(&["a", "b"], "pkey"), "orders_pkey");
        assert_eq!(name(&["a"], "check"), "orders_a_check");
        assert_eq!(name(&["a", "b"], "check"), "orders_check");
        assert_eq!(name(&[], "check"), "orders_check");
        let second = constraint("orders", &words(&["a", "b"]), "check", 1);
        assert_eq!(second, "orders_check1");
        assert_eq!(index("t", &words(&["a", "lower", "a"])), "t_a_lower_a1_idx");
    }

    #[test]
    fn long_names_are_cut_evenly() {
        let (table, column) = ("t".repeat(60), "c".repeat(60));
        let name = constraint(&table, std::slice::from_ref(&column), "fkey", 0);
        assert_eq!(name.len(), 63);
        assert_eq!(name, format!("{}_{}_fkey", "t".repeat(29), "c".repeat(28)));
        assert_eq!(
            constraint(&table, &[], "pkey", 0),
            format!("{}_pkey", "t".repeat(58))
        );
        assert!(constraint(&"é".repeat(40), &words(&["ü"]), "key", 0).len() <= 63);
    }
}
