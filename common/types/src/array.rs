//! Arrays: elements of one type in row-major order, with bounds for each dimension.

use crate::{Datum, Oid};
use smallvec::{SmallVec, smallvec};

/// Dimensions an array may have at most.
pub const MAX_DIMS: usize = 6;
/// Elements an array may have at most: what PostgreSQL can allocate.
pub const MAX_ELEMENTS: usize = 134_217_727;

/// One dimension of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ArrayDim {
    /// Number of elements along it; at least one.
    pub len: i32,
    /// Subscript of the first one, 1 unless said otherwise.
    pub lower: i32,
}

/// An array value. The empty array has no dimensions.
#[derive(Debug, Clone)]
pub struct ArrayValue {
    /// The type of the elements.
    pub element: Oid,
    /// Dimensions, the outermost first.
    pub dims: SmallVec<[ArrayDim; 1]>,
    /// The elements, the last subscript varying fastest.
    pub values: Vec<Datum>,
}

impl ArrayValue {
    /// An array without elements.
    pub fn empty(element: Oid) -> Self {
        Self { element, dims: SmallVec::new(), values: Vec::new() }
    }

    /// A one-dimensional array with subscripts from 1.
    pub fn from_values(element: Oid, values: Vec<Datum>) -> Self {
        if values.is_empty() {
            return Self::empty(element);
        }
        Self { element, dims: smallvec![ArrayDim { len: values.len() as i32, lower: 1 }], values }
    }

    /// Number of elements in all dimensions together.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The element under subscripts, one for each dimension; `None` outside the bounds.
    pub fn get(&self, subscripts: &[i32]) -> Option<&Datum> {
        if subscripts.len() != self.dims.len() || self.dims.is_empty() {
            return None;
        }
        let mut at = 0usize;
        for (dim, subscript) in self.dims.iter().zip(subscripts) {
            let offset = i64::from(*subscript) - i64::from(dim.lower);
            if offset < 0 || offset >= i64::from(dim.len) {
                return None;
            }
            at = at * dim.len as usize + offset as usize;
        }
        self.values.get(at)
    }
}
