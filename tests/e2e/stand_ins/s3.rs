use axum::body::Body;
use countersign_core::time::from_unix_seconds;
use countersign_service::clock::{Clock as _, SystemClock};
use countersign_tests::stand_in;
use countersign_tests::stand_ins::{Local, s3};
use data_encoding::{BASE64, HEXLOWER};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, call, unique};

const ROOT: &str = "minioadmin";

/// A front before MinIO, and a bucket with a lock.
struct Bucket {
    front: Local,
    name: String,
}

impl Bucket {
    async fn new() -> Option<Self> {
        let minio = stand_in("STANDIN_S3_DIRECT")?;
        let bucket = Self {
            front: Local::serve(|_| s3::router(&minio)).await,
            name: unique("locked"),
        };
        let lock = [("x-amz-bucket-object-lock-enabled", "true")];
        bucket.call("PUT", "", &lock, "").await.is(200);
        Some(bucket)
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let path = format!("/{}{path}", self.name);
        let signature = self.sign(ROOT, method, &path, headers);
        let mut signed = headers.to_vec();
        signed.extend(
            signature
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        call(&self.front.url, method, &path, &signed, body).await
    }

    /// What a client adds to sign a request of S3's (signature version 4) whose
    /// body it leaves out.
    fn sign(
        &self,
        secret: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Vec<(&'static str, String)> {
        let stamp = from_unix_seconds(SystemClock.unix_seconds()).replace(['-', ':'], "");
        let host = self.front.url.replace("http://", "");
        let mut all: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
            .collect();
        all.push(("host".to_owned(), host.clone()));
        all.push((
            "x-amz-content-sha256".to_owned(),
            "UNSIGNED-PAYLOAD".to_owned(),
        ));
        all.push(("x-amz-date".to_owned(), stamp.clone()));
        all.sort();
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let lines: String = all
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\nUNSIGNED-PAYLOAD");
        let digest = HEXLOWER.encode(&Sha256::digest(canonical.as_bytes()));
        let scope = format!("{}/us-east-1/s3/aws4_request", &stamp[..8]);
        let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}");
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in scope.split('/') {
            key = mac(&key, part);
        }
        let signature = HEXLOWER.encode(&mac(&key, &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ROOT}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        vec![
            ("host", host),
            ("x-amz-content-sha256", "UNSIGNED-PAYLOAD".to_owned()),
            ("x-amz-date", stamp),
            ("authorization", authorization),
        ]
    }

    /// Puts an object under a lock of a year; gives its version.
    async fn put_locked(&self, key: &str) -> String {
        let sum = sha256(b"hello");
        let until = from_unix_seconds(SystemClock.unix_seconds() + 365 * 86_400);
        let headers = [
            ("if-none-match", "*"),
            ("x-amz-checksum-sha256", sum.as_str()),
            ("x-amz-object-lock-mode", "COMPLIANCE"),
            ("x-amz-object-lock-retain-until-date", until.as_str()),
        ];
        let put = self
            .call("PUT", &format!("/{key}"), &headers, "hello")
            .await
            .is(200);
        put.header("x-amz-version-id").to_owned()
    }

    /// Sends the head of a create-only put that waits to be told to send its body.
    async fn begin_to_create(&self, key: &str, body_bytes: usize) -> TcpStream {
        let path = format!("/{}/{key}", self.name);
        let create_only = ("if-none-match", "*");
        let mut head = format!("PUT {path} HTTP/1.1\r\nContent-Length: {body_bytes}\r\n");
        head.push_str("Expect: 100-continue\r\nIf-None-Match: *\r\n");
        for (name, value) in self.sign(ROOT, "PUT", &path, &[create_only]) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let address = self.front.url.replace("http://", "");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(format!("{head}\r\n").as_bytes())
            .await
            .unwrap();
        stream
    }

    async fn retain(&self, key: &str, mode: &str, days: u64) -> Answer {
        let until = from_unix_seconds(SystemClock.unix_seconds() + days * 86_400);
        let body = format!(
            "<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>"
        );
        let sum = sha256(body.as_bytes());
        self.call(
            "PUT",
            &format!("/{key}?retention="),
            &[("x-amz-checksum-sha256", &sum)],
            body,
        )
        .await
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    BASE64.encode(&Sha256::digest(bytes))
}

fn create_only_policy(bucket: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"CreateOnly","Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::{bucket}/*","Condition":{{"Null":{{"s3:if-none-match":"true"}}}}}}]}}"#
    )
}

#[tokio::test]
async fn what_a_lock_forbids_is_access_denied_as_on_s3() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let version = bucket.put_locked("a").await;
    let path = format!("/a?versionId={version}");
    bucket
        .call("DELETE", &path, &[], "")
        .await
        .xml_error(403, "AccessDenied");
    let bypass = [("x-amz-bypass-governance-retention", "true")];
    bucket
        .call("DELETE", &path, &bypass, "")
        .await
        .xml_error(403, "AccessDenied");
    bucket
        .retain("a", "COMPLIANCE", 30)
        .await
        .xml_error(403, "AccessDenied");
    bucket
        .retain("a", "GOVERNANCE", 400)
        .await
        .xml_error(403, "AccessDenied");

    let list =
        format!("<Delete><Object><Key>a</Key><VersionId>{version}</VersionId></Object></Delete>");
    let sum = sha256(list.as_bytes());
    let deleted = bucket
        .call("POST", "?delete=", &[("x-amz-checksum-sha256", &sum)], list)
        .await;
    deleted.xml_error(200, "AccessDenied");

    bucket.retain("a", "COMPLIANCE", 400).await.is(200);
    assert_eq!(
        bucket.call("GET", &path, &[], "").await.is(200).text(),
        "hello"
    );
}

