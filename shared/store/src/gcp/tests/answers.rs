//! What is made of answers that only the real service gives.

use bytes::Bytes;
use google_cloud_auth::credentials::testing::error_credentials;
use google_cloud_auth::credentials::{CacheableResource, Credentials, CredentialsProvider};
use google_cloud_auth::errors::CredentialsError;
use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::scripted::{Reply, Server};
use super::{TOLD_WITHIN, bucket, endpoints, signed};
use crate::error::{GetError, HeadError, ListError, PutError, SwapError};
use crate::gcp::{Access, GcsHeadStore, GcsSealedStore};
use crate::head::{HeadStore, Version};
use crate::listing::VersionPages;
use crate::posture::Lock;
use crate::sealed::{Knowledge, Retention, SealedStore};

const UPLOAD: &str = "/upload/storage/v1/b/bkt/o";
pub(super) const BUCKET: &str = "/storage/v1/b/bkt";
const LIST: &str = "/storage/v1/b/bkt/o";

pub(super) fn sealed(server: &Server) -> GcsSealedStore {
    GcsSealedStore::open(&signed(server.url()), &bucket("bkt", ""), Lock::Off)
}

fn heads(server: &Server) -> GcsHeadStore {
    GcsHeadStore::open(&signed(server.url()), &bucket("bkt", ""))
}

async fn put(server: &Server) -> Result<(), PutError> {
    let bytes = Bytes::from_static(b"content");
    sealed(server).put_new("a", bytes, Retention::None).await
}

async fn swap(server: &Server) -> Result<Version, SwapError> {
    heads(server).swap("h", None, Bytes::new()).await
}

pub(super) fn denied(permission: &str) -> Reply {
    let message = format!(
        "log@p.iam.gserviceaccount.com does not have {permission} access to the Google Cloud Storage object. Permission '{permission}' denied on resource (or it may not exist)."
    );
    Reply::storage(403, "forbidden", &message)
}

