//! What the functions on Lambda share: events come one after the other, each with
//! its invocation's id.

use std::future::Future;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;
use serde_json::value::RawValue;
use tracing::Instrument;

/// A function: it gets an event as it came, and answers, or says in a sentence why
/// it failed, so that Lambda counts a failure and its caller calls again.
pub trait Function: Send + Sync + 'static {
    /// Runs it.
    fn call(&self, event: &str) -> impl Future<Output = Result<Value, String>> + Send;
}

/// Serves a function until Lambda ends the process.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn serve(function: impl Function) -> Result<(), Error> {
    let function = &function;
    let handle = |event: LambdaEvent<Box<RawValue>>| async move {
        let invocation = event.context.request_id;
        let span = tracing::info_span!("invocation", invocation);
        let answer = function.call(event.payload.get()).instrument(span).await;
        answer.map_err(Error::from)
    };
    lambda_runtime::run(service_fn(handle)).await
}
