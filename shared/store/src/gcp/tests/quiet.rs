//! No secret is said anywhere.

use std::fmt::Write;

use bytes::Bytes;
use data_encoding::BASE64;

use super::scripted::{Reply, Server};
use super::{TOKEN, bucket, signed};
use crate::gcp::{GcsHeadStore, GcsSealedStore, KmsKey, SecretManagerSecret};
use crate::head::HeadStore;
use crate::posture::Lock;
use crate::sealed::{Retention, SealedStore};
use crate::secret::{RemoteKey, Secret};
use crate::testing::log::Log;

const SECRET: &[u8] = b"the seed that nobody may see";

/// On one thread, so that this test's log is that of its own calls.
#[tokio::test]
async fn neither_token_nor_secret_is_logged_shown_or_part_of_an_error() {
    let (log, _guard) = Log::listen();

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
    let logged = log.text();
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
