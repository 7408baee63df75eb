//! Accepts connections, authenticates them, and knows which may be cancelled.

use super::cancel::Cancel;
use super::connection::{Ended, Wire, serve, shutting_down};
use super::message::{Frontend, violation};
use super::scram::{self, Exchange, Verifier};
use super::startup::{self, Parameters, Startup};
use super::threads::Threads;
use super::writer::Severity;
use crate::node::Compute;
use crate::session::Session;
use crate::{SqlError, SqlResult};
use parking_lot::Mutex;
use shardforge_common::{Result, random, task};
use shardforge_types::SqlState;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How long a client may take to say who it is.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);

/// What a front end is allowed.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// Connections at a time.
    pub max_connections: usize,
    /// Threads that serve them.
    pub threads: usize,
    /// Whether connections from this machine need no password.
    pub trust_loopback: bool,
}

/// The front end of a compute.
pub struct Server {
    compute: Arc<Compute>,
    threads: Threads,
    connections: Mutex<HashMap<i32, (i32, Arc<Cancel>)>>,
    next_pid: AtomicI32,
    open: AtomicUsize,
    limits: ServerLimits,
    mock_secret: [u8; 32],
    shutdown: watch::Sender<bool>,
}

impl Server {
    /// A front end for a compute.
    pub fn start(compute: Arc<Compute>, limits: ServerLimits) -> Result<Arc<Self>> {
        let mut mock_secret = [0; 32];
        random::thread().fill(&mut mock_secret);
        Ok(Arc::new(Self {
            compute,
            threads: Threads::start(limits.threads)?,
            connections: Mutex::default(),
            next_pid: AtomicI32::new(1),
            open: AtomicUsize::new(0),
            limits,
            mock_secret,
            shutdown: watch::Sender::new(false),
        }))
    }

