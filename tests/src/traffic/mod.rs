//! Applications at work on a table while it is migrated: real connections that insert, update,
//! delete and read rows, some of which know the old column and some the new one.
//!
//! Every key belongs to one writer (key mod threads), so what a writer last committed is what the
//! table must hold, without any lock or comparison between writers.

mod latency;
mod outcome;
mod record;
mod spec;
mod statements;
mod writer;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use latency::Latency;
pub use record::{Mappings, Record, Report, Value};
pub use spec::{Generator, Mapping, Role, TrafficSpec};

use crate::{Db, Failure};
use writer::{Writer, Written};

/// What the writers and the test look at together.
#[derive(Debug)]
struct Shared {
    spec: TrafficSpec,
    db: Mutex<Db>,
    stop: AtomicBool,
    /// Writers below this number are of the new release.
    new_writers: AtomicUsize,
    /// How many writers have taken notice of the last change of `new_writers`.
    generation: AtomicUsize,
    noticed: Vec<AtomicUsize>,
    phase: AtomicUsize,
    operations: AtomicU64,
    failed: AtomicU64,
    names: Mutex<Vec<String>>,
    /// SQLSTATEs that are no errors when the new release meets them.
    expected: Mutex<Vec<String>>,
    refused: AtomicU64,
    stopped: Stop,
}

/// Writers stand still between two operations while somebody looks at what they did.
#[derive(Debug, Default)]
struct Stop {
    wanted: AtomicBool,
    /// From now on every row counts as written by this release.
    settle: Mutex<Option<Role>>,
    records: Mutex<Vec<(usize, Record, Vec<String>)>>,
}

pub struct Traffic {
    shared: Arc<Shared>,
    writers: Vec<JoinHandle<Written>>,
}

impl Traffic {
    /// Takes down what the table holds and starts writing. All writers are of the old release, or
    /// of the new one where the old one has no column.
    #[track_caller]
    pub fn start(db: &Db, spec: TrafficSpec) -> Self {
        let first = if spec.column(Role::Old).is_some() {
            Role::Old
        } else {
            Role::New
        };
        let threads = spec.threads.max(1);
        let parts = read(db, &spec, first, threads);
        let shared = Arc::new(Shared {
            db: Mutex::new(db.clone()),
            stop: AtomicBool::new(false),
            new_writers: AtomicUsize::new(if first == Role::New { threads } else { 0 }),
            generation: AtomicUsize::new(0),
            noticed: (0..threads).map(|_| AtomicUsize::new(0)).collect(),
            phase: AtomicUsize::new(0),
            operations: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            names: Mutex::new(vec!["before".to_owned()]),
            expected: Mutex::new(Vec::new()),
            refused: AtomicU64::new(0),
            stopped: Stop::default(),
            spec,
        });
        let highest = parts
            .iter()
            .flat_map(|part| part.keys())
            .max()
            .copied()
            .unwrap_or(0);
        let writers = parts
            .into_iter()
            .enumerate()
            .map(|(index, part)| {
                let writer = Writer::new(index, Arc::clone(&shared), part, highest);
                std::thread::spawn(move || writer.run())
            })
            .collect();
        Self { shared, writers }
    }

