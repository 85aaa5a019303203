//! Secrets of a key vault, and where they must not show.

use std::cell::Cell;
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing::span;

use super::{ACCOUNT, Somebody, TOKEN, access, account_sas, endpoints};
use crate::azure::wire::{Call, Sas, Wire, client};
use crate::azure::{Access, BlobHeadStore, BlobSealedStore, KeyVaultSecret};
use crate::head::HeadStore;
use crate::posture::Lock;
use crate::sealed::{Retention, SealedStore};
use crate::secret::{Secret, SecretError};
use crate::testing::server::{Answer, Asked, Server};

#[derive(Clone)]
struct Version {
    name: String,
    created: u64,
    enabled: bool,
    value: Value,
    content_type: Value,
}

/// A vault with one secret.
#[derive(Clone, Default)]
struct Vault {
    versions: Arc<Mutex<Vec<Version>>>,
    /// Seconds since 1970, by one more for every look.
    now: Arc<Mutex<u64>>,
}

impl Vault {
    fn add(&self, name: &str, created: u64, value: &str) {
        self.versions.lock().unwrap().push(Version {
            name: name.to_owned(),
            created,
            enabled: true,
            value: json!(value),
            content_type: Value::Null,
        });
    }

    fn answer(&self, asked: &Asked) -> Answer {
        if asked.header("authorization").is_none() {
            let ask =
                "Bearer authorization=\"https://login/t\", resource=\"https://vault.azure.net\"";
            return Answer::new(401, "").with("www-authenticate", ask);
        }
        let mut versions = self.versions.lock().unwrap();
        let id =
            |version: &Version| format!("https://v.vault.azure.net/secrets/seed/{}", version.name);
        let attributes =
            |version: &Version| json!({ "created": version.created, "enabled": version.enabled });
        let whole = |version: &Version| {
            json!({
                "id": id(version),
                "attributes": attributes(version),
                "value": version.value,
                "contentType": version.content_type,
            })
        };
        let path = asked.line.split('?').next().unwrap().to_owned();
        let answer = match path.split_once(' ').unwrap() {
            ("PUT", "/secrets/seed") => {
                let body: Value = serde_json::from_slice(&asked.body).unwrap();
                *self.now.lock().unwrap() += 1;
                let made = Version {
                    name: format!("{:032}", 100 - versions.len()),
                    created: *self.now.lock().unwrap(),
                    enabled: true,
                    value: body["value"].clone(),
                    content_type: body["contentType"].clone(),
                };
                versions.push(made.clone());
                Some(whole(&made))
            }
            ("GET", "/secrets/seed/versions") if !versions.is_empty() => {
                let list: Vec<_> = versions
                    .iter()
                    .map(|version| json!({ "id": id(version), "attributes": attributes(version) }))
                    .collect();
                Some(json!({ "value": list, "nextLink": null }))
            }
            ("GET", path) => {
                let name = path.rsplit('/').next().unwrap();
                versions
                    .iter()
                    .find(|version| version.name == name)
                    .map(whole)
            }
            _ => None,
        };
        match answer {
            Some(body) => {
                Answer::new(200, body.to_string()).with("content-type", "application/json")
            }
            None => {
                let body = json!({ "error": { "code": "SecretNotFound", "message": "m" } });
                Answer::new(404, body.to_string()).with("content-type", "application/json")
            }
        }
    }
}

async fn vault(vault: &Vault) -> (Server, KeyVaultSecret) {
    let of = vault.clone();
    let server = Server::new(move |asked| of.answer(asked)).await;
    let secret = secret_at(&server.url);
    (server, secret)
}

fn secret_at(url: &str) -> KeyVaultSecret {
    let endpoints = endpoints("http://127.0.0.1:1").with_key_vault(url).unwrap();
    let access = Access::new(Arc::new(Somebody), endpoints).unwrap();
    KeyVaultSecret::open(&access, "v", "seed").unwrap()
}

