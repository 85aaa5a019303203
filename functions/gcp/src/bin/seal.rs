//! Seals what Google Cloud delivers: pushes of Pub/Sub, plain or through Eventarc,
//! and the objects that a sink writes to a bucket.

use std::error::Error;
use std::sync::Arc;

use axum::body::Bytes;
use countersign_core::record::Cloud;
use countersign_gcp::{Function, serve};
use countersign_service::function::{Sealing, own_buckets, settings};
use countersign_service::telemetry::{self, Platform};
use countersign_sources::trigger::gcp::decode;
use countersign_store::gcp::{Access, GcsLogs};

fn main() -> Result<(), Box<dyn Error>> {
    telemetry::init(Platform::Gcp);
    let served = countersign_service::runtime()?.block_on(run());
    if let Err(error) = &served {
        tracing::error!("the function ends: {error}");
    }
    served
}

async fn run() -> Result<(), Box<dyn Error>> {
    let settings = settings()?;
    let logs = GcsLogs::open(&Access::from_environment()?);
    let sealing = Sealing::open(&settings, Cloud::Gcp, Some(Arc::new(logs))).await?;
    let sealing = Arc::new(sealing);
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
