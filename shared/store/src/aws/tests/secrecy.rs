//! No secret is told: not in logs at any level, not in debug output, not in
//! errors.

use std::fmt::{self, Debug, Write};
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use bytes::Bytes;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::UNTIL;
use super::canned::{Answer, Canned};
use crate::address::Bucket;
use crate::aws::{Access, DynamoHeadStore, KmsKey, S3SealedStore, SecretsManagerSecret};
use crate::posture::Lock;
use crate::{HeadStore, RemoteKey, Retention, SealedStore, Secret};

const SECRET_KEY: &str = "wJalrXUtnFEMI-secret-access-key";
const TOKEN: &str = "IQoJb3JpZ2lu-session-token";
const SEED: &str = "c2VlZC1vZi1hLWNoYWlu-seed";

/// Writes down everything that is logged on this thread, at every level.
#[derive(Clone, Default)]
struct Log {
    text: Arc<Mutex<String>>,
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Log {
    fn write(&self, metadata: &Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.text.lock().unwrap();
        text.push_str(metadata.target());
        record(&mut Line(&mut text));
        text.push('\n');
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.write(span.metadata(), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = self.text.lock().unwrap();
        values.record(&mut Line(&mut text));
        text.push('\n');
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.write(event.metadata(), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

/// In base64, as the services carry binary content.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk
            .iter()
            .chain([&0; 2])
            .take(3)
            .fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for digit in 0..=chunk.len() {
            out.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
        }
    }
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

#[tokio::test]
async fn no_secret_is_logged_shown_or_told() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let credentials = Credentials::new("AKIAEXAMPLE", SECRET_KEY, Some(TOKEN.into()), None, "test");
    let secret_answer = format!(r#"{{"Name":"s","SecretString":"{SEED}"}}"#);
    let binary_answer = format!(r#"{{"Name":"s","SecretBinary":"{}"}}"#, base64(SEED));
    let mut told = Vec::new();
    // What is answered to all, and whether a secret's content is in it.
    for (answer, with_content) in [
        (Answer::s3(403, "SignatureDoesNotMatch", "x"), false),
        (Answer::new(200, ""), false),
        (Answer::json(400, "AccessDeniedException", "x"), false),
        (Answer::new(500, ""), false),
        (Answer::new(200, secret_answer), true),
        (Answer::new(200, binary_answer), true),
    ] {
        let server = Canned::new(vec![answer]).await;
        let access = Access::new(credentials.clone(), Some("r"), Some(server.url())).unwrap();
        let bucket = Bucket {
            name: "b".to_owned(),
            prefix: String::new(),
            region: None,
        };
        let store = S3SealedStore::open(&access, &bucket, Lock::Governance).unwrap();
        let heads = DynamoHeadStore::open(&access, "t", None).unwrap();
        let secret = SecretsManagerSecret::open(&access, "s").unwrap();
        let key = KmsKey::open(&access, "k").unwrap();
        let one = Bytes::from_static(b"1");
        told.push(format!("{access:?} {store:?} {heads:?} {secret:?} {key:?}"));
        told.push(format!("{:?}", secret.create(SEED.as_bytes()).await));
        let binary = [SEED.as_bytes(), &[0xff]].concat();
        told.push(format!("{:?}", secret.create(&binary).await));
        let read = secret.read(99).await;
        assert_eq!(matches!(read, Ok(Some(_))), with_content, "{read:?}");
        if with_content {
            continue;
        }
        told.push(format!("{read:?}"));
        let retention = Retention::Until(UNTIL);
        let put = store.put_new("k", one.clone(), retention).await;
        told.push(format!("{put:?}"));
        told.push(format!("{:?}", store.get("k", 9).await));
        told.push(format!("{:?}", store.list("", None).await));
        told.push(format!("{:?}", store.versions("", None).await));
        told.push(format!("{:?}", heads.swap("h", None, one).await));
        told.push(format!("{:?}", heads.load("h").await));
        told.push(format!("{:?}", key.sign(b"head").await));
        told.push(format!("{:?}", key.public_key().await));
    }
    let log = log.text.lock().unwrap();
    // The library did log, down to its requests.
    assert!(log.contains("transmitting request"), "{} bytes", log.len());
    assert!(log.contains("PutObject"));
    assert!(told.iter().any(|text| text.contains("AccessDenied")));
    let in_base64 = base64(SEED);
    for text in told.iter().map(String::as_str).chain([&**log]) {
        // But for its end, which depends on what follows.
        for secret in [SECRET_KEY, TOKEN, SEED, &in_base64[..in_base64.len() - 4]] {
            let found = text.find(secret);
            assert!(
                found.is_none(),
                "{secret} in: {}",
                &text[found.unwrap_or(0).saturating_sub(300)..][..300]
            );
        }
    }
}
