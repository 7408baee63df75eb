//! Messages from the client, borrowed from the read buffer.
//!
//! ```text
//! message = tag (1 byte)  length (4 bytes, big endian, itself included)  body
//! string  = bytes, ended by 0
//! ```
//!
//! Bytes from a client are never trusted: every length is checked, and a violation is 08P01.

use crate::SqlError;
use shardforge_types::SqlState;

/// The largest message we take: PostgreSQL's own limit of a gigabyte, in bytes.
pub const MAX_MESSAGE_LEN: usize = 0x3fff_ffff;

/// A message of the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frontend<'a> {
    /// A simple query: any number of statements.
    Query(&'a str),
    /// Prepare a statement; the types are OIDs, 0 where the server is to decide.
    Parse {
        /// The statement's name, empty for the unnamed one.
        name: &'a str,
        /// One statement.
        text: &'a str,
        /// 4 bytes each, big endian.
        types: &'a [u8],
    },
    /// Make a portal of a statement.
    Bind(Bind<'a>),
    /// Describe a statement.
    DescribeStatement(&'a str),
    /// Describe a portal.
    DescribePortal(&'a str),
    /// Run a portal for up to so many rows; 0 is all.
    Execute {
        /// The portal's name.
        portal: &'a str,
        /// Rows at most, 0 for all.
        max_rows: u32,
    },
    /// Close a statement.
    CloseStatement(&'a str),
    /// Close a portal.
    ClosePortal(&'a str),
    /// Send what is buffered.
    Flush,
    /// End of a batch: ends the implicit transaction, and any skipping.
    Sync,
    /// Data of COPY FROM STDIN.
    CopyData(&'a [u8]),
    /// All data was sent.
    CopyDone,
    /// The client gives up, with a reason.
    CopyFail(&'a str),
    /// Password or SASL message; what it holds depends on what was asked.
    Password(&'a [u8]),
    /// Good-bye.
    Terminate,
}

/// The parts of a Bind message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind<'a> {
    /// The portal's name.
    pub portal: &'a str,
    /// The statement's name.
    pub statement: &'a str,
    /// Format codes of the parameters, 2 bytes each: none, one for all, or one each.
    pub param_formats: &'a [u8],
    /// How many parameters there are.
    pub param_count: usize,
    /// The parameters: length (4 bytes, -1 for null) and bytes each.
    pub params: &'a [u8],
    /// Format codes of the result columns, likewise.
    pub result_formats: &'a [u8],
}

impl<'a> Bind<'a> {
    /// The parameters in order; `None` is null.
    pub fn params(&self) -> impl Iterator<Item = Option<&'a [u8]>> {
        let mut body = Body(self.params);
        (0..self.param_count).map(move |_| body.value().expect("checked when the message was read"))
    }
}

/// The format of a value: from a list that has no code, one for all, or one each.
pub fn format_at(codes: &[u8], index: usize) -> i16 {
    let code = |i: usize| i16::from_be_bytes([codes[2 * i], codes[2 * i + 1]]);
    match codes.len() / 2 {
        0 => 0,
        1 => code(0),
        n if index < n => code(index),
        _ => 0,
    }
}

/// 08P01: the client broke the protocol.
pub fn violation(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::PROTOCOL_VIOLATION, message)
}

/// The length of the message at the head of `buffer`, tag included, once its length is known.
pub fn message_len(buffer: &[u8]) -> Result<Option<usize>, SqlError> {
    let Some(length) = buffer.get(1..5) else { return Ok(None) };
    let length = u32::from_be_bytes([length[0], length[1], length[2], length[3]]) as usize;
    if !(4..=MAX_MESSAGE_LEN).contains(&length) {
        return Err(violation(format!("invalid message length {length}")));
    }
    Ok(Some(1 + length))
}

/// How a message that could not be read is answered: an error loses its place in the conversation only
/// when nothing is known of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// The type is unknown: the connection ends.
    Fatal,
    /// Of the extended protocol: an error, and everything up to Sync is skipped.
    Skip,
    /// An error, and ReadyForQuery after it.
    Ready,
    /// No answer.
    Ignore,
}

/// How a mistake in a message of this type is answered.
pub fn mistake(tag: u8) -> Mistake {
    match tag {
        b'P' | b'B' | b'D' | b'C' | b'E' | b'H' => Mistake::Skip,
        b'Q' | b'S' | b'F' => Mistake::Ready,
        b'd' | b'c' | b'f' => Mistake::Ignore,
        _ => Mistake::Fatal,
    }
}

/// Reads one whole message.
pub fn parse(message: &[u8]) -> Result<Frontend<'_>, SqlError> {
    let tag = message[0];
    let mut body = Body(&message[5..]);
    let parsed = match tag {
        b'Q' => Frontend::Query(body.string()?),
        b'P' => {
            let (name, text) = (body.string()?, body.string()?);
            let count = body.count()?;
            Frontend::Parse { name, text, types: body.take(4 * count)? }
        }
        b'B' => {
            let (portal, statement) = (body.string()?, body.string()?);
            let formats = body.count()?;
            let param_formats = body.take(2 * formats)?;
            let param_count = body.count()?;
            if formats > 1 && formats != param_count {
                return Err(violation(format!(
                    "bind message has {formats} parameter formats but {param_count} parameters"
                )));
            }
            let all = body.0;
            for _ in 0..param_count {
                body.value()?;
            }
            let params = &all[..all.len() - body.0.len()];
            let results = body.count()?;
            let result_formats = body.take(2 * results)?;
            Frontend::Bind(Bind { portal, statement, param_formats, param_count, params, result_formats })
        }
        b'D' | b'C' => {
            let kind = body.take(1)?[0];
            let name = body.string()?;
            match (tag, kind) {
                (b'D', b'S') => Frontend::DescribeStatement(name),
                (b'D', b'P') => Frontend::DescribePortal(name),
                (b'C', b'S') => Frontend::CloseStatement(name),
                (b'C', b'P') => Frontend::ClosePortal(name),
                _ => return Err(violation(format!("invalid object kind {kind} in a message"))),
            }
        }
        b'E' => {
            let portal = body.string()?;
            let rows = body.take(4)?;
            let rows = i32::from_be_bytes([rows[0], rows[1], rows[2], rows[3]]);
            Frontend::Execute { portal, max_rows: u32::try_from(rows).unwrap_or(0) }
        }
        b'H' => Frontend::Flush,
        b'S' => Frontend::Sync,
        b'd' => Frontend::CopyData(body.rest()),
        b'c' => Frontend::CopyDone,
        b'f' => Frontend::CopyFail(body.string()?),
        b'p' => Frontend::Password(body.rest()),
        b'X' => Frontend::Terminate,
        b'F' => return Err(SqlError::not_supported("the function call protocol")),
        other => return Err(violation(format!("invalid frontend message type {other}"))),
    };
    if body.0.is_empty() { Ok(parsed) } else { Err(violation("invalid message format")) }
}

/// What is left of a message's body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], SqlError> {
        let (head, rest) =
            self.0.split_at_checked(len).ok_or_else(|| violation("insufficient data left in message"))?;
        self.0 = rest;
        Ok(head)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn count(&mut self) -> Result<usize, SqlError> {
        let bytes = self.take(2)?;
        Ok(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])))
    }

    fn string(&mut self) -> Result<&'a str, SqlError> {
        let end = self
            .0
            .iter()
            .position(|byte| *byte == 0)
            .ok_or_else(|| violation("invalid string in message"))?;
        let text = self.take(end)?;
        self.take(1)?;
        std::str::from_utf8(text).map_err(|e| {
            let at = e.valid_up_to();
            let bad: Vec<String> =
                text[at..].iter().take(e.error_len().unwrap_or(1)).map(|b| format!("0x{b:02x}")).collect();
            SqlError::new(
                SqlState::CHARACTER_NOT_IN_REPERTOIRE,
                format!("invalid byte sequence for encoding \"UTF8\": {}", bad.join(" ")),
            )
        })
    }

    fn value(&mut self) -> Result<Option<&'a [u8]>, SqlError> {
        let len = self.take(4)?;
        match i32::from_be_bytes([len[0], len[1], len[2], len[3]]) {
            -1 => Ok(None),
            len => {
                let len = usize::try_from(len)
                    .map_err(|_| violation("invalid parameter length in bind message"))?;
                self.take(len).map(Some)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(tag: u8, body: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        out.extend((body.len() as u32 + 4).to_be_bytes());
        out.extend(body);
        out
    }

    #[test]
    fn a_bind_message_gives_its_parameters_back() {
        let body = b"p\0s\0\0\x01\0\x01\0\x02\0\0\0\x02hi\xff\xff\xff\xff\0\0";
        let message = message(b'B', body);
        let Frontend::Bind(bind) = parse(&message).unwrap() else { panic!("not a bind") };
        assert_eq!((bind.portal, bind.statement), ("p", "s"));
        assert_eq!(bind.params().collect::<Vec<_>>(), vec![Some(&b"hi"[..]), None]);
        assert_eq!(format_at(bind.param_formats, 1), 1);
        assert_eq!(format_at(bind.result_formats, 1), 0);
    }

    #[test]
    fn every_cut_of_every_message_is_refused() {
        let bodies: [(u8, &[u8]); 6] = [
            (b'Q', b"select 1\0"),
            (b'P', b"s\0select $1\0\0\x01\0\0\0\x17"),
            (b'B', b"p\0s\0\0\0\0\x01\0\0\0\x01x\0\x01\0\x01"),
            (b'D', b"Ss\0"),
            (b'E', b"p\0\0\0\0\0"),
            (b'f', b"no\0"),
        ];
        for (tag, body) in bodies {
            parse(&message(tag, body)).unwrap();
            for cut in 0..body.len() {
                assert!(parse(&message(tag, &body[..cut])).is_err(), "{} cut to {cut}", tag as char);
            }
            assert!(parse(&message(tag, &[body, b"x"].concat())).is_err(), "{} with a tail", tag as char);
        }
    }

    #[test]
    fn lengths_out_of_bounds_are_refused() {
        assert_eq!(message_len(b"Q\0\0").unwrap(), None);
        assert_eq!(message_len(b"Q\0\0\0\x08").unwrap(), Some(9));
        assert!(message_len(b"Q\0\0\0\x03").is_err());
        assert!(message_len(b"Q\xff\xff\xff\xff").is_err());
    }
}
