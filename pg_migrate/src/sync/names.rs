//! What sync triggers are called, and so in what order they run: BEFORE triggers run in the order of
//! their names.

/// The first characters of every name: `~` sorts last among ASCII.
pub const PREFIX: &str = "~~pg_migrate_sync_";
const LONGEST_NAME: usize = 63;

/// The name of a one-way trigger: sorts after the two-way ones, whose names have letters where this
/// has `}` (one that fills nulls, for the others may read the column) or `~`; of these the ones that
/// read what others fill have more tildes.
pub fn one_way_name(new: &str, rank: usize, fills: bool) -> String {
    let mark = match (rank, fills) {
        (0, true) => "}".to_owned(),
        (rank, _) => "~".repeat(rank + 1),
    };
    let rest = trigger_name("", new);
    let rest = rest.trim_start_matches(PREFIX).trim_start_matches('~');
    if PREFIX.len() + mark.len() + rest.len() <= LONGEST_NAME {
        return format!("{PREFIX}{mark}{rest}");
    }
    format!("{PREFIX}{mark}{:016x}", hash("", new))
}

/// FNV-1a, 64 bits: the same in every version.
fn hash(old: &str, new: &str) -> u64 {
    old.bytes()
        .chain(std::iter::once(0))
        .chain(new.bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

/// `~~pg_migrate_sync_old~new`, or a hash of both where that is too long or not plain.
pub fn trigger_name(old: &str, new: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let name = format!("{PREFIX}{old}~{new}");
    if name.len() <= LONGEST_NAME && old.chars().chain(new.chars()).all(plain) {
        return name;
    }
    format!("{PREFIX}{:016x}", hash(old, new))
}

/// The triggers of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitTrigger {
    /// Of rows that are inserted.
    Before,
    /// Of rows that are written.
    After,
    /// Of the whole table.
    Truncate,
}

impl SplitTrigger {
    pub const ALL: [SplitTrigger; 3] = [
        SplitTrigger::Before,
        SplitTrigger::After,
        SplitTrigger::Truncate,
    ];

    /// When it fires, and for what.
    pub fn when(self) -> &'static str {
        match self {
            SplitTrigger::Before => "BEFORE INSERT",
            SplitTrigger::After => "AFTER INSERT OR UPDATE OR DELETE",
            SplitTrigger::Truncate => "AFTER TRUNCATE",
        }
    }

    pub fn each(self) -> &'static str {
        match self {
            SplitTrigger::Truncate => "STATEMENT",
            _ => "ROW",
        }
    }
}

/// The name of a trigger that keeps a table in step with `other` (qualified), which has a part of its
/// columns. Sorts last among the BEFORE triggers too: what is inserted is settled by then.
pub fn split_name(other: &str, mark: SplitTrigger) -> String {
    let mark = match mark {
        SplitTrigger::Before => "before",
        SplitTrigger::After => "after",
        SplitTrigger::Truncate => "truncate",
    };
    format!("{PREFIX}{:016x}_{mark}", hash("split", other))
}

#[cfg(test)]
mod tests {
    use super::{one_way_name, trigger_name};

    #[test]
    fn who_reads_what_others_fill_comes_after_them() {
        let long = "é".repeat(30);
        let order = [
            trigger_name("zz", "b"),
            trigger_name(&long, "b"),
            one_way_name("zz", 0, true),
            one_way_name("zz", 0, false),
            one_way_name("aa", 1, false),
            one_way_name(&long, 2, false),
            one_way_name(&"x".repeat(63), 3, true),
        ];
        for pair in order[1..].windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
        }
        assert!(order[0] < order[2]);
        assert!(order.iter().all(|name| name.len() <= 63), "{order:?}");
    }

    #[test]
    fn names_sort_last_and_tell_columns_apart() {
        assert_eq!(trigger_name("a", "b"), "~~pg_migrate_sync_a~b");
        assert_ne!(trigger_name("a_b", "c"), trigger_name("a", "b_c"));
        assert_ne!(trigger_name("a~b", "c"), trigger_name("a", "b~c"));
        assert!(trigger_name("", "b").as_str() > "~pg_migrate_touch_zzz");
    }

    #[test]
    fn long_names_are_hashed() {
        let long = "x".repeat(63);
        let name = trigger_name(&long, &long);
        assert!(name.len() <= 63);
        assert_ne!(name, trigger_name(&long, "y"));
    }
}
