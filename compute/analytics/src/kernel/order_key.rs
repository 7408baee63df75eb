//! `order_key`: bytes that compare as PostgreSQL compares the values.

use crate::error::to_datafusion;
use crate::values::from_array;
use arrow::array::{Array, ArrayRef, BinaryBuilder};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use shardforge_compute::SqlResult;
use shardforge_types::PgType;
use shardforge_types::key::{KeyOrder, encode_key_column};
use std::any::Any;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The function, for values of one type.
#[derive(Debug)]
struct OrderKey {
    ty: PgType,
    signature: Signature,
}

impl PartialEq for OrderKey {
    fn eq(&self, other: &Self) -> bool {
        self.ty == other.ty
    }
}

impl Eq for OrderKey {}

impl Hash for OrderKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.ty.oid.hash(state);
    }
}

/// The order key of an expression's value; null for null.
pub(crate) fn order_key(ty: PgType, expr: Expr) -> Expr {
    if let Expr::Literal(value, _) = &expr
        && let Ok(array) = value.to_array()
        && let Ok(key) = order_key_array(ty, &array)
        && let Ok(key) = ScalarValue::try_from_array(&key, 0)
    {
        return Expr::Literal(key, None);
    }
    let function = OrderKey { ty, signature: Signature::any(1, Volatility::Immutable) };
    Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![expr]))
}

/// What an order key is made of, if the expression is one.
pub(crate) fn order_key_operand(expr: &Expr) -> Option<&Expr> {
    let Expr::ScalarFunction(function) = expr else { return None };
    let inner: &dyn Any = function.func.inner().as_ref();
    inner.is::<OrderKey>().then(|| function.args.first())?
}

/// The order keys of an array's values.
pub(crate) fn order_key_array(ty: PgType, array: &dyn Array) -> SqlResult<ArrayRef> {
    let mut builder = BinaryBuilder::with_capacity(array.len(), 16 * array.len());
    let mut key = Vec::new();
    for row in 0..array.len() {
        let value = from_array(ty, array, row)?;
        if value.is_null() {
            builder.append_null();
        } else {
            key.clear();
            encode_key_column(&mut key, &value, ty, KeyOrder::ASC)?;
            builder.append_value(&key);
        }
    }
    Ok(Arc::new(builder.finish()))
}

impl ScalarUDFImpl for OrderKey {
    fn name(&self) -> &str {
        "order_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(match &args.args[0] {
            ColumnarValue::Array(array) => {
                ColumnarValue::Array(order_key_array(self.ty, array).map_err(to_datafusion)?)
            }
            ColumnarValue::Scalar(value) => {
                let key = order_key_array(self.ty, &value.to_array()?).map_err(to_datafusion)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&key, 0)?)
            }
        })
    }
}
