//! Waiting without a snapshot, and obeying a cancel while at it.

use pgrx::pg_sys;
use std::time::Duration;

/// Sleeps; a cancel or a termination request ends it with the usual error. Takes no snapshot, so a
/// concurrent index build elsewhere does not wait for us.
pub fn sleep(time: Duration) {
    let mut left = time.as_millis() as i64;
    loop {
        check_interrupts();
        if left <= 0 {
            return;
        }
        let slice = left.min(200);
        // SAFETY: the latch is this backend's own.
        unsafe {
            pg_sys::WaitLatch(
                pg_sys::MyLatch,
                (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH) as i32,
                slice as _,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        left -= slice;
    }
}

/// Waits for work that is not to be had now: a window of a backfill may be left alone for 10 ms, a
/// paused job for hours.
#[derive(Debug, Default)]
pub struct Patience {
    waits: u32,
}

impl Patience {
    /// Sleeps for 10 ms, and each further time twice as long, to 160 ms.
    pub fn wait(&mut self) {
        sleep(Duration::from_millis(10 << self.waits.min(4)));
        self.waits += 1;
    }

    /// Work was found.
    pub fn begin_anew(&mut self) {
        self.waits = 0;
    }
}

/// Ends with the usual error if a cancel or a termination was requested.
pub fn check_interrupts() {
    pg_sys::check_for_interrupts!();
}

/// Dies as by `kill -9`.
#[cfg(feature = "torture")]
pub fn kill_self() {
    unsafe extern "C" {
        fn kill(pid: i32, signal: i32) -> i32;
    }
    // SAFETY: kill(2) of this very process with SIGKILL.
    unsafe { kill(pg_sys::MyProcPid, 9) };
}
