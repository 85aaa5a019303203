//! Verifies every chain, seals and mails the report, on a schedule.

use countersign_service::chain::Deployment;
use countersign_service::function::{settings, verify};
use countersign_service::telemetry::{self, Platform};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use tracing::Instrument;

fn main() -> Result<(), Error> {
    telemetry::init(Platform::Aws);
    let served = countersign_service::runtime()?.block_on(serve());
    if let Err(error) = &served {
        tracing::error!("the function ends: {error}");
    }
    served
}

async fn serve() -> Result<(), Error> {
    let deployment = &Deployment::open(settings()?, None).await?;
    // Whatever the schedule sends: there is nothing in it to know.
    lambda_runtime::run(service_fn(|event: LambdaEvent<IgnoredAny>| async move {
        let invocation = event.context.request_id;
        let span = tracing::info_span!("invocation", invocation);
        let ran = verify(Platform::Aws, deployment).instrument(span).await;
        ran.map_err(Error::from)
    }))
    .await
}
