//! A PostgreSQL 15 of the test's own, on a folder and port that nobody else uses.

use super::Target;
use crate::wire::Wire;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = "/usr/lib/postgresql/15/bin";
const PATIENCE: Duration = Duration::from_secs(60);

/// A running PostgreSQL. Dropping it ends it.
pub struct Peer {
    process: Child,
    port: u16,
    monitor: RefCell<Option<Wire>>,
    _folder: tempfile::TempDir,
}

impl Peer {
    pub fn start() -> Peer {
        let folder = tempfile::tempdir().unwrap();
        let own = |program: &str| {
            // PostgreSQL refuses to run as root.
            if std::fs::metadata(folder.path()).unwrap().uid() != 0 && !is_root() {
                return Command::new(format!("{BIN}/{program}"));
            }
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
            command.arg(format!("{BIN}/{program}"));
            command
        };
        if is_root() {
            let status = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
            assert!(status.success());
        }
        let data = folder.path().join("data");
        let init = own("initdb")
            .current_dir("/")
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "--no-locale", "-E", "UTF8", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = own("postgres")
            .current_dir("/")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-k", &folder.path().to_string_lossy()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "autovacuum=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut peer = Peer { process, port, monitor: RefCell::default(), _folder: folder };
        let began = Instant::now();
        while !peer.answers(&data) {
            assert!(peer.process.try_wait().unwrap().is_none(), "PostgreSQL has ended");
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        *peer.monitor.borrow_mut() = Some(peer.connect());
        peer
    }

    fn answers(&self, data: &Path) -> bool {
        std::fs::read_to_string(data.join("postmaster.pid")).is_ok_and(|text| text.contains("ready"))
    }
}

impl Target for Peer {
    fn connect(&self) -> Wire {
        Wire::connect(self.port)
    }

    fn waiting(&self, sessions: &[i32]) -> usize {
        let mut monitor = self.monitor.borrow_mut();
        let monitor = monitor.as_mut().unwrap();
        let rows = monitor.query(
            "select pid, array_to_string(pg_blocking_pids(pid), ',') from pg_stat_activity \
             where backend_type = 'client backend' and cardinality(pg_blocking_pids(pid)) > 0",
        );
        let mut blockers: HashMap<i32, Vec<i32>> = HashMap::new();
        for row in rows.iter().filter_map(|line| line.strip_prefix("D:")) {
            let (pid, by) = row.split_once('|').unwrap();
            blockers.insert(pid.parse().unwrap(), by.split(',').map(|pid| pid.parse().unwrap()).collect());
        }
        let forever = |pid: &i32| {
            let (mut seen, mut next) = (HashSet::new(), blockers.get(pid).cloned().unwrap_or_default());
            let waits = !next.is_empty();
            while let Some(other) = next.pop() {
                if seen.insert(other) {
                    next.extend(blockers.get(&other).into_iter().flatten());
                }
            }
            // Whoever waits for a cycle goes on when it is broken.
            waits && !seen.iter().any(|other| reaches(&blockers, *other, *other))
        };
        sessions.iter().filter(|pid| forever(pid)).count()
    }

    fn prepare(&self, session: &mut Wire, is_victim: bool) {
        let patience = if is_victim { "1ms" } else { "10min" };
        session.query(&format!("set deadlock_timeout = '{patience}'"));
    }
}

fn reaches(blockers: &HashMap<i32, Vec<i32>>, from: i32, to: i32) -> bool {
    let (mut seen, mut next) = (HashSet::new(), blockers.get(&from).cloned().unwrap_or_default());
    while let Some(other) = next.pop() {
        if other == to {
            return true;
        }
        if seen.insert(other) {
            next.extend(blockers.get(&other).into_iter().flatten());
        }
    }
    false
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

impl Drop for Peer {
    fn drop(&mut self) {
        // SIGQUIT: at once, and its children with it.
        let _ = Command::new("kill").arg("-QUIT").arg(self.process.id().to_string()).status();
        let _ = self.process.wait();
    }
}
