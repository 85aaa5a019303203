use countersign_sources::trigger::aws::{Event, Passing};
use countersign_sources::trigger::azure::Hub;
use countersign_sources::trigger::{Brought, Content, Refusal, aws, azure, gcp};

use super::mode;

/// Longer than any refusal: they repeat no more than a name of the input.
const MAX_REFUSAL_CHARS: usize = 600;

/// What platforms hand to functions: whatever it is, it is taken the same way each
/// time, or refused in one short line.
pub fn triggers(input: &[u8]) {
    let (mode, body) = mode(input);
    match mode % 5 {
        0 => {
            let passing = Passing {
                own_buckets: vec!["sealed".to_owned()],
            };
            let decoded = aws::decode(body, &passing);
            assert_eq!(decoded, aws::decode(body, &passing));
            match decoded {
                Ok(Event::Whole(brought)) => holds(&Ok(brought), body),
                Ok(Event::Queue(messages)) => {
                    assert!(!messages.is_empty());
                    for message in messages {
                        holds(&message.brought, b"");
                    }
                }
                Err(refusal) => holds(&Err(refusal), body),
            }
        }
        1 => {
            let hub = Hub {
                namespace: Some("logs".to_owned()),
            };
            let decoded = azure::decode(body, "events", &hub);
            assert_eq!(decoded, azure::decode(body, "events", &hub));
            let brought = decoded.map(|messages| Brought {
                deliveries: messages.into_iter().map(|one| one.delivery).collect(),
                passed_over: Vec::new(),
            });
            holds(&brought, b"");
        }
        other => {
            let event_type = match other {
                2 => None,
                3 => Some("google.cloud.storage.object.v1.finalized"),
                _ => Some("google.cloud.audit.log.v1.written"),
            };
            let own = ["sealed".to_owned()];
            let decoded = gcp::decode(body, event_type, &own);
            assert_eq!(decoded, gcp::decode(body, event_type, &own));
            holds(&decoded, b"");
        }
    }
}

/// `within`: where the bytes of an event must stand as they are, if anywhere.
fn holds(brought: &Result<Brought, Refusal>, within: &[u8]) {
    let brought = match brought {
        Ok(brought) => brought,
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(text.chars().count() < MAX_REFUSAL_CHARS, "{text}");
            assert!(!text.chars().any(char::is_control), "{text:?}");
            return;
        }
    };
    for delivery in &brought.deliveries {
        assert!(!delivery.from.is_empty());
        if let Some(id) = &delivery.id {
            let hex = id.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(id.len() == 64 && hex, "{id}");
        }
        match &delivery.content {
            Content::Bytes(bytes) if !within.is_empty() && !bytes.is_empty() => {
                let found = within.windows(bytes.len()).any(|part| part == bytes);
                // Or it stood in a message within: then the text was escaped.
                assert!(found || within.contains(&b'\\'), "{bytes:?}");
            }
            Content::Bytes(_) => {}
            Content::Object(object) => assert_ne!(object.bucket, "sealed"),
        }
    }
}
