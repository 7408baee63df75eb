//! How columns of tables lie in plans where Arrow has something better than the form of their type.
//!
//! | column | in a plan | order and equality are Arrow's |
//! |---|---|---|
//! | `numeric(p, s)`, p up to 38 | `Decimal128(38, s)`: every value has the display scale s | yes |
//! | `char(n)` | `Utf8` without trailing blanks | yes: collation C |
//!
//! What is computed of decimals may be a decimal too ([`crate::lower`] says when). Whoever does not know of
//! these forms gets the form of the type: [`to_default`] makes it.
//!
//! `NaN` is [`NAN`], above every decimal of 38 digits, so Arrow compares and groups it as PostgreSQL does.

use crate::error::to_datafusion;
use crate::values::{data_type, to_array};
use arrow::array::{Array, ArrayRef, AsArray, Decimal128Builder, StringBuilder};
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Datum, Numeric, PgType, oids};
use std::sync::Arc;

/// Digits of every decimal: DataFusion wants one type for what it compares.
pub(crate) const DIGITS: u8 = 38;
/// `NaN` among decimals.
pub(crate) const NAN: i128 = i128::MAX;
/// Beyond the greatest decimal.
pub(crate) const LIMIT: i128 = 10i128.pow(DIGITS as u32);

/// A form that a column has instead of that of its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Physical {
    /// Decimals of one display scale.
    Decimal {
        /// So many digits a value has at most, as far as is known; above 38, one that is too large is
        /// [`crate::exact::too_large`].
        digits: u32,
        scale: u8,
    },
    /// Text of up to so many characters, without trailing blanks.
    Trimmed { len: u32 },
}

impl Physical {
    /// The form of a table's column.
    pub(crate) fn of_table(ty: PgType) -> Option<Self> {
        if ty.typmod < 4 {
            return None;
        }
        match ty.oid {
            oids::NUMERIC => {
                let modifier = ty.typmod - 4;
                let (precision, scale) = (modifier >> 16, modifier & 0x7ff);
                (precision <= i32::from(DIGITS) && scale <= precision)
                    .then_some(Self::Decimal { digits: precision as u32, scale: scale as u8 })
            }
            oids::BPCHAR => ty.char_len().map(|len| Self::Trimmed { len: len as u32 }),
            _ => None,
        }
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Decimal { scale, .. } => DataType::Decimal128(DIGITS, scale as i8),
            Self::Trimmed { .. } => DataType::Utf8,
        }
    }
}

/// The type of a column in one of these forms, or in that of its type.
pub(crate) fn column_type(ty: PgType, physical: Option<Physical>) -> DataType {
    physical.map_or_else(|| data_type(ty), Physical::data_type)
}

/// A finite or absent number as a decimal; `None` when it does not have exactly this scale.
pub(crate) fn decimal_of(value: &Numeric, scale: u8) -> Option<i128> {
    if value.is_nan() {
        return Some(NAN);
    }
    let (unscaled, of) = value.as_unscaled()?;
    (of == u16::from(scale) && unscaled.unsigned_abs() < LIMIT.unsigned_abs()).then_some(unscaled)
}

/// A decimal as a number.
pub(crate) fn number_of(unscaled: i128, scale: u8) -> Numeric {
    if unscaled == NAN { Numeric::NAN } else { Numeric::from_unscaled(unscaled, u16::from(scale)) }
}

/// An array of values in the form.
pub(crate) fn to_physical_array<'a>(
    ty: PgType,
    physical: Option<Physical>,
    values: impl ExactSizeIterator<Item = &'a Datum>,
) -> SqlResult<ArrayRef> {
    let wrong = |value: &Datum| SqlError::internal(format!("a value {value:?} in a column of type {ty}"));
    match physical {
        None => to_array(ty, values),
        Some(Physical::Decimal { scale, .. }) => {
            let mut builder = Decimal128Builder::with_capacity(values.len());
            for value in values {
                match value {
                    Datum::Null => builder.append_null(),
                    Datum::Numeric(number) => {
                        builder.append_value(decimal_of(number, scale).ok_or_else(|| wrong(value))?);
                    }
                    other => return Err(wrong(other)),
                }
            }
            Ok(Arc::new(builder.finish().with_data_type(DataType::Decimal128(DIGITS, scale as i8))))
        }
        Some(Physical::Trimmed { .. }) => {
            let mut builder = StringBuilder::with_capacity(values.len(), 16 * values.len());
            for value in values {
                match value {
                    Datum::Null => builder.append_null(),
                    Datum::Text(text) => builder.append_value(text.as_str().trim_end_matches(' ')),
                    other => return Err(wrong(other)),
                }
            }
            Ok(Arc::new(builder.finish()))
        }
    }
}

/// The function that gives values the form of their type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToDefault {
    ty: PgType,
    physical: Physical,
    signature: Signature,
}

/// An expression in such a form, in the form of its type.
pub(crate) fn to_default(ty: PgType, physical: Physical, expr: Expr) -> Expr {
    let function = ToDefault { ty, physical, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![expr]))
}

impl ToDefault {
    fn convert(&self, array: &dyn Array) -> SqlResult<ArrayRef> {
        let values: Vec<Datum> = match self.physical {
            Physical::Decimal { scale, .. } => array
                .as_primitive::<Decimal128Type>()
                .iter()
                .map(|value| value.map_or(Datum::Null, |value| Datum::Numeric(number_of(value, scale))))
                .collect(),
            Physical::Trimmed { len } => {
                let array = array.as_string::<i32>();
                let mut builder = StringBuilder::with_capacity(array.len(), len as usize * array.len());
                let mut filled = String::new();
                for value in array {
                    match value {
                        None => builder.append_null(),
                        Some(text) => {
                            filled.clear();
                            filled.push_str(text);
                            let missing = (len as usize).saturating_sub(text.chars().count());
                            filled.extend(std::iter::repeat_n(' ', missing));
                            builder.append_value(&filled);
                        }
                    }
                }
                return Ok(Arc::new(builder.finish()));
            }
        };
        to_array(self.ty, values.iter())
    }
}

impl ScalarUDFImpl for ToDefault {
    fn name(&self) -> &str {
        "value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.ty))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let convert = |array: &ArrayRef| {
            if *array.data_type() == DataType::Null {
                // The optimizer asks what becomes of nulls without a type.
                return Ok(arrow::array::new_null_array(&data_type(self.ty), array.len()));
            }
            self.convert(array).map_err(to_datafusion)
        };
        Ok(match &args.args[0] {
            ColumnarValue::Array(array) => ColumnarValue::Array(convert(array)?),
            ColumnarValue::Scalar(value) => {
                ColumnarValue::Scalar(ScalarValue::try_from_array(&convert(&value.to_array()?)?, 0)?)
            }
        })
    }
}
