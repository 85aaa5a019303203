//! Seals what Google Cloud delivers: pushes of Pub/Sub, plain or through Eventarc,
//! and the objects that a sink writes to a bucket.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use axum::body::Bytes;
use countersign_core::record::Cloud;
use countersign_gcp::{Function, serve};
use countersign_service::function::{self, Sealing, own_buckets, settings};
use countersign_service::telemetry::Platform;
use countersign_sources::trigger::gcp::decode;

fn main() -> ExitCode {
    function::run(Platform::Gcp, begin())
}

async fn begin() -> Result<(), Box<dyn Error>> {
    let settings = settings()?;
    let sealing = Arc::new(Sealing::open(&settings, Cloud::Gcp).await?);
    let function = Seal {
        sealing: Arc::clone(&sealing),
        own_buckets: own_buckets(&settings),
    };
    serve(function).await?;
    sealing.intake.close().await;
    Ok(())
}

struct Seal {
    sealing: Arc<Sealing>,
    own_buckets: Vec<String>,
}

impl Function for Seal {
    async fn call(&self, body: Bytes, event_type: Option<&str>) -> Result<(), String> {
        let brought = decode(&body, event_type, &self.own_buckets);
        self.sealing.take(Platform::Gcp, brought).await
    }
}
