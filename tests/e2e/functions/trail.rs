//! A bucket that CloudTrail writes to, and the queue that its notifications go
//! through: moto's S3 and SQS.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use countersign_store::emulators::fresh_name;
use countersign_tests::stand_in;
use countersign_tests::stand_ins::Local;
use countersign_tests::stand_ins::upstream::Upstream;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::Function;
use crate::stand_ins::{Answer, call};

/// What every trail's bucket begins with.
const NAME: &str = "trail";
const REGION: &str = "us-east-1";
/// Of everything in moto.
const ACCOUNT: &str = "123456789012";
/// Lambda takes so many messages of a queue at a time, unless told otherwise.
const BATCH: usize = 10;

/// A trail's bucket whose notifications go to a queue.
pub(super) struct Trail {
    url: String,
    pub(super) bucket: String,
    queue: String,
}

impl Trail {
    pub(super) async fn new() -> Self {
        let mut trail = Self {
            url: stand_in("STANDIN_AWS").unwrap(),
            bucket: fresh_name(NAME).unwrap(),
            queue: String::new(),
        };
        let name = trail.bucket.clone();
        let made = trail
            .sqs("CreateQueue", &json!({ "QueueName": name }))
            .await;
        trail.queue = made["QueueUrl"].as_str().unwrap().to_owned();
        trail.s3("PUT", "", Vec::new()).await;
        let versions =
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        trail.s3("PUT", "?versioning", versions.into()).await;
        let notification = format!(
            "<NotificationConfiguration><QueueConfiguration><Queue>arn:aws:sqs:{REGION}:{ACCOUNT}:{name}</Queue>\
             <Event>s3:ObjectCreated:*</Event></QueueConfiguration></NotificationConfiguration>"
        );
        trail.s3("PUT", "?notification", notification.into()).await;
        trail
    }

    /// Puts an object as CloudTrail does.
    pub(super) async fn put(&self, key: &str, bytes: Vec<u8>) {
        self.s3("PUT", &format!("/{key}"), bytes).await;
    }

    /// Hands one batch of the queue to a function as Lambda does: what it did not
    /// fail is gone from the queue. Gives how many there were, and those that
    /// failed.
    pub(super) async fn deliver(&self, function: &Function<'_>) -> (usize, Vec<String>) {
        let asked = json!({
            "QueueUrl": self.queue, "MaxNumberOfMessages": BATCH, "VisibilityTimeout": 0,
        });
        let received = self.sqs("ReceiveMessage", &asked).await;
        let messages = received["Messages"].as_array().cloned().unwrap_or_default();
        let record = |message: &Value| {
            json!({
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", self.bucket),
                "awsRegion": REGION,
            })
        };
        let event = json!({"Records": messages.iter().map(record).collect::<Vec<_>>()});
        let answer = function.call(event.to_string().as_bytes());
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {}", function.program.text()));
        let failed = answer["batchItemFailures"].as_array().unwrap().iter();
        let failed: Vec<String> = failed
            .map(|one| one["itemIdentifier"].as_str().unwrap().to_owned())
            .collect();
        for message in &messages {
            if failed.iter().all(|id| message["MessageId"] != **id) {
                let gone = json!({
                    "QueueUrl": self.queue, "ReceiptHandle": message["ReceiptHandle"],
                });
                self.sqs("DeleteMessage", &gone).await;
            }
        }
        (messages.len(), failed)
    }

    async fn sqs(&self, action: &str, body: &Value) -> Value {
        let target = format!("AmazonSQS.{action}");
        let headers = [
            ("x-amz-target", &*target),
            ("content-type", "application/x-amz-json-1.0"),
        ];
        let answer = self.ask("sqs", "POST", "/", &headers, body.to_string().into());
        let answer = answer.await;
        match answer.is_empty() {
            true => Value::Null,
            false => answer.json(),
        }
    }

    async fn s3(&self, method: &str, path: &str, body: Vec<u8>) {
        let path = format!("/{}{path}", self.bucket);
        self.ask("s3", method, &path, &[], body).await;
    }

    /// moto tells its services apart by what a signature says, and checks none.
    async fn ask(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=any/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
        );
        let host = self.url.strip_prefix("http://").unwrap();
        let mut all = vec![("authorization", &*authorization), ("host", host)];
        all.extend(headers);
        call(&self.url, method, path, &all, body).await.is(200)
    }
}

/// A front before S3 that has both the buckets of trails and all others.
pub(super) async fn front() -> Local {
    let upstreams = Arc::new((
        Upstream::new(&stand_in("STANDIN_AWS").unwrap()),
        Upstream::new(&stand_in("STANDIN_S3").unwrap()),
    ));
    let route = |State(upstreams): State<Arc<(Upstream, Upstream)>>, request: Request| async move {
        let (trails, others) = &*upstreams;
        match request.uri().path().starts_with(&format!("/{NAME}-")) {
            true => trails.pass(request).await,
            false => others.pass(request).await,
        }
    };
    Local::serve(|_| Router::new().fallback(route).with_state(upstreams)).await
}

/// A file as CloudTrail delivers it.
pub(super) fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
