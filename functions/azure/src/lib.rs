//! The host's protocol: Azure Functions starts a custom handler, waits until it
//! answers, and then posts each invocation to `/<function>`.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use countersign_service::function::ended;
use tracing::Instrument;

/// A batch of an Event Hub is some MB of base64; axum's own limit is 2 MB.
const MAX_BODY_BYTES: usize = 256 << 20;

/// What completes an invocation. An empty answer never does.
const DONE: &str = r#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

/// A function: it gets the body of an invocation, and says in a sentence why it
/// failed, so that the host calls again.
pub trait Function: Send + Sync + 'static {
    /// Runs it.
    fn call(&self, body: Bytes) -> impl Future<Output = Result<(), String>> + Send;
}

/// Serves a function, whatever name the host calls it by, until the host ends the
/// process.
///
/// # Errors
/// When the host's port cannot be listened on.
pub async fn serve(function: impl Function) -> io::Result<()> {
    let port = port(|name| std::env::var(name).ok())?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(port, "ready");
    axum::serve(listener, router(function))
        .with_graceful_shutdown(ended())
        .await
}

/// The routes of a function.
pub fn router<F: Function>(function: F) -> Router {
    Router::new()
        .route("/", get(|| async { "ready" }))
        .route("/{name}", post(invoke::<F>))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(function))
}

async fn invoke<F: Function>(
    State(function): State<Arc<F>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let invocation = headers
        .get("x-azure-functions-invocationid")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let span = tracing::info_span!("invocation", invocation);
    let json = [(header::CONTENT_TYPE, "application/json")];
    match function.call(body).instrument(span).await {
        Ok(()) => (json, DONE).into_response(),
        Err(error) => {
            let body = serde_json::json!({ "error": error }).to_string();
            (StatusCode::INTERNAL_SERVER_ERROR, json, body).into_response()
        }
    }
}

fn port(variable: impl Fn(&str) -> Option<String>) -> io::Result<u16> {
    let names = ["FUNCTIONS_CUSTOMHANDLER_PORT", "FUNCTIONS_HTTPWORKER_PORT"];
    let found = names.iter().find_map(|name| variable(name));
    found.and_then(|port| port.parse().ok()).ok_or_else(|| {
        io::Error::other(
            "FUNCTIONS_CUSTOMHANDLER_PORT names no port: the host of Azure Functions sets it",
        )
    })
}
