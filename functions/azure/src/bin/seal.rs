//! Seals the messages of an Event Hub: Azure Activity, Entra and resource logs.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use axum::body::Bytes;
use countersign_azure::{Function, serve};
use countersign_core::record::Cloud;
use countersign_service::function::{self, DeadLetters, Sealing, settings};
use countersign_service::telemetry::Platform;
use countersign_sources::trigger::azure::{Hub, decode};

/// The trigger's name in `function.json`.
const BINDING: &str = "events";

fn main() -> ExitCode {
    function::run(Platform::Azure, begin())
}

async fn begin() -> Result<(), Box<dyn Error>> {
    let settings = settings()?;
    let sealing = Arc::new(Sealing::open(&settings, Cloud::Azure).await?);
    let function = Seal {
        sealing: Arc::clone(&sealing),
        // The metadata name it in newer versions of the extension alone.
        hub: Hub {
            namespace: std::env::var("EVENT_HUB_NAMESPACE").ok(),
        },
        dead_letters: DeadLetters::open().await?,
    };
    serve(function).await?;
    sealing.intake.close().await;
    Ok(())
}

struct Seal {
    sealing: Arc<Sealing>,
    hub: Hub,
    dead_letters: DeadLetters,
}

impl Function for Seal {
    async fn call(&self, body: Bytes) -> Result<(), String> {
        let messages = decode(&body, BINDING, &self.hub);
        let deliveries = messages.map(|all| all.into_iter().map(|one| one.delivery).collect());
        self.sealing
            .take_or_set_aside(Platform::Azure, deliveries, &self.dead_letters)
            .await
    }
}
