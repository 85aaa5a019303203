//! The functions as Cloud Run runs them.

#![allow(clippy::unwrap_used)] // a test may

use std::fs;

use countersign_service::verify::Verdict;
use countersign_tests::functions::{Answer, Program, free_port, get, post};
use countersign_tests::{Clouds, data};
use data_encoding::BASE64;
use serde_json::{Value, json};

fn start(clouds: &Clouds, binary: &str, port: u16) -> Program {
    let port_text = port.to_string();
    // Nothing is asked of Google, and no metadata server is there to be asked.
    let variables = [
        ("PORT", &*port_text),
        ("STORAGE_EMULATOR_HOST", "127.0.0.1:1"),
    ];
    Program::start(binary, &clouds.path(""), &variables).listening(port)
}

fn push(id: &str, data: &[u8]) -> Vec<u8> {
    let body = json!({
        "subscription": "projects/p/subscriptions/s",
        "message": {"data": BASE64.encode(data), "messageId": id, "message_id": id},
    });
    body.to_string().into_bytes()
}

fn send(port: u16, body: &[u8]) -> Answer {
    post(port, "/", &[("content-type", "application/json")], body).expect("it answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_are_sealed_once_with_or_without_eventarc() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let program = start(&clouds, env!("CARGO_BIN_EXE_gcp-seal"), port);
    assert_eq!(get(port, "/").unwrap().status, 200);
    let body = push("1", br#"{"insertId":"a","n":1.50}"#);
    assert_eq!(send(port, &body).status, 204, "{}", program.text());
    let eventarc = [
        ("ce-id", "event-1"),
        ("ce-type", "google.cloud.pubsub.topic.v1.messagePublished"),
    ];
    assert_eq!(post(port, "/", &eventarc, &body).unwrap().status, 204);
    let records = clouds.logs("gcp");
    assert_eq!(records.len(), 1, "{records:?}");
    let told = program.lines();
    assert!(
        told.iter().any(|line| line["invocation"] == "event-1"),
        "{told:?}"
    );
    assert!(told.iter().any(|line| line["severity"] == "INFO"));
    let took = told
        .iter()
        .filter(|line| line["message"] == "took deliveries")
        .map(|line| (&line["records"], &line["bytes"]))
        .collect::<Vec<_>>();
    let bytes = json!(br#"{"insertId":"a","n":1.50}"#.len());
    assert_eq!(took, [(&json!(1), &bytes), (&json!(0), &bytes)]);
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sealed_is_refused_so_that_it_comes_again_or_is_dead_lettered() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let _program = start(&clouds, env!("CARGO_BIN_EXE_gcp-seal"), port);
    for (body, says) in [
        (push("1", b"[{\"a\":1},"), "broken at byte"),
        (push("2", b""), "empty"),
        (b"{}".to_vec(), "members"),
    ] {
        let answer = send(port, &body);
        assert_eq!(answer.status, 500);
        let said = String::from_utf8(answer.body).unwrap();
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(clouds.logs("gcp"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_is_sealed_before_the_process_ends() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let mut program = start(&clouds, env!("CARGO_BIN_EXE_gcp-seal"), port);
    let calls: Vec<_> = (0..30)
        .map(|n| {
            std::thread::spawn(move || {
                let body = push(&n.to_string(), format!("{{\"n\":{n}}}").as_bytes());
                post(port, "/", &[], &body).is_some_and(|answer| answer.status == 204)
            })
        })
        .collect();
    std::thread::sleep(std::time::Duration::from_millis(30));
    program.terminate();
    let done = calls
        .into_iter()
        .filter(|_| true)
        .map(|call| call.join().unwrap());
    let done = done.filter(|done| *done).count();
    assert!(program.ended().success(), "{}", program.text());
    // What was acknowledged is there; what was not may be.
    let sealed = clouds.logs("gcp").len();
    assert!(sealed >= done && sealed <= 30, "{sealed} of {done}");
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_at_the_same_time_share_segments() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let program = start(&clouds, env!("CARGO_BIN_EXE_gcp-seal"), port);
    let calls: Vec<_> = (0..64)
        .map(|n| {
            std::thread::spawn(move || {
                send(
                    port,
                    &push(&n.to_string(), format!("{{\"n\":{n}}}").as_bytes()),
                )
                .status
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.join().unwrap(), 204, "{}", program.text());
    }
    assert_eq!(clouds.logs("gcp").len(), 64);
    let segments = clouds.named("gcp", "segments/").len();
    assert!(segments < 64, "{segments} segments for 64 calls at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn real_log_entries_are_sealed_as_they_are() {
    let Some(path) = data("gcp_audit.ndjson") else {
        return;
    };
    let clouds = Clouds::today().await;
    let port = free_port();
    let _program = start(&clouds, env!("CARGO_BIN_EXE_gcp-seal"), port);
    let text = fs::read_to_string(path).unwrap();
    for (n, line) in text.lines().enumerate() {
        assert_eq!(
            send(port, &push(&n.to_string(), line.as_bytes())).status,
            204
        );
    }
    let records = clouds.logs("gcp");
    assert_eq!(records.len(), text.lines().count());
    assert!(records.iter().all(|record| record["source"] == "gcp.audit"));
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_anchor_and_verify_with_the_keys_of_google_cloud_alone() {
    let clouds = Clouds::with_keys_of("gcp").await;
    for binary in [
        env!("CARGO_BIN_EXE_gcp-anchor"),
        env!("CARGO_BIN_EXE_gcp-verify"),
    ] {
        let port = free_port();
        let program = start(&clouds, binary, port);
        assert_eq!(send(port, b"").status, 204, "{}", program.text());
    }
}
