//! Seals what AWS delivers: S3 notifications of CloudTrail files, directly or
//! through SQS and SNS, and EventBridge events.

use std::sync::Arc;

use countersign_aws::{Function, serve};
use countersign_core::record::Cloud;
use countersign_service::function::{self, Sealing, own_buckets, settings};
use countersign_service::telemetry::Platform;
use countersign_sources::trigger::aws::{Event, Message, Passing, decode};
use countersign_sources::trigger::{Brought, Refusal};
use countersign_store::aws::{Access, S3Logs};
use futures_util::{StreamExt, stream};
use lambda_runtime::Error;
use serde_json::{Value, json};

/// Messages of a call that are taken at a time; those of one batch share segments.
const AT_A_TIME: usize = 16;

fn main() -> Result<(), Error> {
    function::run(Platform::Aws, begin())
}

async fn begin() -> Result<(), Error> {
    let settings = settings()?;
    let logs = S3Logs::open(&Access::from_environment(None).await?)?;
    serve(Seal {
        passing: Passing {
            own_buckets: own_buckets(&settings),
        },
        sealing: Sealing::open(&settings, Cloud::Aws, Some(Arc::new(logs))).await?,
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
            Ok(Event::Whole(brought)) => self.take(Ok(brought)).await.map(|()| Value::Null),
            Ok(Event::Queue(messages)) => {
                let failed: Vec<Value> = stream::iter(messages)
                    .map(|message| self.fails(message))
                    .buffer_unordered(AT_A_TIME)
                    .filter_map(|failed| async { failed })
                    .collect()
                    .await;
                Ok(json!({ "batchItemFailures": failed }))
            }
            Err(refusal) => self.take(Err(refusal)).await.map(|()| Value::Null),
        }
    }
}

impl Seal {
    /// The message as one to be delivered again, if it was not sealed.
    async fn fails(&self, Message { id, brought }: Message) -> Option<Value> {
        let taken = self.take(brought).await;
        taken.is_err().then(|| json!({ "itemIdentifier": id }))
    }

    async fn take(&self, brought: Result<Brought, Refusal>) -> Result<(), String> {
        self.sealing.take(Platform::Aws, brought).await
    }
}
