//! One connection after its start: messages in, answers out, and the skipping after an error.

use super::message::{self, Frontend, Mistake};
use super::threads;
use super::writer::{Severity, Writer};
use crate::session::Session;
use crate::{SqlError, SqlResult};
use shardforge_types::SqlState;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;

/// The output buffer is sent when it has grown past this while rows stream, in bytes.
const FLUSH_ABOVE: usize = 64 * 1024;
/// How much the input buffer grows by when a message does not fit, in bytes.
const READ_STEP: usize = 16 * 1024;
/// The input buffer during COPY, where the client does not wait for answers, in bytes.
const STREAM_BUFFER: usize = 256 * 1024;
/// The largest message of a client that has not proved who it is, in bytes.
const MAX_STRANGER_LEN: usize = 64 * 1024;

/// Bytes from the client, of which whole messages are borrowed.
#[derive(Debug)]
pub struct Reader {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    max_message_len: usize,
}

impl Reader {
    fn new() -> Self {
        Self { buffer: vec![0; READ_STEP], start: 0, end: 0, max_message_len: MAX_STRANGER_LEN }
    }

    fn whole_message(&self) -> SqlResult<Option<usize>> {
        let ready = &self.buffer[self.start..self.end];
        match message::message_len(ready)? {
            Some(len) if len > self.max_message_len => Err(message::violation("invalid message length")),
            len => Ok(len.filter(|len| *len <= ready.len())),
        }
    }

    /// Makes room for more input, moving what is left to the front.
    fn room(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > 1 << 20 {
                self.buffer = vec![0; READ_STEP];
            }
        }
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            // Grown by what has come, never by what a length field promises.
            let grown = self.buffer.len().max(READ_STEP) + self.buffer.len() / 2;
            if self.end > self.buffer.len() / 2 {
                self.buffer.resize(grown, 0);
            }
        }
    }
}

/// A client's socket with its two buffers.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    reader: Reader,
    sent_bytes: u64,
    /// Where answers are written.
    pub writer: Writer,
}

/// Why a connection ends.
#[derive(Debug)]
pub enum Ended {
    /// The client said good-bye, or went away.
    ByClient,
    /// The socket failed.
    Broken(io::Error),
    /// The protocol was broken, or the server stops: the client is told, then the socket is closed.
    Fatal(SqlError),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Ended::Broken(error)
    }
}

impl Wire {
    /// Takes a connected socket.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, reader: Reader::new(), sent_bytes: 0, writer: Writer::default() }
    }

    /// Sends what is buffered.
    pub async fn flush(&mut self) -> io::Result<()> {
        if !self.writer.pending().is_empty() {
            self.stream.write_all(self.writer.pending()).await?;
            self.sent_bytes += self.writer.pending().len() as u64;
            self.writer.clear();
        }
        Ok(())
    }

    /// Sends what is buffered when it is much: between rows of a large result.
    pub async fn flush_if_large(&mut self) -> io::Result<()> {
        if self.writer.pending().len() >= FLUSH_ABOVE { self.flush().await } else { Ok(()) }
    }

    /// How much has been sent so far: what was buffered before this grew, the client may have seen.
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The client has proved who it is: from now on it may send large messages.
    pub fn trust(&mut self) {
        self.reader.max_message_len = message::MAX_MESSAGE_LEN;
    }

    /// The type of the message that [`Wire::wait`] has waited for.
    pub fn next_tag(&self) -> u8 {
        self.reader.buffer[self.reader.start]
    }

    /// Whether the next message is here already, and is a Sync.
    pub fn next_is_sync(&self) -> bool {
        self.reader.buffer[self.reader.start..self.reader.end].first() == Some(&b'S')
    }

    /// Much is about to come: more of it is read at once.
    pub fn expect_stream(&mut self) {
        if self.reader.buffer.len() < STREAM_BUFFER {
            self.reader.buffer.resize(STREAM_BUFFER, 0);
        }
    }

    /// Whether a whole message is in the buffer, so that [`Wire::wait`] would not wait.
    pub fn has_message(&self) -> bool {
        matches!(self.reader.whole_message(), Ok(Some(_)))
    }

    /// Waits until a whole message is in the buffer.
    pub async fn wait(&mut self) -> Result<(), Ended> {
        poll_fn(|context| self.poll_wait(context)).await
    }

    /// Ready when a whole message is in the buffer.
    pub fn poll_wait(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        loop {
            match self.reader.whole_message() {
                Ok(Some(_)) => return Poll::Ready(Ok(())),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(Ended::Fatal(error))),
            }
            self.reader.room();
            let mut free = ReadBuf::new(&mut self.reader.buffer[self.reader.end..]);
            match Pin::new(&mut self.stream).poll_read(context, &mut free) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            }
            match free.filled().len() {
                0 => return Poll::Ready(Err(Ended::ByClient)),
                read => self.reader.end += read,
            }
        }
    }

    /// The message that [`Wire::wait`] has waited for, and the writer for its answer. The message
    /// is consumed: the next call gives the next one.
    pub fn take(&mut self) -> SqlResult<(Frontend<'_>, &mut Writer)> {
        let len = self.reader.whole_message()?.expect("the caller has waited for a message");
        let start = self.reader.start;
        self.reader.start += len;
        Ok((message::parse(&self.reader.buffer[start..start + len])?, &mut self.writer))
    }

    /// Reads a start-up packet, which has a length but no tag; `None` at the end of input.
    pub async fn startup_packet(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        let mut len = [0; 4];
        match self.stream.read_exact(&mut len).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        };
        let len = u32::from_be_bytes(len) as usize;
        if !(8..=super::startup::MAX_STARTUP_LEN).contains(&len) {
            return Err(Ended::Fatal(message::violation("invalid length of startup packet")));
        }
        let mut packet = vec![0; len - 4];
        self.stream.read_exact(&mut packet).await?;
        Ok(Some(packet))
    }

    /// Sends bytes that are no message: the answer to a request for encryption.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }
}

