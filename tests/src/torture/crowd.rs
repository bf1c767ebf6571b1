//! The clients together: who may write what now, and everybody standing still.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::book::Book;
use super::client::Worker;
use super::model::{Mapping, Side};
use super::statement::Knows;
use crate::Db;

const CLIENTS: u64 = 10;

pub struct Shared {
    pub seed: u64,
    pub keyspace: i64,
    pub book: Book,
    pub stop: AtomicBool,
    pub transactions: AtomicU64,
    /// Connections that broke.
    pub broken: AtomicU64,
    pause: AtomicBool,
    inside: AtomicUsize,
    db: Mutex<Db>,
    knows: Mutex<Knows>,
    errors: Mutex<Vec<String>>,
    excused: Mutex<Vec<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Shared {
    pub fn db(&self) -> Db {
        lock(&self.db).clone()
    }

    /// What the client may do in the transaction that it begins; `None`: it is to stand still.
    pub fn enter(&self, index: u64) -> Option<Knows> {
        self.inside.fetch_add(1, Ordering::SeqCst);
        if self.pause.load(Ordering::SeqCst) {
            self.leave();
            return None;
        }
        let mut knows = *lock(&self.knows);
        knows.side = match index % 8 {
            _ if !knows.both || !knows.synced => Side::Unknown,
            2 => Side::Old,
            3 => Side::New,
            _ => Side::Unknown,
        };
        Some(knows)
    }

    pub fn leave(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    pub fn error(&self, text: String) {
        let mut errors = lock(&self.errors);
        if errors.len() < 20 {
            errors.push(text);
        }
    }

    pub fn excused(&self, sqlstate: &str) -> bool {
        lock(&self.excused).iter().any(|one| one == sqlstate)
    }
}

pub struct Crowd {
    pub shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    pub fn new(db: &Db, seed: u64, map: Mapping, parts: i32, keyspace: i64) -> Self {
        let shared = Arc::new(Shared {
            seed,
            keyspace,
            book: Book::default(),
            stop: AtomicBool::new(false),
            transactions: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            pause: AtomicBool::new(false),
            inside: AtomicUsize::new(0),
            db: Mutex::new(db.clone()),
            knows: Mutex::new(Knows {
                map,
                side: Side::Unknown,
                both: false,
                synced: true,
                rewritten: false,
                parts,
            }),
            errors: Mutex::new(Vec::new()),
            excused: Mutex::new(Vec::new()),
        });
        Self {
            shared,
            clients: Vec::new(),
        }
    }

    pub fn start(&mut self) {
        self.clients = (0..CLIENTS)
            .map(|index| {
                let worker = Worker::new(index, Arc::clone(&self.shared));
                std::thread::spawn(move || worker.run())
            })
            .collect();
    }

    /// Broken connections are opened again here.
    pub fn redirect(&self, db: &Db) {
        *lock(&self.shared.db) = db.clone();
    }

    /// From now on the clients may be refused for these reasons.
    pub fn excuse(&self, sqlstates: &[&str]) {
        *lock(&self.shared.excused) = sqlstates.iter().map(|one| (*one).to_owned()).collect();
    }

    /// Lets so many more transactions happen; less when everybody waits for a lock.
    pub fn pulse(&self, transactions: u64) {
        let count = || self.shared.transactions.load(Ordering::Relaxed);
        let goal = count() + transactions;
        let (mut last, mut since) = (count(), Instant::now());
        while last < goal && since.elapsed() < Duration::from_millis(1500) {
            std::thread::sleep(Duration::from_millis(2));
            let now = count();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
    }

    /// Has everybody stand still between two transactions; `false`: somebody is kept from it by a
    /// lock, and goes on standing still once it is gone.
    pub fn pause(&self, patience: Duration) -> bool {
        self.shared.pause.store(true, Ordering::SeqCst);
        let end = Instant::now() + patience;
        while self.shared.inside.load(Ordering::SeqCst) > 0 {
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    pub fn resume(&self) {
        self.shared.pause.store(false, Ordering::SeqCst);
    }

    /// Changes what clients know between their transactions.
    pub fn learn(&self, change: impl FnOnce(&mut Knows)) {
        if !self.pause(Duration::from_secs(120)) {
            self.shared.error("a client is stuck".to_owned());
        }
        change(&mut lock(&self.shared.knows));
        self.resume();
    }

    pub fn errors(&self) -> Vec<String> {
        lock(&self.shared.errors).clone()
    }

    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for client in self.clients.drain(..) {
            if client.join().is_err() {
                self.shared.error("a client panicked".to_owned());
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}