    /// Deploys: from now on `count` of the writers are of the new release. Returns when no
    /// operation of a writer that had to change is under way any more.
    #[track_caller]
    pub fn new_writers(&self, count: usize) {
        let spec = &self.shared.spec;
        assert!(
            count == 0 || spec.column(Role::New).is_some(),
            "the new release has no column"
        );
        assert!(
            count >= spec.threads || spec.column(Role::Old).is_some(),
            "the old release has no column"
        );
        self.shared.new_writers.store(count, Ordering::SeqCst);
        let generation = self.shared.generation.fetch_add(1, Ordering::SeqCst) + 1;
        let end = Instant::now() + Duration::from_secs(120);
        while self
            .shared
            .noticed
            .iter()
            .any(|n| n.load(Ordering::SeqCst) < generation)
        {
            assert!(Instant::now() < end, "a writer is stuck");
            assert!(
                self.writers.iter().all(|w| !w.is_finished()),
                "a writer died"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Operations that begin from now on are counted under this name.
    pub fn mark(&self, phase: &str) {
        let mut phases = self.shared.names.lock().unwrap();
        phases.push(phase.to_owned());
        self.shared.phase.store(phases.len() - 1, Ordering::SeqCst);
    }

    /// Broken connections are opened again here: after a failover.
    pub fn redirect(&self, db: &Db) {
        *self.shared.db.lock().unwrap() = db.clone();
    }

    /// So far.
    pub fn operations(&self) -> u64 {
        self.shared.operations.load(Ordering::Relaxed)
    }

    /// So far.
    pub fn errors(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// From now on these SQLSTATEs are no errors when the new release meets them: what it says is
    /// refused because the old shape is back. They are counted.
    pub fn expect_refusals(&self, sqlstates: &[&str]) {
        *self.shared.expected.lock().unwrap() =
            sqlstates.iter().map(|state| (*state).to_owned()).collect();
    }

    /// So far.
    pub fn refusals(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Lets the writers do as many more operations; returns early when one saw an error.
    #[track_caller]
    pub fn run_operations(&self, count: u64) {
        let (goal, end) = (
            self.operations() + self.refusals() + count,
            Instant::now() + Duration::from_secs(60),
        );
        while self.operations() + self.refusals() < goal && self.errors() == 0 {
            assert!(Instant::now() < end, "the writers are stuck");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Has every writer stand still, gives what they did so far, and calls `look` with it before
    /// they go on. `settle`: from then on every row counts as written by that release, as it saw
    /// the row: the other side is gone, and what it could not say with it.
    #[track_caller]
    pub fn stand_still<T>(&self, settle: Option<Role>, look: impl FnOnce(&Report) -> T) -> T {
        let stopped = &self.shared.stopped;
        *stopped.settle.lock().unwrap() = settle;
        stopped.records.lock().unwrap().clear();
        stopped.wanted.store(true, Ordering::SeqCst);
        let end = Instant::now() + Duration::from_secs(120);
        while stopped.records.lock().unwrap().len() < self.writers.len() {
            assert!(Instant::now() < end, "a writer is stuck");
            assert!(
                self.writers.iter().all(|w| !w.is_finished()),
                "a writer died"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut report = self.report();
        for (_, record, errors) in stopped.records.lock().unwrap().iter() {
            report.expected.extend(record.clone());
            report.errors.extend(errors.iter().cloned());
        }
        let found = look(&report);
        stopped.wanted.store(false, Ordering::SeqCst);
        found
    }

    fn report(&self) -> Report {
        let spec = &self.shared.spec;
        Report {
            errors: Vec::new(),
            failed: self.errors(),
            operations: self.operations(),
            disconnects: 0,
            phases: Vec::new(),
            expected: Record::new(),
            mappings: spec.mappings(),
        }
    }

    /// Lets traffic run for a while; returns early when an application saw an error.
    pub fn run_for(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end && self.errors() == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[track_caller]
    pub fn stop(mut self) -> Report {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.shared.stopped.wanted.store(false, Ordering::SeqCst);
        let mut report = self.report();
        let phases = self.shared.names.lock().unwrap().clone();
        let mut micros: Vec<Vec<u32>> = vec![Vec::new(); phases.len()];
        for writer in self.writers.drain(..) {
            let written = writer.join().expect("a writer panicked");
            report.errors.extend(written.errors);
            report.disconnects += written.disconnects;
            report.expected.extend(written.record);
            for (phase, times) in written.micros.into_iter().enumerate() {
                micros[phase].extend(times);
            }
        }
        report.operations = self.operations();
        report.failed = self.errors();
        report.phases = phases
            .into_iter()
            .zip(micros.into_iter().map(Latency::of))
            .collect();
        report
    }
}

/// A test that panics elsewhere must not leave its writers running.
impl Drop for Traffic {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

/// What the table holds now, as if the release `role` had written it, split by owner.
#[track_caller]
fn read(db: &Db, spec: &TrafficSpec, role: Role, threads: usize) -> Vec<Record> {
    let column = spec.column(role).expect("TrafficSpec.columns is empty");
    let sql = format!(
        "SELECT {}::bigint, {column}::text FROM {}",
        spec.key, spec.table
    );
    let mut parts = vec![Record::new(); threads];
    let params: [&str; 0] = [];
    let done = db.connect().query_raw(&sql, params).and_then(|mut rows| {
        use postgres::fallible_iterator::FallibleIterator;
        while let Some(row) = rows.next()? {
            let key: i64 = row.get(0);
            let text: Option<&str> = row.get(1);
            parts[owner(key, threads)].insert(
                key,
                Some(Value {
                    by: role,
                    text: text.map(Box::from),
                }),
            );
        }
        Ok(())
    });
    if let Err(error) = done {
        panic!("{}\nin: {sql}", Failure::from(&error));
    }
    parts
}

fn owner(key: i64, threads: usize) -> usize {
    key.rem_euclid(threads as i64) as usize
}
