//! Publishes the chains of Google Cloud and countersigns those of the other clouds, on a
//! schedule.

use std::error::Error;
use std::process::ExitCode;

use axum::body::Bytes;
use countersign_core::record::Cloud;
use countersign_gcp::{Function, serve};
use countersign_service::chain::Deployment;
use countersign_service::function::{self, anchor, settings};
use countersign_service::telemetry::Platform;

fn main() -> ExitCode {
    function::run(Platform::Gcp, begin())
}

async fn begin() -> Result<(), Box<dyn Error>> {
    Ok(serve(Anchor(Deployment::open(settings()?, None).await?)).await?)
}

struct Anchor(Deployment);

impl Function for Anchor {
    /// Whatever the schedule sends: there is nothing in it to know.
    async fn call(&self, _: Bytes, _: Option<&str>) -> Result<(), String> {
        anchor(Platform::Gcp, &self.0, Cloud::Gcp).await
    }
}