#[tokio::test]
async fn a_secret_is_made_once_and_read_back() {
    for content in [&b"seed in words"[..], &[0xff, 0x00, 0x80, 0x0a]] {
        let (_server, secret) = vault(&Vault::default()).await;
        assert_eq!(secret.describe(), "keyvault:v/seed");
        assert!(secret.read(100).await.unwrap().is_none());
        secret.create(content).await.unwrap();
        assert_eq!(**secret.read(100).await.unwrap().unwrap(), *content);
        let again = secret.create(b"another").await;
        assert!(
            matches!(again, Err(SecretError::Exists { .. })),
            "{again:?}"
        );
        assert_eq!(**secret.read(100).await.unwrap().unwrap(), *content);
        let large = secret.read(content.len() - 1).await;
        assert!(
            matches!(large, Err(SecretError::Unsuitable { .. })),
            "{large:?}"
        );
    }
}

#[tokio::test]
async fn a_version_that_somebody_adds_does_not_count_until_the_older_are_disabled() {
    let kept = Vault::default();
    let (_server, secret) = vault(&kept).await;
    kept.add("b", 5, "first");
    kept.add("a", 9, "second");
    assert_eq!(**secret.read(100).await.unwrap().unwrap(), *b"first");
    kept.add("0", 5, "of the same second, and its name comes first");
    assert!(
        secret
            .read(100)
            .await
            .unwrap()
            .unwrap()
            .starts_with(b"of the same second")
    );
    for version in &mut *kept.versions.lock().unwrap() {
        version.enabled = version.name == "a";
    }
    assert_eq!(**secret.read(100).await.unwrap().unwrap(), *b"second");
    kept.versions.lock().unwrap()[1].enabled = false;
    assert!(secret.read(100).await.unwrap().is_none(), "none is enabled");
}

