//! What a pageserver refuses, and what it survives.
