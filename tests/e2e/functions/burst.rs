//! A burst of events into each cloud's seal function: PUTs, time, peak memory.
//! `EVENTS=100000` makes it whole, and `FUNCTIONS=target/release` takes programs
//! that were built to be fast.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign_store::emulators::fresh_name;
use countersign_store::{Expected, Lock};
use serde_json::{Value, json};

use super::trail::gzipped;
use super::{Deployed, Platform, batch, push};
use crate::clouds::front::Fronts;
use crate::clouds::{Ground, alone, emulators, now_millis, verified};

/// Of a file of CloudTrail.
const IN_A_FILE: u64 = 500;
/// Of a message of an Event Hub.
const IN_A_MESSAGE: u64 = 50;
/// Messages of a queue, and of a hub's partition, that come at a time.
const AT_A_TIME: usize = 10;
/// Calls at a time of one instance on Cloud Run, which is its default.
const CALLS: usize = 80;
/// What a seal function may take.
const MAX_PEAK_BYTES: u64 = 128 << 20;

fn events() -> u64 {
    std::env::var("EVENTS").map_or(3_000, |text| text.parse().unwrap())
}

/// About as large as what CloudTrail writes: 1.2 KB.
fn event(number: u64) -> String {
    let parameters: Value = (0..12)
        .map(|nth| {
            (
                format!("parameter{nth}"),
                json!(format!("value-{number}-{nth}-{}", number * 7919)),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "principalId": format!("AROAEXAMPLE{number}:session"), "accountId": "111122223333"},
        "eventTime": "2026-11-24T21:00:00Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject",
        "awsRegion": "eu-central-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "aws-sdk-rust/1.3 os/linux lang/rust",
        "requestParameters": parameters,
        "responseElements": null,
        "additionalEventData": {"bytesTransferredIn": 0, "bytesTransferredOut": number * 13},
        "eventID": format!("event-{number}"),
        "readOnly": true,
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
    })
    .to_string()
}

/// Documents of so many events each: `{"Records":[…]}`.
fn documents(member: &str, each: u64) -> impl Iterator<Item = Vec<u8>> {
    let starts = (0..events()).step_by(usize::try_from(each).unwrap());
    starts.map(move |start| {
        let end = (start + each).min(events());
        let events: Vec<String> = (start..end).map(event).collect();
        format!("{{\"{member}\":[{}]}}", events.join(",")).into_bytes()
    })
}

/// Seals a burst, and looks at it whole.
async fn bursts(cloud: &'static str) {
    let Some(emulators) = emulators() else { return };
    let fronts = Fronts::new().await;
    let ground = Ground::new(&emulators, cloud).await;
    let deployed = Deployed::over(&fronts.emulators, &alone(&ground)).await;
    let Some(mut deployed) = deployed else { return };
    deployed.set("COUNTERSIGN_SEAL_CHAIN", "alone");
    let mut calls: Vec<Vec<u8>> = Vec::new();
    let deliveries = match cloud {
        "aws" => {
            let administrator = emulators.aws_administrator().unwrap();
            let bucket = fresh_name("files").unwrap();
            let keep = Expected {
                retention_days: 1,
                lock: Lock::Governance,
            };
            administrator.new_bucket(&bucket, keep).await.unwrap();
            administrator.remove_policy(&bucket).await.unwrap();
            let mut messages = Vec::new();
            for (nth, file) in documents("Records", IN_A_FILE).enumerate() {
                let (key, file) = (
                    format!("AWSLogs/1/CloudTrail/{nth}.json.gz"),
                    gzipped(&file),
                );
                let bytes = file.len();
                let version = administrator.put(&bucket, &key, file).await.unwrap();
                let notification = json!({"Records": [{
                    "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                    "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": bytes, "versionId": version}},
                }]});
                messages.push(json!({"messageId": nth.to_string(), "eventSource": "aws:sqs", "body": notification.to_string()}));
            }
            let queues = messages.chunks(AT_A_TIME);
            calls.extend(queues.map(|queue| json!({"Records": queue}).to_string().into_bytes()));
            messages.len()
        }
        "azure" => {
            let messages: Vec<_> = (0..).zip(documents("records", IN_A_MESSAGE)).collect();
            calls.extend(messages.chunks(AT_A_TIME).map(batch));
            messages.len()
        }
        _ => {
            calls.extend((0..events()).map(|nth| push(&nth.to_string(), event(nth).as_bytes())));
            calls.len()
        }
    };
    let function = deployed.start(cloud, "seal");
    fronts.take();
    let began = now_millis();
    let again = match function.platform {
        Platform::CloudRun(port) => at_once(port, &calls),
        _ => {
            for call in &calls {
                let answer = function.call(call).unwrap();
                let failed = &answer["batchItemFailures"];
                assert!(failed.as_array().is_none_or(Vec::is_empty), "{answer}");
            }
            0
        }
    };
    let (took, peak) = (now_millis() - began, function.program.peak_bytes());
    let requests = fronts.take();
    let puts = requests.iter().filter(|(_, line)| {
        line.contains("segments") && (line.starts_with("PUT") || line.starts_with("POST"))
    });
    let puts = puts.count();
    println!(
        "{cloud}: {} events in {} calls ({again} of them again): {puts} PUTs of segments, {} requests in all, {took} ms, {} MiB at the peak",
        events(),
        calls.len(),
        requests.len(),
        peak >> 20,
    );
    // Deliveries that come at the same time share segments.
    let shared = match cloud {
        "aws" => 1,
        "azure" => 2,
        _ => 4,
    };
    assert!(puts > 0 && puts * shared <= deliveries, "{puts}");
    assert!(peak < MAX_PEAK_BYTES, "{peak} bytes");
    deployed.catch_up();
    assert_eq!(deployed.clouds.anchor().await.exit_code(), 0);
    let report = verified(&deployed.clouds).await;
    let chain = &report.chains[0];
    assert_eq!((chain.records, chain.duplicates), (events(), 0));
}

/// Posts all, many at a time over connections that stay; what is refused is
/// posted again. Gives how often that was.
fn at_once(port: u16, calls: &[Vec<u8>]) -> u64 {
    let (next, again) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CALLS {
            scope.spawn(|| {
                let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).unwrap());
                loop {
                    let nth = usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let Some(call) = calls.get(nth) else { return };
                    while !posted(&mut stream, call) {
                        again.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    again.into_inner()
}

/// Posts one over a connection; whether it was acknowledged.
fn posted(stream: &mut BufReader<TcpStream>, body: &[u8]) -> bool {
    let head = format!(
        "POST / HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream
        .get_mut()
        .write_all(&[head.as_bytes(), body].concat())
        .unwrap();
    let (mut status, mut length) = (String::new(), 0);
    stream.read_line(&mut status).unwrap();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        let line = line.trim_end().to_lowercase();
        if let Some(text) = line.strip_prefix("content-length:") {
            length = text.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    std::io::Read::read_exact(stream, &mut vec![0; length]).unwrap();
    status.contains(" 204 ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_into_the_function_of_aws() {
    bursts("aws").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_into_the_function_of_azure() {
    bursts("azure").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_into_the_function_of_google_cloud() {
    bursts("gcp").await;
}