#[tokio::test]
async fn a_put_is_one_request_that_carries_its_condition_and_checksum() {
    let server = Server::new(|asked| {
        assert!(asked.is("POST", UPLOAD), "{}", asked.line);
        Reply::json(r#"{"name":"a","generation":"17","size":"7","crc32c":"Ya91Mw=="}"#)
    })
    .await;
    put(&server).await.expect("it is confirmed");
    let asked = server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    for part in ["ifGenerationMatch=0", "uploadType=multipart"] {
        assert!(asked[0].line.contains(part), "{}", asked[0].line);
    }
    let body = String::from_utf8_lossy(&asked[0].body);
    assert!(
        body.contains("Ya91Mw==") && body.contains("content"),
        "{body}"
    );
    assert!(asked[0].headers.contains(super::TOKEN), "the token is sent");
}

#[tokio::test]
async fn a_put_that_is_answered_with_another_object_is_unknown() {
    for answer in [
        r#"{"name":"a","generation":"17","size":"7","crc32c":"Ya91Mg=="}"#,
        r#"{"name":"a","generation":"17","size":"8","crc32c":"Ya91Mw=="}"#,
        r#"{"kind":"storage#bucket"}"#,
        "{}",
    ] {
        let server = Server::new(move |_| Reply::json(answer)).await;
        let put = put(&server).await;
        assert!(
            matches!(put, Err(PutError::Unknown { .. })),
            "{answer}: {put:?}"
        );
        assert_eq!(server.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_put_is_classed_and_never_repeated() {
    #[derive(Debug, PartialEq)]
    enum Put {
        Exists,
        Unknown,
        Refused(&'static str),
        Transient,
    }
    let storage = Reply::storage;
    for (reply, expected) in [
        (
            storage(
                412,
                "conditionNotMet",
                "At least one of the pre-conditions you specified did not hold.",
            ),
            Put::Exists,
        ),
        (
            storage(
                403,
                "retentionPolicyNotMet",
                "Object 'bkt/a' is subject to bucket's retention policy and cannot be deleted or overwritten until 2027-01-01T00:00:00-08:00",
            ),
            Put::Exists,
        ),
        (
            storage(
                403,
                "objectUnderActiveHold",
                "Object 'bkt/a' is under active Temporary hold and cannot be deleted, overwritten or archived until hold is removed.",
            ),
            Put::Exists,
        ),
        // Who may create alone, of a name that is taken.
        (denied("storage.objects.delete"), Put::Exists),
        (
            denied("storage.objects.create"),
            Put::Refused("storage.objects.create"),
        ),
        (
            storage(401, "authError", "Invalid Credentials"),
            Put::Refused("clock"),
        ),
        (
            storage(
                403,
                "accountDisabled",
                "The billing account for the owning project is disabled in state absent",
            ),
            Put::Refused("billing"),
        ),
        (
            storage(
                403,
                "accessNotConfigured",
                "Cloud Storage API has not been used in project 7 before",
            ),
            Put::Refused("gcloud services enable"),
        ),
        (
            storage(404, "notFound", "The specified bucket does not exist."),
            Put::Refused("run init"),
        ),
        (
            storage(400, "invalid", "Invalid argument."),
            Put::Refused("Invalid argument"),
        ),
        (
            storage(
                429,
                "rateLimitExceeded",
                "The object bkt/a exceeded the rate limit for object mutation operations",
            ),
            Put::Transient,
        ),
        (
            storage(403, "rateLimitExceeded", "slow down"),
            Put::Transient,
        ),
        (
            storage(409, "conflict", "The request conflicts"),
            Put::Transient,
        ),
        (storage(500, "backendError", "Backend Error"), Put::Unknown),
        (
            storage(503, "backendError", "Service Unavailable"),
            Put::Unknown,
        ),
        (
            storage(408, "requestTimeout", "took too long"),
            Put::Unknown,
        ),
        (
            Reply {
                status: 502,
                headers: "",
                body: "<html>bad gateway</html>".to_owned(),
            },
            Put::Unknown,
        ),
        (
            Reply {
                status: 307,
                headers: "location: https://elsewhere.invalid/\r\n",
                body: String::new(),
            },
            Put::Refused("endpoint"),
        ),
        (Reply::json("{ not json"), Put::Unknown),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::new(move |_| reply.clone()).await;
        let error = put(&server).await.expect_err("it is not confirmed");
        let text = error.to_string();
        match (&error, &expected) {
            (PutError::Exists { .. }, Put::Exists)
            | (PutError::Unknown { .. }, Put::Unknown)
            | (PutError::Transient { .. }, Put::Transient) => {}
            (PutError::Refused { .. }, Put::Refused(says)) => {
                assert!(text.contains(says), "{shown}: {text}");
            }
            _ => panic!("{shown}: {error:?}, not {expected:?}"),
        }
        assert!(text.contains("gs://bkt/a"), "{text}");
        assert_eq!(server.asked().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_refused_swap_is_classed_and_never_repeated() {
    let storage = Reply::storage;
    let server = Server::new(move |_| storage(412, "conditionNotMet", "no")).await;
    let error = swap(&server).await.expect_err("it is lost");
    assert!(matches!(error, SwapError::Lost { .. }), "{error:?}");

    let server = Server::new(move |_| storage(403, "retentionPolicyNotMet", "kept")).await;
    let error = swap(&server).await.expect_err("it is refused");
    assert!(
        error.to_string().contains("a bucket of their own"),
        "{error}"
    );

    let server = Server::new(move |_| storage(429, "rateLimitExceeded", "too fast")).await;
    let error = swap(&server).await.expect_err("it is too fast");
    assert!(matches!(error, SwapError::Transient { .. }), "{error:?}");

    let server = Server::new(move |_| denied("storage.objects.create")).await;
    let error = swap(&server).await.expect_err("it is denied");
    assert!(
        error.to_string().contains("storage.objects.create"),
        "{error}"
    );

    let server = Server::new(move |_| storage(503, "backendError", "down")).await;
    let error = swap(&server).await.expect_err("it may be done");
    assert!(matches!(error, SwapError::Unknown { .. }), "{error:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_denied_read_names_the_permission() {
    let server = Server::new(|asked| {
        if asked.line.starts_with("GET /storage/v1/b/bkt/o/") {
            denied("storage.objects.get")
        } else {
            denied("storage.objects.list")
        }
    })
    .await;
    let began = Instant::now();
    for got in [
        sealed(&server).get("a", 1).await,
        sealed(&server).get_range("a", 0..1).await,
    ] {
        let error = got.expect_err("it is denied");
        assert!(matches!(error, GetError::Refused { .. }), "{error:?}");
        assert!(error.to_string().contains("storage.objects.get"), "{error}");
    }
    let error = heads(&server).load("h").await.expect_err("it is denied");
    assert!(matches!(error, HeadError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("storage.objects.get"), "{error}");
    let error = sealed(&server).list("", None).await.expect_err("denied");
    assert!(matches!(error, ListError::Refused { .. }), "{error:?}");
    assert!(
        error.to_string().contains("storage.objects.list"),
        "{error}"
    );
    assert!(began.elapsed() < TOLD_WITHIN);
}

#[tokio::test]
async fn a_missing_object_is_told_from_a_missing_bucket_in_googles_words() {
    let missing = |body: &'static str| {
        move |asked: &super::scripted::Asked| {
            assert!(!asked.is("GET", LIST), "it takes no second request");
            Reply {
                status: 404,
                headers: "content-type: text/html\r\n",
                body: body.to_owned(),
            }
        }
    };
    let server = Server::new(missing("No such object: bkt/a")).await;
    let got = sealed(&server).get("a", 1).await;
    assert!(matches!(got, Err(GetError::NotFound { .. })), "{got:?}");
    assert_eq!(heads(&server).load("a").await.expect("it loads"), None);
    let server = Server::new(missing("The specified bucket does not exist.")).await;
    let got = sealed(&server).get("a", 1).await;
    assert!(matches!(got, Err(GetError::NoStore { .. })), "{got:?}");
    let loaded = heads(&server).load("a").await;
    assert!(
        matches!(loaded, Err(HeadError::NoStore { .. })),
        "{loaded:?}"
    );
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_it_is_told_what_to_check() {
    let server = Server::new(|_| panic!("nothing is to be sent")).await;
    let bucket = bucket("bkt", "");
    for (credentials, passing) in [
        (error_credentials(true), true),
        (error_credentials(false), false),
        (Credentials::from(NeverSigned), true),
    ] {
        let access = Access::new(credentials, endpoints(server.url()));
        let store = GcsSealedStore::open(&access, &bucket, Lock::Off);
        let began = Instant::now();
        let put = store.put_new("a", Bytes::new(), Retention::None).await;
        let put = put.expect_err("there is no token");
        assert!(began.elapsed() < TOLD_WITHIN);
        assert_eq!(
            matches!(put, PutError::Transient { .. }),
            passing,
            "{put:?}"
        );
        assert_eq!(matches!(put, PutError::Refused { .. }), !passing, "{put:?}");
        assert!(put.to_string().contains("gcloud auth"), "{put}");
        let listed = store.list("", None).await.expect_err("there is no token");
        assert!(began.elapsed() < 2 * TOLD_WITHIN);
        assert_eq!(matches!(listed, ListError::Transient { .. }), passing);
    }
    assert!(server.asked().is_empty());
}

/// Credentials that wait for ever.
#[derive(Debug)]
struct NeverSigned;

impl CredentialsProvider for NeverSigned {
    async fn headers(
        &self,
        _: http::Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        std::future::pending().await
    }

    async fn universe_domain(&self) -> Option<String> {
        None
    }
}

/// An answer to a read of `hello`, whose CRC32C is `mnG7TA==`.
fn hello(headers: &'static str, body: &str) -> Reply {
    Reply {
        status: 200,
        headers,
        body: body.to_owned(),
    }
}

#[tokio::test]
async fn bytes_that_changed_on_the_way_are_not_taken() {
    let server = Server::new(|_| {
        hello(
            "x-goog-generation: 7\r\nx-goog-stored-content-length: 5\r\nx-goog-hash: crc32c=mnG7TA==,md5=XUFAKrxLKna5cZ2REBfFkg==\r\n",
            "hellO",
        )
    })
    .await;
    let got = sealed(&server).get("a", 9).await;
    let Err(GetError::Corrupt { .. }) = &got else {
        panic!("{got:?}")
    };
}

#[tokio::test]
async fn bytes_without_a_checksum_are_checked_by_the_metadata() {
    for (body, good) in [("hello", true), ("hellO", false)] {
        let server = Server::new(move |asked| {
            if asked.line.contains("alt=media") {
                hello(
                    "x-goog-generation: 7\r\nx-goog-stored-content-length: 5\r\n",
                    body,
                )
            } else {
                Reply::json(r#"{"generation":"7","size":"5","crc32c":"mnG7TA=="}"#)
            }
        })
        .await;
        let got = sealed(&server).get("a", 9).await;
        if good {
            assert_eq!(got.expect("it is as stored"), "hello");
        } else {
            assert!(matches!(got, Err(GetError::Corrupt { .. })), "{got:?}");
        }
        assert_eq!(server.asked().len(), 2);
    }
}

#[tokio::test]
async fn a_range_that_the_server_ignores_is_not_taken_for_the_range() {
    let server = Server::new(|_| {
        hello(
            "x-goog-generation: 7\r\nx-goog-stored-content-length: 5\r\n",
            "hello",
        )
    })
    .await;
    let got = sealed(&server).get_range("a", 1..3).await;
    let taken = matches!(
        got,
        Err(GetError::Corrupt { .. } | GetError::TooLarge { .. })
    );
    assert!(taken, "{got:?}");
}

#[tokio::test]
async fn a_read_is_repeated_after_a_503_and_a_listing_too() {
    let mut count = 0;
    let server = Server::new(move |asked| {
        count += 1;
        if count % 3 != 0 {
            return Reply::storage(503, "backendError", "Service Unavailable");
        }
        if asked.is("GET", LIST) {
            return Reply::json("{}");
        }
        hello(
            "x-goog-generation: 7\r\nx-goog-stored-content-length: 5\r\nx-goog-hash: crc32c=mnG7TA==\r\n",
            "hello",
        )
    })
    .await;
    assert_eq!(
        sealed(&server).get("a", 9).await.expect("third time"),
        "hello"
    );
    let page = sealed(&server).list("", None).await.expect("third time");
    assert!(page.objects.is_empty());
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test]
async fn an_answer_larger_than_its_limit_is_not_read_to_the_end() {
    let server = Server::new(|_| Reply::json(" ".repeat(9 * 1024 * 1024))).await;
    let listed = sealed(&server).list("", None).await;
    let Err(ListError::Refused { reason, .. }) = &listed else {
        panic!("{listed:?}")
    };
    assert!(reason.contains("larger"), "{reason}");
}

#[tokio::test]
async fn a_listing_that_never_ends_is_refused() {
    let server = Server::new(|_| Reply::json(r#"{"nextPageToken":"t"}"#)).await;
    for listed in [
        sealed(&server).list("", None).await.map(|_| ()),
        sealed(&server).versions("", None).await.map(|_| ()),
    ] {
        assert!(
            matches!(listed, Err(ListError::Refused { .. })),
            "{listed:?}"
        );
    }
}

#[tokio::test]
async fn a_key_with_more_generations_than_a_page_is_listed_whole() {
    let page = |key: &str, from: u64, count: u64| {
        let item =
            |n| format!(r#"{{"name":"{key}","size":"1","generation":"{n}","timeDeleted":"x"}}"#);
        (from..from + count).map(item).collect::<Vec<_>>().join(",")
    };
    let server = Server::new(move |asked| {
        if asked.is("GET", BUCKET) {
            return Reply::json("{}");
        }
        let from = |start: &str| asked.line.contains(&format!("startOffset={start}&"));
        let token = |token: &str| asked.line.ends_with(&format!("pageToken={token}"));
        let (items, next) = if token("two") {
            (format!("{},{}", page("b", 9, 1), page("c", 1, 1)), "")
        } else if token("one") {
            (page("b", 6, 3), "two")
        } else if from("a") {
            (page("b", 1, 5), "one")
        } else {
            assert!(!asked.line.contains("startOffset"), "{}", asked.line);
            (format!("{},{}", page("a", 1, 2), page("b", 1, 4)), "zero")
        };
        let next = if next.is_empty() {
            String::new()
        } else {
            format!(r#","nextPageToken":"{next}""#)
        };
        Reply::json(format!(r#"{{"items":[{items}]{next}}}"#))
    })
    .await;
    let store = sealed(&server);
    let mut pages = VersionPages::new(&store, "");
    let mut seen = Vec::new();
    while let Knowledge::Known(Some(versions)) = pages.next().await.expect("it lists") {
        let count = |key: &str| versions.iter().filter(|version| version.key == key).count();
        seen.push((count("a"), count("b"), count("c")));
        let numbers = versions.iter().filter(|version| version.key == "b");
        let numbers: Vec<_> = numbers.map(|version| version.version.clone()).collect();
        assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    }
    assert_eq!(seen, [(2, 0, 0), (0, 9, 1)]);
}
