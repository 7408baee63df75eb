//! The real program as a child process, on a folder and ports of its own.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Limits so small that a short test crosses every border: memtable, segment, page, cache, spill.
pub const TINY: &[(&str, &str)] = &[
    ("SHARDFORGE_PAGESERVER_MEMTABLE_BYTES", "64KiB"),
    ("SHARDFORGE_PAGESERVER_PAGE_BYTES", "1KiB"),
    ("SHARDFORGE_PAGESERVER_BLOCK_CACHE_BYTES", "1MiB"),
    ("SHARDFORGE_PAGESERVER_FLUSH_AFTER_MS", "200"),
    ("SHARDFORGE_SAFEKEEPER_SEGMENT_BYTES", "256KiB"),
    ("SHARDFORGE_SAFEKEEPER_LOG_CACHE_BYTES", "1MiB"),
    ("SHARDFORGE_COMPUTE_CACHE_BYTES", "1MiB"),
    ("SHARDFORGE_COMPUTE_TRANSACTION_BYTES", "256KiB"),
    ("SHARDFORGE_NODE_LOG_LEVEL", "info"),
];

/// How long a server may take to say that it is ready, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shardforge"));
    // Nothing of the caller's environment configures the server.
    for (name, _) in std::env::vars() {
        if name.starts_with("SHARDFORGE_") || name.starts_with("PG") {
            command.env_remove(name);
        }
    }
    command.env("PGCONNECT_TIMEOUT", "20");
    command
}

/// A running server. Dropping it kills it.
pub struct Server {
    child: Child,
    /// None once it was closed.
    stdout: Option<BufReader<ChildStdout>>,
    pub sql_port: u16,
    pub http_port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts on a data folder with tiny limits, and waits until it is ready.
    pub fn start(folder: &Path) -> Server {
        Self::start_with(folder, &[])
    }

    /// The same, with more settings in the environment.
    pub fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Server {
        match Self::try_start(folder, settings) {
            Ok(server) => server,
            Err(output) => panic!("the server did not start: {output}"),
        }
    }

    /// The same; the error is what it printed before it ended.
    pub fn try_start(folder: &Path, settings: &[(&str, &str)]) -> Result<Server, String> {
        let log = folder.with_extension("log");
        let stderr = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = program()
            .args(["start", "--sql-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder)
            .envs(TINY.iter().copied())
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (mut sql_port, mut http_port, mut said) = (0, 0, String::new());
        loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                let status = child.wait().unwrap();
                let errors = std::fs::read_to_string(&log).unwrap_or_default();
                let errors =
                    errors.lines().filter(|line| line.starts_with("shardforge:")).collect::<Vec<_>>();
                return Err(format!("{status}\n{said}{}", errors.join("\n")));
            }
            if let Some(rest) = line.split(" -p ").nth(1) {
                sql_port = rest.split_whitespace().next().unwrap().parse().unwrap();
            }
            if let Some(rest) = line.split("REST API  http://127.0.0.1:").nth(1) {
                http_port = rest.split('/').next().unwrap().parse().unwrap();
            }
            said.push_str(&line);
            if line.starts_with("Ctrl-C") {
                return Ok(Server { child, stdout: Some(stdout), sql_port, http_port, log });
            }
        }
    }

    /// Sends a signal by name, as `kill` takes it.
    fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success());
    }

    /// What happens to a server whose terminal goes away: nobody reads its standard output any more.
    pub fn close_stdout(&mut self) {
        self.stdout = None;
    }

    /// Memory that the process has in use, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most that it has had in use so far, in KiB.
    pub fn most_resident_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// SIGKILL, while others still use the server.
    pub fn signal_kill(&self) {
        self.signal("KILL");
    }

    /// SIGKILL: nothing of the process runs any more.
    pub fn kill(mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and a clean end.
    pub fn stop(mut self) {
        self.signal("TERM");
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < PATIENCE, "the server does not stop; its log: {}", self.log.display());
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut rest = String::new();
        if let Some(stdout) = &mut self.stdout {
            stdout.read_to_string(&mut rest).unwrap();
        }
        assert!(status.success(), "{status}: {rest}");
    }

    /// A psql command line for this server, without the user's own settings.
    pub fn psql(&self, database: &str) -> Command {
        let mut command = Command::new("psql");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
            command.env_remove(name);
        }
        command.args(["-X", "-h", "127.0.0.1", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-p"]);
        command.arg(self.sql_port.to_string()).args(["-d", database]);
        command
    }

    /// Runs SQL through psql and gives its unaligned output; panics when it fails.
    pub fn sql(&self, text: &str) -> String {
        let output = self.psql("postgres").args(["-qAt", "-c", text]).output().unwrap();
        expect_success(text, output)
    }

    /// Runs SQL through psql that must fail, and gives what it said.
    pub fn sql_error(&self, text: &str) -> String {
        let output =
            self.psql("postgres").args(["-qAt", "-v", "VERBOSITY=verbose", "-c", text]).output().unwrap();
        assert!(!output.status.success(), "{text} did not fail");
        String::from_utf8(output.stderr).unwrap()
    }

    /// A metric's value, summed over its labels; 0 when it is not there.
    pub fn metric(&self, name: &str) -> f64 {
        let text = http_get(self.http_port, "/metrics");
        let of_name = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
        });
        of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a command that must succeed.
pub fn expect_success(what: &str, output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}\n{}{errors}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap().trim_end().to_string()
}

/// The body of an HTTP answer, whatever its status.
pub fn http_get(port: u16, path: &str) -> String {
    use std::io::Write;
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_string()).unwrap_or_default()
}

/// Tries until it holds, for as long as a slow machine may need.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "still not so: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
