//! The functions as Lambda runs them: a process that asks its runtime's API for
//! events.

#![allow(clippy::unwrap_used)] // a test may

mod files;
mod runtime;

use std::fs;
use std::time::Duration;

use countersign_service::verify::Verdict;
use countersign_tests::functions::Program;
use countersign_tests::{Clouds, data};
use serde_json::{Value, json};

use self::runtime::{Outcome, Runtime};

const SEAL: &str = env!("CARGO_BIN_EXE_aws-seal");

fn start(clouds: &Clouds, binary: &str, runtime: &Runtime) -> Program {
    let variables = [
        ("AWS_LAMBDA_RUNTIME_API", runtime.address()),
        ("AWS_LAMBDA_FUNCTION_NAME", "countersign"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        // Nothing listens there.
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ];
    Program::start(binary, &clouds.path(""), &variables)
}

/// An event of EventBridge around one record.
fn bridged(id: &str, detail: &Value) -> Value {
    json!({"version": "0", "id": id, "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.iam", "detail": detail})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_one_record_however_often_it_comes() {
    let clouds = Clouds::today().await;
    let runtime = Runtime::start().await;
    let program = start(&clouds, SEAL, &runtime);
    let event = bridged("e-1", &json!({"eventName": "CreateUser", "n": 1.5}));
    for _ in 0..2 {
        let outcome = runtime.invoke(&event).await;
        assert_eq!(outcome, Outcome::Answer(Value::Null), "{}", program.text());
    }
    assert_eq!(clouds.logs("aws").len(), 1);
    let told = program.lines();
    let metric = told.iter().find(|line| line["RecordsSealed"] == 1).unwrap();
    assert_eq!(
        metric["_aws"]["CloudWatchMetrics"][0]["Namespace"],
        "countersign"
    );
    assert!(told.iter().any(|line| line["DuplicateDeliveries"] == 1));
    assert!(
        told.iter().any(|line| line["invocation"] == "invocation-1"),
        "{told:?}"
    );
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_queue_only_what_failed_comes_again() {
    let clouds = Clouds::today().await;
    let runtime = Runtime::start().await;
    let program = start(&clouds, SEAL, &runtime);
    let message =
        |id: &str, body: &str| json!({"messageId": id, "eventSource": "aws:sqs", "body": body});
    let event = |n: u64| bridged(&format!("e-{n}"), &json!({"n": n})).to_string();
    let queue = json!({"Records": [
        message("good-1", &event(1)),
        message("bad", "{{{"),
        message("test", "{\"Event\":\"s3:TestEvent\"}"),
        message("good-2", &event(2)),
    ]});
    let outcome = runtime.invoke(&queue).await;
    let expected = json!({"batchItemFailures": [{"itemIdentifier": "bad"}]});
    assert_eq!(outcome, Outcome::Answer(expected), "{}", program.text());
    assert_eq!(clouds.logs("aws").len(), 2);
    // One line a batch.
    let told = program.lines();
    let took = told
        .iter()
        .filter(|line| line["message"] == "took deliveries")
        .collect::<Vec<_>>();
    let [took] = &took[..] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (&took["deliveries"], &took["records"]),
        (&json!(2), &json!(2))
    );
    assert!(
        took["bytes"].as_u64() > Some(0) && took["millis"].is_u64(),
        "{took}"
    );
    assert!(told.iter().any(|line| line["FailedCalls"] == 1), "{told:?}");
    // An object that cannot be read is one that failed.
    let s3 = json!({"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": "trail"}, "object": {"key": "x.json.gz", "size": 1}}}]});
    let queue = json!({"Records": [message("unread", &s3.to_string())]});
    let outcome = runtime.invoke(&queue).await;
    let expected = json!({"batchItemFailures": [{"itemIdentifier": "unread"}]});
    assert_eq!(outcome, Outcome::Answer(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_log_fails_the_call_and_says_why() {
    let clouds = Clouds::today().await;
    let runtime = Runtime::start().await;
    let _program = start(&clouds, SEAL, &runtime);
    let schedule =
        json!({"id": "s", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    let Outcome::Error(error) = runtime.invoke(&schedule).await else {
        panic!("it was taken")
    };
    assert!(error.contains("schedule"), "{error}");
    assert_eq!(clouds.logs("aws"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_killed_loses_nothing_and_seals_nothing_twice() {
    let clouds = Clouds::today().await;
    let runtime = Runtime::start().await;
    let records: Vec<Value> = (0..30)
        .map(|n| {
            let event = bridged(&format!("e-{n}"), &json!({"n": n})).to_string();
            json!({"messageId": n.to_string(), "eventSource": "aws:sqs", "body": event})
        })
        .collect();
    let queue = json!({ "Records": records });
    for wait_millis in [0, 20, 40, 60, 90] {
        let program = start(&clouds, SEAL, &runtime);
        let _ = tokio::time::timeout(
            Duration::from_millis(wait_millis + 30),
            runtime.invoke(&queue),
        )
        .await;
        program.kill();
        runtime.forget();
    }
    let program = start(&clouds, SEAL, &runtime);
    let outcome = runtime.invoke(&queue).await;
    let expected = json!({"batchItemFailures": []});
    assert_eq!(outcome, Outcome::Answer(expected), "{}", program.text());
    assert_eq!(clouds.logs("aws").len(), 30);
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_anchor_and_verify_with_the_keys_of_aws_alone() {
    let clouds = Clouds::with_keys_of("aws").await;
    let event = json!({"source": "aws.scheduler"});
    for binary in [
        env!("CARGO_BIN_EXE_aws-anchor"),
        env!("CARGO_BIN_EXE_aws-verify"),
    ] {
        let runtime = Runtime::start().await;
        let program = start(&clouds, binary, &runtime);
        let outcome = runtime.invoke(&event).await;
        assert_eq!(outcome, Outcome::Answer(Value::Null), "{}", program.text());
    }
    let segments = clouds.named("azure", "segments/");
    clouds.replace("azure", &segments[0], b"another");
    let runtime = Runtime::start().await;
    let _program = start(&clouds, env!("CARGO_BIN_EXE_aws-verify"), &runtime);
    let Outcome::Error(error) = runtime.invoke(&event).await else {
        panic!("it verified")
    };
    assert!(error.contains("FAILED"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_records_are_sealed_as_they_are() {
    let Some(path) = data("cloudtrail.ndjson") else {
        return;
    };
    let clouds = Clouds::today().await;
    let runtime = Runtime::start().await;
    let program = start(&clouds, SEAL, &runtime);
    let text = fs::read_to_string(path).unwrap();
    for (nth, lines) in text
        .lines()
        .take(300)
        .collect::<Vec<_>>()
        .chunks(10)
        .enumerate()
    {
        let message = |(n, line): (usize, &&str)| {
            // The spelling of the record's numbers is kept.
            let event = format!(
                "{{\"id\":\"e-{nth}-{n}\",\"source\":\"aws.x\",\"detail-type\":\"t\",\"detail\":{line}}}"
            );
            json!({"messageId": n.to_string(), "eventSource": "aws:sqs", "body": event})
        };
        let records: Vec<Value> = lines.iter().enumerate().map(message).collect();
        let outcome = runtime.invoke(&json!({ "Records": records })).await;
        let expected = json!({"batchItemFailures": []});
        assert_eq!(outcome, Outcome::Answer(expected), "{}", program.text());
    }
    let records = clouds.logs("aws");
    assert_eq!(records.len(), 300);
    assert!(
        records
            .iter()
            .all(|record| record["source"] == "aws.cloudtrail")
    );
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}
