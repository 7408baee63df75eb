//! Part of the connection.
