//! Where each column of a row lies.

use crate::{PgType, oids};

/// What a row holds of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnStorage {
    /// Its value.
    Stored(PgType),
    /// Nothing: the key gives the value back (see [`crate::key::key_recoverable`]).
    InKey,
}

/// The columns of a table by permanent number, and where a row holds each. Dropped columns stay in
/// it, so that older rows can be read; writers put null for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowLayout {
    columns: Vec<Place>,
    /// Of the columns before each number: the length of the fixed part, the count of variable ones.
    /// One more element than there are columns.
    before: Vec<(usize, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    InKey,
    Fixed { at: usize, width: usize, ty: PgType },
    Variable { index: usize, ty: PgType },
}

impl RowLayout {
    /// The layout of columns in the order of their numbers.
    pub fn new(columns: impl IntoIterator<Item = ColumnStorage>) -> Self {
        let mut places = Vec::new();
        let (mut at, mut index) = (0, 0);
        let mut before = vec![(0, 0)];
        for column in columns {
            places.push(match column {
                ColumnStorage::InKey => Place::InKey,
                ColumnStorage::Stored(ty) => match fixed_width(ty) {
                    Some(width) => {
                        at += width;
                        Place::Fixed { at: at - width, width, ty }
                    }
                    None => {
                        index += 1;
                        Place::Variable { index: index - 1, ty }
                    }
                },
            });
            before.push((at, index));
        }
        Self { columns: places, before }
    }

    /// The layout that stores a value of every one of these types.
    pub fn of_types(types: impl IntoIterator<Item = PgType>) -> Self {
        Self::new(types.into_iter().map(ColumnStorage::Stored))
    }

    /// Number of columns, dropped ones included.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Whether there are no columns.
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The type of a stored column.
    pub fn column_type(&self, column: usize) -> Option<PgType> {
        match self.columns.get(column)? {
            Place::InKey => None,
            Place::Fixed { ty, .. } | Place::Variable { ty, .. } => Some(*ty),
        }
    }

    pub(super) fn place(&self, column: usize) -> Option<Place> {
        self.columns.get(column).copied()
    }

    /// Length of the fixed part of a row with this many columns.
    pub(super) fn fixed_len(&self, columns: usize) -> usize {
        self.before[columns].0
    }

    /// Number of variable columns in a row with this many columns.
    pub(super) fn variable_count(&self, columns: usize) -> usize {
        self.before[columns].1
    }
}

/// Bytes that every value of the type has; `None` when they differ.
pub(super) fn fixed_width(ty: PgType) -> Option<usize> {
    match ty.oid {
        oids::BOOL | oids::CHAR => Some(1),
        oids::INT2 => Some(2),
        oids::INT4 | oids::FLOAT4 | oids::DATE => Some(4),
        oids::INT8 | oids::FLOAT8 | oids::TIME | oids::TIMESTAMP | oids::TIMESTAMPTZ => Some(8),
        oids::INTERVAL | oids::UUID => Some(16),
        oid if oid.is_oid_like() => Some(4),
        _ => None,
    }
}