#[tokio::test]
async fn what_no_lock_holds_is_deleted_and_a_missing_key_is_missing() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let put = bucket.call("PUT", "/free", &[], "x").await.is(200);
    let version = put.header("x-amz-version-id").to_owned();
    bucket
        .call("DELETE", &format!("/free?versionId={version}"), &[], "")
        .await
        .is(204);
    bucket
        .call("GET", "/free", &[], "")
        .await
        .xml_error(404, "NoSuchKey");
}

#[tokio::test]
async fn a_put_with_a_lock_wants_a_checksum() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let until = from_unix_seconds(SystemClock.unix_seconds() + 86_400);
    let headers = [
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-retain-until-date", until.as_str()),
    ];
    bucket
        .call("PUT", "/a", &headers, "x")
        .await
        .xml_error(400, "InvalidRequest");
    bucket.call("HEAD", "/a", &[], "").await.is(404);
}

#[tokio::test]
async fn of_two_creators_at_the_same_moment_the_second_conflicts_and_may_come_again() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let mut first = bucket.begin_to_create("a", 5).await;
    let mut answer = vec![0; 4096];
    let read = first.read(&mut answer).await.unwrap();
    assert!(
        answer[..read].starts_with(b"HTTP/1.1 100"),
        "it waits for the body"
    );

    let create = [("if-none-match", "*")];
    let second = bucket.call("PUT", "/a", &create, "other").await;
    second.xml_error(409, "ConditionalRequestConflict");
    first.write_all(b"hello").await.unwrap();
    let read = first.read(&mut answer).await.unwrap();
    assert!(
        answer[..read].starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&answer[..read])
    );
    bucket
        .call("PUT", "/a", &create, "other")
        .await
        .xml_error(412, "PreconditionFailed");
    assert_eq!(
        bucket.call("GET", "/a", &[], "").await.is(200).text(),
        "hello"
    );
}

#[tokio::test]
async fn a_creator_that_goes_away_leaves_the_key_to_others() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let mut first = bucket.begin_to_create("a", 5).await;
    first.read_u8().await.unwrap();
    drop(first);
    for _ in 0..100 {
        let put = bucket
            .call("PUT", "/a", &[("if-none-match", "*")], "other")
            .await;
        if put.status == 200 {
            return;
        }
        put.xml_error(409, "ConditionalRequestConflict");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the key stayed taken");
}

#[tokio::test]
async fn a_policy_that_demands_if_none_match_is_kept_shown_and_enforced() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    bucket
        .call("GET", "?policy=", &[], "")
        .await
        .xml_error(404, "NoSuchBucketPolicy");
    let policy = create_only_policy(&bucket.name);
    bucket
        .call("PUT", "?policy=", &[], policy.clone())
        .await
        .is(204);
    assert_eq!(
        bucket.call("GET", "?policy=", &[], "").await.is(200).text(),
        policy
    );

    bucket
        .call("PUT", "/a", &[], "x")
        .await
        .xml_error(403, "AccessDenied");
    bucket
        .call("PUT", "/a", &[("if-none-match", "*")], "x")
        .await
        .is(200);
    bucket.call("DELETE", "?policy=", &[], "").await.is(204);
    bucket.call("PUT", "/a", &[], "y").await.is(200);
}

#[tokio::test]
async fn a_policy_with_a_wrong_signature_is_refused_and_not_kept() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let path = format!("/{}?policy=", bucket.name);
    let signature = bucket.sign("another secret", "PUT", &path, &[]);
    let signed: Vec<(&str, &str)> = signature
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    let put = call(
        &bucket.front.url,
        "PUT",
        &path,
        &signed,
        create_only_policy(&bucket.name),
    )
    .await;
    put.xml_error(403, "SignatureDoesNotMatch");
    bucket.call("PUT", "/a", &[], "x").await.is(200);
}

#[tokio::test]
async fn a_bucket_is_encrypted_from_the_start() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let encryption = bucket.call("GET", "?encryption=", &[], "").await.is(200);
    assert_eq!(encryption.element("SSEAlgorithm"), "AES256");
}

#[tokio::test]
async fn a_bucket_is_closed_to_the_public_from_the_start_until_that_is_changed() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    for (setting, element, initial, missing) in [
        (
            "publicAccessBlock",
            "BlockPublicPolicy",
            "true",
            "NoSuchPublicAccessBlockConfiguration",
        ),
        (
            "ownershipControls",
            "ObjectOwnership",
            "BucketOwnerEnforced",
            "OwnershipControlsNotFoundError",
        ),
    ] {
        let path = format!("?{setting}=");
        let found = bucket.call("GET", &path, &[], "").await.is(200);
        assert_eq!(found.element(element), initial);
        let other = format!("<Configuration><{element}>other</{element}></Configuration>");
        bucket.call("PUT", &path, &[], other).await.is(200);
        let found = bucket.call("GET", &path, &[], "").await.is(200);
        assert_eq!(found.element(element), "other");
        bucket.call("DELETE", &path, &[], "").await.is(204);
        let found = bucket.call("GET", &path, &[], "").await;
        found.xml_error(404, missing);
    }
}

#[tokio::test]
async fn ten_megabytes_pass_both_ways_and_ranges_are_kept() {
    let Some(bucket) = Bucket::new().await else {
        return;
    };
    let body: Vec<u8> = (0..10_000_000u32).map(|at| (at % 251) as u8).collect();
    bucket
        .call("PUT", "/large", &[("if-none-match", "*")], body.clone())
        .await
        .is(200);
    assert!(bucket.call("GET", "/large", &[], "").await.is(200).body == body);
    let part = bucket
        .call("GET", "/large", &[("range", "bytes=5-9")], "")
        .await
        .is(206);
    assert_eq!(part.body, body[5..10]);
}
