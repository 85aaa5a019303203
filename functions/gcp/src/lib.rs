//! What the functions on Cloud Run share: an HTTP service that ends as the
//! platform asks.
//!
//! The service takes calls of the pushing service account alone: Cloud Run checks
//! issuer, audience and signature of the caller's token before a request reaches
//! this process, as long as the service does not admit `allUsers`.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use countersign_service::function::ended;
use tracing::Instrument;

/// Pub/Sub pushes 10 MB at most, which base64 makes a third larger.
const MAX_BODY_BYTES: usize = 32 << 20;

/// A function: it gets the body of a call and the type of the CloudEvent, if it is
/// one, and says in a sentence why it failed, so that the caller calls again.
pub trait Function: Send + Sync + 'static {
    /// Runs it.
    fn call(
        &self,
        body: Bytes,
        event_type: Option<&str>,
    ) -> impl Future<Output = Result<(), String>> + Send;
}

/// Serves a function on `PORT` until the platform ends the process; calls that
/// were taken by then are answered first.
///
/// # Errors
/// When the port cannot be listened on.
pub async fn serve(function: impl Function) -> io::Result<()> {
    let port = match std::env::var("PORT") {
        Ok(port) => port
            .parse()
            .map_err(|_| io::Error::other("PORT is no port: Cloud Run sets it"))?,
        Err(_) => 8080,
    };
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let listener = tokio::net::TcpListener::bind(address).await?;
    tracing::info!(port, "ready");
    axum::serve(listener, router(function))
        .with_graceful_shutdown(ended())
        .await
}

/// The routes of a function.
pub fn router<F: Function>(function: F) -> Router {
    Router::new()
        .route("/", get(|| async { "ready" }).post(invoke::<F>))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Arc::new(function))
}

async fn invoke<F: Function>(
    State(function): State<Arc<F>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    // Eventarc names the event; every call has a trace.
    let invocation = text("ce-id").or_else(|| text("x-cloud-trace-context"));
    let span = tracing::info_span!("invocation", invocation = invocation.unwrap_or_default());
    match function.call(body, text("ce-type")).instrument(span).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error).into_response(),
    }
}
