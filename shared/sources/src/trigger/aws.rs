//! AWS Lambda: S3 notifications, directly or through SQS, SNS or both, and
//! EventBridge events.

use countersign_core::delivery::Identity;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Brought, Content, Delivery, Object, Refusal, bytes_of, read, shown};

/// The names of what is never a log, though it is written where logs are.
#[derive(Debug, Clone, Default)]
pub struct Passing {
    /// Buckets that countersign writes itself: their objects would be logged, and
    /// the log sealed, without end.
    pub own_buckets: Vec<String>,
}

/// An event of Lambda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It succeeds or fails as a whole.
    Whole(Brought),
    /// Messages of a queue, each of which can fail alone
    /// (`ReportBatchItemFailures`).
    Queue(Vec<Message>),
}

/// A message of SQS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// `messageId`, by which its failure is reported.
    pub id: String,
    /// What it brings.
    pub brought: Result<Brought, Refusal>,
}

/// Takes an event apart.
///
/// # Errors
/// When it is none that brings logs.
pub fn decode(event: &[u8], passing: &Passing) -> Result<Event, Refusal> {
    let outer: Outer<'_> = read("the event", event)?;
    let Some(records) = outer.records else {
        return inner(event, passing).map(Event::Whole);
    };
    let is_queue = !records.is_empty() && records.iter().all(|record| record.source() == "aws:sqs");
    if !is_queue {
        return inner(event, passing).map(Event::Whole);
    }
    let messages = records.into_iter().map(|record| match record.message_id {
        Some(id) => Ok(Message {
            brought: match &record.body {
                Some(body) => inner(body.as_bytes(), passing),
                None => Err(Refusal::new("the message of SQS has no body")),
            },
            id,
        }),
        None => Err(Refusal::new(
            "a message of SQS has no messageId, so that its failure could not be reported",
        )),
    });
    Ok(Event::Queue(messages.collect::<Result<_, _>>()?))
}

/// A notification, wherever it stood.
fn inner(text: &[u8], passing: &Passing) -> Result<Brought, Refusal> {
    let outer: Outer<'_> = read("the notification", text)?;
    if let Some(message) = outer.message.filter(|_| outer.kind == "Notification") {
        // SNS to SQS, without raw delivery.
        return once_more(message.as_bytes(), passing);
    }
    if outer.event == "s3:TestEvent" {
        return Ok(Brought {
            passed_over: vec!["the test event of S3".to_owned()],
            ..Brought::default()
        });
    }
    if let Some(detail) = outer.detail {
        let bridge = Bridge {
            id: outer.id,
            kind: &outer.detail_type,
            source: &outer.bridge_source,
        };
        return bridge.brings(detail, passing);
    }
    let Some(records) = outer.records.filter(|records| !records.is_empty()) else {
        return Err(unknown("it has neither Records nor a detail"));
    };
    let mut brought = Brought::default();
    for record in &records {
        match (record.source(), &record.s3, &record.sns) {
            ("aws:s3", Some(s3), _) => s3.announced(record, passing, &mut brought)?,
            ("aws:sns", _, Some(sns)) => {
                let more = once_more(sns.message.as_bytes(), passing)?;
                brought.deliveries.extend(more.deliveries);
                brought.passed_over.extend(more.passed_over);
            }
            (source, ..) => {
                let source = shown(source);
                return Err(unknown(&format!("its records are of `{source}`")));
            }
        }
    }
    Ok(brought)
}

/// What SNS carries is a notification, and carries no other.
fn once_more(text: &[u8], passing: &Passing) -> Result<Brought, Refusal> {
    let outer: Outer<'_> = read("the message of SNS", text)?;
    if outer.kind == "Notification" && outer.message.is_some() {
        return Err(unknown("it is a message of SNS within another"));
    }
    inner(text, passing)
}

fn unknown(what: &str) -> Refusal {
    Refusal::new(format!(
        "this is no log delivery: {what}; the function takes S3 notifications of created objects (directly, through SQS or SNS) and EventBridge events"
    ))
}

/// All that is looked at in any of the events.
#[derive(Deserialize)]
struct Outer<'a> {
    #[serde(rename = "Records")]
    records: Option<Vec<Record>>,
    /// SNS: `Notification`.
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Message")]
    message: Option<String>,
    /// S3: `s3:TestEvent`.
    #[serde(rename = "Event", default)]
    event: String,
    /// EventBridge.
    id: Option<String>,
    #[serde(rename = "detail-type", default)]
    detail_type: String,
    #[serde(rename = "source", default)]
    bridge_source: String,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventSource")]
    source: Option<String>,
    /// SNS writes it so.
    #[serde(rename = "EventSource")]
    source_of_sns: Option<String>,
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    body: Option<String>,
    #[serde(rename = "eventVersion", default)]
    version: String,
    #[serde(rename = "eventName", default)]
    name: String,
    s3: Option<S3>,
    #[serde(rename = "Sns")]
    sns: Option<Sns>,
}

