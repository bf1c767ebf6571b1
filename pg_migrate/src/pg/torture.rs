//! Named points at which a session can be made to wait, fail or die, and deliberate mistakes: by
//! them the fault harness shows that nothing is lost, and that it would notice. All of it is empty
//! in a build without the feature `torture`, which released builds do not have.

#[cfg(all(feature = "torture", not(debug_assertions)))]
compile_error!("fault points belong into no build for release");

#[cfg(feature = "torture")]
mod on;

#[cfg(feature = "torture")]
pub use on::{at, mistaken, note_end, noted_end, owe, register, settle};

macro_rules! names {
    ($(#[$doc:meta])* $set:ident { $($(#[$what:meta])* $variant:ident = $name:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $set { $($(#[$what])* $variant,)* }

        #[cfg(feature = "torture")]
        impl $set {
            const ALL: &[$set] = &[$($set::$variant,)*];

            fn name(self) -> &'static str {
                match self { $($set::$variant => $name,)* }
            }
        }
    };
}

names! {
    /// Where in the engine.
    Point {
        /// The sync trigger's table lock is about to be asked for.
        TriggerLock = "trigger.lock",
        /// The sync trigger stands, not committed.
        TriggerMade = "trigger.made",
        /// A pass has begun; its pieces are not made yet.
        PassBegin = "pass.begin",
        /// The end of a heap was read; its pieces are not written yet.
        PassSurvey = "pass.survey",
        /// A batch is about to look for a piece.
        BatchBegin = "batch.begin",
        /// A piece is claimed; the table is not locked.
        BatchClaimed = "batch.claimed",
        /// The table is locked; its file was not looked at.
        BatchLocked = "batch.locked",
        /// The UPDATE has its snapshot and asks about a row.
        FillRow = "fill.row",
        /// Rows were locked one by one; the UPDATE that fills them comes next.
        FillLocked = "fill.locked",
        /// A row that cannot be filled is about to be noted.
        FillQuarantine = "fill.quarantine",
        /// The rows are filled; cursor and counters are not.
        BatchFilled = "batch.filled",
        /// Rows, cursor and counters are written, not committed.
        BatchFiled = "batch.filed",
        /// Blocks whose rows were locked are about to be visited again.
        Revisit = "revisit",
        /// The heap file was replaced; the new pieces are written.
        Replaced = "range.replaced",
        /// Nothing is left to claim.
        Settle = "settle",
        /// The whole table is about to be looked at.
        Verify = "verify",
        /// The job is about to be done.
        JobDone = "job.done",
        /// The job of a step is done; nulls are not yet said to be on purpose.
        StepFilled = "step.filled",
        /// A step is about to run.
        StepBegin = "step.begin",
        /// Brief steps have run and hold their locks, not committed.
        StepRan = "step.ran",
        /// The contract is about to begin.
        ContractBegin = "contract.begin",
        /// A worker is about to drive the queue.
        WorkerBegin = "worker.begin",
    }
}

names! {
    /// Mistakes that somebody could make in this engine.
    Mutant {
        /// `UPDATE … FROM (SELECT old …)` in place of an expression over the row itself.
        JoinCopy = "join_copy",
        /// The sync trigger fires for the old column only.
        UpdateOf = "update_of",
        /// The heap file is not compared.
        NoFileGuard = "no_filenode_guard",
        /// Locked rows are passed over and not visited again.
        NoRevisit = "no_revisit",
        /// The cursor is committed before the rows are written.
        CursorFirst = "cursor_first",
        /// The backfill's own writes pass through the reverse mapping.
        ReverseMapping = "reverse_mapping",
        /// The end of the scan is read before the trigger's lock is granted.
        EarlyEnd = "early_end",
    }
}

#[cfg(not(feature = "torture"))]
mod off {
    use super::{Mutant, Point};

    pub fn register() {}

    #[inline(always)]
    pub fn at(_: Point) {}

    #[inline(always)]
    pub fn mistaken(_: Mutant) -> bool {
        false
    }

    pub fn note_end(_: u32, _: &str) {}

    pub fn noted_end(_: u32) -> Option<i64> {
        None
    }

    pub fn owe(_: i64, _: i64, _: i64) {}

    pub fn settle(_: i64) -> Vec<(i64, i64)> {
        Vec::new()
    }
}

#[cfg(not(feature = "torture"))]
pub use off::{at, mistaken, note_end, noted_end, owe, register, settle};
