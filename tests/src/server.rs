//! One PostgreSQL server: its programs, its data folder and how to reach it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Db;

/// A handle: copies speak of the same server, and dropping one stops nothing.
#[derive(Debug, Clone)]
pub struct Server {
    pub(crate) bin: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) socket: PathBuf,
    pub(crate) port: u16,
}

impl Server {
    /// Folder of `psql`, `pg_dump`, `pg_ctl` and the rest.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Folder of the unix socket; what libpq takes as `host`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Also open on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A database that exists already.
    pub fn db(&self, name: &str) -> Db {
        Db::new(self.clone(), name)
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn log_file(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    /// A crash: every backend dies where it stands, the next start recovers from the log.
    #[track_caller]
    pub fn stop_immediate(&self) {
        or_panic(self.pg_ctl(&["-m", "immediate", "stop"]));
    }

    #[track_caller]
    pub fn start(&self) {
        or_panic(self.try_start());
    }

    #[track_caller]
    pub fn restart_immediate(&self) {
        self.stop_immediate();
        self.start();
    }

    /// Restarts in good order, for settings that need it.
    #[track_caller]
    pub fn restart(&self) {
        or_panic(self.pg_ctl(&["-m", "fast", "stop"]));
        self.start();
    }

    /// Writes settings to the configuration file and reloads it.
    #[track_caller]
    pub fn configure(&self, settings: &[(&str, &str)]) {
        or_panic(self.append_settings(settings));
        or_panic(self.pg_ctl(&["reload"]));
    }

    pub(crate) fn try_start(&self) -> Result<(), String> {
        let log = self.log_file();
        self.pg_ctl(&["-l", &log.to_string_lossy(), "-t", "120", "start"])
            .map_err(|error| format!("{error}\n{}", self.log()))
    }

    pub(crate) fn pg_ctl(&self, args: &[&str]) -> Result<(), String> {
        let mut command = self.program("pg_ctl");
        command
            .arg("-D")
            .arg(&self.data)
            .arg("-w")
            .arg("-s")
            .args(args);
        succeed(command)
    }

    pub(crate) fn append_settings(&self, settings: &[(&str, &str)]) -> Result<(), String> {
        use std::io::Write;
        let path = self.data.join("postgresql.conf");
        let text: String = settings
            .iter()
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect();
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// A program of the server's installation, run as the user that the server runs as.
    pub(crate) fn program(&self, name: &str) -> Command {
        let path = self.bin.join(name);
        let mut command = match run_as() {
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(path);
                command
            }
            None => Command::new(path),
        };
        command.current_dir(&self.socket);
        clean(&mut command);
        command
    }
}

/// PostgreSQL refuses to run as root: then it runs as the user of the system's packages.
pub(crate) fn run_as() -> Option<&'static str> {
    use std::os::unix::fs::MetadataExt;
    let root = fs::metadata("/proc/self")
        .map(|m| m.uid() == 0)
        .unwrap_or(false);
    root.then_some("postgres")
}

/// Nothing of the caller's environment may change what a server or a client does; with
/// RUST_BACKTRACE a server would put a backtrace into the detail of every error.
pub(crate) fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text.starts_with("RUST_") || text.starts_with("LC_") {
            command.env_remove(&name);
        }
    }
    command.env("LC_ALL", "C.UTF-8");
}

pub(crate) fn succeed(mut command: Command) -> Result<(), String> {
    // Not `output()`: a server started by pg_ctl inherits the pipes, and the read would never end.
    let log = tempfile::tempfile().map_err(|error| error.to_string())?;
    let copy = || log.try_clone().map_err(|error| error.to_string());
    let status = command
        .stdin(std::process::Stdio::null())
        .stdout(copy()?)
        .stderr(copy()?)
        .status()
        .map_err(|error| format!("{command:?} did not start: {error}"))?;
    if status.success() {
        return Ok(());
    }
    use std::io::{Read, Seek};
    let mut text = String::new();
    let mut log = log;
    let _ = log.rewind().and_then(|()| log.read_to_string(&mut text));
    Err(format!("{command:?}: {status}\n{text}"))
}

#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T, String>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
