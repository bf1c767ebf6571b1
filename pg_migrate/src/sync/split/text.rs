//! The statements that one table's trigger runs on the other. Everything is named with its schema:
//! they are read again in whatever search path a writer has. Knows no PostgreSQL; identifiers come
//! in quoted.

/// A column of the key.
pub struct Key {
    pub column: String,
    /// By which its values are equal: `OPERATOR(schema.=)`.
    pub equals: String,
}

/// What both statements and rows of a split are about.
pub struct Split {
    /// Schema-qualified.
    pub source: String,
    pub target: String,
    pub key: Vec<Key>,
    pub columns: Vec<String>,
}

/// The row of the key, whose columns are the first parameters.
fn found(alias: &str, key: &[Key]) -> String {
    let each: Vec<_> = key
        .iter()
        .enumerate()
        .map(|(at, key)| format!("{alias}.{} {} ${}", key.column, key.equals, at + 1))
        .collect();
    each.join(" AND ")
}

/// The casts keep PostgreSQL from comparing column by column: images are compared, which works for
/// every type.
fn record(alias: &str, columns: &[String]) -> String {
    format!("CAST(ROW({}) AS pg_catalog.record)", listed(alias, columns))
}

fn listed(alias: &str, columns: &[String]) -> String {
    let each: Vec<_> = columns.iter().map(|c| format!("{alias}.{c}")).collect();
    each.join(", ")
}

fn assigned(from: &str, columns: &[String]) -> String {
    let each: Vec<_> = columns
        .iter()
        .map(|c| format!("{c} = {from}.{c}"))
        .collect();
    each.join(", ")
}

impl Split {
    /// The target's row is made or made the same. `needed`: columns without which it cannot be.
    pub fn put(&self, needed: &[String]) -> String {
        let keys: Vec<String> = self.key.iter().map(|key| key.column.clone()).collect();
        let all: Vec<String> = keys.iter().chain(&self.columns).cloned().collect();
        let there: String = needed
            .iter()
            .map(|column| format!(" AND u.{column} IS NOT NULL"))
            .collect();
        format!(
            "INSERT INTO {} AS p ({}) SELECT {} FROM {} AS u WHERE {}{there} \
             ON CONFLICT ({}) DO UPDATE SET {} WHERE {} OPERATOR(pg_catalog.*<>) {}",
            self.target,
            all.join(", "),
            listed("u", &all),
            self.source,
            found("u", &self.key),
            keys.join(", "),
            assigned("excluded", &self.columns),
            record("p", &self.columns),
            record("excluded", &self.columns),
        )
    }

    /// The target's row, if it is there, is made the same.
    pub fn to_target(&self) -> String {
        self.copied(&self.target, &self.source)
    }

    /// The source's row is made the same.
    pub fn to_source(&self) -> String {
        self.copied(&self.source, &self.target)
    }

    fn copied(&self, to: &str, from: &str) -> String {
        format!(
            "UPDATE {to} AS t SET {} FROM {from} AS f WHERE {} AND {} AND {} OPERATOR(pg_catalog.*<>) {}",
            assigned("f", &self.columns),
            found("t", &self.key),
            found("f", &self.key),
            record("t", &self.columns),
            record("f", &self.columns),
        )
    }

    /// The target's row leaves; not where the source's has only gone to another partition.
    pub fn gone(&self) -> String {
        format!(
            "DELETE FROM {} AS p WHERE {} AND NOT EXISTS (SELECT FROM {} AS u WHERE {})",
            self.target,
            found("p", &self.key),
            self.source,
            found("u", &self.key)
        )
    }

    /// The source's row says nothing any more. `kept`: columns that cannot be null.
    pub fn emptied(&self, kept: &[String]) -> String {
        let each: Vec<_> = self
            .columns
            .iter()
            .map(|column| {
                let nothing = if kept.contains(column) {
                    "DEFAULT"
                } else {
                    "NULL"
                };
                format!("{column} = {nothing}")
            })
            .collect();
        format!(
            "UPDATE {} AS u SET {} WHERE {}",
            self.source,
            each.join(", "),
            found("u", &self.key)
        )
    }

    pub fn locked(&self) -> String {
        format!(
            "SELECT FROM {} AS u WHERE {} FOR NO KEY UPDATE OF u",
            self.source,
            found("u", &self.key)
        )
    }

    /// The target's row makes room if it says nothing: nulls, and defaults, which are the parameters
    /// after the key.
    pub fn yielded(&self) -> String {
        let each: String = self
            .columns
            .iter()
            .enumerate()
            .map(|(at, column)| {
                let default = self.key.len() + at + 1;
                format!(
                    " AND (p.{column} IS NULL OR {} OPERATOR(pg_catalog.*=) \
                     CAST(ROW(${default}) AS pg_catalog.record))",
                    record("p", std::slice::from_ref(column))
                )
            })
            .collect();
        format!(
            "DELETE FROM {} AS p WHERE {}{each}",
            self.target,
            found("p", &self.key)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> Split {
        Split {
            source: "public.users".into(),
            target: "public.profiles".into(),
            key: vec![Key {
                column: "id".into(),
                equals: "OPERATOR(pg_catalog.=)".into(),
            }],
            columns: vec!["bio".into(), "\"Avatar\"".into()],
        }
    }

    #[test]
    fn a_row_without_what_it_needs_is_not_made() {
        let sql = split().put(&["bio".into()]);
        assert!(
            sql.contains("WHERE u.id OPERATOR(pg_catalog.=) $1 AND u.bio IS NOT NULL ON"),
            "{sql}"
        );
        assert!(
            sql.contains("DO UPDATE SET bio = excluded.bio, \"Avatar\" = excluded.\"Avatar\""),
            "{sql}"
        );
    }

    #[test]
    fn defaults_come_after_the_key() {
        let sql = split().yielded();
        assert!(
            sql.contains(
                "CAST(ROW(p.bio) AS pg_catalog.record) OPERATOR(pg_catalog.*=) CAST(ROW($2)"
            ),
            "{sql}"
        );
        assert!(sql.contains("ROW($3)"), "{sql}");
    }

    #[test]
    fn what_cannot_be_null_gets_its_default() {
        let sql = split().emptied(&["bio".into()]);
        assert_eq!(
            sql,
            "UPDATE public.users AS u SET bio = DEFAULT, \"Avatar\" = NULL WHERE u.id OPERATOR(pg_catalog.=) $1"
        );
    }
}
