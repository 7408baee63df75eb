//! Rows: values side by side, each reached without decoding the others.
