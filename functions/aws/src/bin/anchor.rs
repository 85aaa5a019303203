//! Publishes the chains of AWS and countersigns those of the other clouds, on a
//! schedule.

use std::process::ExitCode;

use countersign_aws::{Function, serve};
use countersign_core::record::Cloud;
use countersign_service::chain::Deployment;
use countersign_service::function::{self, anchor, settings};
use countersign_service::telemetry::Platform;
use lambda_runtime::Error;
use serde_json::Value;

fn main() -> ExitCode {
    function::run(Platform::Aws, begin())
}

async fn begin() -> Result<(), Error> {
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
