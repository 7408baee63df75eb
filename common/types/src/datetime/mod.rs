//! Dates, times, timestamps and their arithmetic.
