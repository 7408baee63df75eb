//! Integer arithmetic over arrays, with PostgreSQL's errors: 22003 beyond the type, 22012 by zero.

use crate::error::to_datafusion;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, new_null_array};
use arrow::compute::try_binary;
use arrow::datatypes::{DataType, Int16Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use shardforge_compute::catalog::builtin;
use shardforge_compute::{SqlError, SqlResult};
use shardforge_types::{Oid, PgType, SqlState, oids};
use std::sync::Arc;

/// Which operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
}

/// The function, over two operands of the result's type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntArith {
    op: Op,
    ty: PgType,
    signature: Signature,
}

/// The operation that a function of PostgreSQL's is, if both operands widened to the result's type give the
/// same: `int4pl`, `int48mul` and their kin.
fn operation(func: Oid) -> Option<Op> {
    let source = builtin::proc(func)?.source.strip_prefix("int")?;
    let op = source.trim_start_matches(['2', '4', '8']);
    if !(1..=2).contains(&(source.len() - op.len())) {
        return None;
    }
    Some(match op {
        "pl" => Op::Add,
        "mi" => Op::Sub,
        "mul" => Op::Mul,
        "div" => Op::Div,
        "mod" => Op::Mod,
        _ => return None,
    })
}

/// A call of the function, over operands that are widened to `ty` already.
pub(crate) fn int_arith(func: Oid, ty: PgType, left: Expr, right: Expr) -> Option<Expr> {
    let op = operation(func)?;
    let function = IntArith { op, ty, signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left, right])))
}

/// Whether a function is one of these.
pub(crate) fn is_int_arith(func: Oid) -> bool {
    operation(func).is_some()
}

trait Int: ArrowPrimitiveType {
    fn apply(op: Op, a: Self::Native, b: Self::Native) -> Option<Self::Native>;
    fn is_zero(value: Self::Native) -> bool;
}

macro_rules! int {
    ($ty:ty) => {
        impl Int for $ty {
            fn apply(op: Op, a: Self::Native, b: Self::Native) -> Option<Self::Native> {
                match op {
                    Op::Add => a.checked_add(b),
                    Op::Sub => a.checked_sub(b),
                    Op::Mul => a.checked_mul(b),
                    Op::Div => a.checked_div(b),
                    // The least value modulo -1 is 0, not an overflow.
                    Op::Mod => Some(a.wrapping_rem(b)),
                }
            }

            fn is_zero(value: Self::Native) -> bool {
                value == 0
            }
        }
    };
}

int!(Int16Type);
int!(Int32Type);
int!(Int64Type);

fn apply<T: Int>(op: Op, a: &ArrayRef, b: &ArrayRef) -> std::result::Result<ArrayRef, ArrowError> {
    let (a, b) = (a.as_primitive::<T>(), b.as_primitive::<T>());
    let divides = matches!(op, Op::Div | Op::Mod);
    let out = try_binary::<_, _, _, T>(a, b, |a, b| {
        if divides && T::is_zero(b) {
            return Err(ArrowError::DivideByZero);
        }
        T::apply(op, a, b).ok_or(ArrowError::ArithmeticOverflow(String::new()))
    })?;
    Ok(Arc::new(out))
}

impl IntArith {
    fn compute(&self, a: &ArrayRef, b: &ArrayRef) -> SqlResult<ArrayRef> {
        let result = match self.ty.oid {
            oids::INT2 => apply::<Int16Type>(self.op, a, b),
            oids::INT4 => apply::<Int32Type>(self.op, a, b),
            _ => apply::<Int64Type>(self.op, a, b),
        };
        result.map_err(|error| match error {
            ArrowError::DivideByZero => SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"),
            ArrowError::ArithmeticOverflow(_) => {
                let name = match self.ty.oid {
                    oids::INT2 => "smallint",
                    oids::INT4 => "integer",
                    _ => "bigint",
                };
                SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, format!("{name} out of range"))
            }
            other => SqlError::internal(format!("integer arithmetic: {other}")),
        })
    }
}

impl ScalarUDFImpl for IntArith {
    fn name(&self) -> &str {
        match self.op {
            Op::Add => "int_add",
            Op::Sub => "int_sub",
            Op::Mul => "int_mul",
            Op::Div => "int_div",
            Op::Mod => "int_mod",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(crate::values::data_type(self.ty))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { args.number_rows.min(1) } else { args.number_rows };
        let ty = self.return_type(&[])?;
        let operand = |at: usize| -> Result<ArrayRef> {
            let array = args.args[at].to_array(rows)?;
            // The optimizer asks what becomes of nulls without a type.
            if *array.data_type() == DataType::Null { Ok(new_null_array(&ty, rows)) } else { Ok(array) }
        };
        let out = self.compute(&operand(0)?, &operand(1)?).map_err(to_datafusion)?;
        if scalar && rows == 1 {
            return Ok(ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(&out, 0)?));
        }
        Ok(ColumnarValue::Array(out))
    }
}
