//! The functions as the host of Azure Functions runs them.

#![allow(clippy::unwrap_used)] // a test may

use std::fs;

use countersign_service::verify::{Report, Verdict};
use countersign_tests::functions::{Answer, Program, free_port, get, post};
use countersign_tests::{Clouds, data};
use data_encoding::BASE64;
use serde_json::{Value, json};

/// What completes an invocation, byte for byte.
const DONE: &[u8] = br#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

fn start(clouds: &Clouds, binary: &str, port: u16) -> Program {
    let dead = format!("file:{}", clouds.path("dead").display());
    fs::create_dir_all(clouds.path("dead")).unwrap();
    let port_text = port.to_string();
    let variables = [
        ("FUNCTIONS_CUSTOMHANDLER_PORT", &*port_text),
        ("COUNTERSIGN_DEAD_LETTERS", &dead),
        ("EVENT_HUB_NAMESPACE", "logs"),
    ];
    Program::start(binary, &clouds.path(""), &variables).listening(port)
}

/// An invocation as the host posts it.
fn invocation(partition: &str, first: u64, bodies: &[&[u8]]) -> Vec<u8> {
    let texts: Vec<String> = bodies.iter().map(|body| BASE64.encode(body)).collect();
    let numbers: Vec<u64> = (first..).take(bodies.len()).collect();
    let body = json!({
        "Data": {"events": json!(texts).to_string()},
        "Metadata": {
            "PartitionContext": {"EventHubName": "activity", "PartitionId": partition},
            "SequenceNumberArray": json!(numbers).to_string(),
            "sys": {"MethodName": "seal"},
        },
    });
    body.to_string().into_bytes()
}

fn invoke(port: u16, body: &[u8]) -> Answer {
    let headers = [
        ("content-type", "application/json"),
        ("x-azure-functions-invocationid", "inv-1"),
    ];
    post(port, "/seal", &headers, body).expect("the function answers")
}

