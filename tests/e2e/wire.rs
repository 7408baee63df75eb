//! A PostgreSQL client that says exactly what it is told, byte for byte, and gives back every answer as
//! a short line: what drivers hide (order of messages, suspended portals, status bytes) shows here.
//!
//! ```text
//! 1 2 3 n s I c     ParseComplete, BindComplete, CloseComplete, NoData, PortalSuspended,
//!                   EmptyQueryResponse, CopyDone
//! T:id/23,v/25b     RowDescription: name, type, `b` when binary
//! D:1|~|\x00ff      DataRow: `~` is null, bytes that are not plain text in hexadecimal
//! t:23,25           ParameterDescription
//! C:SELECT 1        CommandComplete
//! E:22012  N:25P01  ErrorResponse, NoticeResponse
//! S:TimeZone=UTC    ParameterStatus
//! G:2  H:2  d:1     CopyInResponse, CopyOutResponse, CopyData
//! Z:I               ReadyForQuery
//! EOF               the server has closed the connection
//! ```

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub const INT2: u32 = 21;
pub const INT4: u32 = 23;
pub const TEXT: u32 = 25;

/// Messages to be sent together.
#[derive(Default, Clone)]
pub struct Say(Vec<u8>);

impl Say {
    pub fn message(mut self, tag: u8, body: &[u8]) -> Self {
        self.0.push(tag);
        self.0.extend((body.len() as u32 + 4).to_be_bytes());
        self.0.extend(body);
        self
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn query(self, text: &str) -> Self {
        self.message(b'Q', &[text.as_bytes(), b"\0"].concat())
    }

    pub fn parse(self, name: &str, text: &str, types: &[u32]) -> Self {
        let mut body = [name.as_bytes(), b"\0", text.as_bytes(), b"\0"].concat();
        body.extend((types.len() as u16).to_be_bytes());
        types.iter().for_each(|ty| body.extend(ty.to_be_bytes()));
        self.message(b'P', &body)
    }

    /// Text parameters, text results.
    pub fn bind(self, portal: &str, statement: &str, params: &[&str]) -> Self {
        let params: Vec<_> = params.iter().map(|text| Some(text.as_bytes())).collect();
        self.bind_with(portal, statement, &[], &params, &[])
    }

    pub fn bind_with(
        self,
        portal: &str,
        statement: &str,
        formats: &[u16],
        params: &[Option<&[u8]>],
        results: &[u16],
    ) -> Self {
        let mut body = [portal.as_bytes(), b"\0", statement.as_bytes(), b"\0"].concat();
        body.extend((formats.len() as u16).to_be_bytes());
        formats.iter().for_each(|format| body.extend(format.to_be_bytes()));
        body.extend((params.len() as u16).to_be_bytes());
        for param in params {
            match param {
                Some(bytes) => {
                    body.extend((bytes.len() as u32).to_be_bytes());
                    body.extend(*bytes);
                }
                None => body.extend((-1i32).to_be_bytes()),
            }
        }
        body.extend((results.len() as u16).to_be_bytes());
        results.iter().for_each(|format| body.extend(format.to_be_bytes()));
        self.message(b'B', &body)
    }

    /// `S` for a statement, `P` for a portal.
    pub fn describe(self, kind: char, name: &str) -> Self {
        self.message(b'D', &[&[kind as u8], name.as_bytes(), b"\0"].concat())
    }

    pub fn close(self, kind: char, name: &str) -> Self {
        self.message(b'C', &[&[kind as u8], name.as_bytes(), b"\0"].concat())
    }

    pub fn execute(self, portal: &str, max_rows: u32) -> Self {
        self.message(b'E', &[portal.as_bytes(), b"\0", &max_rows.to_be_bytes()].concat())
    }

    pub fn sync(self) -> Self {
        self.message(b'S', b"")
    }

    pub fn flush(self) -> Self {
        self.message(b'H', b"")
    }

    pub fn copy_data(self, bytes: &str) -> Self {
        self.message(b'd', bytes.as_bytes())
    }

    pub fn copy_done(self) -> Self {
        self.message(b'c', b"")
    }

    pub fn copy_fail(self, reason: &str) -> Self {
        self.message(b'f', &[reason.as_bytes(), b"\0"].concat())
    }

    /// Parse, Bind, Describe, Execute of the unnamed statement, without Sync.
    pub fn run(self, text: &str, params: &[&str]) -> Self {
        self.parse("", text, &[]).bind("", "", params).describe('P', "").execute("", 0)
    }
}

/// A connection.
pub struct Wire {
    stream: TcpStream,
    /// Process id and secret, for a cancel request.
    pub key: (i32, i32),
    /// What the server said of itself at the start.
    pub start: Vec<String>,
    /// The texts of errors and notices, as they came.
    pub messages: Vec<String>,
}

impl Wire {
    /// Connects as `postgres` to a database; the start must succeed.
    pub fn connect(port: u16) -> Wire {
        let wire = Self::try_connect(port, "postgres");
        assert_eq!(
            wire.start.last().map(String::as_str),
            Some("Z:I"),
            "{:?} {:?}",
            wire.start,
            wire.messages
        );
        wire
    }