/// Serves a session until it ends. Returns why.
pub async fn serve(wire: &mut Wire, session: &mut Session) -> Ended {
    let ended = match run(wire, session).await {
        Ok(never) => match never {},
        Err(ended) => ended,
    };
    if let Ended::Fatal(error) = &ended {
        wire.writer.error(Severity::Fatal, error);
        // The socket may be gone already; there is nobody left to tell.
        let _ = wire.flush().await;
    }
    session.close().await;
    ended
}

async fn run(wire: &mut Wire, session: &mut Session) -> Result<std::convert::Infallible, Ended> {
    // After an error in the extended protocol, everything up to Sync is skipped.
    let mut skipping = false;
    loop {
        if wire.reader.whole_message().map_err(Ended::Fatal)?.is_none() {
            wait_idle(wire, session).await?;
        }
        match step(wire, session, skipping).await? {
            Ok(Step::Continue) => {}
            Ok(Step::Synced) => skipping = false,
            Err(error) => {
                session.statement_failed().await;
                session.write_notices(&mut wire.writer);
                wire.writer.error(Severity::Error, &error);
                // A client may wait for it before it sends its Sync.
                wire.flush().await?;
                skipping = true;
            }
        }
    }
}

/// Waits for the next message while no statement runs; the server's shutdown and the session's idle
/// timeouts end the wait.
async fn wait_idle(wire: &mut Wire, session: &mut Session) -> Result<(), Ended> {
    let (mut limit, cancel) = (session.idle_limit(), session.cancel());
    let in_time = poll_fn(|context| {
        if let Poll::Ready(done) = wire.poll_wait(context) {
            return Poll::Ready(Some(done));
        }
        if cancel.poll_ending(context).is_ready() {
            return Poll::Ready(Some(Err(Ended::Fatal(shutting_down()))));
        }
        limit.poll_passed(context).map(|()| None)
    })
    .await;
    threads::heard_from(session.pid());
    in_time.unwrap_or_else(|| Err(Ended::Fatal(session.idle_too_long())))
}

enum Step {
    Continue,
    Synced,
}

/// Takes one message. The outer error ends the connection, the inner one is told to the client.
async fn step(wire: &mut Wire, session: &mut Session, skipping: bool) -> Result<SqlResult<Step>, Ended> {
    let tag = wire.next_tag();
    let (message, writer) = match wire.take() {
        Ok(taken) => taken,
        Err(error) => match message::mistake(tag) {
            Mistake::Fatal => return Err(Ended::Fatal(error)),
            Mistake::Ready if tag == b'S' || !skipping => {
                session.statement_failed().await;
                session.write_notices(&mut wire.writer);
                wire.writer.error(Severity::Error, &error);
                wire.writer.ready(session.status());
                wire.flush().await?;
                return Ok(Ok(Step::Synced));
            }
            Mistake::Skip if !skipping => return Ok(Err(error)),
            _ => return Ok(Ok(Step::Continue)),
        },
    };
    if skipping && !matches!(message, Frontend::Sync | Frontend::Terminate) {
        return Ok(Ok(Step::Continue));
    }
    let done = match message {
        Frontend::Query(text) => {
            let text = text.to_owned();
            session.simple_query(&text, wire).await?;
            session.write_changed_settings(&mut wire.writer);
            wire.writer.ready(session.status());
            wire.flush().await?;
            return Ok(Ok(Step::Continue));
        }
        Frontend::Parse { name, text, types } => match session.parse(name, text, types).await {
            Ok(()) => {
                writer.parse_complete();
                Ok(())
            }
            Err(error) => Err(error),
        },
        Frontend::Bind(bind) => session.bind(&bind).map(|()| writer.bind_complete()),
        Frontend::DescribeStatement(name) => session.describe_statement(name, writer).await,
        Frontend::DescribePortal(name) => session.describe_portal(name, writer).await,
        Frontend::Execute { portal, max_rows } => {
            let portal = portal.to_owned(); // nearly always empty, which allocates nothing
            session.execute(&portal, max_rows, wire).await?
        }
        Frontend::CloseStatement(name) => {
            session.close_statement(name);
            writer.close_complete();
            Ok(())
        }
        Frontend::ClosePortal(name) => {
            session.close_portal(name);
            writer.close_complete();
            Ok(())
        }
        Frontend::Flush => {
            wire.flush().await?;
            Ok(())
        }
        Frontend::Sync => {
            if let Err(error) = session.sync().await {
                wire.writer.error(Severity::Error, &error);
            }
            session.write_notices(&mut wire.writer);
            session.write_changed_settings(&mut wire.writer);
            wire.writer.ready(session.status());
            wire.flush().await?;
            return Ok(Ok(Step::Synced));
        }
        // Left over from a COPY that has failed: ignored, as the protocol says.
        Frontend::CopyData(_) | Frontend::CopyDone | Frontend::CopyFail(_) => Ok(()),
        Frontend::Password(_) => Err(message::violation("unexpected password message")),
        Frontend::Terminate => return Err(Ended::ByClient),
    };
    session.write_notices(&mut wire.writer);
    Ok(done.map(|()| Step::Continue))
}

/// 57P01: the server stops.
pub fn shutting_down() -> SqlError {
    SqlError::new(SqlState::ADMIN_SHUTDOWN, "terminating connection due to administrator command")
}
