//! Starting and stopping those who drive the queue; who may use the extension.

use crate::catalog;
use crate::fault::{Fault, Result, state};
use crate::ledger;
use crate::pg::spi::{self, Arg, ident};
use crate::pg::{background, error, identity, subtransaction};
use serde::Deserialize;

const JOB: &str = "pg_migrate";

/// Starts a worker that drives the queue once the calling transaction has ended.
pub fn launch_driver() -> Result<()> {
    #[derive(Deserialize)]
    struct Own {
        transaction: String,
    }
    let own: Option<Own> = spi::first(
        "SELECT virtualtransaction AS transaction FROM pg_catalog.pg_locks \
         WHERE pid = pg_catalog.pg_backend_pid() LIMIT 1",
        &[],
    )?;
    let own = own.map(|row| row.transaction).unwrap_or_default();
    background::launch_driver(&own, identity::session(), identity::current())?.detach();
    Ok(())
}

/// Starts background workers that run batches of the job beside the caller, with its rights; as many
/// as there are slots for. They stop with what is given back.
pub fn help_with(
    job: i64,
    workers: i32,
    commit: &mut dyn FnMut(),
) -> Result<Vec<background::Handle>> {
    let (login, role) = (identity::session(), identity::current());
    let mut started = Vec::new();
    for _ in 0..workers {
        let sql = format!("CALL migrate.run_backfill({job})");
        let request = ledger::insert_worker("statement", Some(&sql), role, login, "")?;
        // The worker reads its request.
        commit();
        match background::launch(request, login, role) {
            Ok(worker) => started.push(worker),
            Err(fault) => {
                ledger::finish_worker(request, Some(&fault))?;
                error::warning(
                    Fault::new(
                        state::INSUFFICIENT_RESOURCES,
                        format!(
                            "backfill job {job} runs with {} of {} workers",
                            started.len() + 1,
                            workers + 1
                        ),
                    )
                    .detail(fault.message)
                    .hint("Raise max_worker_processes (needs a restart)."),
                );
                break;
            }
        }
    }
    Ok(started)
}

/// Ends the workers that drive the queue.
pub fn stop_drivers() -> Result<i64> {
    #[derive(Deserialize)]
    struct Count {
        count: i64,
    }
    let pids: Vec<i64> = ledger::live_drivers()?
        .iter()
        .filter_map(|row| row.pid.map(i64::from))
        .collect();
    let stopped: Option<Count> = spi::first(
        "SELECT count(*) FROM pg_catalog.unnest($1) p(pid) WHERE pg_catalog.pg_terminate_backend(p.pid::int)",
        &[Arg::Ints(pids)],
    )?;
    Ok(stopped.map_or(0, |row| row.count))
}

fn no_cron() -> Result<Fault> {
    #[derive(Deserialize)]
    struct Place {
        home: Option<String>,
        here: String,
    }
    let place: Option<Place> = spi::first(
        "SELECT pg_catalog.current_setting('cron.database_name', true) AS home, \
                pg_catalog.current_database()::text AS here",
        &[],
    )?;
    let fault = Fault::new(
        state::FEATURE_NOT_SUPPORTED,
        "pg_cron is not installed in this database",
    );
    let other = "Without pg_cron: SELECT migrate.start_worker(); or CALL migrate.upgrade();";
    Ok(match place {
        Some(Place { home: Some(home), here }) if home != here => fault
            .detail(format!("pg_cron runs in database \"{home}\" (cron.database_name)."))
            .hint(format!(
                "In {home}: SELECT cron.schedule_in_database('{JOB}', '* * * * *', 'CALL migrate.work(55)', {}); {other}",
                spi::literal(&here)
            )),
        Some(Place { home: Some(_), .. }) => fault.hint(format!("CREATE EXTENSION pg_cron; {other}")),
        _ => fault.hint(format!(
            "Add pg_cron to shared_preload_libraries, restart, CREATE EXTENSION pg_cron. {other}"
        )),
    })
}

/// Has pg_cron drive the queue, at most `max_seconds` a call. Gives the job's name.
pub fn schedule(schedule: &str, max_seconds: i32) -> Result<String> {
    if max_seconds < 1 {
        return Err(Fault::invalid("max_seconds must be at least 1"));
    }
    if !catalog::has_extension("pg_cron")? {
        return Err(no_cron()?);
    }
    subtransaction::attempt(|| {
        spi::run(
            "SELECT cron.schedule($1, $2, $3)",
            &[
                Arg::Text(JOB),
                Arg::Text(schedule),
                Arg::Text(&format!("CALL migrate.work({max_seconds})")),
            ],
        )
    })
    .map_err(|fault| {
        if fault.hint.is_some() || fault.sqlstate == state::INSUFFICIENT_PRIVILEGE {
            return fault;
        }
        fault.hint("A schedule has five fields, as in '* * * * *'; pg_cron 1.5 and later also know '10 seconds'.")
    })?;
    Ok(JOB.to_owned())
}

/// Removes the job; `false`: there was none.
pub fn unschedule() -> Result<bool> {
    if !catalog::has_extension("pg_cron")? {
        return Err(no_cron()?);
    }
    #[derive(Deserialize)]
    struct Job {
        jobid: i64,
    }
    let jobs: Vec<Job> = spi::select(
        "SELECT jobid FROM cron.job WHERE jobname = $1 AND username = current_user",
        &[Arg::Text(JOB)],
    )?;
    for job in &jobs {
        spi::run("SELECT cron.unschedule($1)", &[Arg::Int(job.jobid)])?;
    }
    Ok(!jobs.is_empty())
}

/// Lets a role use the extension.
pub fn grant_to(role: &str) -> Result<()> {
    let owner = catalog::extension_owner()?;
    if !identity::has_rights_of(owner) {
        return Err(Fault::new(
            state::INSUFFICIENT_PRIVILEGE,
            "permission denied to grant the use of pg_migrate",
        )
        .hint(format!(
            "Have role \"{}\", which owns the extension, do it.",
            identity::role_name(owner)
        )));
    }
    let role = ident(role);
    for statement in [
        format!("GRANT USAGE ON SCHEMA migrate TO {role}"),
        format!("GRANT SELECT ON ALL TABLES IN SCHEMA migrate TO {role}"),
        format!("GRANT USAGE, CREATE ON SCHEMA migrate_aside TO {role}"),
    ] {
        spi::run(&statement, &[])?;
    }
    Ok(())
}
