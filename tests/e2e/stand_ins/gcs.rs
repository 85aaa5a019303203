use std::sync::Arc;

use axum::body::Body;
use countersign_core::time;
use countersign_service::clock::{Clock as _, SetClock};
use countersign_tests::stand_in;
use countersign_tests::stand_ins::{Local, gcs};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, call, clock, unique};

const REASON: &str = "/error/errors/0/reason";

/// A front before fake-gcs-server, and a bucket.
struct Bucket {
    front: Local,
    clock: Arc<SetClock>,
    name: String,
}

impl Bucket {
    async fn new(settings: Value) -> Option<Self> {
        let server = stand_in("STANDIN_GCS_DIRECT")?;
        let clock = clock();
        let bucket = Self {
            front: Local::serve(|url| gcs::router(url, &server, Arc::clone(&clock) as _)).await,
            clock,
            name: unique("sealed"),
        };
        let mut settings = settings;
        settings["name"] = json!(bucket.name);
        bucket
            .raw("POST", "/storage/v1/b?project=p", &settings)
            .await
            .is(200);
        Some(bucket)
    }

    async fn raw(&self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("content-type", "application/json")];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        call(&self.front.url, method, path, &headers, body).await
    }

    async fn call(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.raw(method, &format!("/storage/v1/b/{}{path}", self.name), body)
            .await
    }

    async fn upload(&self, query: &str, body: impl Into<Body>) -> Answer {
        let path = format!("/upload/storage/v1/b/{}/o?{query}", self.name);
        let headers = [("content-type", "multipart/related; boundary=cut")];
        call(&self.front.url, "POST", &path, &headers, body).await
    }

    async fn put(&self, name: &str, body: &'static str) -> Answer {
        self.upload(&format!("uploadType=media&name={name}"), body)
            .await
    }
}

fn retained(seconds: u64) -> Value {
    json!({"retentionPolicy": {"retentionPeriod": seconds.to_string()}})
}

fn multipart(name: &str, body: &str) -> String {
    format!(
        "--cut\r\ncontent-type: application/json\r\n\r\n{{\"name\":\"{name}\"}}\r\n--cut\r\ncontent-type: text/plain\r\n\r\n{body}\r\n--cut--\r\n"
    )
}

#[tokio::test]
async fn an_object_under_retention_is_neither_overwritten_nor_deleted_until_it_is_over() {
    let Some(bucket) = Bucket::new(retained(3600)).await else {
        return;
    };
    let put = bucket.put("a", "hello").await.is(200).json();
    let created = time::parse(put["timeCreated"].as_str().unwrap())
        .unwrap()
        .unix_millis();
    let until = time::from_unix_millis(u64::try_from(created).unwrap() + 3_600_000);
    assert_eq!(put["retentionExpirationTime"], until);

    let generation = put["generation"].as_str().unwrap();
    let queries = [
        "uploadType=media&name=a".to_owned(),
        format!("uploadType=media&name=a&ifGenerationMatch={generation}"),
        "uploadType=resumable&name=a".to_owned(),
    ];
    for query in queries {
        bucket
            .upload(&query, "other")
            .await
            .json_error(403, REASON, "retentionPolicyNotMet");
    }
    let in_body = bucket
        .upload("uploadType=multipart", multipart("a", "other"))
        .await;
    in_body.json_error(403, REASON, "retentionPolicyNotMet");
    let delete = bucket.call("DELETE", "/o/a", &Value::Null).await;
    delete.json_error(403, REASON, "retentionPolicyNotMet");
    let create = bucket
        .upload("uploadType=media&name=a&ifGenerationMatch=0", "other")
        .await;
    create.json_error(412, REASON, "conditionNotMet");
    let media = bucket
        .call("GET", "/o/a?alt=media", &Value::Null)
        .await
        .is(200);
    assert_eq!(media.text(), "hello");
    let list = bucket.call("GET", "/o", &Value::Null).await.is(200).json();
    assert_eq!(list["items"][0]["retentionExpirationTime"], until);

    bucket.clock.advance(3_601_000);
    bucket.put("a", "other").await.is(200);
    bucket.call("DELETE", "/o/a", &Value::Null).await.is(204);
    bucket.call("GET", "/o/a", &Value::Null).await.is(404);
}

#[tokio::test]
async fn of_sixteen_uploads_at_once_under_retention_one_is_done() {
    let Some(bucket) = Bucket::new(retained(60)).await else {
        return;
    };
    let uploads = (0..16).map(|_| bucket.put("a", "x"));
    let mut made = 0;
    for upload in futures_util::future::join_all(uploads).await {
        if upload.status == 200 {
            made += 1;
        } else {
            upload.json_error(403, REASON, "retentionPolicyNotMet");
        }
    }
    assert_eq!(made, 1);
}

