//! Payloads that nobody sends by chance: each is sealed, refused so that it comes
//! again or is put aside by the platform, or set aside by the function; it never
//! ends the process, and nothing is acknowledged that is not kept.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use countersign_tests::stand_ins::Local;
use futures_util::stream;
use serde_json::{Value, json};

use super::trail::gzipped;
use super::{Deployed, Function, Platform, batch, invocation, push};

/// `max_input_bytes` of these tests.
const MAX_INPUT_BYTES: usize = 1 << 20;
/// Far deeper than any parser's stack.
const DEPTH: usize = 200_000;

enum Expected {
    /// So many records.
    Sealed(usize),
    /// With these words in the answer or in the log.
    Refused(&'static str),
    /// With these words in the dead letter.
    SetAside(&'static str),
}

use Expected::{Refused, Sealed, SetAside};

struct Case {
    name: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    expected: Expected,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, expected: Expected) -> Case {
    Case {
        name,
        headers: vec![("content-type", "application/json")],
        body: body.into(),
        expected,
    }
}

/// The same with other headers.
fn with(headers: &[(&'static str, &'static str)], case: Case) -> Case {
    Case {
        headers: headers.to_vec(),
        ..case
    }
}

fn deep() -> String {
    "[".repeat(DEPTH) + &"]".repeat(DEPTH)
}

fn deep_object() -> String {
    format!("{{\"a\":{}}}", deep())
}

/// Some KB that are 64 MiB of one line.
fn bomb() -> Vec<u8> {
    gzipped(&vec![b'0'; 64 << 20])
}

/// Each dead letter's reason.
fn letters(deployed: &Deployed) -> Vec<String> {
    let Ok(folder) = fs::read_dir(deployed.clouds.path("dead/dead-letters")) else {
        return Vec::new();
    };
    let reason = |entry: std::io::Result<fs::DirEntry>| {
        let letter = fs::read(entry.unwrap().path()).unwrap();
        let letter: Value = serde_json::from_slice(&letter).unwrap();
        letter["reason"].as_str().unwrap().to_owned()
    };
    folder.map(reason).collect()
}

/// Sends each, one after the other, and looks at what became of it.
fn survives(
    deployed: &Deployed,
    cloud: &'static str,
    function: &mut Function<'_>,
    cases: Vec<Case>,
    good: &[u8],
) {
    let mut wrong = Vec::new();
    let sealed = || deployed.clouds.logs(cloud).len();
    for case in cases {
        let (before, aside) = (sealed(), letters(deployed));
        let told = function.program.text().len();
        let answer = function.send(&case.headers, &case.body);
        let new = sealed() - before;
        let mut reasons = letters(deployed);
        reasons.retain(|reason| !aside.contains(reason));
        let failed = match &answer {
            Ok(answer) => answer["batchItemFailures"]
                .as_array()
                .is_some_and(|failed| !failed.is_empty()),
            Err(_) => true,
        };
        let said = format!("{answer:?}\n{}", &function.program.text()[told..]);
        let holds = match case.expected {
            Sealed(records) => !failed && new == records && reasons.is_empty(),
            Refused(says) => {
                failed && new == 0 && reasons.is_empty() && said.contains(says) && !says.is_empty()
            }
            SetAside(says) => {
                let [reason] = &reasons[..] else {
                    wrong.push(format!("{}: {reasons:?} {said}", case.name));
                    continue;
                };
                !failed && new == 0 && reason.contains(says)
            }
        };
        let short: String = said.chars().take(300).collect();
        println!("{}: {new} sealed, {reasons:?}, {short}", case.name);
        if !holds {
            wrong.push(format!("{}: {new} sealed, {reasons:?}, {said}", case.name));
        }
        assert!(
            function.program.is_alive(),
            "{} ended it: {said}",
            case.name
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let before = sealed();
    function.call(good).unwrap();
    assert_eq!(sealed(), before + 1, "{}", function.program.text());
}

/// Posts a body of that many zeros; the status of the answer, or nothing where the
/// connection was cut before.
fn posted(port: u16, path: &str, mib: usize) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let mut sender = stream.try_clone().unwrap();
    let bytes = mib << 20;
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {bytes}\r\n\r\n"
    );
    std::thread::spawn(move || {
        let piece = vec![b'0'; 1 << 20];
        // It may not want to hear the end of it.
        let _ = sender.write_all(head.as_bytes());
        let _ = (0..mib).try_for_each(|_| sender.write_all(&piece));
    });
    let mut answer = String::new();
    let _ = BufReader::new(&mut stream).read_line(&mut answer);
    answer
}

/// A store of logs that is somebody else's, or holds what nobody should read
/// whole.
async fn logs() -> Local {
    let answer = |uri: axum::http::Uri| async move {
        let path = uri.path().to_owned();
        if path.contains("bomb") {
            return Response::new(Body::from(bomb()));
        }
        if path.contains("endless") {
            let piece = || Ok::<_, std::io::Error>(Bytes::from(vec![b'0'; 1 << 20]));
            return Response::new(Body::from_stream(stream::iter(
                std::iter::repeat_with(piece).take(400),
            )));
        }
        let refusal = match path.starts_with("/storage/") {
            true => {
                r#"{"error":{"code":403,"message":"no access","errors":[{"reason":"forbidden"}]}}"#
            }
            false => "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
        };
        (StatusCode::FORBIDDEN, refusal).into_response()
    };
    Local::serve(|_| Router::new().fallback(any(answer))).await
}

/// A notification of S3 about an object that is said to be small.
fn announced(bucket: &str) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": "AWSLogs/1/CloudTrail/x.json.gz", "size": 9, "versionId": "v"}},
    }]})
}

