//! The faults that come from outside of the engine, while a session of it stands at its point.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::book::Book;
use super::model::{New, Row};
use crate::server::run_as;
use crate::{Db, Failure, Server};

pub fn kill_9(pid: i32) {
    let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
}

/// The postmaster dies; its children follow, and a new one recovers.
pub fn kill_postmaster(server: &Server) -> Result<(), String> {
    let file = server.data().join("postmaster.pid");
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let pid = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok())
        .ok_or("no process id of the postmaster")?;
    kill_9(pid);
    // Until the last child has gone its shared memory is in use, and a start is refused.
    let end = Instant::now() + Duration::from_secs(120);
    loop {
        std::thread::sleep(Duration::from_millis(100));
        match server.try_start() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => {}
        }
    }
}

/// Runs DDL in a thread; returns when it is through, waits for a lock or sleeps with one.
pub fn ddl(db: &Db, sql: &str) -> JoinHandle<Result<(), Failure>> {
    let db = db.clone();
    let sql = sql.to_owned();
    let name = format!("torture ddl {}", sql.len());
    let eye = db.clone();
    let label = name.clone();
    let thread = std::thread::spawn(move || {
        // A deadlock with an application is its, or the DDL's, to try again.
        let mut left = 50;
        loop {
            let mut config = db.config();
            config.application_name(&label);
            let mut client = crate::db::connect(&config)?;
            match client
                .batch_execute(&sql)
                .map_err(|error| Failure::from(&error))
            {
                Err(failure) if failure.sqlstate == "40P01" && left > 0 => left -= 1,
                other => return other,
            }
        }
    });
    let waits = format!(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = '{name}' AND wait_event_type IN ('Lock', 'Timeout'))"
    );
    let end = Instant::now() + Duration::from_secs(20);
    while !thread.is_finished() && Instant::now() < end && !eye.one::<bool>(&waits) {
        std::thread::sleep(Duration::from_millis(5));
    }
    thread
}

/// A partition with rows that have not been through the trigger.
pub fn attach(db: &Db, book: &Book) -> (String, Vec<(i64, Row)>) {
    let first = book.reserve(300);
    let fresh: Vec<(i64, Row)> = (0..300)
        .map(|n| {
            let row = Row {
                part: 9,
                other: 0,
                fat: n,
                old: Some(format!("a{n}")),
                new: New::Unfilled,
            };
            (first + n, row)
        })
        .collect();
    db.run(&format!(
        "CREATE TABLE t_9 (LIKE t INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING CONSTRAINTS);
         INSERT INTO t_9 (id, part, old, fat, kept) SELECT {first} + n, 9, 'a' || n, repeat(n || '-', 2), 'k' || {first} + n
         FROM generate_series(0, 299) n"
    ));
    (
        "ALTER TABLE t ATTACH PARTITION t_9 FOR VALUES IN (9)".to_owned(),
        fresh,
    )
}

/// Rows that make the table longer, by an application that knows the old column only.
pub fn burst(db: &Db, book: &Book, count: i64) {
    let first = book.reserve(count) - 1;
    db.run(&format!(
        "INSERT INTO t (id, part, old, fat, kept) SELECT {first} + n, 0, 'b' || n, repeat(n || '-', 2), 'k' || {first} + n
         FROM generate_series(1, {count}) n"
    ));
    book.add((1..=count).map(|n| {
        (
            first + n,
            Row {
                part: 0,
                other: 0,
                fat: n,
                old: Some(format!("b{n}")),
                new: New::Unfilled,
            },
        )
    }));
}

/// A small file system for a tablespace; it goes when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// `Err`: why there can be none here.
    pub fn mount(under: &Path, megabytes: u32) -> Result<Self, String> {
        let folder = under.join("small");
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "none"])
            .arg(&folder))?;
        let disk = Self { folder };
        std::fs::create_dir_all(disk.tablespace()).map_err(|error| error.to_string())?;
        if let Some(user) = run_as() {
            run(Command::new("chown").arg("-R").arg(user).arg(&disk.folder))?;
        }
        Ok(disk)
    }

    pub fn tablespace(&self) -> PathBuf {
        self.folder.join("space")
    }

    /// Leaves no room.
    pub fn fill(&self) {
        let _ = Command::new("dd")
            .args(["if=/dev/zero", "bs=8k", "status=none"])
            .arg(format!("of={}", self.folder.join("ballast").display()))
            .stderr(std::process::Stdio::null())
            .status();
    }

    pub fn empty(&self) {
        let _ = std::fs::remove_file(self.folder.join("ballast"));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.folder).status();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}
