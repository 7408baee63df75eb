//! Text values: short ones lie in the value itself, long ones share their bytes.

use bytes::Bytes;
use std::fmt;
use std::ops::Deref;

/// Bytes that fit without an allocation.
pub const INLINE_LEN: usize = 30;

/// A string that is cheap to clone: up to [`INLINE_LEN`] bytes are copied, more are shared.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    /// The first `len` bytes are UTF-8.
    Inline { len: u8, bytes: [u8; INLINE_LEN] },
    /// All of it is UTF-8.
    Shared(Bytes),
}

impl Text {
    /// The empty string.
    pub const EMPTY: Text = Text(Repr::Inline { len: 0, bytes: [0; INLINE_LEN] });

    /// A copy of a string.
    pub fn new(text: &str) -> Self {
        Self::inline(text.as_bytes())
            .unwrap_or_else(|| Text(Repr::Shared(Bytes::copy_from_slice(text.as_bytes()))))
    }

    /// Shares bytes that were made elsewhere, or says why they are not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Result<Self, std::str::Utf8Error> {
        std::str::from_utf8(&bytes)?;
        Ok(Self::inline(&bytes).unwrap_or(Text(Repr::Shared(bytes))))
    }

    /// Shares the memory of `owner`, of which the text is a slice; short text is copied.
    pub fn from_shared(owner: &Bytes, text: &str) -> Self {
        Self::inline(text.as_bytes()).unwrap_or_else(|| Text(Repr::Shared(owner.slice_ref(text.as_bytes()))))
    }

    fn inline(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; INLINE_LEN];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Text(Repr::Inline { len: from.len() as u8, bytes }))
    }

    /// The string's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Shared(bytes) => bytes,
        }
    }

    /// The string.
    #[allow(unsafe_code)]
    pub fn as_str(&self) -> &str {
        // SAFETY: every constructor takes a `str` or checks that its bytes are UTF-8, and neither
        // form is changed afterwards.
        unsafe { std::str::from_utf8_unchecked(self.as_bytes()) }
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Text::new(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::inline(text.as_bytes()).unwrap_or_else(|| Text(Repr::Shared(Bytes::from(text))))
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl std::hash::Hash for Text {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