    /// Accepts connections until [`Server::shutdown`].
    pub async fn run(self: Arc<Self>, listener: TcpListener) {
        let mut stopping = self.shutdown.subscribe();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    self.serve(stream, peer);
                }
                // Out of file descriptors, or the client is gone already: others may still come.
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    task::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    /// Hands a socket over to one of the threads, out of the event loop that accepted it.
    fn serve(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::warn!(%error, "could not hand over a connection"),
        };
        let server = self.clone();
        self.threads.spawn("pgwire connection", move || async move {
            match TcpStream::from_std(stream) {
                Ok(stream) => server.connection(stream, peer).await,
                Err(error) => tracing::warn!(%error, "could not take over a connection"),
            }
        });
    }

    /// Stops accepting, tells idle connections to end, and cancels running statements after the
    /// grace period. Returns when all connections have ended, or a little later than the grace.
    pub async fn shutdown(&self, grace: Duration) {
        self.shutdown.send_replace(true);
        self.connections.lock().values().for_each(|(_, cancel)| cancel.end());
        let step = Duration::from_millis(10);
        let mut waited = Duration::ZERO;
        while self.open.load(Ordering::Acquire) > 0 && waited < grace + Duration::from_secs(2) {
            if waited >= grace {
                self.connections.lock().values().for_each(|(_, cancel)| cancel.request());
            }
            task::sleep(step).await;
            waited += step;
        }
        self.threads.stop();
    }

    /// Number of open connections.
    pub fn connection_count(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        // Answers are small and each is waited for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let _open = OpenGuard::new(&self.open);
        let mut wire = Wire::new(stream);
        let started = tokio::select! {
            biased;
            started = self.greet(&mut wire, peer) => started,
            () = task::sleep(STARTUP_TIMEOUT) => return,
        };
        match started {
            Ok(Some((mut session, pid))) => {
                let ended = serve(&mut wire, &mut session).await;
                self.connections.lock().remove(&pid);
                if let Ended::Broken(error) = ended {
                    tracing::debug!(%peer, %error, "connection broken");
                }
            }
            Ok(None) => {}
            Err(Ended::Fatal(error)) => {
                wire.writer.error(Severity::Fatal, &error);
                // The client may be gone already; there is nobody else to tell.
                let _ = wire.flush().await;
            }
            Err(ended) => tracing::debug!(%peer, ?ended, "connection ended before it started"),
        }
    }

    /// From the first packet to the first ReadyForQuery. `None` when there is no session to serve.
    async fn greet(&self, wire: &mut Wire, peer: SocketAddr) -> Result<Option<(Session, i32)>, Ended> {
        let parameters = loop {
            let Some(packet) = wire.startup_packet().await? else { return Ok(None) };
            match startup::parse(&packet).map_err(Ended::Fatal)? {
                Startup::Ssl | Startup::Gss => wire.send_raw(b"N").await?,
                Startup::Cancel { pid, secret } => {
                    if let Some((expected, cancel)) = self.connections.lock().get(&pid)
                        && *expected == secret
                    {
                        cancel.request();
                    }
                    return Ok(None);
                }
                Startup::Session(parameters) => break parameters,
            }
        };
        if self.open.load(Ordering::Acquire) > self.limits.max_connections {
            return Err(Ended::Fatal(SqlError::new(
                SqlState::TOO_MANY_CONNECTIONS,
                "sorry, too many clients already",
            )));
        }
        if *self.shutdown.borrow() {
            return Err(Ended::Fatal(shutting_down()));
        }
        if parameters.minor_version > 0 || !parameters.unknown_options.is_empty() {
            let unknown: Vec<&str> = parameters.unknown_options.iter().map(String::as_str).collect();
            wire.writer.negotiate_version(0, &unknown);
        }
        let cancel = Arc::new(Cancel::default());
        let pid = self.next_pid.fetch_add(1, Ordering::Relaxed) & i32::MAX;
        let mut session = Session::open(self.compute.clone(), &parameters, pid, cancel.clone())
            .await
            .map_err(Ended::Fatal)?;
        self.authenticate(wire, &mut session, &parameters, peer).await?;
        session.authorize().await.map_err(Ended::Fatal)?;
        wire.trust();
        let mut secret = [0; 4];
        random::thread().fill(&mut secret);
        let secret = i32::from_be_bytes(secret);
        self.connections.lock().insert(pid, (secret, cancel.clone()));
        // A shutdown that came before the line above has not seen this connection.
        if *self.shutdown.borrow() {
            cancel.end();
        }
        wire.writer.authentication(0, &[]);
        session.write_parameters(&mut wire.writer);
        session.write_notices(&mut wire.writer);
        wire.writer.backend_key(pid, secret);
        wire.writer.ready(session.status());
        wire.flush().await?;
        Ok(Some((session, pid)))
    }

    /// Loopback needs no password, unless it was said to; everybody else proves one.
    async fn authenticate(
        &self,
        wire: &mut Wire,
        session: &mut Session,
        parameters: &Parameters,
        peer: SocketAddr,
    ) -> Result<(), Ended> {
        let loopback = match peer.ip() {
            std::net::IpAddr::V4(ip) => ip.is_loopback(),
            std::net::IpAddr::V6(ip) => {
                ip.is_loopback() || ip.to_ipv4_mapped().is_some_and(|ip| ip.is_loopback())
            }
        };
        if loopback && self.limits.trust_loopback {
            return Ok(());
        }
        let user = &parameters.user;
        let stored = session.password_verifier(user).await.map_err(Ended::Fatal)?;
        let known = stored.is_some();
        let verifier = stored.unwrap_or_else(|| Verifier::mock(user, &self.mock_secret));
        let failed = || {
            Ended::Fatal(SqlError::new(
                SqlState::INVALID_PASSWORD,
                format!("password authentication failed for user \"{user}\""),
            ))
        };
        let malformed = |error: shardforge_common::Error| Ended::Fatal(violation(error.to_string()));

        wire.writer.authentication(10, &[scram::MECHANISM.as_bytes(), b"\0\0"].concat());
        wire.flush().await?;
        wire.wait().await?;
        let exchange = {
            let (message, _) = wire.take().map_err(Ended::Fatal)?;
            let Frontend::Password(body) = message else { return Err(Ended::Fatal(expected_sasl())) };
            let first = initial_response(body).map_err(Ended::Fatal)?;
            Exchange::start(verifier, first, &random_nonce()).map_err(malformed)?
        };
        wire.writer.authentication(11, exchange.server_first().as_bytes());
        wire.flush().await?;
        wire.wait().await?;
        let last = {
            let (message, _) = wire.take().map_err(Ended::Fatal)?;
            let Frontend::Password(body) = message else { return Err(Ended::Fatal(expected_sasl())) };
            let text = std::str::from_utf8(body).map_err(|_| Ended::Fatal(expected_sasl()))?;
            exchange.finish(text).map_err(malformed)?
        };
        match last.filter(|_| known) {
            Some(last) => {
                wire.writer.authentication(12, last.as_bytes());
                Ok(())
            }
            None => Err(failed()),
        }
    }
}

fn expected_sasl() -> SqlError {
    violation("expected SASL response")
}

/// SASLInitialResponse: mechanism (string), length (4), data.
fn initial_response(body: &[u8]) -> SqlResult<&str> {
    let end = body.iter().position(|byte| *byte == 0).ok_or_else(expected_sasl)?;
    if &body[..end] != scram::MECHANISM.as_bytes() {
        return Err(violation("client selected an invalid SASL authentication mechanism"));
    }
    let data = body.get(end + 5..).ok_or_else(expected_sasl)?;
    std::str::from_utf8(data).map_err(|_| expected_sasl())
}

fn random_nonce() -> String {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let mut bytes = [0; 18];
    random::thread().fill(&mut bytes);
    BASE64_STANDARD.encode(bytes)
}

/// Counts a connection while it lives.
struct OpenGuard<'a>(&'a AtomicUsize);

impl<'a> OpenGuard<'a> {
    fn new(open: &'a AtomicUsize) -> Self {
        open.fetch_add(1, Ordering::AcqRel);
        metrics::gauge!("shardforge_sql_connections").increment(1.0);
        Self(open)
    }
}

impl Drop for OpenGuard<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("shardforge_sql_connections").decrement(1.0);
    }
}
