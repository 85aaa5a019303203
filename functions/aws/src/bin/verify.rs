//! Verifies every chain, seals and mails the report, on a schedule.

use std::process::ExitCode;

use countersign_aws::{Function, serve};
use countersign_service::chain::Deployment;
use countersign_service::function::{self, settings, verify};
use countersign_service::telemetry::Platform;
use lambda_runtime::Error;
use serde_json::Value;

fn main() -> ExitCode {
    function::run(Platform::Aws, begin())
}

async fn begin() -> Result<(), Error> {
    serve(Verify(Deployment::open(settings()?, None).await?)).await
}

struct Verify(Deployment);

impl Function for Verify {
    /// Whatever the schedule sends: there is nothing in it to know.
    async fn call(&self, _: &str) -> Result<Value, String> {
        verify(Platform::Aws, &self.0).await.map(|()| Value::Null)
    }
}
