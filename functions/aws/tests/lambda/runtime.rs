//! The API that a function on Lambda asks for events and answers to
//! (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use countersign_service::clock::{Clock, SystemClock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};

/// How an invocation ended.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The function answered.
    Answer(Value),
    /// It failed, and said so.
    Error(String),
}

/// The runtime's side. Functions that are started with its address get events one
/// after the other.
pub struct Runtime {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<Invocations>,
    more: Notify,
}

#[derive(Default)]
struct Invocations {
    count: u64,
    waiting: VecDeque<(String, Bytes)>,
    running: Vec<(String, oneshot::Sender<Outcome>)>,
}

impl Runtime {
    pub async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let at = |path| format!("/2018-06-01/runtime/{path}");
        let router = Router::new()
            .route(&at("invocation/next"), get(next))
            .route(&at("invocation/{id}/response"), post(response))
            .route(&at("invocation/{id}/error"), post(error))
            .route(&at("init/error"), post(|| async { StatusCode::ACCEPTED }))
            .layer(DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, shared }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Hands an event to whichever function asks, and waits for its answer.
    pub async fn invoke(&self, event: &Value) -> Outcome {
        let (sender, receiver) = oneshot::channel();
        {
            let mut state = self.shared.state.lock().unwrap();
            state.count += 1;
            let id = format!("invocation-{}", state.count);
            state
                .waiting
                .push_back((id.clone(), Bytes::from(event.to_string())));
            state.running.push((id, sender));
        }
        self.shared.more.notify_waiters();
        let answer = tokio::time::timeout(Duration::from_secs(60), receiver);
        answer.await.expect("the function answers").unwrap()
    }

    /// Drops what waits and what runs: their function was killed.
    pub fn forget(&self) {
        let mut state = self.shared.state.lock().unwrap();
        state.waiting.clear();
        state.running.clear();
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> (HeaderMap, Bytes) {
    loop {
        let more = shared.more.notified();
        let found = shared.state.lock().unwrap().waiting.pop_front();
        if let Some((id, event)) = found {
            let deadline = (SystemClock.unix_millis() + 60_000).to_string();
            let mut headers = HeaderMap::new();
            for (name, value) in [
                ("lambda-runtime-aws-request-id", &*id),
                ("lambda-runtime-deadline-ms", &*deadline),
                (
                    "lambda-runtime-invoked-function-arn",
                    "arn:aws:lambda:us-east-1:111122223333:function:countersign",
                ),
                ("lambda-runtime-trace-id", "Root=1-5e1b4151-5ac6c58"),
            ] {
                headers.insert(name, value.parse().unwrap());
            }
            return (headers, event);
        }
        tokio::select! {
            () = more => {}
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    let answer = serde_json::from_slice(&body).unwrap_or(Value::Null);
    end(&shared, &id, Outcome::Answer(answer))
}

async fn error(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> StatusCode {
    let text = String::from_utf8_lossy(&body).into_owned();
    end(&shared, &id, Outcome::Error(text))
}

fn end(shared: &Shared, id: &str, outcome: Outcome) -> StatusCode {
    let mut state = shared.state.lock().unwrap();
    if let Some(at) = state.running.iter().position(|(running, _)| running == id) {
        let (_, sender) = state.running.swap_remove(at);
        let _ = sender.send(outcome);
    }
    StatusCode::ACCEPTED
}
