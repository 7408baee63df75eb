//! Values in the binary form of PostgreSQL's wire protocol. All integers are big endian.

mod array;
mod numeric;

use crate::datetime::{self, is_finite, is_finite_date, is_valid_timestamp};
use crate::sqlstate::SqlState;
use crate::typmod::{self, Coercion};
use crate::{Datum, Interval, Oid, PgType, Text, ValueError, oids};
use bytes::{BufMut, Bytes};

/// The value that the bytes mean as a value of `ty`, its modifier applied as an assignment would.
pub fn input(bytes: &[u8], ty: PgType) -> Result<Datum, ValueError> {
    let datum = match ty.oid {
        oids::INT4 => Datum::Int4(i32::from_be_bytes(fixed(bytes)?)),
        oids::INT8 => Datum::Int8(i64::from_be_bytes(fixed(bytes)?)),
        oids::INT2 => Datum::Int2(i16::from_be_bytes(fixed(bytes)?)),
        oids::BOOL => Datum::Bool(fixed::<1>(bytes)? != [0]),
        oids::CHAR => Datum::Char(fixed::<1>(bytes)?[0]),
        oids::FLOAT4 => Datum::Float4(f32::from_be_bytes(fixed(bytes)?)),
        oids::FLOAT8 => Datum::Float8(f64::from_be_bytes(fixed(bytes)?)),
        oids::NUMERIC => Datum::Numeric(numeric::input(bytes)?),
        oids::BYTEA => Datum::Bytea(Bytes::copy_from_slice(bytes)),
        oids::UUID => Datum::Uuid(fixed(bytes)?),
        oids::DATE => Datum::Date(date(i32::from_be_bytes(fixed(bytes)?))?),
        oids::TIME => Datum::Time(time(i64::from_be_bytes(fixed(bytes)?))?),
        oids::TIMESTAMP => Datum::Timestamp(timestamp(i64::from_be_bytes(fixed(bytes)?))?),
        oids::TIMESTAMPTZ => Datum::TimestampTz(timestamp(i64::from_be_bytes(fixed(bytes)?))?),
        oids::INTERVAL => {
            let bytes: [u8; 16] = fixed(bytes)?;
            let (micros, parts) = bytes.split_at(8);
            let (days, months) = parts.split_at(4);
            Datum::Interval(Interval {
                micros: i64::from_be_bytes(fixed(micros)?),
                days: i32::from_be_bytes(fixed(days)?),
                months: i32::from_be_bytes(fixed(months)?),
            })
        }
        oids::NAME if bytes.len() > 63 => {
            return Err(ValueError::new(SqlState::NAME_TOO_LONG, "identifier too long")
                .with_detail("Identifier must be less than 64 characters."));
        }
        oids::RECORD => {
            return Err(ValueError::not_supported("input of anonymous composite types is not implemented"));
        }
        oids::JSON => return Err(ValueError::not_supported(format!("type {ty} is not supported"))),
        // PostgreSQL has no binary form of it and sends none; ours, between executors, is its text.
        oids::ACLITEM => Datum::Text(text(bytes)?),
        oids::INT2VECTOR | oids::OIDVECTOR => array::input(bytes, ty)?,
        oid if oid.is_text_like() => Datum::Text(text(bytes)?),
        oid if oid.is_oid_like() => Datum::Oid(Oid(u32::from_be_bytes(fixed(bytes)?))),
        _ if ty.element().is_some() => array::input(bytes, ty)?,
        _ => return Err(ValueError::not_supported(format!("type {ty} is not supported"))),
    };
    if ty.typmod < 0 { Ok(datum) } else { typmod::coerce(datum, ty, Coercion::Assignment) }
}

/// Appends the binary form of a value of `ty`; nothing for null, which the caller marks by length -1.
pub fn output(datum: &Datum, ty: PgType, out: &mut impl BufMut) {
    match datum {
        Datum::Null => {}
        Datum::Bool(value) => out.put_u8(u8::from(*value)),
        Datum::Char(value) => out.put_u8(*value),
        Datum::Int2(value) => out.put_i16(*value),
        Datum::Int4(value) | Datum::Date(value) => out.put_i32(*value),
        Datum::Int8(value) | Datum::Time(value) | Datum::Timestamp(value) | Datum::TimestampTz(value) => {
            out.put_i64(*value);
        }
        Datum::Float4(value) => out.put_f32(*value),
        Datum::Float8(value) => out.put_f64(*value),
        Datum::Oid(Oid(value)) => out.put_u32(*value),
        Datum::Text(value) => out.put_slice(value.as_bytes()),
        Datum::Bytea(value) => out.put_slice(value),
        Datum::Uuid(value) => out.put_slice(value),
        Datum::Interval(value) => {
            out.put_i64(value.micros);
            out.put_i32(value.days);
            out.put_i32(value.months);
        }
        Datum::Numeric(value) => out.put_slice(&numeric::output(value)),
        Datum::Array(value) => out.put_slice(&array::output(value, ty)),
        Datum::Record(fields) => {
            out.put_i32(fields.len() as i32);
            for field in fields.iter() {
                out.put_u32(field.ty.oid.0);
                let mut bytes = Vec::new();
                output(&field.value, field.ty, &mut bytes);
                out.put_i32(if field.value.is_null() { -1 } else { bytes.len() as i32 });
                out.put_slice(&bytes);
            }
        }
    }
}

/// Exactly `N` bytes.
fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ValueError> {
    match bytes.len() {
        len if len < N => Err(ValueError::insufficient_data()),
        len if len > N => Err(ValueError::bad_binary("incorrect binary data format")),
        _ => Ok(*bytes.first_chunk().expect("the length was compared")),
    }
}

fn text(bytes: &[u8]) -> Result<Text, ValueError> {
    let refuse = |at: usize| {
        // The bytes of the character that went wrong, as PostgreSQL names them.
        let shown: Vec<String> = bytes[at..].iter().take(1).map(|byte| format!("0x{byte:02x}")).collect();
        let message = format!("invalid byte sequence for encoding \"UTF8\": {}", shown.join(" "));
        ValueError::new(SqlState::CHARACTER_NOT_IN_REPERTOIRE, message)
    };
    let text = std::str::from_utf8(bytes).map_err(|error| refuse(error.valid_up_to()))?;
    match text.find('\0') {
        Some(at) => Err(refuse(at)),
        None => Ok(Text::new(text)),
    }
}

fn date(days: i32) -> Result<i32, ValueError> {
    let valid = !is_finite_date(days) || (datetime::MIN_DATE..datetime::END_DATE).contains(&days);
    if valid { Ok(days) } else { Err(datetime::out_of_range("date")) }
}

fn time(micros: i64) -> Result<i64, ValueError> {
    if (0..=datetime::DAY).contains(&micros) { Ok(micros) } else { Err(datetime::out_of_range("time")) }
}

fn timestamp(micros: i64) -> Result<i64, ValueError> {
    let valid = !is_finite(micros) || is_valid_timestamp(micros);
    if valid { Ok(micros) } else { Err(datetime::out_of_range("timestamp")) }
}
