//! One database of a cluster, as tests talk to it. Every helper uses a session of its own, so that
//! no setting, transaction or broken connection leaks from one call into the next.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use postgres::types::FromSqlOwned;
use postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::server::clean;
use crate::{Failure, Server};

/// A handle: copies speak of the same database.
#[derive(Debug, Clone)]
pub struct Db {
    server: Server,
    name: String,
}

impl Db {
    pub(crate) fn new(server: Server, name: &str) -> Self {
        Self {
            server,
            name: name.to_owned(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn cluster(&self) -> &Server {
        &self.server
    }

    /// For connections that need more than the helpers: an application name, options, notices.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config
            .host_path(&self.server.socket)
            .port(self.server.port)
            .user("postgres")
            .dbname(&self.name);
        config.application_name("test");
        config
    }

    /// A superuser's session.
    #[track_caller]
    pub fn connect(&self) -> Client {
        self.connect_as("postgres")
    }

    #[track_caller]
    pub fn connect_as(&self, role: &str) -> Client {
        let mut config = self.config();
        config.user(role);
        match connect(&config) {
            Ok(client) => client,
            Err(failure) => panic!("no connection to {} as {role}: {failure}", self.name),
        }
    }

    /// Runs a script (simple protocol: several statements are one transaction).
    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.run_as("postgres", sql);
    }

    #[track_caller]
    pub fn run_as(&self, role: &str, sql: &str) {
        if let Err(error) = self.connect_as(role).batch_execute(sql) {
            panic!("{}\nin: {sql}", Failure::from(&error));
        }
    }

    /// First column of the first row. An `Option` where it may be null.
    #[track_caller]
    pub fn one<T: FromSqlOwned>(&self, sql: &str) -> T {
        let rows = match self.connect().query(sql, &[]) {
            Ok(rows) => rows,
            Err(error) => panic!("{}\nin: {sql}", Failure::from(&error)),
        };
        let Some(row) = rows.first() else {
            panic!("no row\nin: {sql}")
        };
        match row.try_get(0) {
            Ok(value) => value,
            Err(error) => panic!("{error}\nin: {sql}"),
        }
    }

    /// All rows as psql would print them; null is `NULL`.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        self.rows_as("postgres", sql)
    }

    #[track_caller]
    pub fn rows_as(&self, role: &str, sql: &str) -> Vec<Vec<String>> {
        match text_rows(&mut self.connect_as(role), sql) {
            Ok(rows) => rows,
            Err(error) => panic!("{}\nin: {sql}", Failure::from(&error)),
        }
    }

    /// Runs what must fail and returns how it did.
    #[track_caller]
    pub fn error(&self, sql: &str) -> Failure {
        self.error_as("postgres", sql)
    }

    #[track_caller]
    pub fn error_as(&self, role: &str, sql: &str) -> Failure {
        match self.connect_as(role).batch_execute(sql) {
            Ok(()) => panic!("it should have failed\nin: {sql}"),
            Err(error) => Failure::from(&error),
        }
    }

    /// Runs a script and returns what the server said on the way: `NOTICE: message`, then
    /// `DETAIL:` and `HINT:` on lines of their own.
    #[track_caller]
    pub fn notices(&self, sql: &str) -> Vec<String> {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let mut config = self.config();
        config.notice_callback(move |notice| {
            let mut text = format!("{}: {}", notice.severity(), notice.message());
            for (name, part) in [("DETAIL", notice.detail()), ("HINT", notice.hint())] {
                if let Some(part) = part {
                    text.push_str(&format!("\n{name}: {part}"));
                }
            }
            ear.lock().unwrap().push(text);
        });
        let mut client = match connect(&config) {
            Ok(client) => client,
            Err(failure) => panic!("no connection to {}: {failure}", self.name),
        };
        if let Err(error) = client.batch_execute(sql) {
            panic!("{}\nin: {sql}", Failure::from(&error));
        }
        drop(client);
        let notices = heard.lock().unwrap();
        notices.clone()
    }

    /// What a person sees who feeds the script to psql: its output and the server's messages.
    /// Stops at the first error, and panics with everything printed so far.
    #[track_caller]
    pub fn psql(&self, script: &str) -> String {
        let (status, text) = self.try_psql(script);
        assert!(status, "psql failed:\n{text}\nin: {script}");
        text
    }

    /// The same where failing is allowed: whether it succeeded, and the text.
    #[track_caller]
    pub fn try_psql(&self, script: &str) -> (bool, String) {
        let path = tempfile::NamedTempFile::new().and_then(|file| {
            std::fs::write(file.path(), script)?;
            Ok(file)
        });
        let Ok(path) = path else {
            panic!("no temporary file for the script")
        };
        let psql = self.psql_command();
        let mut shell = Command::new("sh");
        // One stream, so that messages stand where they were said.
        shell
            .args(["-c", "exec \"$@\" 2>&1", "sh"])
            .arg(psql.get_program())
            .args(psql.get_args());
        shell.arg("-f").arg(path.path());
        clean(&mut shell);
        for (name, value) in psql.get_envs() {
            if let Some(value) = value {
                shell.env(name, value);
            }
        }
        match shell.stdin(Stdio::null()).output() {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                // The name of the script means nothing to the reader.
                let shown = text.replace(&format!("psql:{}:", path.path().display()), "psql:");
                (output.status.success(), shown)
            }
            Err(error) => panic!("psql did not start: {error}"),
        }
    }

    /// psql connected to this database, to be given arguments and run by the caller.
    pub fn psql_command(&self) -> Command {
        let mut command = Command::new(self.server.bin.join("psql"));
        clean(&mut command);
        command.args(["-X", "-v", "ON_ERROR_STOP=1"]);
        command
            .env("PGHOST", &self.server.socket)
            .env("PGPORT", self.server.port.to_string());
        command
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &self.name);
        command
    }

    /// A program of the installation (pg_dump, pg_restore …) with this database in its environment.
    pub fn client_command(&self, program: &str) -> Command {
        let mut command = Command::new(self.server.bin.join(program));
        clean(&mut command);
        command
            .env("PGHOST", &self.server.socket)
            .env("PGPORT", self.server.port.to_string());
        command
            .env("PGUSER", "postgres")
            .env("PGDATABASE", &self.name);
        command
    }

    /// Polls until the query answers true; panics after the time is up.
    #[track_caller]
    pub fn wait_for(&self, what: &str, seconds: u64, sql: &str) {
        let end = Instant::now() + Duration::from_secs(seconds);
        while !self.one::<bool>(sql) {
            assert!(
                Instant::now() < end,
                "{what}: still not so after {seconds} s\nin: {sql}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn text_rows(
    client: &mut Client,
    sql: &str,
) -> Result<Vec<Vec<String>>, postgres::Error> {
    let mut rows = Vec::new();
    for message in client.simple_query(sql)? {
        if let SimpleQueryMessage::Row(row) = message {
            rows.push(
                (0..row.len())
                    .map(|i| row.get(i).unwrap_or("NULL").to_owned())
                    .collect(),
            );
        }
    }
    Ok(rows)
}

/// Connects; while the server is starting up or recovering, waits for it up to half a minute.
pub(crate) fn connect(config: &Config) -> Result<Client, Failure> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match config.connect(NoTls) {
            Ok(client) => return Ok(client),
            Err(error) => {
                let failure = Failure::from(&error);
                if failure.sqlstate != "57P03" || Instant::now() > end {
                    return Err(failure);
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
