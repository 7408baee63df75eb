//! `sum`, `avg`, variance and standard deviation of floats: Youngs and Cramer's method, as in PostgreSQL.

use super::{Accumulator, AggregateFunction, aggregate};
use crate::functions::float::checked;
use crate::{SqlError, SqlResult};
use shardforge_types::{Datum, SqlState};

#[derive(Clone, Copy)]
enum Result {
    Average,
    VarSamp,
    VarPop,
    StddevSamp,
    StddevPop,
}

struct Moments {
    n: f64,
    sum: f64,
    /// Sum of squared differences from the mean.
    squares: f64,
    result: Result,
}

impl Accumulator for Moments {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        let value = match args.first() {
            Some(Datum::Float4(value)) => f64::from(*value),
            Some(Datum::Float8(value)) => *value,
            _ => return Ok(()),
        };
        let old = (self.n, self.sum, self.squares);
        self.n += 1.0;
        self.sum += value;
        if old.0 > 0.0 {
            let difference = value * self.n - self.sum;
            self.squares += difference * difference / (self.n * old.0);
            if self.sum.is_infinite() || self.squares.is_infinite() {
                if !old.1.is_infinite() && !value.is_infinite() {
                    return Err(SqlError::new(
                        SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
                        "value out of range: overflow",
                    ));
                }
                self.squares = f64::NAN;
            }
        } else if value.is_nan() || value.is_infinite() {
            self.squares = f64::NAN;
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        let value = match self.result {
            _ if self.n == 0.0 => return Ok(Datum::Null),
            Result::Average => self.sum / self.n,
            Result::VarPop => self.squares / self.n,
            Result::StddevPop => (self.squares / self.n).sqrt(),
            _ if self.n == 1.0 => return Ok(Datum::Null),
            Result::VarSamp => self.squares / (self.n - 1.0),
            Result::StddevSamp => (self.squares / (self.n - 1.0)).sqrt(),
        };
        Ok(Datum::Float8(value))
    }
}

struct Sum4(Option<f32>);

impl Accumulator for Sum4 {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let Some(Datum::Float4(value)) = args.first() {
            self.0 = Some(match self.0 {
                None => *value,
                Some(sum) => checked(sum + value, sum.is_infinite() || value.is_infinite(), true)?,
            });
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Float4))
    }
}

struct Sum8(Option<f64>);

impl Accumulator for Sum8 {
    fn add(&mut self, args: &[Datum]) -> SqlResult<()> {
        if let Some(Datum::Float8(value)) = args.first() {
            self.0 = Some(match self.0 {
                None => *value,
                Some(sum) => checked(sum + value, sum.is_infinite() || value.is_infinite(), true)?,
            });
        }
        Ok(())
    }

    fn finish(&mut self) -> SqlResult<Datum> {
        Ok(self.0.map_or(Datum::Null, Datum::Float8))
    }
}

fn moments(result: Result) -> Box<dyn Accumulator> {
    Box::new(Moments { n: 0.0, sum: 0.0, squares: 0.0, result })
}

/// The aggregates of this file.
pub(super) const FUNCTIONS: &[AggregateFunction] = &[
    aggregate(2110, "sum", |_| Box::new(Sum4(None))),
    aggregate(2111, "sum", |_| Box::new(Sum8(None))),
    aggregate(2104, "avg", |_| moments(Result::Average)),
    aggregate(2105, "avg", |_| moments(Result::Average)),
    aggregate(2151, "variance", |_| moments(Result::VarSamp)),
    aggregate(2152, "variance", |_| moments(Result::VarSamp)),
    aggregate(2644, "var_samp", |_| moments(Result::VarSamp)),
    aggregate(2645, "var_samp", |_| moments(Result::VarSamp)),
    aggregate(2721, "var_pop", |_| moments(Result::VarPop)),
    aggregate(2722, "var_pop", |_| moments(Result::VarPop)),
    aggregate(2157, "stddev", |_| moments(Result::StddevSamp)),
    aggregate(2158, "stddev", |_| moments(Result::StddevSamp)),
    aggregate(2715, "stddev_samp", |_| moments(Result::StddevSamp)),
    aggregate(2716, "stddev_samp", |_| moments(Result::StddevSamp)),
    aggregate(2727, "stddev_pop", |_| moments(Result::StddevPop)),
    aggregate(2728, "stddev_pop", |_| moments(Result::StddevPop)),
];
