//! No secret is said anywhere.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use data_encoding::BASE64;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::scripted::{Reply, Server};
use super::{TOKEN, bucket, signed};
use crate::gcp::{GcsHeadStore, GcsSealedStore, KmsKey, SecretManagerSecret};
use crate::head::HeadStore;
use crate::posture::Lock;
use crate::sealed::{Retention, SealedStore};
use crate::secret::{RemoteKey, Secret};

const SECRET: &[u8] = b"the seed that nobody may see";

/// Keeps all that is logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn note(&self, text: &dyn std::fmt::Debug) {
        let mut log = self.0.lock().expect("no panic");
        writeln!(log, "{text:?}").expect("a string takes all");
    }
}

impl Visit for Log {
    fn record_debug(&mut self, _: &Field, value: &dyn std::fmt::Debug) {
        self.note(value);
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(&event.metadata().target());
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.note(record.args());
    }

    fn flush(&self) {}
}

/// On one thread, so that this test's log is that of its own calls.
#[tokio::test]
async fn neither_token_nor_secret_is_logged_shown_or_part_of_an_error() {
    let log = Log::default();
    // There is one logger per process. Another test's, if any, has its own check.
    if log::set_logger(Box::leak(Box::new(log.clone()))).is_ok() {
        log::set_max_level(log::LevelFilter::Trace);
    }
    let _guard = tracing::subscriber::set_default(log.clone());

    let mut said = String::new();
    let payload = format!(
        r#"{{"payload":{{"data":"{}","dataCrc32c":"1"}}}}"#,
        BASE64.encode(SECRET)
    );
    for reply in [
        Reply::json(payload),
        Reply::storage(403, "forbidden", "no"),
        Reply::storage(401, "authError", "no"),
        Reply::storage(500, "backendError", "no"),
        Reply::json("{"),
    ] {
        let server = Server::new(move |_| reply.clone()).await;
        let (access, bucket) = (signed(server.url()), bucket("bkt", "p"));
        let secret = SecretManagerSecret::open(&access, "p", "seed");
        let key = KmsKey::open(&access, "projects/p/cryptoKeyVersions/1");
        let store = GcsSealedStore::open(&access, &bucket, Lock::Off);
        let heads = GcsHeadStore::open(&access, &bucket);
        let bytes = Bytes::from_static(b"x");
        let put = store.put_new("a", bytes.clone(), Retention::None).await;
        let read = secret.read(64).await.expect_err("its checksum is wrong");
        let made = secret.create(SECRET).await;
        let put = put.expect_err("it is not confirmed");
        let swap = heads.swap("h", None, bytes).await;
        let swap = swap.expect_err("it is not confirmed");
        write!(said, "{put:?}{put}{read:?}{read}{made:?}{swap:?}{swap}").expect("it takes all");
        for failed in [
            key.public_key().await.map(|_| ()),
            key.sign(b"m").await.map(|_| ()),
        ] {
            let failed = failed.expect_err("it is no key");
            write!(said, "{failed:?}{failed}").expect("it takes all");
        }
        let (get, list) = (store.get("a", 1).await, store.list("", None).await);
        write!(
            said,
            "{get:?}{list:?}{access:?}{secret:?}{key:?}{store:?}{heads:?}"
        )
        .expect("it takes all");
        assert!(
            server
                .asked()
                .iter()
                .all(|asked| asked.headers.contains(TOKEN)),
            "the token was in every request"
        );
    }
    let logged = log.0.lock().expect("no panic").clone();
    assert!(logged.contains("hyper"), "the HTTP client logged: {logged}");
    for text in [said, logged] {
        for hidden in [
            TOKEN.to_owned(),
            String::from_utf8_lossy(SECRET).into_owned(),
            BASE64.encode(SECRET),
            format!("{SECRET:?}"),
        ] {
            assert!(!text.contains(&hidden), "{hidden} is said");
        }
    }
}
