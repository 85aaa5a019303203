//! Verifies every chain, seals and mails the report, on a timer.

use std::error::Error;
use std::process::ExitCode;

use axum::body::Bytes;
use countersign_azure::{Function, serve};
use countersign_service::chain::Deployment;
use countersign_service::function::{self, settings, verify};
use countersign_service::telemetry::Platform;

fn main() -> ExitCode {
    function::run(Platform::Azure, begin())
}

async fn begin() -> Result<(), Box<dyn Error>> {
    Ok(serve(Verify(Deployment::open(settings()?, None).await?)).await?)
}

struct Verify(Deployment);

impl Function for Verify {
    /// Whatever the timer sends: there is nothing in it to know.
    async fn call(&self, _: Bytes) -> Result<(), String> {
        verify(Platform::Azure, &self.0).await
    }
}
