//! The mutations of one row: its key, value, index entries and big values.

use crate::row_exec::ExecEnv;
use crate::row_exec::stop::{Step, Stop};
use crate::row_exec::storage::{EntryParts, TableCodec, delete_chunks, new_chunks};
use crate::txn::{Checked, LockMode, Visibility};
use crate::{SqlError, SqlResult};
use bytes::Bytes;
use shardforge_common::random::Random;
use shardforge_types::row::{RowInput, RowWriter};
use shardforge_types::{Datum, SqlState};

/// One mutation to come.
#[derive(Debug)]
enum Write {
    Insert(Bytes, Bytes, Checked),
    Update(Bytes, Bytes, Checked),
    Delete(Bytes, Checked),
    /// An entry of a unique index: who wants its key waits for this transaction's end.
    GiveUp(Bytes),
}

/// How a new row is written.
#[derive(Debug, Clone, Copy)]
pub(in crate::row_exec) enum InsertWay {
    /// As any other.
    Row,
    /// With [`crate::txn::Txn::append`].
    Bulk {
        /// Its key was never given to anyone.
        fresh: bool,
    },
}

/// Makes and carries out the mutations of one row after another; buffers are kept.
#[derive(Default)]
pub(in crate::row_exec) struct MutationQueue {
    writer: RowWriter,
    writes: Vec<Write>,
    done: usize,
    chunks: Vec<(Bytes, Bytes)>,
}

/// A unique key that another row has.
#[derive(Debug)]
pub(in crate::row_exec) struct Taken {
    /// `None` is the primary key, else the position in the table's indexes.
    pub(in crate::row_exec) index: Option<usize>,
    /// The key of the other row.
    pub(in crate::row_exec) row_key: Vec<u8>,
    /// Why the other row is not visible here, though it is there: it came after the snapshot.
    pub(in crate::row_exec) unseen: Option<Box<SqlError>>,
}

impl Taken {
    fn seen(index: Option<usize>, row_key: Vec<u8>) -> Self {
        Self { index, row_key, unseen: None }
    }
}

/// Locks a key against other transactions of this compute, absent or not.
pub(in crate::row_exec) fn lock(env: &mut ExecEnv<'_>, key: &[u8], mode: LockMode) -> Step<()> {
    env.txn.lock_row(key, mode, env.lock_wait)?;
    Ok(())
}

/// Locks a unique key; the conflict, when another transaction has put a row there since the snapshot.
fn lock_unique(env: &mut ExecEnv<'_>, key: &[u8]) -> Step<Option<Box<SqlError>>> {
    match env.txn.lock_new(key, env.lock_wait).map_err(Stop::from) {
        Ok(_) => Ok(None),
        Err(Stop::Error(error))
            if error.sqlstate() == SqlState::T_R_SERIALIZATION_FAILURE
                && env.txn.was_inserted_meanwhile(key) =>
        {
            Ok(Some(Box::new(error)))
        }
        Err(other) => Err(other),
    }
}

/// Whether another row lies under this row's key.
pub(in crate::row_exec) fn key_taken(env: &mut ExecEnv<'_>, key: &[u8]) -> Step<Option<Taken>> {
    if let Some(error) = lock_unique(env, key)? {
        return Ok(Some(Taken { index: None, row_key: key.to_vec(), unseen: Some(error) }));
    }
    let found = env.txn.get(key, Visibility::Now)?;
    Ok(found.map(|_| Taken::seen(None, key.to_vec())))
}

/// Whether another row has the entry of a unique index.
pub(in crate::row_exec) fn entry_taken(
    env: &mut ExecEnv<'_>,
    codec: &TableCodec,
    index: usize,
    entry: &EntryParts,
) -> Step<Option<Taken>> {
    if !entry.unique {
        return Ok(None);
    }
    if let Some(error) = lock_unique(env, &entry.key)? {
        return Ok(Some(Taken { index: Some(index), row_key: Vec::new(), unseen: Some(error) }));
    }
    let Some(found) = env.txn.get(&entry.key, Visibility::Now)? else { return Ok(None) };
    let mut row_key = Vec::new();
    codec.indexes()[index].row_key(codec.table().storage, &entry.key, &found.value, &mut row_key)?;
    Ok(Some(Taken::seen(Some(index), row_key)))
}

impl MutationQueue {
    /// Forgets what was not carried out.
    pub(in crate::row_exec) fn clear(&mut self) {
        self.writes.clear();
        self.done = 0;
    }

    /// Carries out what is left of a row's mutations.
    pub(in crate::row_exec) fn run(&mut self, env: &mut ExecEnv<'_>) -> Step<()> {
        while let Some(write) = self.writes.get(self.done) {
            match write {
                Write::Insert(key, value, checked) => env.txn.insert(key.clone(), value.clone(), *checked)?,
                Write::Update(key, value, checked) => env.txn.update(key.clone(), value.clone(), *checked)?,
                Write::Delete(key, checked) => env.txn.delete(key.clone(), *checked)?,
                Write::GiveUp(key) => {
                    lock(env, key, LockMode::Update)?;
                    env.txn.delete(key.clone(), Checked::Yes)?;
                }
            }
            self.done += 1;
        }
        self.clear();
        Ok(())
    }

