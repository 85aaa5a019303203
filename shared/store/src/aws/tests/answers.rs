//! What AWS answers and no stand-in does, and what each answer comes to.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::canned::{Answer, Canned};
use super::{UNTIL, access, store};
use crate::address::Bucket;
use crate::aws::{AccessError, DynamoHeadStore, S3SealedStore};
use crate::posture::Lock;
use crate::{
    GetError, HeadError, HeadStore, ListError, PutError, Retention, SealedStore, SwapError,
};

const ONE: Bytes = Bytes::from_static(b"1");

/// One word for the class of a put's end.
fn class(put: &Result<(), PutError>) -> &'static str {
    match put {
        Ok(()) => "done",
        Err(PutError::Exists { .. }) => "exists",
        Err(PutError::Unknown { .. }) => "unknown",
        Err(PutError::Refused { .. }) => "refused",
        Err(PutError::Transient { .. }) => "transient",
    }
}

async fn put(answers: Vec<Answer>) -> (Result<(), PutError>, Vec<String>) {
    let server = Canned::new(answers).await;
    let store = store(server.url(), "b", "p", Lock::Compliance);
    let put = store.put_new("k", ONE, Retention::Until(UNTIL)).await;
    (put, server.requests())
}

#[tokio::test]
async fn each_answer_to_a_put_has_its_class_and_its_next_step() {
    let s3 = Answer::s3;
    let region = |answer: Answer| answer.with("x-amz-bucket-region", "eu-west-1");
    for (answer, expected, says) in [
        (Answer::new(200, ""), "done", ""),
        (s3(412, "PreconditionFailed", "x"), "exists", "read it"),
        (s3(500, "InternalError", "x"), "unknown", "read it"),
        (s3(503, "SlowDown", "x"), "unknown", "read it"),
        (s3(503, "ServiceUnavailable", "x"), "unknown", "read it"),
        (Answer::new(502, "<html>"), "unknown", "read it"),
        (s3(400, "RequestTimeout", "x"), "unknown", "read it"),
        (
            Answer::new(200, "").with("content-length", "9"),
            "unknown",
            "read it",
        ),
        (
            s3(400, "XAmzContentSHA256Mismatch", "x"),
            "transient",
            "tried again",
        ),
        (s3(429, "SlowDown", "x"), "transient", "tried again"),
        (
            s3(403, "AccessDenied", "x"),
            "refused",
            "allow s3:PutObject on arn:aws:s3:::b/*",
        ),
        (Answer::new(403, ""), "refused", "allow s3:PutObject"),
        (
            s3(
                403,
                "AccessDenied",
                "not authorized to perform: kms:GenerateDataKey",
            ),
            "refused",
            "KMS key",
        ),
        (
            s3(400, "KMS.DisabledException", "x is disabled"),
            "refused",
            "KMS key",
        ),
        (s3(403, "RequestTimeTooSkewed", "x"), "refused", "clock"),
        (s3(400, "ExpiredToken", "x"), "refused", "sign in again"),
        (
            s3(403, "InvalidAccessKeyId", "x"),
            "refused",
            "AWS does not know",
        ),
        (
            s3(403, "SignatureDoesNotMatch", "x"),
            "refused",
            "secret key",
        ),
        (s3(404, "NoSuchBucket", "x"), "refused", "run init"),
        (
            region(s3(301, "PermanentRedirect", "x")),
            "refused",
            "the bucket is in eu-west-1: add ?region=eu-west-1",
        ),
        (
            s3(
                400,
                "AuthorizationHeaderMalformed",
                "the region 'us-east-1' is wrong; expecting 'eu-north-1'",
            ),
            "refused",
            "?region=eu-north-1",
        ),
        (region(Answer::new(301, "")), "refused", "?region=eu-west-1"),
        (
            s3(
                400,
                "InvalidRequest",
                "Bucket is missing Object Lock Configuration",
            ),
            "refused",
            "Object Lock",
        ),
        (
            s3(
                400,
                "InvalidArgument",
                "The retain until date must be in the future!",
            ),
            "refused",
            "clock",
        ),
        (s3(501, "NotImplemented", "x"), "refused", "endpoint"),
        (s3(400, "Unheard", "x"), "refused", "Unheard"),
    ] {
        let (put, requests) = put(vec![answer.clone()]).await;
        assert_eq!(class(&put), expected, "{answer:?}: {put:?}");
        assert_eq!(requests.len(), 1, "{answer:?} ends the put");
        if let Err(error) = put {
            let text = error.to_string();
            assert!(text.contains(says) && text.contains("s3://b/p/k"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_put_carries_its_condition_checksum_and_lock() {
    let (put, requests) = put(vec![Answer::new(200, "")]).await;
    put.unwrap();
    for header in [
        "put /b/p/k",
        "if-none-match: *",
        // The SHA-256 of "1" in base64, in lower case.
        "x-amz-checksum-sha256: a4ayc/80/ogda4bo/1o/v0etpoqilx1jwb5s3behw0s=",
        "x-amz-object-lock-mode: compliance",
        "x-amz-object-lock-retain-until-date: 2035-01-01t00:00:01z",
    ] {
        assert!(requests[0].contains(header), "{header} in {}", requests[0]);
    }
}

#[tokio::test]
async fn a_put_in_conflict_is_tried_again_until_one_of_them_stands() {
    let conflict = || Answer::s3(409, "ConditionalRequestConflict", "x");
    let missing = || Answer::s3(404, "NoSuchKey", "x");
    let stands = || Answer::new(206, "1").with("content-range", "bytes 0-0/1");

    let (result, requests) = put(vec![conflict(), stands()]).await;
    assert_eq!((class(&result), requests.len()), ("exists", 2));
    let (result, requests) = put(vec![conflict(), missing(), Answer::new(200, "")]).await;
    assert_eq!((class(&result), requests.len()), ("done", 3));
    let answers = [(); 5].map(|()| [conflict(), missing()]).concat();
    let (result, requests) = put(answers).await;
    assert_eq!((class(&result), requests.len()), ("transient", 10));
}

#[tokio::test]
async fn a_forbidden_read_may_be_a_missing_object() {
    let server = Canned::new(vec![Answer::s3(403, "AccessDenied", "Access Denied")]).await;
    let store = store(server.url(), "b", "", Lock::Off);
    let got = store.get("k", 1).await;
    assert!(matches!(got, Err(GetError::Refused { .. })), "{got:?}");
    let text = got.unwrap_err().to_string();
    for says in ["s3:GetObject", "s3:ListBucket", "does not exist"] {
        assert!(text.contains(says), "{says} in {text}");
    }
    let listed = store.list("", None).await;
    assert!(
        matches!(listed, Err(ListError::Refused { .. })),
        "{listed:?}"
    );
    assert_eq!(server.requests().len(), 2, "a refusal is not repeated");
}

#[tokio::test]
async fn reads_are_repeated_and_end_as_transient() {
    let failing = || Answer::s3(503, "SlowDown", "x");
    let server = Canned::new(vec![failing(), failing(), Answer::new(200, "1")]).await;
    let store_at = |url: &str| store(url, "b", "", Lock::Off);
    assert_eq!(store_at(server.url()).get("k", 1).await.unwrap(), ONE);

    let server = Canned::new(vec![failing()]).await;
    let got = store_at(server.url()).get("k", 1).await;
    assert!(matches!(got, Err(GetError::Transient { .. })), "{got:?}");
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn what_is_read_must_have_the_checksum_that_s3_keeps() {
    let right = "a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s=";
    let wrong = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    for (sha256, holds) in [(right, true), (wrong, false)] {
        let answer = Answer::new(200, "1").with("x-amz-checksum-sha256", sha256);
        let server = Canned::new(vec![answer]).await;
        let got = store(server.url(), "b", "", Lock::Off).get("k", 1).await;
        if holds {
            assert_eq!(got.unwrap(), ONE);
        } else {
            assert!(matches!(got, Err(GetError::Corrupt { .. })), "{got:?}");
        }
        let request = &server.requests()[0];
        assert!(
            request.contains("x-amz-checksum-mode: enabled"),
            "{request}"
        );
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_read() {
    let answer = Answer::new(200, "1").with("content-length", "1000000000000");
    let server = Canned::new(vec![answer]).await;
    let got = store(server.url(), "b", "", Lock::Off).get("k", 9).await;
    assert!(
        matches!(
            got,
            Err(GetError::TooLarge {
                bytes: 1_000_000_000_000,
                limit: 9,
                ..
            })
        ),
        "{got:?}"
    );

    let endless = Answer::new(200, vec![b' '; 17 << 20]);
    let server = Canned::new(vec![endless]).await;
    let listed = store(server.url(), "b", "", Lock::Off).list("", None).await;
    assert!(listed.is_err(), "{listed:?}");
    let text = listed.unwrap_err().to_string();
    assert!(text.contains("limit"), "{text}");
}

#[tokio::test]
async fn a_range_that_the_server_ignores_is_no_answer() {
    let server = Canned::new(vec![Answer::new(200, "0123456789")]).await;
    let store = store(server.url(), "b", "", Lock::Off);
    let got = store.get_range("k", 2..4).await;
    assert!(matches!(got, Err(GetError::Refused { .. })), "{got:?}");
    assert!(server.requests()[0].contains("range: bytes=2-3"));
}

#[tokio::test]
async fn each_answer_to_a_swap_has_its_class() {
    let json = Answer::json;
    for (answer, expected) in [
        (json(200, "", ""), "done"),
        (json(400, "ConditionalCheckFailedException", "x"), "lost"),
        (
            json(400, "ProvisionedThroughputExceededException", "x"),
            "transient",
        ),
        (json(400, "ThrottlingException", "x"), "transient"),
        (json(400, "RequestLimitExceeded", "x"), "transient"),
        (Answer::new(200, "<html>"), "unknown"),
        (json(500, "InternalServerError", "x"), "unknown"),
        (json(503, "ServiceUnavailable", "x"), "unknown"),
        (json(400, "ResourceNotFoundException", "x"), "refused"),
        (json(400, "ValidationException", "x"), "refused"),
        (json(400, "AccessDeniedException", "x"), "refused"),
        (json(400, "UnrecognizedClientException", "x"), "refused"),
        (
            json(
                400,
                "InvalidSignatureException",
                "Signature expired: 1 is now earlier than 2",
            ),
            "refused",
        ),
    ] {
        let server = Canned::new(vec![answer.clone()]).await;
        let heads = DynamoHeadStore::open(&access(server.url()), "t", None).unwrap();
        let swapped = heads.swap("h", None, ONE).await;
        let class = match &swapped {
            Ok(_) => "done",
            Err(SwapError::Lost { .. }) => "lost",
            Err(SwapError::Unknown { .. }) => "unknown",
            Err(SwapError::Refused { .. }) => "refused",
            Err(SwapError::Transient { .. }) => "transient",
        };
        assert_eq!(class, expected, "{answer:?}: {swapped:?}");
        assert_eq!(server.requests().len(), 1, "a swap is attempted once");
    }
}

#[tokio::test]
async fn an_item_that_is_no_head_is_corrupt() {
    let item =
        |body: &str| Answer::new(200, body).with("content-type", "application/x-amz-json-1.0");
    for body in [
        r#"{"Item":{"pk":{"S":"h"}}}"#,
        r#"{"Item":{"pk":{"S":"h"},"version":{"N":"1"},"document":{"B":"MQ=="}}}"#,
        r#"{"Item":{"pk":{"S":"h"},"version":{"S":"1"},"document":{"S":"1"}}}"#,
    ] {
        let server = Canned::new(vec![item(body)]).await;
        let heads = DynamoHeadStore::open(&access(server.url()), "t", None).unwrap();
        let loaded = heads.load("h").await;
        assert!(
            matches!(loaded, Err(HeadError::Corrupt { .. })),
            "{loaded:?}"
        );
    }
}

#[tokio::test]
async fn a_host_that_is_not_there_is_said_within_thirty_seconds() {
    let began = Instant::now();
    let store_at = |endpoint: &str| store(endpoint, "b", "", Lock::Off);
    for endpoint in ["http://127.0.0.1:1", "https://countersign.invalid"] {
        let store = store_at(endpoint);
        let put = store.put_new("k", ONE, Retention::None).await;
        assert_eq!(class(&put), "transient", "{put:?}");
        let got = store.get("k", 1).await;
        assert!(matches!(got, Err(GetError::Transient { .. })), "{got:?}");
        for text in [put.unwrap_err().to_string(), got.unwrap_err().to_string()] {
            assert!(text.contains("check the network"), "{text}");
        }
        let heads = DynamoHeadStore::open(&access(endpoint), "t", None).unwrap();
        let swapped = heads.swap("h", None, ONE).await;
        assert!(
            matches!(swapped, Err(SwapError::Transient { .. })),
            "{swapped:?}"
        );
    }
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn plain_http_beyond_this_host_is_refused() {
    let bucket = Bucket {
        name: "b".to_owned(),
        prefix: String::new(),
        region: None,
    };
    let credentials =
        || aws_credential_types::Credentials::new("a", "not-to-be-shown", None, None, "test");
    let opened = crate::aws::Access::new(
        credentials(),
        Some("us-east-1"),
        Some("http://user:pass@example.org/x"),
    );
    let error = opened.unwrap_err();
    assert!(matches!(error, AccessError::Endpoint { .. }));
    assert!(!error.to_string().contains("pass@"), "{error}");

    let nowhere = crate::aws::Access::new(credentials(), None, None).unwrap();
    let opened = S3SealedStore::open(&nowhere, &bucket, Lock::Off);
    assert!(
        matches!(opened, Err(AccessError::NoRegion { .. })),
        "{opened:?}"
    );
    let there = Bucket {
        region: Some("eu-west-1".to_owned()),
        ..bucket
    };
    S3SealedStore::open(&nowhere, &there, Lock::Off).unwrap();
}
