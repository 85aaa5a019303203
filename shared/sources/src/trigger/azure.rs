//! Azure Functions: what the host posts to a custom handler for an Event Hub
//! trigger.
//!
//! Strings and arrays of a binding come as JSON text within a JSON string, and
//! with `"cardinality":"many"` and `"dataType":"binary"` that text is an array of
//! base64 strings, one a message. Metadata comes beside it, likewise.

use std::borrow::Cow;

use countersign_core::delivery::Identity;
use data_encoding::BASE64;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::{Content, Delivery, Refusal, read};

/// Where a hub is, as far as the metadata may not say it.
#[derive(Debug, Clone, Default)]
pub struct Hub {
    /// The namespace: `NAME`, or `NAME.servicebus.windows.net`.
    pub namespace: Option<String>,
}

/// A message of a hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its partition.
    pub partition: String,
    /// Its sequence number there.
    pub sequence: u64,
    /// What it brings.
    pub delivery: Delivery,
}

/// Takes the body of an invocation apart. `binding` is the trigger's name in
/// `function.json`.
///
/// # Errors
/// When it is not the invocation of an Event Hub trigger with
/// `"dataType":"binary"`, or does not say which messages these are. Nothing can
/// be sealed then: which message is which must be known, or a redelivery would
/// not be recognized.
pub fn decode(body: &[u8], binding: &str, hub: &Hub) -> Result<Vec<Message>, Refusal> {
    let invocation: Invocation<'_> = read("the invocation", body)?;
    let Some(data) = invocation.data.get(binding) else {
        return Err(Refusal::new(format!(
            "the invocation has no data of the binding `{binding}`: is `name` another one in function.json?"
        )));
    };
    let bodies = bodies(data)?;
    let place = Place::of(&invocation.metadata, hub, bodies.len())?;
    let messages = bodies.into_iter().zip(&place.sequences);
    Ok(messages
        .map(|(bytes, &sequence)| {
            let Place {
                namespace,
                hub,
                partition,
                ..
            } = &place;
            let identity = Identity::EventHub {
                namespace,
                hub,
                partition,
                sequence,
            };
            Message {
                partition: partition.clone(),
                sequence,
                delivery: Delivery {
                    id: Some(identity.id()),
                    from: format!("eventhub://{namespace}/{hub}/{partition}/{sequence}"),
                    content: Content::Bytes(bytes),
                },
            }
        })
        .collect())
}

#[derive(Deserialize)]
struct Invocation<'a> {
    #[serde(rename = "Data", borrow)]
    data: std::collections::BTreeMap<Cow<'a, str>, &'a RawValue>,
    #[serde(rename = "Metadata", default)]
    metadata: Map<String, Value>,
}

/// The messages' bodies: a JSON array of base64 strings, or, with cardinality
/// one, a single one; each within a JSON string or as it is.
fn bodies(data: &RawValue) -> Result<Vec<Vec<u8>>, Refusal> {
    let not_binary = || {
        Refusal::new(
            "the data of the trigger are no base64: set \"dataType\":\"binary\" in function.json, or the host re-writes the messages",
        )
    };
    let value: Value = unwrapped(data)?;
    let texts = match value {
        Value::Array(texts) => texts,
        text @ Value::String(_) => vec![text],
        _ => return Err(not_binary()),
    };
    let decode = |text: Value| {
        let text = text.as_str().ok_or_else(not_binary)?;
        BASE64.decode(text.as_bytes()).map_err(|_| not_binary())
    };
    texts.into_iter().map(decode).collect()
}

/// A value that may stand within a JSON string.
fn unwrapped<T: DeserializeOwned>(value: &RawValue) -> Result<T, Refusal> {
    let text = value.get().as_bytes();
    if text.starts_with(b"\"") {
        let inner: String = read("the data of the trigger", text)?;
        // A single base64 string may or may not be quoted once more.
        let quoted = matches!(
            inner.trim_start().as_bytes().first(),
            Some(b'"' | b'[' | b'{')
        );
        if quoted {
            return read("the data of the trigger", inner.as_bytes());
        }
    }
    read("the data of the trigger", text)
}

/// Which messages these are.
struct Place {
    namespace: String,
    hub: String,
    partition: String,
    sequences: Vec<u64>,
}

impl Place {
    fn of(metadata: &Map<String, Value>, configured: &Hub, count: usize) -> Result<Self, Refusal> {
        let missing = |what: &str| {
            Err(Refusal::new(format!(
                "the metadata of the invocation do not say {what}, without which a redelivery would not be recognized"
            )))
        };
        let context = member(metadata, "PartitionContext").unwrap_or_default();
        let text = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| context.get(*name));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        let namespace = text(["FullyQualifiedNamespace", "fullyQualifiedNamespace"]);
        let Some(namespace) = configured.namespace.clone().or(namespace) else {
            return missing("the namespace of the hub, and no setting names it");
        };
        // One hub is one hub, however its namespace is written.
        let namespace = namespace
            .split('.')
            .next()
            .unwrap_or_default()
            .to_ascii_lowercase();
        let Some(hub) = text(["EventHubName", "EventHubPath"]) else {
            return missing("the name of the hub");
        };
        let Some(partition) = text(["PartitionId", "partitionId"]) else {
            return missing("the partition");
        };
        let sequences = match member(metadata, "SequenceNumberArray") {
            Some(Value::Array(numbers)) => Some(numbers.iter().map(number).collect()),
            _ => member(metadata, "SequenceNumber").map(|one| vec![number(&one)]),
        };
        let sequences: Option<Vec<u64>> =
            sequences.and_then(|numbers: Vec<Option<u64>>| numbers.into_iter().collect());
        let Some(sequences) = sequences else {
            return missing("the sequence numbers");
        };
        if sequences.len() != count {
            return Err(Refusal::new(format!(
                "the invocation brings {count} messages and {} sequence numbers",
                sequences.len()
            )));
        }
        Ok(Self {
            namespace,
            hub,
            partition,
            sequences,
        })
    }
}

/// A member of the metadata, whatever the case of its first letter, and out of
/// the string that it may stand in.
fn member(metadata: &Map<String, Value>, name: &str) -> Option<Value> {
    let found = metadata
        .iter()
        .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))?;
    match found {
        Value::String(text) => serde_json::from_str(text)
            .ok()
            .or_else(|| Some(found.clone())),
        other => Some(other.clone()),
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}
