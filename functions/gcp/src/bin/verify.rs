//! Verifies every chain, seals and mails the report, on a schedule.

use std::error::Error;
use std::process::ExitCode;

use axum::body::Bytes;
use countersign_gcp::{Function, serve};
use countersign_service::chain::Deployment;
use countersign_service::function::{self, settings, verify};
use countersign_service::telemetry::Platform;

fn main() -> ExitCode {
    function::run(Platform::Gcp, begin())
}

async fn begin() -> Result<(), Box<dyn Error>> {
    Ok(serve(Verify(Deployment::open(settings()?, None).await?)).await?)
}

struct Verify(Deployment);

impl Function for Verify {
    /// Whatever the schedule sends: there is nothing in it to know.
    async fn call(&self, _: Bytes, _: Option<&str>) -> Result<(), String> {
        verify(Platform::Gcp, &self.0).await
    }
}
