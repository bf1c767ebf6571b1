//! Throw-away clusters. They end with the process that started them, however it ends.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::server::{clean, or_panic, run_as, succeed};
use crate::{Db, Server, installation};

/// The cluster that the tests of one binary share, started by the first that asks.
/// A test that stops or crashes the server takes `Cluster::own()`.
#[track_caller]
pub fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    match SHARED.get_or_init(|| Cluster::try_with(&[])) {
        Ok(cluster) => cluster,
        Err(error) => panic!("{error}"),
    }
}

#[derive(Debug)]
pub struct Cluster {
    server: Server,
    /// Its end stops the server and removes the folder.
    _watchdog: Watchdog,
    databases: AtomicUsize,
    cron: OnceLock<Db>,
}

impl Deref for Cluster {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Cluster {
    /// A second, private cluster; it stops when dropped.
    #[track_caller]
    pub fn own() -> Self {
        Self::with(&[])
    }

    /// The same with settings of `postgresql.conf` that differ from the harness's.
    #[track_caller]
    pub fn with(settings: &[(&str, &str)]) -> Self {
        or_panic(Self::try_with(settings))
    }

    pub fn try_with(settings: &[(&str, &str)]) -> Result<Self, String> {
        let bin = installation::bin()?.to_owned();
        let folder = folder()?;
        let watchdog = Watchdog::start(&bin, &folder)?;
        let server = Server {
            bin,
            data: folder.join("data"),
            socket: folder,
            port: 0,
        };
        let mut command = server.program("initdb");
        command.arg("-D").arg(&server.data).args([
            "-A",
            "trust",
            "-U",
            "postgres",
            "--no-sync",
            "-E",
            "UTF8",
        ]);
        command.arg("--locale=C.UTF-8");
        succeed(command)?;
        let socket = server.socket.to_string_lossy().into_owned();
        let preload = if has_pg_cron(&server) { "pg_cron" } else { "" };
        server.append_settings(&[
            ("shared_preload_libraries", preload),
            ("cron.database_name", "postgres"),
            ("cron.host", &socket),
            ("unix_socket_directories", &socket),
            ("listen_addresses", "127.0.0.1"),
            ("fsync", "off"),
            ("shared_buffers", "256MB"),
            ("max_wal_size", "4GB"),
            ("max_worker_processes", "32"),
            ("max_connections", "300"),
            ("max_prepared_transactions", "10"),
            ("wal_level", "logical"),
            ("lc_messages", "C"),
            ("timezone", "UTC"),
            ("log_line_prefix", "%m [%p] %a "),
        ])?;
        server.append_settings(settings)?;
        let server = start_on_free_port(server)?;
        Ok(Self {
            server,
            _watchdog: watchdog,
            databases: AtomicUsize::new(0),
            cron: OnceLock::new(),
        })
    }

    /// A fresh database with the extension.
    #[track_caller]
    pub fn database(&self) -> Db {
        let db = self.empty_database();
        db.run("CREATE EXTENSION pg_migrate");
        db
    }

    /// A fresh database without the extension.
    #[track_caller]
    pub fn empty_database(&self) -> Db {
        let name = format!(
            "test_{}",
            self.databases.fetch_add(1, Ordering::Relaxed) + 1
        );
        self.db("postgres").run(&format!("CREATE DATABASE {name}"));
        self.db(&name)
    }

    /// The one database in which `pg_cron` lives, with both extensions. Tests that use it share it.
    /// `None`, said on stderr, where the installation has no pg_cron: the test is then skipped.
    #[track_caller]
    pub fn cron_database(&self) -> Option<&Db> {
        if !has_pg_cron(&self.server) {
            // Not `eprintln!`: the output of a test that passes is not shown.
            let _ = writeln!(
                std::io::stderr(),
                "skipped: no pg_cron in {}",
                self.bin().display()
            );
            return None;
        }
        Some(self.cron.get_or_init(|| {
            let db = self.db("postgres");
            db.run(
                "CREATE EXTENSION IF NOT EXISTS pg_cron; CREATE EXTENSION IF NOT EXISTS pg_migrate",
            );
            db
        }))
    }

