//! Google Cloud: Pub/Sub pushes, plain or through Eventarc, and the events of
//! Cloud Storage.

use std::collections::BTreeMap;

use countersign_core::delivery::Identity;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Brought, Content, Delivery, Object, Refusal, bytes_of, read, shown};

/// The types of CloudEvents that bring logs.
const PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";
const FINALIZED: &str = "google.cloud.storage.object.v1.finalized";
const AUDIT: [&str; 2] = [
    "google.cloud.audit.log.v1.written",
    "com.google.cloud.auditlog.event",
];

/// Takes the body of a push apart.
///
/// `event_type` is the header `ce-type`: Eventarc sends CloudEvents in binary
/// mode; a plain push of Pub/Sub has none. The structured mode, whose body is
/// the whole CloudEvent, is taken too. `own_buckets` are those that countersign
/// writes itself.
///
/// # Errors
/// When it brings no logs.
pub fn decode(
    body: &[u8],
    event_type: Option<&str>,
    own_buckets: &[String],
) -> Result<Brought, Refusal> {
    if let Some(event_type) = event_type {
        return of_type(event_type, body, own_buckets);
    }
    let outer: Outer<'_> = read("the push", body)?;
    match (outer.specversion, outer.kind, outer.data) {
        (Some(_), Some(event_type), Some(data)) => {
            of_type(&event_type, data.get().as_bytes(), own_buckets)
        }
        _ => published(body, own_buckets),
    }
}

fn of_type(event_type: &str, data: &[u8], own_buckets: &[String]) -> Result<Brought, Refusal> {
    match event_type {
        PUBLISHED => published(data, own_buckets),
        FINALIZED => {
            let stored: Stored = read("the event of Cloud Storage", data)?;
            Ok(stored.brings(own_buckets))
        }
        // One LogEntry, which its content tells apart.
        _ if AUDIT.contains(&event_type) => {
            let entry: &RawValue = read("the log entry", data)?;
            let Entry { log_name, .. } = read("the log entry", data)?;
            Ok(Brought {
                deliveries: vec![Delivery {
                    id: None,
                    from: format!("eventarc:{}", shown(&log_name)),
                    content: Content::Bytes(bytes_of(entry)),
                }],
                passed_over: Vec::new(),
            })
        }
        other => Err(unknown(&format!("its type is `{}`", shown(other)))),
    }
}

fn unknown(what: &str) -> Refusal {
    Refusal::new(format!(
        "this is no log delivery: {what}; the function takes pushes of Pub/Sub, finalized objects of Cloud Storage and log entries of Eventarc"
    ))
}

#[derive(Deserialize)]
struct Outer<'a> {
    specversion: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "logName")]
    log_name: String,
}

#[derive(Deserialize)]
struct Push {
    subscription: String,
    message: Message,
}

/// Both spellings may stand in one message.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    data: String,
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    #[serde(rename = "message_id")]
    message_id_too: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
}

fn published(body: &[u8], own_buckets: &[String]) -> Result<Brought, Refusal> {
    let Push {
        subscription,
        message,
    } = read("the push of Pub/Sub", body)?;
    let Some(id) = message.message_id.or(message.message_id_too) else {
        return Err(unknown("its message has no messageId"));
    };
    let data = BASE64
        .decode(message.data.as_bytes())
        .map_err(|_| Refusal::new("the data of the message are no base64"))?;
    // A bucket's notifications through Pub/Sub.
    if let (Some(event), Some(bucket), Some(key)) = (
        message.attributes.get("eventType"),
        message.attributes.get("bucketId"),
        message.attributes.get("objectId"),
    ) {
        if event != "OBJECT_FINALIZE" {
            let event = shown(event);
            return Err(unknown(&format!("it is the bucket event `{event}`")));
        }
        let stored = Stored {
            bucket: bucket.clone(),
            name: key.clone(),
            generation: message.attributes.get("objectGeneration").cloned(),
            size: None,
        };
        return Ok(stored.brings(own_buckets));
    }
    if data.is_empty() {
        return Err(unknown(&format!("the message {} is empty", shown(&id))));
    }
    let identity = Identity::PubSub {
        subscription: &subscription,
        message_id: &id,
    };
    Ok(Brought {
        deliveries: vec![Delivery {
            id: Some(identity.id()),
            from: format!("pubsub://{subscription}/{id}"),
            content: Content::Bytes(data),
        }],
        passed_over: Vec::new(),
    })
}

/// An object of Cloud Storage.
#[derive(Deserialize)]
struct Stored {
    bucket: String,
    name: String,
    #[serde(default, deserialize_with = "integer")]
    generation: Option<String>,
    #[serde(default, deserialize_with = "integer")]
    size: Option<String>,
}

/// An int64 as JSON has it: a string as a rule, a number at times.
fn integer<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spelled {
        Text(String),
        Number(u64),
    }
    let spelled: Option<Spelled> = Option::deserialize(deserializer)?;
    Ok(spelled.map(|spelled| match spelled {
        Spelled::Text(text) => text,
        Spelled::Number(number) => number.to_string(),
    }))
}

impl Stored {
    /// What it is told apart by is its content: the formats name no identity of
    /// an object here.
    fn brings(self, own_buckets: &[String]) -> Brought {
        let Self {
            bucket,
            name,
            generation,
            size,
        } = self;
        let bytes = size.and_then(|size| size.parse().ok());
        let from = match &generation {
            Some(generation) => format!("gs://{bucket}/{name}#{generation}"),
            None => format!("gs://{bucket}/{name}"),
        };
        let mut brought = Brought::default();
        if own_buckets.contains(&bucket) {
            let why = "it stands in a store of our own";
            brought.passed_over.push(format!("{from}: {why}"));
        } else if name.ends_with('/') && bytes == Some(0) {
            let why = "it is the mark of a folder";
            brought.passed_over.push(format!("{from}: {why}"));
        } else {
            brought.deliveries.push(Delivery {
                id: None,
                from,
                content: Content::Object(Object {
                    bucket,
                    key: name,
                    version: generation,
                    bytes,
                }),
            });
        }
        brought
    }
}
