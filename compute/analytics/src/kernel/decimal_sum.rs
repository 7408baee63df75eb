//! `sum` of decimals: exact, or [`too_large`]. Nulls count for nothing; without a value the sum is null.

use crate::exact::too_large;
use crate::physical::{DIGITS, LIMIT, NAN};
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use std::sync::Arc;

/// The function, over decimals of one scale.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalSum {
    scale: u8,
    signature: Signature,
}

/// The sum of decimals of a scale.
pub(crate) fn decimal_sum(scale: u8) -> Arc<AggregateUDF> {
    let function = DecimalSum { scale, signature: Signature::any(1, Volatility::Immutable) };
    Arc::new(AggregateUDF::new_from_impl(function))
}

/// Stands for a sum that was too large; no decimal has this value.
const LOST: i128 = i128::MIN;
/// Bits that two values may have so that their sum surely has no more than 38 digits.
const QUICK_BITS: u32 = 125;

#[inline]
fn add(sum: i128, value: i128) -> i128 {
    let folded = (sum ^ (sum >> 127)) | (value ^ (value >> 127));
    if folded >> QUICK_BITS == 0 { sum + value } else { add_carefully(sum, value) }
}

#[cold]
fn add_carefully(sum: i128, value: i128) -> i128 {
    match (sum, value) {
        (NAN, _) | (_, NAN) => NAN,
        (LOST, _) | (_, LOST) => LOST,
        _ => sum.checked_add(value).filter(|sum| sum.unsigned_abs() < LIMIT.unsigned_abs()).unwrap_or(LOST),
    }
}

/// A sum to hand on. One that was lost is not one, whatever came after: `NaN` aside, which the exact way
/// finds as well.
fn kept(sum: i128) -> Result<i128> {
    if sum == LOST { Err(too_large()) } else { Ok(sum) }
}

impl AggregateUDFImpl for DecimalSum {
    fn name(&self) -> &str {
        "decimal_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Decimal128(DIGITS, self.scale as i8))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Total { scale: self.scale, sum: None }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Totals { scale: self.scale, sums: Vec::new(), seen: Vec::new() }))
    }
}

/// One sum.
#[derive(Debug)]
struct Total {
    scale: u8,
    sum: Option<i128>,
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = values[0].as_primitive::<Decimal128Type>();
        if values.null_count() == values.len() {
            return Ok(());
        }
        let mut sum = self.sum.unwrap_or(0);
        match values.nulls() {
            None => sum = values.values().iter().fold(sum, |sum, value| add(sum, *value)),
            Some(_) => values.iter().flatten().for_each(|value| sum = add(sum, value)),
        }
        self.sum = Some(sum);
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.sum.map(kept).transpose()?;
        Ok(ScalarValue::Decimal128(sum, DIGITS, self.scale as i8))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }
}

/// A sum for each group.
#[derive(Debug)]
struct Totals {
    scale: u8,
    sums: Vec<i128>,
    /// Whether the group has a value.
    seen: Vec<bool>,
}

impl GroupsAccumulator for Totals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.sums.resize(total, 0);
        self.seen.resize(total, false);
        let values = values[0].as_primitive::<Decimal128Type>();
        if values.null_count() == 0 && filter.is_none() {
            for (group, value) in groups.iter().zip(values.values()) {
                self.sums[*group] = add(self.sums[*group], *value);
                self.seen[*group] = true;
            }
            return Ok(());
        }
        for (row, (group, value)) in groups.iter().zip(values).enumerate() {
            let wanted = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let (true, Some(value)) = (wanted, value) {
                self.sums[*group] = add(self.sums[*group], value);
                self.seen[*group] = true;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let sums = emit.take_needed(&mut self.sums);
        let seen = emit.take_needed(&mut self.seen);
        if sums.contains(&LOST) {
            return Err(too_large());
        }
        let nulls = Some(NullBuffer::from(seen)).filter(|nulls| nulls.null_count() > 0);
        let ty = DataType::Decimal128(DIGITS, self.scale as i8);
        Ok(Arc::new(Decimal128Array::new(sums.into(), nulls).with_data_type(ty)))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(values, groups, None, total)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        Ok(vec![match filter {
            None => values[0].clone(),
            Some(filter) => {
                let keep = arrow::compute::prep_null_mask_filter(filter);
                arrow::compute::nullif(&values[0], &arrow::compute::not(&keep)?)?
            }
        }])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_or_lost() {
        let big = LIMIT - 1;
        assert_eq!(add(big - 1, 1), big);
        assert_eq!(add(big, 1), LOST);
        assert_eq!(add(-big, -1), LOST);
        assert_eq!(add(LOST, 1), LOST);
        assert_eq!(add(NAN, -big), NAN);
        assert_eq!(add(-big, NAN), NAN);
        assert_eq!(add(big, -big), 0);
        assert!(kept(LOST).is_err());
    }
}
