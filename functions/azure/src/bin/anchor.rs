//! Publishes the chains of Azure and countersigns those of the other clouds, on a
//! timer.

use std::error::Error;
use std::process::ExitCode;

use axum::body::Bytes;
use countersign_azure::{Function, serve};
use countersign_core::record::Cloud;
use countersign_service::chain::Deployment;
use countersign_service::function::{self, anchor, settings};
use countersign_service::telemetry::Platform;

fn main() -> ExitCode {
    function::run(Platform::Azure, begin())
}

async fn begin() -> Result<(), Box<dyn Error>> {
    Ok(serve(Anchor(Deployment::open(settings()?, None).await?)).await?)
}

struct Anchor(Deployment);

impl Function for Anchor {
    /// Whatever the timer sends: there is nothing in it to know.
    async fn call(&self, _: Bytes) -> Result<(), String> {
        anchor(Platform::Azure, &self.0, Cloud::Azure).await
    }
}
