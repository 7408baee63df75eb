//! Any bound expression as a function of the columns it uses: the row executor's evaluator over each row.

use crate::engine::QueryEnv;
use crate::error::to_datafusion;
use crate::values::{column_to_datums, data_type, from_array, to_array, to_scalar};
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use shardforge_compute::SqlResult;
use shardforge_compute::row_exec::expr::{Env, Evaluator};
use shardforge_types::{Datum, PgType};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The function.
#[derive(Debug)]
pub(crate) struct RowExpr {
    /// Tells functions of a query apart.
    pub(crate) id: u32,
    /// For EXPLAIN.
    pub(crate) name: String,
    pub(crate) evaluator: Evaluator,
    /// The types of the arguments, which are the evaluator's row.
    pub(crate) arg_types: Vec<PgType>,
    pub(crate) volatile: bool,
    pub(crate) env: Arc<QueryEnv>,
    signature: Signature,
}

impl PartialEq for RowExpr {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && Arc::ptr_eq(&self.env, &other.env)
    }
}

impl Eq for RowExpr {}

impl Hash for RowExpr {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl RowExpr {
    /// A call of the function with these arguments.
    pub(crate) fn call(
        id: u32,
        name: String,
        evaluator: Evaluator,
        args: Vec<(Expr, PgType)>,
        volatile: bool,
        env: Arc<QueryEnv>,
    ) -> Expr {
        let volatility = if volatile { Volatility::Volatile } else { Volatility::Stable };
        let any = TypeSignature::OneOf(vec![TypeSignature::VariadicAny, TypeSignature::Nullary]);
        let (args, arg_types) = args.into_iter().unzip();
        let signature = Signature::new(any, volatility);
        let function = RowExpr { id, name, evaluator, arg_types, volatile, env, signature };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args))
    }

    fn eval(&self, row: &[Datum]) -> SqlResult<Datum> {
        self.evaluator.eval(&Env::new(row, &self.env.report.params, &self.env.report.session))
    }

    fn invoke(&self, args: &ScalarFunctionArgs) -> SqlResult<ColumnarValue> {
        self.env.check_stop()?;
        enum Arg {
            One(Datum),
            Many(Vec<Datum>),
        }
        let mut columns = Vec::with_capacity(args.args.len());
        for (arg, ty) in args.args.iter().zip(&self.arg_types) {
            columns.push(match arg {
                ColumnarValue::Array(array) => Arg::Many(column_to_datums(*ty, array)?),
                ColumnarValue::Scalar(value) => {
                    let array = value.to_array().map_err(crate::error::from_datafusion)?;
                    Arg::One(from_array(*ty, &array, 0)?)
                }
            });
        }
        let ty = self.evaluator.ty;
        let mut row: Vec<Datum> = Vec::with_capacity(columns.len());
        if !self.volatile && columns.iter().all(|column| matches!(column, Arg::One(_))) {
            if args.number_rows == 0 {
                // Nobody reaches it.
                return Ok(ColumnarValue::Scalar(to_scalar(ty, &Datum::Null)?));
            }
            row.extend(columns.into_iter().map(|column| match column {
                Arg::One(value) => value,
                Arg::Many(_) => Datum::Null,
            }));
            return Ok(ColumnarValue::Scalar(to_scalar(ty, &self.eval(&row)?)?));
        }
        let mut out = Vec::with_capacity(args.number_rows);
        for at in 0..args.number_rows {
            row.clear();
            row.extend(columns.iter_mut().map(|column| match column {
                Arg::One(value) => value.clone(),
                Arg::Many(values) => std::mem::replace(&mut values[at], Datum::Null),
            }));
            out.push(self.eval(&row)?);
        }
        Ok(ColumnarValue::Array(to_array(ty, out.iter())?))
    }
}

impl ScalarUDFImpl for RowExpr {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.evaluator.ty))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.invoke(&args).map_err(to_datafusion)
    }
}
