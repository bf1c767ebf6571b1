//! The native triggers: two-way sync of an old and a new column, and the touch column.
//!
//! A trigger's arguments carry everything (`old`, `new`, `up`, `down`, policy), so that dump and
//! restore keep it; what is derived from them and from the catalog is cached per backend and thrown
//! away when the relation changes. The rules are in `rules`, which knows nothing of PostgreSQL.
//!
//! **Unfilled or NULL on purpose.** Every row version that was written since the trigger is there
//! went through it, so its `new` is what it should be, NULL included. Only older versions can be
//! unfilled: those whose xmin does not follow the xmin of the trigger's own row in `pg_trigger`.
//! `install` makes that row in a subtransaction begun after the table's lock was granted: no
//! trigger-less writer has a later id. A restored dump, a partition attached later and a trigger
//! disabled for a while come out right by themselves, because that row is new as well. When ALTER
//! TABLE writes every row anew, the trigger's row is made new too (`rewritten`): then both have one
//! xmin, and a null is one on purpose only if the old side is what `down` makes of it, which holds of
//! every row that went through the trigger (and can be asked where `down` is immutable and reads the
//! new column alone). Freezing
//! keeps the number; where ids have wrapped around, a frozen version counts as unfilled. When the
//! backfill is done, `finished` ends the question with a comment on the trigger (no lock that
//! waits for writers, dumped, seen by every backend).
//!
//! The hot path runs no SPI and unwinds nothing: see `pg::tuple`.

mod arguments;
mod entry;
mod filling;
mod install;
mod late;
mod moves;
mod names;
mod program;
mod rewritten;
mod rules;
mod settings;
mod side;
mod split;
mod touch;
mod version;

pub use filling::filling;
pub use install::{drop_trigger, finished, install, install_several, is_there};
pub use late::late;
pub use settings::register_settings;
pub use split::{drop_split, install_split, unseen};
