//! Errors across the border to DataFusion and back: SQLSTATE and position survive the way through
//! its operators.

use crate::exact::is_too_large;
use datafusion::error::DataFusionError;
use shardforge_compute::SqlError;
use shardforge_types::SqlState;

/// Our error, as an operator of DataFusion's carries it.
pub(crate) fn to_datafusion(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The error to tell the client: ours if it began as one.
pub(crate) fn from_datafusion(error: DataFusionError) -> SqlError {
    let mut cause: &(dyn std::error::Error + 'static) = &error;
    loop {
        if let Some(ours) = cause.downcast_ref::<SqlError>() {
            return ours.clone();
        }
        // Errors that several consumers wait for are shared; their sources show what is inside.
        match cause.source() {
            Some(source) => cause = source,
            None => break,
        }
    }
    if is_too_large(&error) {
        // So many rows were sent already that the query cannot start over.
        return SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "numeric value out of range of a report")
            .hint("Cast to double precision, or to a numeric of fewer digits.");
    }
    match error.find_root() {
        DataFusionError::ResourcesExhausted(message) => SqlError::new(
            SqlState::OUT_OF_MEMORY,
            format!("the query needs more memory than reports have: {message}"),
        )
        .hint("Raise compute.report_bytes, or make the query's sorts, joins or groups smaller."),
        DataFusionError::NotImplemented(message) => SqlError::not_supported(message),
        root => SqlError::internal(format!("report engine: {root}")),
    }
}