    /// The same, when there may be no server.
    pub fn reach(port: u16) -> Option<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        let wire = Self::on(Self::ready(stream), "postgres");
        (wire.start.last().map(String::as_str) == Some("Z:I")).then_some(wire)
    }

    /// The same; what the server answers is in `start`, up to Z or the end.
    pub fn try_connect(port: u16, database: &str) -> Wire {
        Self::on(Self::socket(port), database)
    }

    fn on(stream: TcpStream, database: &str) -> Wire {
        let mut wire = Wire { stream, key: (0, 0), start: Vec::new(), messages: Vec::new() };
        let mut packet = 196_608i32.to_be_bytes().to_vec();
        for part in ["user", "postgres", "database", database, ""] {
            packet.extend(part.as_bytes());
            packet.push(0);
        }
        let len = (packet.len() as u32 + 4).to_be_bytes();
        wire.raw(&[&len, &packet[..]].concat());
        wire.start = wire.until_ready();
        wire
    }

    /// A socket on which nothing was said yet.
    pub fn socket(port: u16) -> TcpStream {
        Self::ready(TcpStream::connect(("127.0.0.1", port)).unwrap())
    }

    fn ready(stream: TcpStream) -> TcpStream {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    pub fn raw(&mut self, bytes: &[u8]) {
        // The server may have closed the connection: the answers will tell.
        let _ = self.stream.write_all(bytes);
    }

    pub fn send(&mut self, say: Say) {
        self.raw(&say.0);
    }

    /// Sends, and gives every answer up to the next ReadyForQuery.
    pub fn ask(&mut self, say: Say) -> Vec<String> {
        self.send(say);
        self.until_ready()
    }

    pub fn query(&mut self, text: &str) -> Vec<String> {
        self.ask(Say::default().query(text))
    }

    /// The answers up to ReadyForQuery, or up to the connection's end.
    pub fn until_ready(&mut self) -> Vec<String> {
        let mut answers = Vec::new();
        loop {
            let answer = self.answer();
            let last = answer.starts_with("Z:") || answer == "EOF";
            answers.push(answer);
            if last {
                return answers;
            }
        }
    }

    /// The next answer.
    pub fn answer(&mut self) -> String {
        let mut head = [0; 5];
        if let Err(error) = self.stream.read_exact(&mut head) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "no answer for a minute");
            return "EOF".to_string();
        }
        let len = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4;
        let mut body = vec![0; len];
        if self.stream.read_exact(&mut body).is_err() {
            return "EOF".to_string();
        }
        if head[0] == b'K' {
            let at = |i: usize| i32::from_be_bytes([body[i], body[i + 1], body[i + 2], body[i + 3]]);
            self.key = (at(0), at(4));
        }
        if matches!(head[0], b'E' | b'N') {
            self.messages.push(field(&body, b'M'));
        }
        line(head[0], &body)
    }

    /// Says no more, and reads until the server has closed the connection.
    pub fn stream_end(mut self) -> Vec<u8> {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
        let mut rest = Vec::new();
        // A reset is an end, too; an open connection is not.
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the connection stays open");
        }
        rest
    }

    /// Asks the server, on a connection of its own, to cancel what this one runs.
    pub fn cancel(&self, port: u16) {
        let mut stream = Self::socket(port);
        let parts = [16, 80_877_102, self.key.0, self.key.1];
        stream.write_all(&parts.map(i32::to_be_bytes).concat()).unwrap();
        let mut rest = Vec::new();
        // Closed without a word.
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty());
    }
}

struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(len);
        self.0 = rest;
        head
    }
    fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().unwrap())
    }
    fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }
    fn string(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap();
        let text = String::from_utf8(self.take(end).to_vec()).unwrap();
        self.take(1);
        text
    }
}

fn value(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_string(),
        _ => format!("\\x{}", hex(bytes)),
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field of an error or notice.
fn field(body: &[u8], wanted: u8) -> String {
    let mut body = Body(body);
    while body.0[0] != 0 {
        let code = body.take(1)[0];
        let text = body.string();
        if code == wanted {
            return text;
        }
    }
    String::new()
}

fn line(tag: u8, body: &[u8]) -> String {
    let mut body = Body(body);
    let text = match tag {
        b'T' => {
            let columns = (0..body.i16()).map(|_| {
                let name = body.string();
                body.take(6);
                let ty = body.i32();
                body.take(6);
                format!("{name}/{ty}{}", if body.i16() == 1 { "b" } else { "" })
            });
            columns.collect::<Vec<_>>().join(",")
        }
        b'D' => {
            let values = (0..body.i16()).map(|_| match body.i32() {
                -1 => "~".to_string(),
                len => value(body.take(len as usize)),
            });
            values.collect::<Vec<_>>().join("|")
        }
        b't' => {
            let types: Vec<_> = (0..body.i16()).map(|_| body.i32().to_string()).collect();
            types.join(",")
        }
        b'E' | b'N' => field(body.0, b'C'),
        b'C' => body.string(),
        b'S' => format!("{}={}", body.string(), body.string()),
        b'Z' => (body.take(1)[0] as char).to_string(),
        b'd' => value(body.0.strip_suffix(b"\n").unwrap_or(body.0)),
        b'G' | b'H' => {
            body.take(1);
            body.i16().to_string()
        }
        _ => return (tag as char).to_string(),
    };
    format!("{}:{text}", tag as char)
}
