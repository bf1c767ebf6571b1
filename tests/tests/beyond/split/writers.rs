//! Two releases of an application that write two tables at once, and keep a record of what they wrote.

use pg_migrate_tests::{Db, Failure};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

const STOP: u8 = 0;
pub const OLD: u8 = 1;
pub const BOTH: u8 = 2;
pub const NEW: u8 = 3;

#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub bio: Option<String>,
    pub avatar: String,
    /// It has a row in the new table.
    pub profile: bool,
}

pub type Record = BTreeMap<i64, Row>;

/// Writers of their own keys (id mod threads), who know one table or both.
pub struct Writers {
    stage: Arc<AtomicU8>,
    threads: Vec<JoinHandle<(Record, u64)>>,
}

/// What one operation wants: statements of one transaction, or each of its own.
struct Wish {
    sql: Vec<String>,
    together: bool,
    key: i64,
    after: Option<Row>,
}

fn wish(new: bool, n: u64, own: i64, id: i64, known: &Row, next: &mut i64, threads: i64) -> Wish {
    let (bio, avatar) = (format!("b{n}-{own}"), format!("a{n}-{own}"));
    let with = |bio: Option<String>, avatar: String| {
        Some(Row {
            bio,
            avatar,
            profile: true,
        })
    };
    let one = |sql: String, after: Option<Row>| Wish {
        sql: vec![sql],
        together: false,
        key: id,
        after,
    };
    match (n % 8, new) {
        (0, false) => {
            *next += threads;
            Wish {
                key: *next,
                ..one(
                    format!(
                        "INSERT INTO users (id, name, bio, avatar) VALUES ({next}, 'x', '{bio}', '{avatar}')"
                    ),
                    with(Some(bio), avatar),
                )
            }
        }
        (0, true) => {
            *next += threads;
            Wish {
                sql: vec![
                    format!("INSERT INTO users (id, name) VALUES ({next}, 'x')"),
                    format!(
                        "INSERT INTO user_profiles (id, bio, avatar) VALUES ({next}, '{bio}', '{avatar}')"
                    ),
                ],
                together: n.is_multiple_of(16),
                key: *next,
                after: with(Some(bio), avatar),
            }
        }
        (1, _) => one(
            format!("UPDATE users SET seen = {n} WHERE id = {id}"),
            Some(known.clone()),
        ),
        (2, _) => one(format!("DELETE FROM users WHERE id = {id}"), None),
        (3 | 6, false) => one(
            format!("UPDATE users SET bio = '{bio}' WHERE id = {id}"),
            with(Some(bio), known.avatar.clone()),
        ),
        (_, false) => one(
            format!("UPDATE users SET avatar = '{avatar}', bio = NULL WHERE id = {id}"),
            with(None, avatar),
        ),
        (3, true) if known.profile => one(
            format!("UPDATE user_profiles SET bio = '{bio}' WHERE id = {id}"),
            with(Some(bio), known.avatar.clone()),
        ),
        (4, true) if known.profile => one(
            format!("UPDATE user_profiles SET avatar = '{avatar}' WHERE id = {id}"),
            with(known.bio.clone(), avatar),
        ),
        (5, true) if known.profile => one(
            format!("DELETE FROM user_profiles WHERE id = {id}"),
            Some(Row {
                bio: None,
                avatar: "none".into(),
                profile: false,
            }),
        ),
        (_, true) => one(
            format!(
                "INSERT INTO user_profiles (id, bio, avatar) VALUES ({id}, '{bio}', '{avatar}') \
                 ON CONFLICT (id) DO UPDATE SET bio = excluded.bio, avatar = excluded.avatar"
            ),
            with(Some(bio), avatar),
        ),
    }
}

impl Writers {
    pub fn start(db: &Db, stage: u8, record: &Record) -> Writers {
        let count = 4;
        let stage = Arc::new(AtomicU8::new(stage));
        let last = record.keys().max().copied().unwrap_or_default();
        let threads = (0..count)
            .map(|own| {
                let stage = Arc::clone(&stage);
                let mut client = db.connect();
                let mut record: Record = record
                    .iter()
                    .filter(|(id, _)| *id % count == own)
                    .map(|(id, row)| (*id, row.clone()))
                    .collect();
                std::thread::spawn(move || {
                    let mut done = 0_u64;
                    let mut next = (last / count + 1) * count + own;
                    loop {
                        let new = match stage.load(Ordering::SeqCst) {
                            STOP => return (record, done),
                            OLD => false,
                            NEW => true,
                            _ => (done / 5).is_multiple_of(2),
                        };
                        let at = usize::try_from(done * 7919).unwrap() % record.len();
                        let (id, known) = record
                            .iter()
                            .nth(at)
                            .map(|(id, row)| (*id, row.clone()))
                            .unwrap();
                        let wish = wish(new, done, own, id, &known, &mut next, count);
                        done += 1;
                        let ran = if wish.together {
                            client
                                .batch_execute(&format!("BEGIN; {}; COMMIT", wish.sql.join("; ")))
                                .map(|()| 1)
                        } else {
                            wish.sql
                                .iter()
                                .try_fold(1, |_, sql| client.execute(sql.as_str(), &[]))
                        };
                        match ran.map_err(|error| Failure::from(&error)) {
                            Ok(1) => {
                                match wish.after {
                                    Some(row) => record.insert(wish.key, row),
                                    None => record.remove(&wish.key),
                                };
                            }
                            // Not copied yet.
                            Ok(_) if wish.sql[0].contains("user_profiles") => {}
                            Ok(rows) => panic!("{}: {rows} rows", wish.sql[0]),
                            // The migration was taken back under the new release's hands.
                            Err(failure)
                                if new
                                    && failure
                                        .message
                                        .contains("\"user_profiles\" does not exist") =>
                            {
                                let _ = client.batch_execute("ROLLBACK");
                                if !wish.together && wish.sql.len() > 1 {
                                    record.insert(
                                        wish.key,
                                        Row {
                                            bio: None,
                                            avatar: "none".into(),
                                            profile: false,
                                        },
                                    );
                                }
                                return (record, done);
                            }
                            Err(failure) => panic!("{:?}: {failure}", wish.sql),
                        }
                        std::thread::sleep(Duration::from_millis(1));
                    }
                })
            })
            .collect();
        Writers { stage, threads }
    }

    pub fn stage(&self, stage: u8, millis: u64) {
        self.stage.store(stage, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(millis));
    }

    pub fn stop(self) -> Record {
        self.stage(STOP, 0);
        let mut all = Record::new();
        for thread in self.threads {
            let (record, done) = thread.join().expect("a writer failed");
            assert!(done > 3, "hardly any traffic: {done}");
            all.extend(record);
        }
        all
    }
}
