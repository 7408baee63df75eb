//! Values that lie outside their row, in chunks under the table's value storage.

use super::codec::TableCodec;
use crate::SqlResult;
use crate::row_exec::stop::Step;
use crate::txn::{Checked, Interrupt, RowBytes, Txn, Visibility};
use bytes::Bytes;
use shardforge_common::key::{prefix_end, storage_prefix};
use shardforge_common::random::Random;
use shardforge_types::key::{KeyOrder, encode_key_column};
use shardforge_types::row::{BigValue, Cell, ExternalValue};
use shardforge_types::{Datum, PgType, oids};

const UUID: PgType = PgType::new(oids::UUID);

/// What the keys of a value's chunks begin with.
fn chunk_prefix(codec: &TableCodec, row_key: &[u8], id: u128) -> SqlResult<Vec<u8>> {
    let lead = codec.leading_column(row_key)?;
    let mut key = Vec::with_capacity(8 + lead.len() + 17 + 5);
    key.extend_from_slice(&storage_prefix(codec.table().value_storage));
    key.extend_from_slice(lead);
    encode_key_column(&mut key, &Datum::Uuid(id.to_be_bytes()), UUID, KeyOrder::ASC)?;
    Ok(key)
}

fn push_chunk_number(key: &mut Vec<u8>, chunk: u32) -> SqlResult<()> {
    Ok(encode_key_column(key, &Datum::Int4(chunk as i32), PgType::INT4, KeyOrder::ASC)?)
}

/// The keys and values of a big value's chunks, and its id.
pub(crate) fn new_chunks(
    codec: &TableCodec,
    row_key: &[u8],
    big: BigValue<'_>,
    random: &Random,
    out: &mut Vec<(Bytes, Bytes)>,
) -> SqlResult<u128> {
    let id = u128::from_be_bytes(random.bytes16());
    let prefix = chunk_prefix(codec, row_key, id)?;
    for (number, chunk) in big.chunks().enumerate() {
        let mut key = prefix.clone();
        push_chunk_number(&mut key, number as u32)?;
        out.push((Bytes::from(key), Bytes::copy_from_slice(chunk)));
    }
    Ok(id)
}

/// Reads a value that lies outside its row.
pub(crate) fn fetch_external(
    txn: &mut Txn,
    codec: &TableCodec,
    row_key: &[u8],
    place: ExternalValue,
    ty: PgType,
    visibility: Visibility,
) -> Step<Datum> {
    read_external(|key| txn.get(key, visibility), codec, row_key, place, ty)
}

/// The same through anything that reads keys.
pub(crate) fn read_external(
    mut get: impl FnMut(&[u8]) -> Result<Option<RowBytes>, Interrupt>,
    codec: &TableCodec,
    row_key: &[u8],
    place: ExternalValue,
    ty: PgType,
) -> Step<Datum> {
    let prefix = chunk_prefix(codec, row_key, place.id)?;
    let mut stored = Vec::with_capacity(place.stored_len as usize);
    for number in 0..place.chunks {
        let mut key = prefix.clone();
        push_chunk_number(&mut key, number)?;
        match get(&key)? {
            Some(chunk) => stored.extend_from_slice(&chunk.value),
            None => {
                let message = format!(
                    "chunk {number} of a value of table \"{}\" ({:#034x}) is missing",
                    codec.table().name,
                    place.id
                );
                return Err(shardforge_common::Error::corrupt(message).into());
            }
        }
    }
    Ok(place.datum(stored, ty)?)
}

/// Removes the chunks of a row's big values, of the columns for which `gone` holds.
pub(crate) fn delete_chunks(
    txn: &mut Txn,
    codec: &TableCodec,
    row_key: &[u8],
    value: &[u8],
    gone: impl Fn(usize) -> bool,
) -> Step<()> {
    let view = codec.view(value)?;
    for column in 0..view.columns() {
        if !gone(column) || codec.layout().column_type(column).is_none() {
            continue;
        }
        if let Cell::External(_, place) = view.cell(column)? {
            let start = chunk_prefix(codec, row_key, place.id)?;
            if let Some(end) = prefix_end(&start) {
                txn.delete_range(Bytes::from(start), Bytes::from(end), Checked::No)?;
            }
        }
    }
    Ok(())
}
