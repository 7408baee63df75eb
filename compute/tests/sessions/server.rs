//! A compute that serves SQL over TCP, its log and pages in memory, and a client that says exactly what it
//! is told.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "two test programs share this file, and neither uses all of it"
)]

use async_trait::async_trait;
use shardforge_cache::testing::test_services;
use shardforge_common::clock::SystemClock;
use shardforge_common::disk::RealDisk;
use shardforge_common::random::Random;
use shardforge_common::{BranchRef, Error, Generation, GroupId, NodeId, Result, SlotRange, task};
use shardforge_compute::node::{Compute, ComputeParts, OpenBranch};
use shardforge_compute::pgwire::server::{Server, ServerLimits};
use shardforge_compute::report::{ReportContext, ReportEngine, RowStream};
use shardforge_compute::sql::bound::Query;
use shardforge_compute::statistics::AutovacuumConfig;
use shardforge_compute::txn::BranchConfig;
use shardforge_compute::{SqlError, SqlResult};
use shardforge_proto::control::{BranchInfo, ControlService, Registration, ShardPlacement};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Knows one branch.
struct OneBranch(BranchRef);

#[async_trait]
impl ControlService for OneBranch {
    async fn resolve(&self, _: Option<&str>, _: Option<&str>) -> Result<BranchInfo> {
        Ok(BranchInfo {
            id: self.0,
            tenant: "test".to_owned(),
            name: "main".to_owned(),
            group: GroupId(1),
            shards: vec![ShardPlacement {
                slots: SlotRange::ALL,
                node: NodeId(1),
                generation: Generation(1),
            }],
        })
    }

    async fn register(&self, _: Registration) -> Result<NodeId> {
        Err(Error::invalid("this control plane knows no nodes"))
    }

    async fn attach_all(&self, _: NodeId) -> Result<Vec<(BranchRef, ShardPlacement)>> {
        Ok(Vec::new())
    }

    async fn branches_of(&self, _: GroupId) -> Result<Vec<BranchRef>> {
        Ok(vec![self.0])
    }
}

/// Runs no reports: what is tested here is the row executor's.
struct NoReports;

#[async_trait]
impl ReportEngine for NoReports {
    async fn run(&self, _: Arc<Query>, _: ReportContext) -> SqlResult<Box<dyn RowStream>> {
        Err(SqlError::not_supported("a report in this test"))
    }

    async fn explain(&self, _: Arc<Query>, _: ReportContext) -> SqlResult<Vec<String>> {
        Ok(vec!["report".to_owned()])
    }
}

/// A server of one branch.
pub struct TestServer {
    pub address: SocketAddr,
    pub branch: Arc<OpenBranch>,
    server: Arc<Server>,
    _spill: tempfile::TempDir,
}

impl TestServer {
    pub async fn start(threads: usize) -> TestServer {
        let (id, wal, pages) = test_services(7);
        let spill = tempfile::tempdir().unwrap();
        let compute = Compute::new(ComputeParts {
            control: Arc::new(OneBranch(id)),
            wal,
            pages,
            disk: Arc::new(RealDisk),
            clock: Arc::new(SystemClock),
            random: Random::from_os(),
            reports: Arc::new(NoReports),
            branch: BranchConfig {
                spill_dir: spill.path().join("spill"),
                background: Some(tokio::runtime::Handle::current()),
                ..BranchConfig::default()
            },
            autovacuum: AutovacuumConfig::default(),
            password: String::new(),
        });
        let branch = compute.open_branch(None).await.unwrap();
        let limits = ServerLimits { max_connections: 100, threads, trust_loopback: true };
        let server = Server::start(compute, limits).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        task::spawn("listener", server.clone().run(listener));
        TestServer { address, branch, server, _spill: spill }
    }

    /// A connection that is ready for its first query.
    pub async fn connect(&self) -> Client {
        let address = self.address;
        task::spawn_blocking("connect", move || Client::connect(address)).await.unwrap()
    }

    pub async fn stop(&self) {
        self.server.shutdown(Duration::from_secs(1)).await;
    }
}

/// A message as it goes over the wire.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend((body.len() as u32 + 4).to_be_bytes());
    out.extend(body);
    out
}

/// Parse, its types left to the server.
pub fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat())
}

/// What pgbench and libpq send to run a prepared statement: Bind, Describe, Execute, Sync.
pub fn execute(name: &str, params: &[&str]) -> Vec<u8> {
    let mut bind = [b"\0", name.as_bytes(), b"\0\0\0"].concat();
    bind.extend((params.len() as u16).to_be_bytes());
    for param in params {
        bind.extend((param.len() as u32).to_be_bytes());
        bind.extend(param.as_bytes());
    }
    bind.extend([0, 0]);
    [message(b'B', &bind), message(b'D', b"P\0"), message(b'E', b"\0\0\0\0\0"), message(b'S', b"")].concat()
}

/// A blocking client.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    fn connect(address: SocketAddr) -> Client {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = b"\0\x03\0\0user\0postgres\0database\0postgres\0\0";
        let packet = [&(body.len() as u32 + 4).to_be_bytes()[..], body].concat();
        stream.write_all(&packet).unwrap();
        let mut client = Client { stream };
        client.answer();
        client
    }

    /// Sends messages, and reads up to ReadyForQuery: tag and body of each answer.
    pub fn ask(&mut self, messages: &[u8]) -> Vec<(u8, Vec<u8>)> {
        self.stream.write_all(messages).unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Vec<(u8, Vec<u8>)> {
        let mut out = Vec::new();
        loop {
            let mut head = [0; 5];
            self.stream.read_exact(&mut head).unwrap();
            let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
            let mut body = vec![0; len];
            self.stream.read_exact(&mut body).unwrap();
            out.push((head[0], body));
            if head[0] == b'Z' {
                return out;
            }
        }
    }

    /// A simple query: rows as text, columns separated by `|`, then tags; an error by its SQLSTATE.
    pub fn query(&mut self, sql: &str) -> Vec<String> {
        let answers = self.ask(&message(b'Q', &[sql.as_bytes(), b"\0"].concat()));
        shown(&answers)
    }
}

/// Rows, tags and errors of answers.
pub fn shown(answers: &[(u8, Vec<u8>)]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    answers
        .iter()
        .filter_map(|(tag, body)| match tag {
            b'D' => Some(row(body).join("|")),
            b'C' => Some(text(&body[..body.len() - 1])),
            b'E' => {
                let fields: Vec<&[u8]> = body.split(|byte| *byte == 0).collect();
                let field = |code: u8| {
                    fields.iter().find(|field| field.first() == Some(&code)).map(|field| text(&field[1..]))
                };
                let place = field(b'P').map(|at| format!(" at {at}")).unwrap_or_default();
                Some(format!(
                    "{}: {}{place}",
                    field(b'C').unwrap_or_default(),
                    field(b'M').unwrap_or_default()
                ))
            }
            _ => None,
        })
        .collect()
}

fn row(body: &[u8]) -> Vec<String> {
    let (mut rest, mut out) = (&body[2..], Vec::new());
    while !rest.is_empty() {
        let len = i32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        rest = &rest[4..];
        if len < 0 {
            out.push("~".to_owned());
            continue;
        }
        let (value, after) = rest.split_at(len as usize);
        out.push(String::from_utf8_lossy(value).into_owned());
        rest = after;
    }
    out
}
