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
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;

use super::access::{Access, Endpoints};
use super::blob::Container;
use super::sas::{ACCOUNT, account_sas};

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

fn endpoints(server: &str) -> Endpoints {
    Endpoints::default()
        .with_blob(server)
        .unwrap()
        .with_sas(&account_sas("rwdlacy"))
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