    /// A streaming standby of this cluster; it ends with it.
    #[track_caller]
    pub fn standby(&self) -> Standby {
        let n = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
        let server = Server {
            data: self.socket.join(format!("standby_{n}")),
            ..self.server.clone()
        };
        let mut command = self.program("pg_basebackup");
        command
            .arg("-D")
            .arg(&server.data)
            .arg("-h")
            .arg(&self.socket)
            .arg("-p")
            .arg(self.port.to_string());
        command.args([
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "--no-sync",
            "-C",
            "-S",
        ]);
        command.arg(format!("standby_{n}"));
        or_panic(succeed(command));
        Standby {
            server: or_panic(start_on_free_port(server)),
        }
    }

    /// Stops the server and removes its files now, and waits until that is done.
    pub fn end(self) {}
}

/// A standby that follows its cluster by streaming replication.
#[derive(Debug)]
pub struct Standby {
    server: Server,
}

impl Deref for Standby {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Standby {
    #[track_caller]
    pub fn promote(&self) {
        or_panic(self.server.pg_ctl(&["promote"]));
    }

    /// Waits until everything that `primary` has written so far can be read here.
    #[track_caller]
    pub fn catch_up(&self, primary: &Server) {
        let lsn: String = primary
            .db("postgres")
            .one("SELECT pg_catalog.pg_current_wal_lsn()::text");
        let here = self.db("postgres");
        let reached =
            format!("SELECT coalesce(pg_catalog.pg_last_wal_replay_lsn() >= '{lsn}', false)");
        for _ in 0..6000 {
            if here.one::<bool>(&reached) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!(
            "the standby did not reach {lsn} within a minute\n{}",
            self.log()
        );
    }
}

/// A shell that waits for the end of its input, which comes when this process closes the pipe or
/// is gone, then stops every server in the folder and removes it. In a session of its own, so that
/// an interrupt from the terminal does not reach it.
#[derive(Debug)]
struct Watchdog {
    shell: Child,
}

const WATCHDOG: &str = r#"
trap '' INT TERM HUP QUIT
folder=$1
shift
cat >/dev/null
for pid in "$folder"/*/postmaster.pid; do
    [ -e "$pid" ] && "$@" -D "${pid%/postmaster.pid}" -m immediate -w -s stop
done
rm -rf "$folder"
"#;

impl Watchdog {
    fn start(bin: &Path, folder: &Path) -> Result<Self, String> {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", WATCHDOG, "sh"]).arg(folder);
        if let Some(user) = run_as() {
            command.args(["runuser", "-u", user, "--"]);
        }
        command.arg(bin.join("pg_ctl")).current_dir("/");
        clean(&mut command);
        let shell = command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("setsid did not start: {error}"))?;
        Ok(Self { shell })
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// A new folder that the server's user owns. Its path must leave room for a socket's name: the
/// system allows 107 bytes.
fn folder() -> Result<PathBuf, String> {
    let mut parent = std::env::temp_dir();
    if parent.as_os_str().len() > 60 {
        parent = PathBuf::from("/tmp");
    }
    let folder = tempfile::Builder::new()
        .prefix("pg_migrate_test_")
        .tempdir_in(&parent)
        .map_err(|error| format!("{}: {error}", parent.display()))?
        .keep();
    if let Some(user) = run_as() {
        let mut chown = Command::new("chown");
        chown.arg(user).arg(&folder);
        succeed(chown)?;
    }
    Ok(folder)
}

fn start_on_free_port(mut server: Server) -> Result<Server, String> {
    let mut last = String::new();
    // Between asking for a free port and opening it another process may take it.
    for _ in 0..5 {
        server.port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(|error| format!("no free port: {error}"))?
            .port();
        server.append_settings(&[("port", &server.port.to_string())])?;
        match server.try_start() {
            Ok(()) => return Ok(server),
            Err(error) if error.contains("could not bind") => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

fn has_pg_cron(server: &Server) -> bool {
    fs::exists(server.bin.join("pg_config")).unwrap_or(false)
        && server
            .program("pg_config")
            .arg("--pkglibdir")
            .output()
            .is_ok_and(|output| {
                let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
                folder.join("pg_cron.so").exists()
            })
}
