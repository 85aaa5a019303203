//! Verifies every chain, seals and mails the report, on a schedule.

use countersign_aws::{Function, serve};
use countersign_service::chain::Deployment;
use countersign_service::function::{settings, verify};
use countersign_service::telemetry::{self, Platform};
use lambda_runtime::Error;
use serde_json::Value;

fn main() -> Result<(), Error> {
    telemetry::init(Platform::Aws);
    let served = countersign_service::runtime()?.block_on(run());
    if let Err(error) = &served {
        tracing::error!("the function ends: {error}");
    }
    served
}

async fn run() -> Result<(), Error> {
    serve(Verify(Deployment::open(settings()?, None).await?)).await
}

struct Verify(Deployment);

impl Function for Verify {
    /// Whatever the schedule sends: there is nothing in it to know.
    async fn call(&self, _: &str) -> Result<Value, String> {
        verify(Platform::Aws, &self.0).await.map(|()| Value::Null)
    }
}