impl Record {
    fn source(&self) -> &str {
        let source = self.source.as_deref().or(self.source_of_sns.as_deref());
        source.unwrap_or_default()
    }
}

#[derive(Deserialize)]
struct Sns {
    #[serde(rename = "Message")]
    message: String,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Named,
    object: S3Object,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct S3Object {
    key: String,
    size: Option<u64>,
    #[serde(rename = "versionId")]
    version_id: Option<String>,
}

impl S3 {
    fn announced(
        &self,
        record: &Record,
        passing: &Passing,
        brought: &mut Brought,
    ) -> Result<(), Refusal> {
        if !record.version.starts_with("2.") {
            let version = shown(&record.version);
            return Err(unknown(&format!(
                "its S3 event has version `{version}`, and only 2.x is known"
            )));
        }
        if !record.name.starts_with("ObjectCreated:") {
            let name = shown(&record.name);
            return Err(unknown(&format!(
                "it announces `{name}`: send only s3:ObjectCreated:* here"
            )));
        }
        // A plus is a space, and the rest is percent-encoded.
        let spaced = self.object.key.replace('+', " ");
        let key = percent_decode_str(&spaced)
            .decode_utf8()
            .map_err(|_| Refusal::new("the key of the S3 object is not UTF-8"))?;
        let object = Object {
            bucket: self.bucket.name.clone(),
            key: key.into_owned(),
            version: self.object.version_id.clone(),
            bytes: self.object.size,
        };
        passing.sort(object, brought);
        Ok(())
    }
}

impl Passing {
    /// A delivery, or something to pass over.
    fn sort(&self, object: Object, brought: &mut Brought) {
        let address = address(&object);
        let why = if self.own_buckets.contains(&object.bucket) {
            "it stands in a store of our own"
        } else if object
            .key
            .split('/')
            .any(|part| part == "CloudTrail-Digest")
        {
            "it is a digest of CloudTrail, which lists logs and is none"
        } else if object.key.ends_with('/') && object.bytes == Some(0) {
            "it is the mark of a folder"
        } else {
            let identity = Identity::S3 {
                bucket: &object.bucket,
                key: &object.key,
                version_id: object.version.as_deref().unwrap_or_default(),
            };
            return brought.deliveries.push(Delivery {
                id: Some(identity.id()),
                from: address,
                content: Content::Object(object),
            });
        };
        brought.passed_over.push(format!("{address}: {why}"));
    }
}

fn address(object: &Object) -> String {
    let Object { bucket, key, .. } = object;
    match &object.version {
        Some(version) => format!("s3://{bucket}/{key}?versionId={version}"),
        None => format!("s3://{bucket}/{key}"),
    }
}

/// An EventBridge event around its detail.
struct Bridge<'a> {
    id: Option<String>,
    kind: &'a str,
    source: &'a str,
}

#[derive(Deserialize)]
struct BridgeObject {
    #[serde(rename = "event-version", default)]
    version: String,
    bucket: Named,
    object: BridgeS3,
}

#[derive(Deserialize)]
struct BridgeS3 {
    key: String,
    size: Option<u64>,
    #[serde(rename = "version-id")]
    version_id: Option<String>,
}

impl Bridge<'_> {
    fn brings(self, detail: &RawValue, passing: &Passing) -> Result<Brought, Refusal> {
        let mut brought = Brought::default();
        let kind = shown(self.kind);
        match (self.source, self.kind) {
            ("aws.s3", "Object Created") => {
                let created: BridgeObject = read("the event of S3", detail.get().as_bytes())?;
                if !created.version.starts_with("1.") {
                    let version = shown(&created.version);
                    return Err(unknown(&format!(
                        "its S3 event has version `{version}`, and only 1.x is known"
                    )));
                }
                let object = Object {
                    bucket: created.bucket.name,
                    // Not encoded here.
                    key: created.object.key,
                    version: created.object.version_id,
                    bytes: created.object.size,
                };
                passing.sort(object, &mut brought);
            }
            ("aws.s3", _) => return Err(unknown(&format!("it is an S3 event `{kind}`"))),
            ("aws.events" | "aws.scheduler", _) => {
                return Err(unknown(
                    "it comes from a schedule: send that to the functions anchor and verify",
                ));
            }
            _ => {
                let Some(id) = self.id.filter(|id| !id.is_empty()) else {
                    return Err(unknown("it has no id"));
                };
                let bytes = bytes_of(detail);
                let Some(members) = bytes.strip_prefix(b"{") else {
                    return Err(unknown(&format!("the detail of its `{kind}` is no object")));
                };
                if members.trim_ascii() == b"}" {
                    return Err(unknown(&format!("the detail of its `{kind}` is empty")));
                }
                brought.deliveries.push(Delivery {
                    from: format!("eventbridge:{id}"),
                    id: Some(Identity::EventBridge { event_id: &id }.id()),
                    content: Content::Bytes(bytes),
                });
            }
        }
        Ok(brought)
    }
}
