//! The messages of the server that tell what a statement had to do.

use crate::pg::messages::Message;

/// What the server said of its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Indexes that were built.
    pub builds: Vec<String>,
    /// Tables whose rows were checked, constraints that were checked against all rows.
    pub validates: Vec<String>,
    /// The messages as they were said, those that prove that nothing had to be read included.
    pub messages: Vec<String>,
}

enum Tells {
    Build,
    Validates,
    Only,
}

/// By the text in PostgreSQL's source, which no language changes.
const KNOWN: [(&str, Tells); 8] = [
    (
        "building index \"%s\" on table \"%s\" serially",
        Tells::Build,
    ),
    (
        "building index \"%s\" on table \"%s\" with request for %d parallel workers",
        Tells::Build,
    ),
    ("rewriting table \"%s\"", Tells::Only),
    ("verifying table \"%s\"", Tells::Validates),
    ("validating foreign key constraint \"%s\"", Tells::Validates),
    (
        "existing constraints on column \"%s.%s\" are sufficient to prove that it does not contain nulls",
        Tells::Only,
    ),
    (
        "partition constraint for table \"%s\" is implied by existing constraints",
        Tells::Only,
    ),
    (
        "updated partition constraint for default partition \"%s\" is implied by existing constraints",
        Tells::Only,
    ),
];

/// What is between the first pair of double quotes.
fn first_name(text: &str) -> Option<&str> {
    text.split('"').nth(1)
}

/// What the messages tell; those about TOAST are left out, as their tables are.
pub fn evidence(messages: &[Message]) -> Evidence {
    let mut found = Evidence::default();
    for message in messages {
        let Some((_, tells)) = KNOWN.iter().find(|(id, _)| *id == message.id) else {
            continue;
        };
        let Some(name) = first_name(&message.text) else {
            continue;
        };
        if name.starts_with("pg_toast_") {
            continue;
        }
        match tells {
            Tells::Build => found.builds.push(name.to_owned()),
            Tells::Validates => found.validates.push(name.to_owned()),
            Tells::Only => {}
        }
        found.messages.push(message.text.clone());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::evidence;
    use crate::pg::messages::Message;

    fn said(id: &str, text: &str) -> Message {
        Message {
            id: id.into(),
            text: text.into(),
        }
    }

    #[test]
    fn what_is_known_is_told_and_the_rest_is_not() {
        let found = evidence(&[
            said(
                "building index \"%s\" on table \"%s\" serially",
                "building index \"pg_toast_1_index\" on table \"pg_toast_1\" serially",
            ),
            said(
                "building index \"%s\" on table \"%s\" serially",
                "building index \"i\" on table \"t\" serially",
            ),
            said("verifying table \"%s\"", "verifying table \"t\""),
            said("rehashing catalog cache", "rehashing catalog cache"),
        ]);
        assert_eq!(found.builds, ["i"]);
        assert_eq!(found.validates, ["t"]);
        assert_eq!(found.messages.len(), 2);
    }
}
