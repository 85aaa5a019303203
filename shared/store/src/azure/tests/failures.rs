//! One clear error for each thing that can be wrong, and no secret in any.

use std::time::{Duration, Instant};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use bytes::Bytes;

use super::{ACCOUNT, Endpoints, Somebody, access, account_sas, new_container};
use crate::azure::access::Identity;
use crate::azure::{Access, BlobHeadStore, BlobSealedStore};
use crate::error::{GetError, PutError, SwapError};
use crate::head::{HeadStore, Version};
use crate::posture::Lock;
use crate::sealed::{Retention, SealedStore};
use crate::testing::server::{Answer, Server};
use crate::testing::stand_in;

fn store(access: &Access, account: &str, container: &str) -> BlobSealedStore {
    BlobSealedStore::open(access, account, container, "p", Lock::Off).unwrap()
}

fn with_sas(server: &str, sas: &str) -> Access {
    let endpoints = Endpoints::default()
        .with_blob(server)
        .unwrap()
        .with_sas(sas)
        .unwrap();
    Access::new(std::sync::Arc::new(Somebody), endpoints).unwrap()
}

async fn put(store: &BlobSealedStore) -> PutError {
    let began = Instant::now();
    let put = store
        .put_new("a", Bytes::from_static(b"x"), Retention::None)
        .await;
    assert!(began.elapsed() < Duration::from_secs(30));
    put.expect_err("it cannot be put")
}

#[tokio::test]
async fn a_signature_that_may_only_read_does_not_write_and_says_which_role_would() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let access = with_sas(&server, &account_sas("rl"));
    let error = put(&store(&access, ACCOUNT, &container)).await;
    assert!(matches!(error, PutError::Refused { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("Storage Blob Data Contributor"), "{text}");
    assert!(text.contains("AuthorizationPermissionMismatch"), "{text}");
    let got = store(&access, ACCOUNT, &container).get("a", 1).await;
    assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
}

#[tokio::test]
async fn a_signature_of_another_key_is_refused_and_not_shown() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let container = new_container(&server).await;
    let signature = account_sas("rwdlacy").replace("sig=", "sig=A");
    let access = with_sas(&server, &signature);
    let store = store(&access, ACCOUNT, &container);
    let error = put(&store).await;
    assert!(matches!(error, PutError::Refused { .. }), "{error}");
    let secret = signature.split("sig=").nth(1).unwrap();
    for text in [
        format!("{error}"),
        format!("{error:?}"),
        format!("{store:?}"),
        format!("{access:?}"),
    ] {
        assert!(!text.contains(secret) && !text.contains("sig="), "{text}");
    }
}