#[tokio::test]
async fn a_bucket_keeps_its_settings_and_counts_their_changes() {
    let Some(bucket) = Bucket::new(json!({})).await else {
        return;
    };
    let plain = bucket.call("GET", "", &Value::Null).await.is(200).json();
    assert_eq!(plain["metageneration"], "1");
    assert_eq!(
        plain["softDeletePolicy"]["retentionDurationSeconds"],
        "604800"
    );
    assert_eq!(
        plain["iamConfiguration"]["publicAccessPrevention"],
        "inherited"
    );
    assert_eq!(plain.get("retentionPolicy"), None);

    let change = json!({
        "retentionPolicy": {"retentionPeriod": 100}, "softDeletePolicy": {"retentionDurationSeconds": "0"},
        "versioning": {"enabled": true}, "lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"age": 1}}]},
        "iamConfiguration": {"uniformBucketLevelAccess": {"enabled": true}, "publicAccessPrevention": "enforced"},
    });
    let changed = bucket.call("PATCH", "", &change).await.is(200).json();
    assert_eq!(changed["metageneration"], "2");
    let shown = bucket.call("GET", "", &Value::Null).await.is(200).json();
    assert_eq!(shown, changed);
    assert_eq!(shown["retentionPolicy"]["retentionPeriod"], "100");
    assert_eq!(shown["retentionPolicy"]["isLocked"], false);
    assert_eq!(shown["softDeletePolicy"]["retentionDurationSeconds"], "0");
    assert_eq!(shown["versioning"]["enabled"], true);
    assert_eq!(shown["lifecycle"], change["lifecycle"]);
    assert_eq!(
        shown["iamConfiguration"]["publicAccessPrevention"],
        "enforced"
    );

    let removal = json!({"retentionPolicy": null, "lifecycle": null});
    let shown = bucket.call("PATCH", "", &removal).await.is(200).json();
    assert_eq!(
        (shown.get("retentionPolicy"), shown.get("lifecycle")),
        (None, None)
    );
    let stale = bucket
        .call("PATCH", "?ifMetagenerationMatch=1", &removal)
        .await;
    stale.json_error(412, REASON, "conditionNotMet");
}

