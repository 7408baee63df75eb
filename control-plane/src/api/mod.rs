//! The REST API under `/v1`, health and metrics.
//!
//! Errors are `application/problem+json` (RFC 9457) with a stable `code`. Lists answer
//! `{"items": [...]}`. Whoever can reach the address may read everything here; it listens on
//! loopback unless told otherwise.

mod problem;
mod status;

use crate::ControlPlane;
use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::{Value, json};
use std::sync::Arc;

pub use problem::Problem;
pub use status::{PartStatus, Status, StatusSource};

/// What the API answers from.
#[derive(Clone)]
pub struct Api {
    /// Desired state.
    pub plane: Arc<ControlPlane>,
    /// How the parts fare: asked at each request, never remembered.
    pub status: Arc<dyn StatusSource>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// All routes.
pub fn router(api: Api) -> Router {
    Router::new()
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .route("/metrics", get(|Extract(api): Extract<Api>| async move { api.metrics.render() }))
        .route("/v1/status", get(status))
        .route("/v1/nodes", get(nodes))
        .route("/v1/tenants", get(tenants))
        .route("/v1/tenants/{tenant}/branches", get(branches))
        .route("/v1/tenants/{tenant}/branches/{branch}", get(branch))
        .fallback(|| async {
            Problem::new(404, "no-such-path", "there is nothing at this path; the API is under /v1")
        })
        .with_state(api)
}

async fn ready(Extract(api): Extract<Api>) -> Response {
    let status = api.status.status().await;
    if status.healthy {
        "ready\n".into_response()
    } else {
        Problem::new(503, "not-ready", status.summary()).into_response()
    }
}

async fn status(Extract(api): Extract<Api>) -> Json<Status> {
    Json(api.status.status().await)
}

async fn nodes(Extract(api): Extract<Api>) -> Json<Value> {
    let (_, state) = api.plane.state();
    let items: Vec<Value> = state
        .nodes
        .iter()
        .map(|(id, node)| json!({"id": id, "name": node.name, "role": node.role, "address": node.address}))
        .collect();
    Json(json!({ "items": items }))
}

async fn tenants(Extract(api): Extract<Api>) -> Json<Value> {
    let (_, state) = api.plane.state();
    let items: Vec<Value> =
        state.tenants.iter().map(|(id, tenant)| json!({"id": id, "name": tenant.name})).collect();
    Json(json!({ "items": items }))
}

async fn branches(Extract(api): Extract<Api>, Path(tenant): Path<String>) -> Result<Json<Value>, Problem> {
    let (_, state) = api.plane.state();
    let id = state.tenant_named(&tenant).ok_or_else(|| no_tenant(&tenant))?;
    let of_tenant = state.branches.iter().filter(|(_, branch)| branch.tenant == id);
    let items: Vec<Value> = of_tenant.map(|(id, branch)| json!({"id": id, "name": branch.name})).collect();
    Ok(Json(json!({ "items": items })))
}

async fn branch(
    Extract(api): Extract<Api>,
    Path((tenant, name)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let (_, state) = api.plane.state();
    state.tenant_named(&tenant).ok_or_else(|| no_tenant(&tenant))?;
    let id = state.branch_named(&tenant, &name).ok_or_else(|| {
        Problem::new(404, "no-such-branch", format!("tenant \"{tenant}\" has no branch \"{name}\""))
    })?;
    Ok(Json(json!({"id": id, "name": name, "tenant": tenant})))
}

fn no_tenant(name: &str) -> Problem {
    Problem::new(404, "no-such-tenant", format!("there is no tenant \"{name}\""))
}
