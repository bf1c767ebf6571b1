//! Bringing a document into history; stamping, baselining, repairing.

use super::context::{Mode, Transactions};
use super::{drift, settings, start};
use crate::backfill;
use crate::catalog;
use crate::document::{self, Defaults, Document};
use crate::fault::{Fault, Result, state};
use crate::history::{Graph, Node};
use crate::ledger::{self, Event, NewRevision, Revision, State};
use crate::pg::{error, identity, spi};
use serde::Deserialize;

/// What `register` found or made.
#[derive(Debug)]
pub enum Registered {
    New(Revision),
    /// The same document, registered before.
    Known(Revision),
}

/// An error on a server that cannot write.
pub fn refuse_on_standby() -> Result<()> {
    if catalog::on_standby()? {
        return Err(Fault::new(state::READ_ONLY, "this server is a read-only standby")
            .hint("Connect to the primary: migrations run there and reach the standby by replication."));
    }
    Ok(())
}

fn search_path() -> Result<String> {
    #[derive(Deserialize)]
    struct Text {
        value: String,
    }
    let row: Option<Text> = spi::first(
        "SELECT pg_catalog.current_setting('search_path') AS value",
        &[],
    )?;
    Ok(row.map(|row| row.value).unwrap_or_default())
}

pub fn graph() -> Result<Graph> {
    Ok(Graph::new(ledger::nodes()?))
}

/// The one revision a word means.
pub fn find(word: &str) -> Result<Revision> {
    let id = graph()?.resolve(word)?.revision.clone();
    ledger::revision(&id)?.ok_or_else(|| Fault::internal(format!("revision {id} has no row")))
}

/// Registers a document. The same document twice is found again; a changed one is an error that
/// shows what changed; the document is read whole, so that what cannot be is refused now.
pub fn register(document: &Document) -> Result<Registered> {
    refuse_on_standby()?;
    if let Some(known) = ledger::revision(&document.revision)? {
        if known.state != State::Abandoned {
            if known.checksum == document.checksum {
                return Ok(Registered::Known(known));
            }
            return Err(Fault::wrong_state(format!(
                "migration \"{}\" is registered with another document",
                document.revision
            ))
            .detail(document::difference(&known.document, &document.text))
            .hint(format!(
                "Give the changed document a new revision; or, if it has not been applied, SELECT migrate.repair('{}', 'abandon') first.",
                document.revision
            )));
        }
        ledger::delete_revision(&document.revision)?;
    }
    let node = Node {
        revision: document.revision.clone(),
        ordinal: i64::MAX,
        down_revision: document.down_revision.clone(),
        depends_on: document.depends_on.clone(),
        branch_labels: document.branch_labels.clone(),
        state: State::Pending,
        message: document.message.clone(),
    };
    graph()?.check_new(&node)?;
    start::operations_of(document)?;
    insert(document, State::Pending)
}

fn insert(document: &Document, state: State) -> Result<Registered> {
    ledger::insert_revision(&NewRevision {
        revision: &document.revision,
        down_revision: &document.down_revision,
        depends_on: &document.depends_on,
        branch_labels: &document.branch_labels,
        message: document.message.as_deref(),
        document: &document.text,
        checksum: &document.checksum,
        state,
        owner: identity::current(),
        login: identity::session(),
        search_path: &match start::search_path(document)? {
            Some(own) => own,
            None => search_path()?,
        },
    })?;
    ledger::event(&Event {
        revision: Some(&document.revision),
        what: "registered",
        detail: document.message.as_deref(),
        ..Event::default()
    })?;
    ledger::revision(&document.revision)?
        .map(Registered::New)
        .ok_or_else(|| Fault::internal("the revision was not stored"))
}

/// Begins a registered migration in the current transaction where its parents allow it; else it is
/// queued.
pub fn begin(transactions: &mut dyn Transactions, revision: &Revision) -> Result<bool> {
    ledger::request(&revision.revision)?;
    if !ready(revision)? {
        return Ok(false);
    }
    let document = document::parse_with(
        &revision.document,
        &Defaults {
            revision: Some(revision.revision.clone()),
            down_revision: None,
        },
    )?;
    let (up, _) = super::context::within(revision, || start::operations_of(&document))?;
    start::start(transactions, revision, "up", &up)
}

/// Whether every parent has at least been expanded.
pub fn ready(revision: &Revision) -> Result<bool> {
    let nodes = ledger::nodes()?;
    let Some(node) = nodes.iter().find(|node| node.revision == revision.revision) else {
        return Ok(false);
    };
    Ok(node
        .down_revision
        .iter()
        .chain(&node.depends_on)
        .all(|parent| {
            nodes.iter().any(|other| {
                other.revision == *parent
                    && matches!(
                        other.state,
                        State::Migrating | State::Expanded | State::Contracting | State::Applied
                    )
            })
        }))
}