fn of_azure(report: &Report) -> (u64, u64) {
    let chain = report
        .chains
        .iter()
        .find(|chain| chain.origin.ends_with("/azure"));
    let chain = chain.unwrap();
    (chain.records, chain.duplicates)
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_hub_are_sealed_once_however_often_they_come() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let program = start(&clouds, env!("CARGO_BIN_EXE_azure-seal"), port);
    assert_eq!(get(port, "/").unwrap().status, 200);
    let first = br#"{"records":[{"a":1.0},{"b":"\ud83d\ude00"}]}"#;
    let body = invocation("0", 7, &[first, b"plain text"]);
    for _ in 0..2 {
        let answer = invoke(port, &body);
        assert_eq!(
            (answer.status, &*answer.body),
            (200, DONE),
            "{}",
            program.text()
        );
        assert!(answer.headers.contains("content-type: application/json"));
    }
    let records = clouds.logs("azure");
    assert_eq!(records.len(), 3, "{records:?}");
    // Messages of a batch are taken at the same time.
    assert!(records.iter().any(|record| record["raw"] == "plain text"));
    let told = program.lines();
    // One line a batch.
    let took: Vec<_> = told
        .iter()
        .filter(|line| line["message"] == "took deliveries")
        .collect();
    let [sealed, again] = &took[..] else {
        panic!("{told:?}")
    };
    let bytes = first.len() + "plain text".len();
    for (line, records, duplicates) in [(sealed, 3, 0), (again, 0, 2)] {
        assert_eq!(line["invocation"], "inv-1");
        assert_eq!(
            (&line["deliveries"], &line["bytes"]),
            (&json!(2), &json!(bytes))
        );
        assert_eq!(line["records"], records);
        assert_eq!(line["duplicates"], duplicates);
        assert!(line["millis"].is_u64());
    }
    assert!(sealed["end"].as_u64() >= sealed["start"].as_u64().map(|start| start + 3));
    let report = clouds.anchored_and_verified().await;
    assert_eq!(of_azure(&report).1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_message_is_set_aside_and_the_others_are_sealed() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let program = start(&clouds, env!("CARGO_BIN_EXE_azure-seal"), port);
    let broken = b"{\"records\":[{\"a\":1},";
    let answer = invoke(
        port,
        &invocation("0", 1, &[b"{\"x\":1}", broken, b"{\"y\":2}"]),
    );
    assert_eq!(answer.body, DONE, "{}", program.text());
    assert_eq!(clouds.logs("azure").len(), 2);
    let letters: Vec<_> = fs::read_dir(clouds.path("dead/dead-letters"))
        .unwrap()
        .collect();
    let [letter] = &letters[..] else {
        panic!("{letters:?}")
    };
    let letter = fs::read(letter.as_ref().unwrap().path()).unwrap();
    let letter: Value = serde_json::from_slice(&letter).unwrap();
    assert_eq!(letter["from"], "eventhub://logs/activity/0/2");
    let kept = BASE64
        .decode(letter["bytes"].as_str().unwrap().as_bytes())
        .unwrap();
    assert_eq!(kept, broken);
    assert!(
        letter["reason"]
            .as_str()
            .unwrap()
            .contains("broken at byte"),
        "{letter}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_invocation_of_a_hub_fails_and_says_why() {
    let clouds = Clouds::today().await;
    let port = free_port();
    let _program = start(&clouds, env!("CARGO_BIN_EXE_azure-seal"), port);
    let mut text: Value = serde_json::from_slice(&invocation("0", 1, &[b"a"])).unwrap();
    text["Data"]["events"] = json!("[{\"records\":[]}]");
    for (body, says) in [
        (text.to_string(), "dataType"),
        ("no json".to_owned(), "no JSON"),
        (
            json!({"Data": {"timer": {}}, "Metadata": {}}).to_string(),
            "events",
        ),
    ] {
        let answer = invoke(port, body.as_bytes());
        assert_eq!(answer.status, 500);
        let said = String::from_utf8(answer.body).unwrap();
        assert!(said.contains(says), "{said}");
    }
    assert_eq!(clouds.logs("azure"), Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_killed_loses_nothing_and_seals_nothing_twice() {
    let clouds = Clouds::today().await;
    let bodies: Vec<Vec<u8>> = (0..40)
        .map(|n| format!("{{\"records\":[{{\"n\":{n}}}]}}").into_bytes())
        .collect();
    let bodies: Vec<&[u8]> = bodies.iter().map(Vec::as_slice).collect();
    for (round, wait_millis) in [0, 3, 8, 15, 30, 60].into_iter().enumerate() {
        let port = free_port();
        let program = start(&clouds, env!("CARGO_BIN_EXE_azure-seal"), port);
        let body = invocation("0", 0, &bodies);
        let call = std::thread::spawn(move || post(port, "/seal", &[], &body));
        std::thread::sleep(std::time::Duration::from_millis(wait_millis));
        match round {
            5 => assert_eq!(call.join().unwrap().unwrap().body, DONE),
            _ => {
                program.kill();
                let _ = call.join().unwrap();
            }
        }
    }
    assert_eq!(clouds.logs("azure").len(), 40);
    let report = clouds.anchored_and_verified().await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    assert_eq!(of_azure(&report).1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_instances_share_a_chain() {
    let clouds = Clouds::today().await;
    let programs: Vec<_> = (0..8)
        .map(|_| {
            let port = free_port();
            (port, start(&clouds, env!("CARGO_BIN_EXE_azure-seal"), port))
        })
        .collect();
    let calls: Vec<_> = programs
        .iter()
        .enumerate()
        .map(|(nth, (port, _))| {
            let port = *port;
            std::thread::spawn(move || {
                for call in 0..5 {
                    let event = format!("{{\"of\":{nth},\"call\":{call}}}");
                    let body = invocation(&nth.to_string(), call, &[event.as_bytes()]);
                    // A lost race is the host's to repeat.
                    let done = (0..20).any(|_| invoke(port, &body).body == DONE);
                    assert!(done, "call {call} of {nth}");
                }
            })
        })
        .collect();
    for call in calls {
        call.join().unwrap();
    }
    assert_eq!(clouds.logs("azure").len(), 40);
    let report = clouds.anchored_and_verified().await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    assert_eq!(of_azure(&report).1, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn real_messages_are_sealed_as_they_are() {
    let Some(path) = data("azure.ndjson") else {
        return;
    };
    let clouds = Clouds::today().await;
    let port = free_port();
    let program = start(&clouds, env!("CARGO_BIN_EXE_azure-seal"), port);
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let batch = format!("{{\"records\":[{}]}}", lines.join(","));
    let answer = invoke(port, &invocation("1", 0, &[batch.as_bytes()]));
    assert_eq!(answer.body, DONE, "{}", program.text());
    assert_eq!(clouds.logs("azure").len(), lines.len());
    assert_eq!(
        clouds.anchored_and_verified().await.result,
        Verdict::Verified
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_anchor_and_verify_with_the_keys_of_azure_alone() {
    let clouds = Clouds::with_keys_of("azure").await;
    let timer = json!({"Data": {"timer": {"Schedule": {"AdjustForDST": true}, "IsPastDue": false}}, "Metadata": {}});
    let timer = timer.to_string();
    for binary in [
        env!("CARGO_BIN_EXE_azure-anchor"),
        env!("CARGO_BIN_EXE_azure-verify"),
    ] {
        let port = free_port();
        let program = start(&clouds, binary, port);
        let answer = invoke(port, timer.as_bytes());
        assert_eq!(
            (answer.status, &*answer.body),
            (200, DONE),
            "{}",
            program.text()
        );
    }
    // Somebody rewrites aws: the witness of azure must not sign it, and says so.
    let checkpoints = clouds.named("aws", "checkpoints/");
    clouds.replace("aws", &checkpoints[0], b"another\n");
    let port = free_port();
    let program = start(&clouds, env!("CARGO_BIN_EXE_azure-verify"), port);
    let answer = invoke(port, timer.as_bytes());
    assert_eq!(answer.status, 500);
    let said = String::from_utf8(answer.body).unwrap();
    assert!(said.contains("FAILED"), "{said}");
    assert!(program.lines().iter().any(|line| line["level"] == "ERROR"));
}
