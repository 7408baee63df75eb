//! From sums of decimals to PostgreSQL's numbers: averages, and sums of values with different display scales.

use crate::error::to_datafusion;
use crate::physical::number_of;
use crate::values::to_array;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Int8Type, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use shardforge_compute::SqlResult;
use shardforge_types::{Datum, Numeric, PgType};
use std::sync::Arc;

/// What is made of a sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Final {
    /// Itself; its display scale is the greatest of its values', which comes second.
    Sum,
    /// Divided by how many values there were, which comes second; third, if it is there, the display scale.
    Average,
}

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DecimalFinal {
    kind: Final,
    scale: u8,
    signature: Signature,
}

/// A call, over a sum of this scale.
pub(crate) fn decimal_final(kind: Final, scale: u8, args: Vec<Expr>) -> Expr {
    let function = DecimalFinal { kind, scale, signature: Signature::any(args.len(), Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args))
}

impl DecimalFinal {
    fn compute(&self, args: &[ArrayRef]) -> SqlResult<ArrayRef> {
        let sums = args[0].as_primitive::<Decimal128Type>();
        let scales = match self.kind {
            Final::Sum => args.get(1),
            Final::Average => args.get(2),
        };
        let scales = scales.map(|array| array.as_primitive::<Int8Type>());
        let mut out = Vec::with_capacity(sums.len());
        for row in 0..sums.len() {
            if sums.is_null(row) {
                out.push(Datum::Null);
                continue;
            }
            let mut sum = number_of(sums.value(row), self.scale);
            if let Some(scales) = scales {
                // Every value had at most this scale, so no digit is lost.
                sum = sum.round(i32::from(scales.value(row)))?;
            }
            out.push(Datum::Numeric(match self.kind {
                Final::Sum => sum,
                Final::Average => {
                    let count = args[1].as_primitive::<Int64Type>().value(row);
                    sum.div(&Numeric::from(count))?
                }
            }));
        }
        to_array(PgType::NUMERIC, out.iter())
    }
}

impl ScalarUDFImpl for DecimalFinal {
    fn name(&self) -> &str {
        match self.kind {
            Final::Sum => "decimal_total",
            Final::Average => "decimal_average",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(crate::values::data_type(PgType::NUMERIC))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let out = self.compute(&arrays).map_err(to_datafusion)?;
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&out, 0)?),
            false => ColumnarValue::Array(out),
        })
    }
}