/// After `apply`: what is left and how to have it done; starts a worker if the user asked for that.
pub fn announce(revision: &str) -> Result<()> {
    let Some(row) = ledger::revision(revision)? else {
        return Ok(());
    };
    let notice = |message: String, hint: &str| {
        error::notice(Fault::new("00000", message).hint(hint));
    };
    match row.state {
        State::Pending => notice(
            format!("migration \"{revision}\" waits: a migration before it has not been applied"),
            "CALL migrate.upgrade();",
        ),
        State::Migrating | State::Expanding => {
            if settings::autostart() {
                match super::drivers::launch_driver() {
                    Ok(()) => return Ok(()),
                    Err(fault) => error::notice(fault),
                }
            }
            let left = ledger::steps(revision, "up")?
                .iter()
                .filter(|step| {
                    step.state == "queued" && step.phase <= crate::recipe::step::Phase::Migrate
                })
                .count();
            notice(
                format!(
                    "migration \"{revision}\" has {left} queued step(s), which no function can run"
                ),
                "Run them with one of: CALL migrate.upgrade();  SELECT migrate.start_worker();  SELECT migrate.schedule();",
            );
        }
        State::Expanded => notice(
            format!(
                "migration \"{revision}\" is expanded: old and new application can run side by side"
            ),
            &format!("When the old one is gone: CALL migrate.contract('{revision}');"),
        ),
        _ => {}
    }
    Ok(())
}

/// Marks a revision and everything before it as applied without running anything.
pub fn stamp(word: &str) -> Result<Vec<String>> {
    refuse_on_standby()?;
    let path = graph()?.upgrade_path(word)?;
    for revision in &path {
        let row = ledger::revision(revision)?
            .ok_or_else(|| Fault::internal(format!("revision {revision} has no row")))?;
        super::context::may_drive(&row)?;
        if row.state != State::Pending {
            return Err(Fault::wrong_state(format!(
                "migration \"{revision}\" is {} and cannot be stamped",
                row.state.as_str()
            ))
            .hint("Finish it with CALL migrate.upgrade() or take it back with CALL migrate.downgrade."));
        }
        ledger::set_state(revision, State::Applied)?;
        ledger::event(&Event {
            revision: Some(revision),
            what: "stamped",
            ..Event::default()
        })?;
    }
    drift::keep()?;
    Ok(path)
}

/// Records that history begins here: an applied base revision without operations.
pub fn baseline(revision: &str, message: Option<&str>) -> Result<()> {
    refuse_on_standby()?;
    let text = serde_json::json!({ "revision": revision, "message": message, "operations": [] })
        .to_string();
    let document = document::parse(&text)?;
    let node = Node {
        revision: document.revision.clone(),
        ordinal: i64::MAX,
        down_revision: Vec::new(),
        depends_on: Vec::new(),
        branch_labels: Vec::new(),
        state: State::Applied,
        message: document.message.clone(),
    };
    graph()?.check_new(&node)?;
    insert(&document, State::Applied)?;
    drift::keep()
}

/// After a failure: `retry` queues the failed step again, `skip` passes over it (its work was done
/// by hand), `abandon` takes the migration out of history.
pub fn repair(word: &str, action: &str) -> Result<String> {
    refuse_on_standby()?;
    let row = find(word)?;
    super::context::may_drive(&row)?;
    let id = row.revision.as_str();
    let direction = if row.state == State::Downgrading {
        "down"
    } else {
        "up"
    };
    let failed = ledger::steps(id, direction)?
        .into_iter()
        .find(|step| matches!(step.state.as_str(), "failed" | "running"));
    let needs_failed = || {
        Fault::wrong_state(format!("migration \"{id}\" has no failed step"))
            .hint("SELECT * FROM migrate.steps; shows where it stands.")
    };
    let done = match action {
        "retry" => {
            let step = failed.ok_or_else(needs_failed)?;
            backfill::retry(&step)?;
            ledger::set_step(&step, "queued", None)?;
            ledger::request(id)?;
            format!("step {} of migration \"{id}\" is queued again", step.step)
        }
        "skip" => {
            let step = failed.ok_or_else(needs_failed)?;
            ledger::set_step(&step, "skipped", None)?;
            if direction == "up" && row.state != State::Contracting {
                start::settle(id)?;
                drift::at_rest(Mode::Caller)?;
            }
            format!("step {} of migration \"{id}\" is skipped", step.step)
        }
        "abandon" => {
            let begun = ledger::steps(id, "up")?
                .iter()
                .any(|step| step.state == "done");
            if begun && row.state != State::Pending {
                return Err(Fault::wrong_state(format!(
                    "migration \"{id}\" is {} and has changed the schema",
                    row.state.as_str()
                ))
                .hint("CALL migrate.downgrade('-1') takes it back; then it can be abandoned."));
            }
            let children: Vec<String> = ledger::nodes()?
                .into_iter()
                .filter(|node| {
                    node.down_revision
                        .iter()
                        .chain(&node.depends_on)
                        .any(|parent| parent == id)
                })
                .map(|node| node.revision)
                .collect();
            if !children.is_empty() {
                return Err(
                    Fault::wrong_state(format!("other migrations follow \"{id}\""))
                        .detail(children.join(", "))
                        .hint("Abandon those first."),
                );
            }
            ledger::set_state(id, State::Abandoned)?;
            format!("migration \"{id}\" is out of history")
        }
        other => {
            let near = document::nearest(other, ["retry", "skip", "abandon"]);
            return Err(
                Fault::invalid(format!("unknown repair action \"{other}\"")).hint(
                    near.map_or_else(
                        || "Use retry, skip or abandon.".to_owned(),
                        |near| format!("Did you mean \"{near}\"? Use retry, skip or abandon."),
                    ),
                ),
            );
        }
    };
    ledger::event(&Event {
        revision: Some(id),
        what: "repaired",
        detail: Some(&done),
        ..Event::default()
    })?;
    Ok(done)
}
