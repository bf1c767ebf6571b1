//! Processor time of a whole server, as the operating system counts it: on a busy machine it says
//! more than the clock.

use pg_migrate_tests::Server;
use std::fs;

/// Clock ticks a second; Linux has told programs nothing else for decades.
const TICKS: f64 = 100.0;

/// Fields of `/proc/PID/stat` after the program's name, which may hold anything.
fn fields(pid: i64) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.get(text.rfind(')')? + 1..)?;
    Some(rest.split_whitespace().map(str::to_owned).collect())
}

fn ticks(fields: &[String], which: &[usize]) -> f64 {
    which
        .iter()
        .filter_map(|&field| fields.get(field)?.parse::<f64>().ok())
        .sum()
}

/// Seconds that every process of the server has used so far, those that have ended included.
/// Only differences mean something.
pub fn seconds(server: &Server) -> f64 {
    let file = server.data().join("postmaster.pid");
    let postmaster: i64 = fs::read_to_string(file)
        .ok()
        .and_then(|text| text.lines().next()?.trim().parse().ok())
        .unwrap_or(0);
    let own = || fields(postmaster).map_or(0.0, |own| ticks(&own, &[11, 12, 13, 14]));
    // utime, stime, and the same of the children that have ended: one that ends while the others are
    // read would be counted in neither place, or in both.
    loop {
        let before = own();
        let all = before + of_children(postmaster);
        if own() == before {
            return all / TICKS;
        }
    }
}

fn of_children(postmaster: i64) -> f64 {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0.0;
    };
    entries
        .flatten()
        .filter_map(|entry| fields(entry.file_name().to_str()?.parse().ok()?))
        .filter(|found| found.get(1).and_then(|parent| parent.parse().ok()) == Some(postmaster))
        .map(|found| ticks(&found, &[11, 12]))
        .sum()
}
