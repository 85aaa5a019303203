//! Files in a bucket of logs, read as a notification names them.

use std::io::Write;

use countersign_store::emulators::{Emulators, fresh_name};
use countersign_store::{Expected, Lock};
use countersign_tests::stand_in;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

fn gzipped(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A message of a queue about a version of an object.
fn message(id: &str, bucket: &str, key: &str, version: &str, bytes: usize) -> Value {
    let notification = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": bytes, "versionId": version}},
    }]});
    json!({"messageId": id, "eventSource": "aws:sqs", "body": notification.to_string()})
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_sealed_in_the_version_that_was_announced() {
    if stand_in("STANDIN_S3").is_none() {
        return;
    }
    let emulators = Emulators::from_environment().unwrap();
    let trail = emulators.aws_administrator().unwrap();
    let bucket = fresh_name("trail").unwrap();
    let keep = Expected {
        retention_days: 1,
        lock: Lock::Governance,
    };
    trail.new_bucket(&bucket, keep).await.unwrap();
    trail.remove_policy(&bucket).await.unwrap();

    let file = gzipped(
        "{\"Records\":[{\"eventVersion\":\"1\",\"eventSource\":\"s\",\"eventName\":\"n\",\"x\":1.50}]}",
    );
    let key = "AWSLogs/1/CloudTrail/us-east-1/a b.json.gz";
    let first = trail.put(&bucket, key, file.clone()).await.unwrap();
    let forged = gzipped("{\"Records\":[{\"forged\":true}]}");
    trail.put(&bucket, key, forged).await.unwrap();
    let broken = &file[..file.len() - 9];
    let cut = trail
        .put(&bucket, "cut.json.gz", broken.to_vec())
        .await
        .unwrap();
    let digest = "AWSLogs/1/CloudTrail-Digest/us-east-1/d.json.gz";

    let clouds = Clouds::today().await;
    let runtime = Runtime::start().await;
    let endpoint = stand_in("STANDIN_S3_DIRECT").unwrap();
    let program = Program::start(
        SEAL,
        &clouds.path(""),
        &[
            ("AWS_LAMBDA_RUNTIME_API", runtime.address()),
            ("AWS_LAMBDA_FUNCTION_NAME", "countersign"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "minioadmin"),
            ("AWS_SECRET_ACCESS_KEY", "minioadmin"),
            ("AWS_ENDPOINT_URL_S3", &endpoint),
        ],
    );
    let encoded = "AWSLogs/1/CloudTrail/us-east-1/a+b.json.gz";
    let queue = json!({"Records": [
        message("file", &bucket, encoded, &first, file.len()),
        message("again", &bucket, encoded, &first, file.len()),
        message("digest", &bucket, digest, "v", 9),
        message("cut", &bucket, "cut.json.gz", &cut, broken.len()),
        message("gone", &bucket, "never.json.gz", &first, 9),
    ]});
    let Outcome::Answer(answer) = runtime.invoke(&queue).await else {
        panic!("it failed as a whole: {}", program.text())
    };
    let mut failed: Vec<_> = answer["batchItemFailures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["itemIdentifier"].as_str().unwrap())
        .collect();
    failed.sort_unstable();
    assert_eq!(failed, ["cut", "gone"], "{}", program.text());
    let records = clouds.logs("aws");
    let [record] = &records[..] else {
        panic!("{records:?}")
    };
    assert_eq!(record["event"]["x"], 1.5);
    assert_eq!(record["source"], "aws.cloudtrail");
    let told = program.text();
    assert!(told.contains("gzip stream ends early"), "{told}");
    assert!(told.contains("does not exist"), "{told}");
    assert!(!told.contains("minioadmin"));
    let report = clouds.anchored_and_verified().await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
}