#[tokio::test]
async fn another_account_is_refused() {
    let Some(server) = stand_in("STANDIN_BLOB") else {
        return;
    };
    let error = put(&store(&access(&server), "otheraccount", "container")).await;
    assert!(matches!(error, PutError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_told_at_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let began = Instant::now();
    let store = store(&access(&url), ACCOUNT, "container");
    let error = put(&store).await;
    assert!(
        matches!(error, PutError::Transient { .. }),
        "it was not sent: {error}"
    );
    assert!(
        error.to_string().contains("could not be reached"),
        "{error}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn an_account_that_no_name_server_knows_says_to_check_the_name() {
    let access = Access::new(
        std::sync::Arc::new(Somebody),
        Endpoints::default()
            .with_blob("https://{account}.blob.invalid")
            .unwrap(),
    );
    let error = put(&store(&access.unwrap(), "nosuchaccount", "container")).await;
    assert!(matches!(error, PutError::Transient { .. }), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("nosuchaccount.blob.invalid is not known"),
        "{text}"
    );
    assert!(text.contains("check the name"), "{text}");
}

#[test]
fn plain_http_is_for_this_machine_alone_and_no_error_repeats_an_address() {
    let secret = "sig=c2VjcmV0";
    for url in [
        "http://account.blob.core.windows.net",
        "http://10.0.0.1:10000",
        "http://127.0.0.1.example.org",
        "http://localhost.example.org",
        "ftp://127.0.0.1",
        "https://user:password@host",
        "127.0.0.1:10000",
        "",
        "https://host/?sig=c2VjcmV0",
        "http://127.0.0.1:1/?sig=c2VjcmV0",
    ] {
        let error = Endpoints::default().with_blob(url).unwrap_err().to_string();
        assert!(
            !error.contains(secret) && !error.contains("password@"),
            "{url}: {error}"
        );
    }
    for url in [
        "http://127.0.0.1:10000/",
        "http://[::1]:1",
        "http://localhost:1",
        "https://host",
    ] {
        Endpoints::default().with_blob(url).unwrap();
    }
    assert!(
        Endpoints::default().with_sas("sv=1&sp=r").is_err(),
        "no signature"
    );
    let without = Endpoints::default()
        .with_blob("http://127.0.0.1:1")
        .unwrap();
    let error = Access::new(std::sync::Arc::new(Somebody), without).unwrap_err();
    assert!(
        error.to_string().contains("AZURE_STORAGE_SAS_TOKEN"),
        "{error}"
    );
}

/// What each answer of the service means to who puts.
#[tokio::test]
async fn answers_to_a_put_are_classed() {
    for (status, code, class, says) in [
        (409, "BlobAlreadyExists", "exists", ""),
        (412, "ConditionNotMet", "exists", ""),
        (409, "BlobImmutableDueToPolicy", "exists", ""),
        (409, "BlobImmutableDueToLegalHold", "exists", ""),
        (403, "UnauthorizedBlobOverwrite", "exists", ""),
        (409, "ContainerBeingDeleted", "refused", "run init"),
        (404, "ContainerNotFound", "refused", "run init"),
        (412, "LeaseIdMissing", "refused", "lease"),
        (
            403,
            "AuthorizationPermissionMismatch",
            "refused",
            "Storage Blob Data Contributor",
        ),
        (403, "AuthorizationFailure", "refused", "network rules"),
        (
            403,
            "KeyBasedAuthenticationNotPermitted",
            "refused",
            "use an identity",
        ),
        (403, "AuthenticationFailed", "refused", "clock"),
        (401, "NoAuthenticationInformation", "refused", "az login"),
        (
            409,
            "PublicAccessNotPermitted",
            "refused",
            "PublicAccessNotPermitted",
        ),
        (400, "InvalidHeaderValue", "refused", "InvalidHeaderValue"),
        (404, "", "refused", "404"),
        (400, "Md5Mismatch", "transient", "checksum"),
        (429, "", "transient", "too many"),
        (500, "InternalError", "unknown", "InternalError"),
        (500, "OperationTimedOut", "unknown", "OperationTimedOut"),
        (503, "ServerBusy", "unknown", "ServerBusy"),
        (302, "", "unknown", "302"),
    ] {
        let server = Server::new(move |_| match code {
            "" => Answer::new(status, ""),
            code => Answer::code(status, code),
        })
        .await;
        let error = put(&store(&access(&server.url), ACCOUNT, "c")).await;
        let found = match &error {
            PutError::Exists { .. } => "exists",
            PutError::Unknown { .. } => "unknown",
            PutError::Refused { .. } => "refused",
            PutError::Transient { .. } => "transient",
        };
        assert_eq!(found, class, "{status} {code}: {error}");
        assert!(error.to_string().contains(says), "{status} {code}: {error}");
        assert_eq!(server.asked().len(), 1, "{status} {code}: it was sent once");
    }
}

/// What each answer means to who swaps.
#[tokio::test]
async fn answers_to_a_swap_are_classed() {
    let at = Version::new("\"0x8DD\"");
    for (status, code, expected, class) in [
        (412, "ConditionNotMet", Some(&at), "lost"),
        (404, "BlobNotFound", Some(&at), "lost"),
        (409, "BlobAlreadyExists", None, "lost"),
        (409, "BlobImmutableDueToPolicy", None, "lost"),
        (409, "BlobImmutableDueToPolicy", Some(&at), "refused"),
        (404, "ContainerNotFound", None, "refused"),
        (403, "AuthorizationPermissionMismatch", Some(&at), "refused"),
        (500, "InternalError", Some(&at), "unknown"),
        (429, "", None, "transient"),
    ] {
        let server = Server::new(move |_| Answer::code(status, code)).await;
        let heads = BlobHeadStore::open(&access(&server.url), ACCOUNT, "c", "").unwrap();
        let error = heads
            .swap("h", expected, Bytes::from_static(b"x"))
            .await
            .unwrap_err();
        let found = match &error {
            SwapError::Lost { .. } => "lost",
            SwapError::Unknown { .. } => "unknown",
            SwapError::Refused { .. } => "refused",
            SwapError::Transient { .. } => "transient",
        };
        assert_eq!(found, class, "{status} {code}: {error}");
        let asked = server.asked();
        let condition = match expected {
            Some(_) => asked[0].header("if-match"),
            None => asked[0].header("if-none-match"),
        };
        assert_eq!(condition, Some(expected.map_or("*", Version::as_str)));
    }
    // A version that no blob has is not sent: Azure would take `*` for any.
    let server = Server::new(|_| Answer::new(201, "")).await;
    let heads = BlobHeadStore::open(&access(&server.url), ACCOUNT, "c", "").unwrap();
    for foreign in ["*", "1", "", "\"a\", \"b\""] {
        let version = Version::new(foreign);
        let swapped = heads.swap("h", Some(&version), Bytes::new()).await;
        assert!(
            matches!(swapped, Err(SwapError::Lost { .. })),
            "{foreign}: {swapped:?}"
        );
    }
    assert!(server.asked().is_empty());
}

/// Somebody who never comes, or is refused.
#[derive(Debug)]
enum Nobody {
    Comes,
    IsLoggedIn,
    IsServed,
}

#[async_trait::async_trait]
impl TokenCredential for Nobody {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let text = "Please run 'az login'\nto set up an account.";
        match self {
            Self::Comes => std::future::pending().await,
            Self::IsLoggedIn => Err(Error::with_message(ErrorKind::Credential, text)),
            Self::IsServed => {
                let busy = ErrorKind::HttpResponse {
                    status: azure_core::http::StatusCode::ServiceUnavailable,
                    error_code: None,
                    raw_response: None,
                };
                Err(Error::with_error(
                    ErrorKind::Credential,
                    busy.into_error(),
                    "busy",
                ))
            }
        }
    }
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_it_is_said_why() {
    let put_as = async |who| {
        let endpoints = Endpoints::default()
            .with_blob("https://127.0.0.1:1")
            .unwrap();
        let access = Access::new(std::sync::Arc::new(who), endpoints).unwrap();
        put(&store(&access, ACCOUNT, "c")).await
    };
    let began = Instant::now();
    let late = put_as(Nobody::Comes).await;
    assert!(matches!(late, PutError::Transient { .. }), "{late}");
    assert!(
        late.to_string().contains("no token came within 8s"),
        "{late}"
    );
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    let busy = put_as(Nobody::IsServed).await;
    assert!(matches!(busy, PutError::Transient { .. }), "{busy}");
    let nobody = put_as(Nobody::IsLoggedIn).await;
    assert!(matches!(nobody, PutError::Refused { .. }), "{nobody}");
    assert!(
        nobody.to_string().contains("'az login' to set up"),
        "on one line: {nobody}"
    );
}

#[test]
fn the_environment_decides_on_the_identity() {
    for (set, identity) in [
        (
            &["AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_ENDPOINT"][..],
            Identity::Workload,
        ),
        (
            &["IDENTITY_ENDPOINT", "AZURE_CLIENT_ID"],
            Identity::Function,
        ),
        (
            &["AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"],
            Identity::PersonOrMachine,
        ),
        (&[], Identity::PersonOrMachine),
    ] {
        assert_eq!(
            Identity::of(|name| set.contains(&name)),
            identity,
            "{set:?}"
        );
    }
}
