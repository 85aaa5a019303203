//! Seals what AWS delivers: S3 notifications of CloudTrail files, directly or
//! through SQS and SNS, and EventBridge events.

use std::sync::Arc;

use countersign_core::record::Cloud;
use countersign_service::function::{Sealing, own_buckets, settings};
use countersign_service::telemetry::{self, Platform};
use countersign_sources::trigger::aws::{Event, Message, Passing, decode};
use countersign_sources::trigger::{Brought, Refusal};
use countersign_store::aws::{Access, S3Logs};
use futures_util::{StreamExt, stream};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tracing::Instrument;

/// Messages of a call that are taken at a time; those of one batch share segments.
const AT_A_TIME: usize = 16;

fn main() -> Result<(), Error> {
    telemetry::init(Platform::Aws);
    let served = countersign_service::runtime()?.block_on(serve());
    if let Err(error) = &served {
        tracing::error!("the function ends: {error}");
    }
    served
}

async fn serve() -> Result<(), Error> {
    let settings = settings()?;
    let logs = S3Logs::open(&Access::from_environment(None).await?)?;
    let function = &Function {
        passing: Passing {
            own_buckets: own_buckets(&settings),
        },
        sealing: Sealing::open(&settings, Cloud::Aws, Some(Arc::new(logs))).await?,
    };
    lambda_runtime::run(service_fn(|event: LambdaEvent<Box<RawValue>>| async move {
        let invocation = event.context.request_id;
        let span = tracing::info_span!("invocation", invocation);
        function.handle(event.payload.get()).instrument(span).await
    }))
    .await
}

struct Function {
    passing: Passing,
    sealing: Sealing,
}

impl Function {
    /// Seals all, or says which messages are to come again.
    async fn handle(&self, event: &str) -> Result<Value, Error> {
        match decode(event.as_bytes(), &self.passing) {
            Ok(Event::Whole(brought)) => {
                self.take(Ok(brought)).await?;
                Ok(Value::Null)
            }
            Ok(Event::Queue(messages)) => {
                let failed: Vec<Value> = stream::iter(messages)
                    .map(|message| self.fails(message))
                    .buffer_unordered(AT_A_TIME)
                    .filter_map(|failed| async { failed })
                    .collect()
                    .await;
                Ok(json!({ "batchItemFailures": failed }))
            }
            Err(refusal) => Ok(self.take(Err(refusal)).await.map(|()| Value::Null)?),
        }
    }

    /// The message as one to be delivered again, if it was not sealed.
    async fn fails(&self, Message { id, brought }: Message) -> Option<Value> {
        let span = tracing::info_span!("message", message_id = id);
        let taken = self.take(brought).instrument(span).await;
        taken.is_err().then(|| json!({ "itemIdentifier": id }))
    }

    async fn take(&self, brought: Result<Brought, Refusal>) -> Result<(), Error> {
        let taken = async {
            let brought = brought?;
            for what in &brought.passed_over {
                tracing::info!("passed over {what}");
            }
            if brought.deliveries.is_empty() {
                return Ok(None);
            }
            let taken = self.sealing.intake.take(brought.deliveries).await?;
            Ok::<_, Error>(Some(taken))
        };
        match taken.await {
            Ok(taken) => {
                if let Some(taken) = taken {
                    self.sealing.tell(Platform::Aws, &taken);
                }
                Ok(())
            }
            Err(error) => {
                self.sealing.tell_failure(Platform::Aws);
                tracing::error!("not sealed, and to be delivered again: {error}");
                Err(error)
            }
        }
    }
}
