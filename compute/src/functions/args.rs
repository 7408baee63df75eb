//! From datums to the types that bodies are written in, and back.

use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_types::{ArrayValue, Datum, Interval, Numeric, Oid, Text, ValueError};
use std::sync::Arc;

/// `date`: days since 2000-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Date(pub(super) i32);
/// `time`: microseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Time(pub(super) i64);
/// `timestamp`: microseconds since 2000-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp(pub(super) i64);
/// `timestamptz`: microseconds since 2000-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TimestampTz(pub(super) i64);
/// `uuid`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Uuid(pub(super) [u8; 16]);
/// `"char"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Char(pub(super) u8);

/// A value as an argument of a body.
pub(super) trait Arg<'a>: Sized {
    fn arg(datum: &'a Datum) -> Option<Self>;
}

/// A body's result as a value.
pub(super) trait Ret {
    fn ret(self) -> SqlResult<Datum>;
}

macro_rules! plain {
    ($($ty:ty => $variant:ident $(($wrap:path))?),* $(,)?) => {$(
        impl<'a> Arg<'a> for $ty {
            #[inline]
            fn arg(datum: &'a Datum) -> Option<Self> {
                match datum {
                    Datum::$variant(value) => Some($($wrap)?(*value)),
                    _ => None,
                }
            }
        }
        impl Ret for $ty {
            #[inline]
            fn ret(self) -> SqlResult<Datum> {
                Ok(Datum::$variant(plain!(@inner self $($wrap)?)))
            }
        }
    )*};
    (@inner $self:ident $wrap:path) => { $self.0 };
    (@inner $self:ident) => { $self };
}

plain! {
    bool => Bool, i16 => Int2, i32 => Int4, i64 => Int8, f32 => Float4, f64 => Float8, Interval => Interval, Oid => Oid,
    Date => Date (Date), Time => Time (Time), Timestamp => Timestamp (Timestamp),
    TimestampTz => TimestampTz (TimestampTz), Uuid => Uuid (Uuid), Char => Char (Char),
}

macro_rules! borrowed {
    ($($ty:ty => $variant:ident),* $(,)?) => {$(
        impl<'a> Arg<'a> for &'a $ty {
            #[inline]
            fn arg(datum: &'a Datum) -> Option<Self> {
                match datum {
                    Datum::$variant(value) => Some(value),
                    _ => None,
                }
            }
        }
        impl Ret for $ty {
            #[inline]
            fn ret(self) -> SqlResult<Datum> {
                Ok(Datum::$variant(self))
            }
        }
    )*};
}

borrowed! { Numeric => Numeric, Text => Text, Bytes => Bytea, Arc<ArrayValue> => Array }

impl<'a> Arg<'a> for &'a str {
    #[inline]
    fn arg(datum: &'a Datum) -> Option<Self> {
        datum.as_str()
    }
}

impl<'a> Arg<'a> for &'a Datum {
    #[inline]
    fn arg(datum: &'a Datum) -> Option<Self> {
        Some(datum)
    }
}

/// A null that a body of a function that is not strict looks at itself.
impl<'a, T: Arg<'a>> Arg<'a> for Option<T> {
    #[inline]
    fn arg(datum: &'a Datum) -> Option<Self> {
        match datum {
            Datum::Null => Some(None),
            other => T::arg(other).map(Some),
        }
    }
}

impl Ret for Datum {
    #[inline]
    fn ret(self) -> SqlResult<Datum> {
        Ok(self)
    }
}

impl Ret for String {
    fn ret(self) -> SqlResult<Datum> {
        Ok(Datum::Text(Text::from(self)))
    }
}

impl Ret for &str {
    fn ret(self) -> SqlResult<Datum> {
        Ok(Datum::Text(Text::new(self)))
    }
}

impl Ret for Vec<u8> {
    fn ret(self) -> SqlResult<Datum> {
        Ok(Datum::Bytea(Bytes::from(self)))
    }
}

impl<T: Ret> Ret for Option<T> {
    #[inline]
    fn ret(self) -> SqlResult<Datum> {
        self.map_or(Ok(Datum::Null), Ret::ret)
    }
}

impl<T: Ret> Ret for Result<T, SqlError> {
    #[inline]
    fn ret(self) -> SqlResult<Datum> {
        self?.ret()
    }
}

impl<T: Ret> Ret for Result<T, ValueError> {
    #[inline]
    fn ret(self) -> SqlResult<Datum> {
        self?.ret()
    }
}

/// XX000: the arguments are not of the declared types, which the binder saw to.
#[cold]
pub(super) fn wrong_arguments(args: &[Datum]) -> SqlError {
    let types: Vec<String> = args.iter().map(|arg| arg.natural_type().to_string()).collect();
    SqlError::internal(format!("a function was called with ({})", types.join(", ")))
}

/// A body over typed arguments: `body!(|a: i32, b: i32| a.checked_add(b))`, or with the call,
/// `body!(call |a: i32| ...)`. The result is anything that [`Ret`] knows.
macro_rules! body {
    (|| $body:expr) => {
        body!(_call || $body)
    };
    ($call:ident || $body:expr) => {
        |args: &[shardforge_types::Datum],
         $call: &crate::functions::Call<'_>|
         -> crate::SqlResult<shardforge_types::Datum> {
            if !args.is_empty() {
                return Err(crate::functions::args::wrong_arguments(args));
            }
            crate::functions::args::Ret::ret($body)
        }
    };
    (|$($arg:ident: $ty:ty),* $(,)?| $body:expr) => {
        body!(_call |$($arg: $ty),*| $body)
    };
    ($call:ident |$($arg:ident: $ty:ty),* $(,)?| $body:expr) => {
        |args: &[shardforge_types::Datum], $call: &crate::functions::Call<'_>| -> crate::SqlResult<shardforge_types::Datum> {
            let [$($arg),*] = args else { return Err(crate::functions::args::wrong_arguments(args)) };
            $(let Some($arg) = <$ty as crate::functions::args::Arg>::arg($arg) else {
                return Err(crate::functions::args::wrong_arguments(args));
            };)*
            crate::functions::args::Ret::ret($body)
        }
    };
}
pub(super) use body;