    /// Queues a new row, as wide as its table; what is written in bulk is written at once.
    pub(in crate::row_exec) fn insert(
        &mut self,
        env: &mut ExecEnv<'_>,
        codec: &TableCodec,
        way: InsertWay,
        key: &[u8],
        row: &[Datum],
        entries: &[EntryParts],
    ) -> Step<()> {
        let random = &env.context.session.random;
        let value = encode_row(
            &mut self.writer,
            &mut self.chunks,
            codec,
            key,
            random,
            row.iter().map(RowInput::Datum),
        )?;
        let appended = match way {
            InsertWay::Bulk { fresh } => env.txn.append(key, value, fresh)?,
            InsertWay::Row => false,
        };
        if !appended {
            // Nobody else ever has this row id: there is nothing to check.
            let checked = if codec.has_row_ids() { Checked::No } else { Checked::Yes };
            let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
            self.writes.push(Write::Insert(key, value, checked));
        }
        self.queue_chunks();
        entries.iter().for_each(|entry| self.insert_entry(entry));
        Ok(())
    }

    fn queue_chunks(&mut self) {
        let chunks = self.chunks.drain(..).map(|(key, value)| Write::Insert(key, value, Checked::No));
        self.writes.extend(chunks);
    }

    /// The row's bytes; its big values are queued before it.
    fn encode<'v>(
        &mut self,
        env: &ExecEnv<'_>,
        codec: &TableCodec,
        key: &[u8],
        values: impl IntoIterator<Item = RowInput<'v>>,
    ) -> SqlResult<Bytes> {
        let random = &env.context.session.random;
        let row = encode_row(&mut self.writer, &mut self.chunks, codec, key, random, values)?;
        let row = Bytes::copy_from_slice(row);
        self.queue_chunks();
        Ok(row)
    }

    fn insert_entry(&mut self, entry: &EntryParts) {
        let checked = if entry.unique { Checked::Yes } else { Checked::No };
        self.writes.push(Write::Insert(entry.key.clone(), entry.value.clone(), checked));
    }

    fn delete_entry(&mut self, entry: &EntryParts) {
        self.writes.push(match entry.unique {
            true => Write::GiveUp(entry.key.clone()),
            false => Write::Delete(entry.key.clone(), Checked::No),
        });
    }

    /// Queues a row's new value under the same key. Columns that are not `changed` keep their bytes.
    pub(in crate::row_exec) fn update(
        &mut self,
        env: &ExecEnv<'_>,
        codec: &TableCodec,
        key: &[u8],
        old_value: &[u8],
        row: &[Datum],
        changed: &[usize],
    ) -> SqlResult<()> {
        let view = codec.view(old_value)?;
        let columns = &codec.table().columns;
        let mut inputs = Vec::with_capacity(columns.len());
        for (position, column) in columns.iter().enumerate() {
            inputs.push(if changed.contains(&position) || column.dropped {
                RowInput::Datum(&row[position])
            } else {
                // A row older than the column gets the default that it has had since.
                match view.raw(position)? {
                    Some(raw) => RowInput::Raw(raw),
                    None => RowInput::Datum(&column.missing),
                }
            });
        }
        let value = self.encode(env, codec, key, inputs)?;
        self.writes.push(Write::Update(Bytes::copy_from_slice(key), value, Checked::Yes));
        Ok(())
    }

    /// Queues what becomes of an index entry.
    pub(in crate::row_exec) fn move_entry(&mut self, old: &EntryParts, new: &EntryParts) {
        if old.key == new.key {
            if old.value != new.value {
                self.writes.push(Write::Update(new.key.clone(), new.value.clone(), Checked::Yes));
            }
            return;
        }
        self.delete_entry(old);
        self.insert_entry(new);
    }

    /// Queues the end of a row and its entries.
    pub(in crate::row_exec) fn delete(&mut self, key: &[u8], entries: &[EntryParts]) {
        self.writes.push(Write::Delete(Bytes::copy_from_slice(key), Checked::Yes));
        entries.iter().for_each(|entry| self.delete_entry(entry));
    }
}

/// The bytes of a row; its big values go to `chunks`.
fn encode_row<'w, 'v>(
    writer: &'w mut RowWriter,
    chunks: &mut Vec<(Bytes, Bytes)>,
    codec: &TableCodec,
    key: &[u8],
    random: &Random,
    values: impl IntoIterator<Item = RowInput<'v>>,
) -> SqlResult<&'w [u8]> {
    let mut store = |big: shardforge_types::row::BigValue<'_>| {
        new_chunks(codec, key, big, random, chunks)
            .map_err(|e| shardforge_types::ValueError::new(e.sqlstate(), e.fields().message.clone()))
    };
    Ok(writer.write(codec.layout(), codec.version(), values, &mut store)?)
}

/// Removes the chunks of a row's big values in the columns for which `gone` holds.
pub(in crate::row_exec) fn drop_big_values(
    env: &mut ExecEnv<'_>,
    codec: &TableCodec,
    key: &[u8],
    value: &[u8],
    gone: impl Fn(usize) -> bool,
) -> Step<()> {
    delete_chunks(env.txn, codec, key, value, gone)
}