#[tokio::test]
async fn of_two_that_make_a_secret_at_a_time_one_is_told_that_it_exists() {
    let kept = Vault::default();
    let (_server, one) = vault(&kept).await;
    let (_other_server, other) = vault(&kept).await;
    let (first, second) = tokio::join!(one.create(b"one"), other.create(b"other"));
    assert_eq!(kept.versions.lock().unwrap().len(), 2, "they did race");
    let read = one.read(100).await.unwrap().unwrap();
    match (first, second) {
        (Ok(()), Err(SecretError::Exists { .. })) => assert_eq!(**read, *b"one"),
        (Err(SecretError::Exists { .. }), Ok(())) => assert_eq!(**read, *b"other"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn answers_of_a_vault_are_classed() {
    let inner =
        |code: &str| json!({ "error": { "code": "Forbidden", "innererror": { "code": code } } });
    for (status, body, says) in [
        (403, inner("ForbiddenByRbac"), "Key Vault Secrets User"),
        (403, inner("ForbiddenByFirewall"), "network"),
        (
            403,
            json!({ "error": { "code": "Forbidden" } }),
            "Key Vault Secrets User",
        ),
    ] {
        let body = body.to_string();
        let server = Server::new(move |_| Answer::new(status, body.clone())).await;
        let read = secret_at(&server.url).read(100).await;
        let Err(error @ SecretError::Refused { .. }) = read else {
            panic!("{status}: {read:?}")
        };
        assert!(error.to_string().contains(says), "{error}");
    }
    let server = Server::new(|asked: &Asked| {
        let (status, code) = match asked.line.starts_with("PUT") {
            true => (409, "ObjectIsDeletedButRecoverable"),
            false => (404, "SecretNotFound"),
        };
        let error = json!({ "code": "Conflict", "innererror": { "code": code } });
        match asked.header("authorization") {
            Some(_) => Answer::new(status, json!({ "error": error }).to_string()),
            None => Answer::new(401, ""),
        }
    })
    .await;
    let made = secret_at(&server.url).create(b"seed").await;
    let Err(error @ SecretError::Refused { .. }) = made else {
        panic!("{made:?}")
    };
    assert!(error.to_string().contains("secret recover"), "{error}");

    let server = Server::new(|_| Answer::new(500, "")).await;
    let read = secret_at(&server.url).read(100).await;
    assert!(
        matches!(read, Err(SecretError::Transient { .. })),
        "{read:?}"
    );
}

thread_local! {
    static IS_WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// All that is logged on the threads that are watched, at every level.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<String>>);

impl Logged {
    /// Listens from now on. There is one listener in a process: what asks
    /// whether anybody listens remembers the answer for all threads.
    fn listen() -> Self {
        let logged = Self::default();
        tracing::subscriber::set_global_default(logged.clone()).unwrap();
        log::set_boxed_logger(Box::new(logged.clone())).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        IS_WATCHED.set(true);
        logged
    }
}

impl Visit for Logged {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl tracing::Subscriber for Logged {
    fn register_callsite(
        &self,
        _: &'static tracing::Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        IS_WATCHED.get()
    }

    fn new_span(&self, attributes: &span::Attributes<'_>) -> span::Id {
        attributes.record(&mut self.clone());
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl log::Log for Logged {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        IS_WATCHED.get()
    }

    fn log(&self, record: &log::Record<'_>) {
        if !IS_WATCHED.get() {
            return;
        }
        writeln!(
            self.0.lock().unwrap(),
            "{} {}",
            record.target(),
            record.args()
        )
        .unwrap();
    }

    fn flush(&self) {}
}

/// Debug output and errors of what a caller holds.
fn say(to: &Logged, what: &dyn Debug) {
    writeln!(to.0.lock().unwrap(), "{what:?}").unwrap();
}

#[test]
fn no_secret_shows_in_any_log_at_any_level_nor_in_errors_and_debug_output() {
    let logged = Logged::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        // Blobs with a signature: answered, refused and cut off.
        let blobs = Server::new(|asked: &Asked| match asked.line.split(' ').next() {
            Some("PUT") => Answer::new(201, "").with("etag", "\"0x8D\""),
            _ => Answer::code(403, "AuthenticationFailed"),
        })
        .await;
        let reachable = access(&blobs.url);
        let gone = access("http://127.0.0.1:1");
        for access in [&reachable, &gone] {
            let store = BlobSealedStore::open(access, ACCOUNT, "c", "p", Lock::Off).unwrap();
            let heads = BlobHeadStore::open(access, ACCOUNT, "c", "h").unwrap();
            say(&logged, &(access, &store, &heads));
            say(
                &logged,
                &store
                    .put_new("a", Bytes::from_static(b"x"), Retention::None)
                    .await,
            );
            say(&logged, &store.get("a", 1).await);
            say(&logged, &store.list("", None).await);
            say(&logged, &store.versions("", None).await);
            say(&logged, &heads.load("a").await);
            say(&logged, &heads.swap("a", None, Bytes::new()).await);
        }
        assert!(
            blobs.asked()[0].line.contains("sig="),
            "the signature was sent"
        );

        // A secret of a vault.
        let kept = Vault::default();
        let (_server, secret) = vault(&kept).await;
        say(&logged, &secret);
        secret
            .create(b"c2VlZC10aGF0LW11c3Qtbm90LXNob3c")
            .await
            .unwrap();
        let read = secret.read(100).await.unwrap().unwrap();
        assert_eq!(**read, *b"c2VlZC10aGF0LW11c3Qtbm90LXNob3c");
        say(
            &logged,
            &secret.create(b"c2VlZC10aGF0LW11c3Qtbm90LXNob3c").await,
        );

        // A token, which goes over https alone: the store with it cannot be
        // reached here, the transport under it can.
        let with_token = Access::new(
            Arc::new(Somebody),
            crate::azure::Endpoints::default()
                .with_blob("https://127.0.0.1:1")
                .unwrap(),
        );
        let store = BlobSealedStore::open(&with_token.unwrap(), ACCOUNT, "c", "", Lock::Off);
        let store = store.unwrap();
        say(&logged, &store);
        say(&logged, &store.get("a", 1).await);
        say(&logged, &store.list("", None).await);
        let wire = Wire::new(client(true).unwrap()).with_sas(Some(Sas(account_sas("r").into())));
        say(&logged, &wire);
        let url = azure_core::http::Url::parse(&blobs.url).unwrap();
        let mut request = azure_core::http::Request::new(url, azure_core::http::Method::Get);
        request.insert_header("authorization", format!("Bearer {TOKEN}"));
        let call = Call::new();
        wire.send_call(&call, &request).await.unwrap();
        let sent = blobs.asked().pop().unwrap();
        assert_eq!(
            sent.header("authorization"),
            Some(&*format!("Bearer {TOKEN}"))
        );
    });
    let logged = logged.0.lock().unwrap();
    // The libraries do log: what is looked for would be found.
    assert!(logged.contains("==> Request"), "the SDK's own log is there");
    assert!(logged.contains("127.0.0.1"));
    let signature = account_sas("rwdlacy");
    let signature = signature.split("sig=").nth(1).unwrap();
    for secret in [signature, "sig=", TOKEN, "c2VlZC10aGF0LW11c3Qtbm90LXNob3c"] {
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} shows");
    }
}
