//! The identity of a delivery: SHA-256 of a canonical array that begins with its
//! kind, so that a redelivery is recognized.

use std::fmt::Write;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::json;

/// The native identity of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// An object in S3.
    S3 {
        /// Bucket name.
        bucket: &'a str,
        /// Key, decoded.
        key: &'a str,
        /// Version id; empty where the bucket has no versions.
        version_id: &'a str,
    },
    /// An Event Hub message.
    EventHub {
        /// Namespace.
        namespace: &'a str,
        /// Hub.
        hub: &'a str,
        /// Partition id.
        partition: &'a str,
        /// Sequence number in its partition.
        sequence: u64,
    },
    /// A Pub/Sub message.
    PubSub {
        /// Subscription.
        subscription: &'a str,
        /// Message id.
        message_id: &'a str,
    },
    /// An EventBridge event.
    EventBridge {
        /// Event id.
        event_id: &'a str,
    },
    /// A file or standard input.
    File {
        /// SHA-256 of its uncompressed bytes.
        sha256: [u8; 32],
    },
    /// Another cloud's anchor.
    Anchor {
        /// The anchored chain.
        origin: &'a str,
        /// The checkpoint's size.
        size: u64,
        /// The cosignature's time, seconds since 1970.
        seconds: u64,
    },
}

impl Identity<'_> {
    /// The delivery's id: hex SHA-256 of the canonical array.
    pub fn id(&self) -> String {
        let mut array = Array::default();
        match self {
            Self::S3 {
                bucket,
                key,
                version_id,
            } => array.text("s3").text(bucket).text(key).text(version_id),
            Self::EventHub {
                namespace,
                hub,
                partition,
                sequence,
            } => array
                .text("eventhub")
                .text(namespace)
                .text(hub)
                .text(partition)
                .number(*sequence),
            Self::PubSub {
                subscription,
                message_id,
            } => array.text("pubsub").text(subscription).text(message_id),
            Self::EventBridge { event_id } => array.text("eventbridge").text(event_id),
            Self::File { sha256 } => array.text("file").text(&HEXLOWER.encode(sha256)),
            Self::Anchor {
                origin,
                size,
                seconds,
            } => array
                .text("anchor")
                .text(origin)
                .number(*size)
                .number(*seconds),
        };
        array.id()
    }
}

/// A canonical JSON array in the making.
#[derive(Default)]
struct Array(Vec<u8>);

impl Array {
    fn text(&mut self, text: &str) -> &mut Self {
        self.comma();
        json::push_string(text, &mut self.0);
        self
    }

    fn number(&mut self, number: u64) -> &mut Self {
        self.comma();
        let mut digits = String::new();
        // Writing to a string cannot fail.
        let _ = write!(digits, "{number}");
        self.0.extend_from_slice(digits.as_bytes());
        self
    }

    fn comma(&mut self) {
        self.0.push(if self.0.is_empty() { b'[' } else { b',' });
    }

    fn id(&mut self) -> String {
        self.0.push(b']');
        HEXLOWER.encode(&Sha256::digest(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Canonicalizer;

    #[test]
    fn an_id_is_the_hash_of_the_canonical_array() {
        let hex = |text: &str| {
            assert_eq!(
                Canonicalizer::exact()
                    .canonicalize(text.as_bytes())
                    .unwrap(),
                text.as_bytes()
            );
            HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
        };
        let cases = [
            (
                Identity::S3 {
                    bucket: "b",
                    key: "a \"é\".json.gz",
                    version_id: "v1",
                },
                r#"["s3","b","a \"é\".json.gz","v1"]"#.to_owned(),
            ),
            (
                Identity::EventHub {
                    namespace: "n",
                    hub: "h",
                    partition: "3",
                    sequence: 12,
                },
                r#"["eventhub","n","h","3",12]"#.into(),
            ),
            (
                Identity::PubSub {
                    subscription: "s",
                    message_id: "m",
                },
                r#"["pubsub","s","m"]"#.into(),
            ),
            (
                Identity::EventBridge { event_id: "e" },
                r#"["eventbridge","e"]"#.into(),
            ),
            (
                Identity::File { sha256: [0xab; 32] },
                format!(r#"["file","{}"]"#, "ab".repeat(32)),
            ),
            (
                Identity::Anchor {
                    origin: "o/aws",
                    size: 5,
                    seconds: 1_700_000_000,
                },
                r#"["anchor","o/aws",5,1700000000]"#.into(),
            ),
        ];
        for (identity, array) in cases {
            assert_eq!(identity.id(), hex(&array));
        }
    }
}
