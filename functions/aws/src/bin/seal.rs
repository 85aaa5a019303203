//! Seals what AWS delivers: S3 notifications of CloudTrail files, directly or
//! through SQS and SNS, and EventBridge events.

use std::process::ExitCode;

use countersign_aws::{Function, serve};
use countersign_core::record::Cloud;
use countersign_service::function::{self, Sealing, own_buckets, settings};
use countersign_service::telemetry::Platform;
use countersign_sources::trigger::aws::{Event, Passing, decode};
use countersign_sources::trigger::{Brought, Refusal};
use lambda_runtime::Error;
use serde_json::{Value, json};

fn main() -> ExitCode {
    function::run(Platform::Aws, begin())
}

async fn begin() -> Result<(), Error> {
    let settings = settings()?;
    serve(Seal {
        passing: Passing {
            own_buckets: own_buckets(&settings),
        },
        sealing: Sealing::open(&settings, Cloud::Aws).await?,
    })
    .await
}

struct Seal {
    passing: Passing,
    sealing: Sealing,
}

impl Function for Seal {
    /// Seals all, or says which messages are to come again.
    async fn call(&self, event: &str) -> Result<Value, String> {
        match decode(event.as_bytes(), &self.passing) {
            Ok(Event::Whole(brought)) => self.take(Ok(brought)).await,
            Err(refusal) => self.take(Err(refusal)).await,
            Ok(Event::Queue(messages)) => {
                let messages = messages.into_iter().map(|one| (one.id, one.brought));
                let failed = self.sealing.take_each(Platform::Aws, messages).await;
                let failed = failed.into_iter().map(|id| json!({ "itemIdentifier": id }));
                Ok(json!({ "batchItemFailures": failed.collect::<Vec<_>>() }))
            }
        }
    }
}

impl Seal {
    async fn take(&self, brought: Result<Brought, Refusal>) -> Result<Value, String> {
        let taken = self.sealing.take(Platform::Aws, brought).await;
        taken.map(|()| Value::Null)
    }
}