#[tokio::test]
async fn a_locked_policy_is_lengthened_and_neither_shortened_nor_removed() {
    let Some(bucket) = Bucket::new(retained(100)).await else {
        return;
    };
    let lock =
        |metageneration| format!("/lockRetentionPolicy?ifMetagenerationMatch={metageneration}");
    bucket
        .call("POST", "/lockRetentionPolicy", &Value::Null)
        .await
        .json_error(400, REASON, "required");
    bucket
        .call("POST", &lock(7), &Value::Null)
        .await
        .json_error(412, REASON, "conditionNotMet");
    let locked = bucket
        .call("POST", &lock(1), &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(locked["retentionPolicy"]["isLocked"], true);
    assert_eq!(locked["metageneration"], "2");
    bucket
        .call("POST", &lock(2), &Value::Null)
        .await
        .json_error(400, REASON, "invalid");

    let removal = json!({"retentionPolicy": null});
    bucket
        .call("PATCH", "", &removal)
        .await
        .json_error(403, REASON, "forbidden");
    bucket
        .call("PATCH", "", &retained(99))
        .await
        .json_error(403, REASON, "forbidden");
    let longer = bucket
        .call("PATCH", "", &retained(101))
        .await
        .is(200)
        .json();
    assert_eq!(longer["retentionPolicy"]["retentionPeriod"], "101");
    assert_eq!(longer["retentionPolicy"]["isLocked"], true);
}

#[tokio::test]
async fn an_object_under_a_hold_stays_until_the_hold_is_taken_off() {
    let Some(bucket) = Bucket::new(json!({})).await else {
        return;
    };
    bucket.put("a", "x").await.is(200);
    let held = bucket
        .call("PATCH", "/o/a", &json!({"temporaryHold": true}))
        .await
        .is(200)
        .json();
    assert_eq!(held["temporaryHold"], true);
    bucket
        .put("a", "y")
        .await
        .json_error(403, REASON, "objectUnderActiveHold");
    let delete = bucket.call("DELETE", "/o/a", &Value::Null).await;
    delete.json_error(403, REASON, "objectUnderActiveHold");
    bucket
        .call("PATCH", "/o/a", &json!({"temporaryHold": false}))
        .await
        .is(200);
    bucket.call("DELETE", "/o/a", &Value::Null).await.is(204);
}

#[tokio::test]
async fn in_a_bucket_with_versions_a_retained_object_becomes_noncurrent_and_stays() {
    let Some(bucket) = Bucket::new(retained(3600)).await else {
        return;
    };
    bucket
        .call("PATCH", "", &json!({"versioning": {"enabled": true}}))
        .await
        .is(200);
    let first = bucket.put("a", "first").await.is(200).json();
    bucket.put("a", "second").await.is(200);
    bucket.call("DELETE", "/o/a", &Value::Null).await.is(204);
    let generation = format!("/o/a?generation={}", first["generation"].as_str().unwrap());
    let delete = bucket.call("DELETE", &generation, &Value::Null).await;
    delete.json_error(403, REASON, "retentionPolicyNotMet");
    let list = bucket
        .call("GET", "/o?versions=true", &Value::Null)
        .await
        .is(200)
        .json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_copy_over_a_retained_object_is_refused() {
    let Some(bucket) = Bucket::new(retained(3600)).await else {
        return;
    };
    bucket.put("a", "first").await.is(200);
    bucket.put("b", "second").await.is(200);
    let path = format!("/o/b/rewriteTo/b/{}/o/a", bucket.name);
    bucket
        .call("POST", &path, &json!({}))
        .await
        .json_error(403, REASON, "retentionPolicyNotMet");
    let path = format!("/o/b/rewriteTo/b/{}/o/c", bucket.name);
    let made = bucket.call("POST", &path, &json!({})).await.is(200).json();
    assert!(made["resource"]["retentionExpirationTime"].is_string());
}

#[tokio::test]
async fn a_page_holds_a_thousand_objects_at_most() {
    let Some(bucket) = Bucket::new(json!({})).await else {
        return;
    };
    for from in (0..1050).step_by(50) {
        let names: Vec<String> = (from..from + 50).map(|at| format!("k{at:04}")).collect();
        let puts = names.iter().map(|name| bucket.put(name, "x"));
        for put in futures_util::future::join_all(puts).await {
            put.is(200);
        }
    }
    for query in ["/o", "/o?maxResults=5000"] {
        let first = bucket.call("GET", query, &Value::Null).await.is(200).json();
        assert_eq!(first["items"].as_array().unwrap().len(), 1000);
        let token = first["nextPageToken"].as_str().unwrap();
        let rest = bucket
            .call("GET", &format!("/o?pageToken={token}"), &Value::Null)
            .await
            .is(200)
            .json();
        assert_eq!(rest["items"].as_array().unwrap().len(), 50);
        assert_eq!(rest.get("nextPageToken"), None);
    }
    bucket
        .call("DELETE", "", &Value::Null)
        .await
        .json_error(409, REASON, "conflict");
}

#[tokio::test]
async fn a_resumable_upload_without_a_port_in_its_host_gets_an_address_that_works() {
    let Some(bucket) = Bucket::new(retained(3600)).await else {
        return;
    };
    let authority = bucket.front.url.replace("http://", "");
    let path = format!(
        "/upload/storage/v1/b/{}/o?uploadType=resumable&name=r",
        bucket.name
    );
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    let mut stream = TcpStream::connect(&authority).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let location = answer
        .lines()
        .find_map(|line| line.strip_prefix("location: "))
        .unwrap();
    let path = location
        .strip_prefix(&bucket.front.url)
        .expect("the front's own address");
    let done = call(&bucket.front.url, "PUT", path, &[], "hello")
        .await
        .is(200)
        .json();
    assert!(done["retentionExpirationTime"].is_string());
    let media = bucket
        .call("GET", "/o/r?alt=media", &Value::Null)
        .await
        .is(200);
    assert_eq!(media.text(), "hello");
}

#[tokio::test]
async fn a_token_without_a_permission_is_refused_for_it_alone() {
    let Some(bucket) = Bucket::new(json!({})).await else {
        return;
    };
    let path = format!("/storage/v1/b/{}", bucket.name);
    let url = &bucket.front.url;
    let denied = [("authorization", "Bearer denied")];
    call(url, "GET", &path, &denied, "")
        .await
        .json_error(403, REASON, "forbidden");
    let reader = [(
        "authorization",
        "Bearer without:storage.buckets.get,storage.objects.list",
    )];
    let refused = call(url, "GET", &path, &reader, "").await;
    assert!(refused.is(403).text().contains("storage.buckets.get"));
    call(url, "GET", &format!("{path}/o"), &reader, "")
        .await
        .is(403);
    call(url, "GET", &format!("{path}/o/missing"), &reader, "")
        .await
        .is(404);
    assert!(bucket.clock.unix_millis() > 0);
}
