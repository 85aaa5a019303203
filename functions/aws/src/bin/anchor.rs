//! Publishes the chains of AWS and countersigns those of the other clouds, on a
//! schedule.

use countersign_aws::{Function, serve};
use countersign_core::record::Cloud;
use countersign_service::chain::Deployment;
use countersign_service::function::{anchor, settings};
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
    serve(Anchor(Deployment::open(settings()?, None).await?)).await
}

struct Anchor(Deployment);

impl Function for Anchor {
    /// Whatever the schedule sends: there is nothing in it to know.
    async fn call(&self, _: &str) -> Result<Value, String> {
        anchor(Platform::Aws, &self.0, Cloud::Aws)
            .await
            .map(|()| Value::Null)
    }
}