fn bridged(id: &str, detail: &str) -> String {
    format!("{{\"id\":\"{id}\",\"source\":\"aws.x\",\"detail-type\":\"t\",\"detail\":{detail}}}")
}

/// A queue with one message.
fn queued(body: impl Into<Value>) -> String {
    json!({"Records": [{"messageId": "m", "eventSource": "aws:sqs", "body": body.into()}]})
        .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_payloads_do_not_end_the_function_of_aws() {
    let Some(mut deployed) = Deployed::in_folders().await else {
        return;
    };
    let s3 = logs().await;
    deployed.set("AWS_ENDPOINT_URL_S3", &s3.url);
    deployed.set("COUNTERSIGN_MAX_INPUT_BYTES", &MAX_INPUT_BYTES.to_string());
    let mut function = deployed.start("aws", "seal");
    let no_object = r#"{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}"#;
    let no_body = r#"{"Records":[{"eventSource":"aws:sqs","messageId":"m"}]}"#;
    let no_id = r#"{"Records":[{"eventSource":"aws:sqs","body":"{}"}]}"#;
    let cases = vec![
        case("an empty object", "{}", Refused("no log delivery")),
        case("a list", "[]", Refused("cannot be read")),
        case("null", "null", Refused("cannot be read")),
        case("no object of S3", no_object, Refused("no log delivery")),
        case("no body in the queue", no_body, Refused("no body")),
        case("no id in the queue", no_id, Refused("no messageId")),
        case("a body that is no JSON", queued("\u{0}{"), Refused("JSON")),
        case(
            "a body that is a number",
            queued(5),
            Refused("cannot be read"),
        ),
        case("a deep body", queued(deep()), Refused("notification")),
        case("a deep detail", bridged("d", &deep_object()), Sealed(1)),
        case(
            "a deep detail in the queue",
            queued(bridged("e", &deep_object())),
            Sealed(1),
        ),
        case(
            "a detail that is a list",
            bridged("i", "[{\"a\":1}]"),
            Refused("no object"),
        ),
        case(
            "an event without an id",
            r#"{"source":"aws.x","detail-type":"t","detail":{"a":1}}"#,
            Refused("no id"),
        ),
        case(
            "a detail beyond the cap",
            bridged(
                "l",
                &format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_INPUT_BYTES)),
            ),
            Refused("max_input_bytes"),
        ),
        case(
            "a foreign bucket",
            queued(announced("foreign").to_string()),
            Refused("s3:GetObject"),
        ),
        case(
            "a gzip bomb",
            queued(announced("bomb").to_string()),
            Refused("max_input_bytes"),
        ),
        case(
            "an object without end",
            queued(announced("endless").to_string()),
            Refused("bytes"),
        ),
    ];
    let good = bridged("good", "{\"n\":1}");
    survives(&deployed, "aws", &mut function, cases, good.as_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_payloads_do_not_end_the_function_of_azure() {
    let Some(mut deployed) = Deployed::in_folders().await else {
        return;
    };
    deployed.set("COUNTERSIGN_MAX_INPUT_BYTES", &MAX_INPUT_BYTES.to_string());
    let mut function = deployed.start("azure", "seal");
    let context = json!({"EventHubName": "activity", "PartitionId": "0"});
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut body: Value = serde_json::from_slice(&batch(&[(90, b"{}".to_vec())])).unwrap();
        change(&mut body);
        body.to_string()
    };
    let large = vec![b'x'; MAX_INPUT_BYTES + 1];
    let plain = ("content-type", "text/plain");
    let cases = vec![
        case("an empty object", "{}", Refused("cannot be read")),
        case("a list", "[]", Refused("invocation")),
        case("no JSON", "\u{0}{", Refused("JSON")),
        case("a deep body", deep(), Refused("invocation")),
        case(
            "no base64",
            changed(&|body| body["Data"]["events"] = json!("[\"%%%\"]")),
            Refused("base64"),
        ),
        case(
            "data of another type",
            changed(&|body| body["Data"]["events"] = json!({"a": 1})),
            Refused("base64"),
        ),
        case(
            "no sequence numbers",
            changed(&|body| body["Metadata"] = json!({"PartitionContext": context})),
            Refused("sequence"),
        ),
        case(
            "fewer numbers than messages",
            invocation(&context, &[1], &[b"{}", b"{}"]),
            Refused("sequence"),
        ),
        case(
            "no metadata",
            changed(&|body| body["Metadata"] = json!({})),
            Refused("metadata"),
        ),
        with(
            &[plain],
            case(
                "another content type",
                batch(&[(10, b"{\"a\":1}".to_vec())]),
                Sealed(1),
            ),
        ),
        case(
            "a deep message",
            batch(&[(11, deep().into_bytes())]),
            Sealed(1),
        ),
        case(
            "an empty message",
            batch(&[(12, Vec::new())]),
            SetAside("empty"),
        ),
        case(
            "a gzip bomb",
            batch(&[(13, bomb())]),
            SetAside("max_input_bytes"),
        ),
        case(
            "a message beyond the cap",
            batch(&[(14, large)]),
            SetAside("max_input_bytes"),
        ),
        case(
            "a gzip stream that is none",
            batch(&[(15, b"\x1f\x8bnone".to_vec())]),
            SetAside("gzip"),
        ),
        case(
            "a document that breaks off",
            batch(&[(16, b"{\"records\":[{\"a\":1},".to_vec())]),
            SetAside("broken at byte"),
        ),
    ];
    survives(
        &deployed,
        "azure",
        &mut function,
        cases,
        &batch(&[(99, b"{\"n\":1}".to_vec())]),
    );
    let Platform::Functions(port) = function.platform else {
        panic!("another platform")
    };
    let status = posted(port, "/seal", 257);
    assert!(status.is_empty() || status.contains(" 413 "), "{status}");
    assert!(function.program.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_payloads_do_not_end_the_function_of_google_cloud() {
    let Some(mut deployed) = Deployed::in_folders().await else {
        return;
    };
    let gcs = logs().await;
    deployed.set("STORAGE_EMULATOR_HOST", &gcs.url);
    deployed.set("COUNTERSIGN_MAX_INPUT_BYTES", &MAX_INPUT_BYTES.to_string());
    let mut function = deployed.start("gcp", "seal");
    let message = |message: Value| json!({"subscription": "s", "message": message}).to_string();
    let json = ("content-type", "application/json");
    let of_type = |kind| [json, ("ce-id", "1"), ("ce-type", kind)];
    let finalized = "google.cloud.storage.object.v1.finalized";
    let object = json!({"bucket": "foreign", "name": "x.json", "generation": "1", "size": "9"});
    let large = vec![b'x'; MAX_INPUT_BYTES + 1];
    let cases = vec![
        case("nothing", "", Refused("push")),
        case("a list", "[]", Refused("push")),
        case("no JSON", "\u{0}{", Refused("JSON")),
        case("a deep body", deep(), Refused("push")),
        case("no message", r#"{"subscription":"s"}"#, Refused("message")),
        case(
            "no subscription",
            r#"{"message":{"messageId":"1","data":"e30="}}"#,
            Refused("cannot be read"),
        ),
        case(
            "no id",
            message(json!({"data": "e30="})),
            Refused("messageId"),
        ),
        case(
            "no base64",
            message(json!({"messageId": "1", "data": "%%%"})),
            Refused("base64"),
        ),
        case(
            "no data",
            message(json!({"messageId": "1"})),
            Refused("empty"),
        ),
        case(
            "a gzip bomb",
            push("b", &bomb()),
            Refused("max_input_bytes"),
        ),
        case(
            "a message beyond the cap",
            push("l", &large),
            Refused("max_input_bytes"),
        ),
        case("a deep message", push("d", deep().as_bytes()), Sealed(1)),
        with(
            &[("content-type", "text/plain")],
            case("another content type", push("t", b"{\"a\":1}"), Sealed(1)),
        ),
        with(
            &of_type("google.cloud.storage.object.v1.deleted"),
            case("another event", object.to_string(), Refused("its type is")),
        ),
        with(
            &of_type(finalized),
            case("no object", "{}", Refused("cannot be read")),
        ),
        with(
            &of_type(finalized),
            case(
                "a foreign bucket",
                object.to_string(),
                Refused("storage.objects.get"),
            ),
        ),
    ];
    survives(
        &deployed,
        "gcp",
        &mut function,
        cases,
        &push("good", b"{\"n\":1}"),
    );
    let Platform::CloudRun(port) = function.platform else {
        panic!("another platform")
    };
    let status = posted(port, "/", 33);
    assert!(status.is_empty() || status.contains(" 413 "), "{status}");
    assert!(function.program.is_alive());
}
