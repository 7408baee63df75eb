//! Errors as RFC 9457 has them.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use shardforge_common::{Error, ErrorKind};

/// `application/problem+json`.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    /// A problem with a status, a stable code, and a sentence for a person.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, detail: detail.into() }
    }
}

/// The one map from our kinds to HTTP: 409 is final, 503 is worth another try.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::Retry => (503, "retry"),
            ErrorKind::Unavailable => (503, "unavailable"),
            ErrorKind::Conflict => (409, "conflict"),
            ErrorKind::Fenced => (409, "fenced"),
            ErrorKind::Invalid => (400, "invalid"),
            ErrorKind::NotFound => (404, "not-found"),
            ErrorKind::Corrupt => (500, "corrupt"),
            ErrorKind::Internal => (500, "internal"),
        };
        Problem::new(status, code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = json!({"type": "about:blank", "title": title, "status": self.status.as_u16(), "code": self.code, "detail": self.detail});
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}
