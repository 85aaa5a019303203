//! Against servers that stand in for Azure.

mod answers;
mod blobs;
mod failures;
mod locks;
mod secrets;
mod silence;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use azure_core::base64;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use sha2::{Digest, Sha256};

use super::access::{Access, Endpoints};
use super::blob::Container;

/// The account of every emulator, and its key, which is no secret.
const ACCOUNT: &str = "devstoreaccount1";
const ACCOUNT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A token that a test finds again wherever it leaks.
const TOKEN: &str = "eyJ0b2tlbi10aGF0LW11c3Qtbm90LXNob3c";

/// Somebody whose token is good for ever.
#[derive(Debug)]
struct Somebody;

#[async_trait]
impl TokenCredential for Somebody {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let expires = OffsetDateTime::from_unix_timestamp(4_102_444_800)
            .map_err(|error| Error::new(ErrorKind::Credential, error))?;
        Ok(AccessToken::new(TOKEN, expires))
    }
}

/// An account's signature for blobs with these permissions, until 2099.
fn sas(permissions: &str) -> String {
    let (services, kinds, expiry, version) = ("b", "sco", "2099-01-01T00:00:00Z", "2021-12-02");
    let text = format!(
        "{ACCOUNT}\n{permissions}\n{services}\n{kinds}\n\n{expiry}\n\nhttps,http\n{version}\n\n"
    );
    let key = base64::decode(ACCOUNT_KEY).unwrap();
    let signature = base64::encode(hmac_sha256(&key, text.as_bytes()));
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!(
        "sv={version}&ss={services}&srt={kinds}&sp={permissions}&se={expiry}&spr=https,http&sig={signature}"
    )
}

/// RFC 2104, for a key that is a block long.
fn hmac_sha256(key: &[u8], text: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
        block
    };
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    Sha256::new()
        .chain_update(pad(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

fn endpoints(server: &str) -> Endpoints {
    Endpoints::default()
        .with_blob(server)
        .unwrap()
        .with_sas(&sas("rwdlacy"))
        .unwrap()
}

fn access(server: &str) -> Access {
    Access::new(std::sync::Arc::new(Somebody), endpoints(server)).unwrap()
}

/// Milliseconds since 1970.
fn now_millis() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "retention counts from the real time"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// A name that no other test and no earlier run has.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("t{}-{}-{count}", now_millis(), std::process::id())
}

/// A container of its own.
async fn new_container(server: &str) -> String {
    let name = unique();
    let container = Container::open(&access(server), ACCOUNT, &name, "").unwrap();
    container.create().await;
    name
}
