use std::fs;
use std::path::{Path, PathBuf};

use countersign_core::delivery::Identity;
use serde_json::{Value, json};

use super::aws::{Event, Passing};
use super::azure::Hub;
use super::*;

fn passing() -> Passing {
    Passing {
        own_buckets: vec!["sealed".to_owned()],
    }
}

/// A notification of S3 about one object.
fn s3(bucket: &str, key: &str, size: u64) -> Value {
    json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key, "size": size, "versionId": "v1"}},
    }]})
}

fn whole(event: &Value) -> Result<Brought, Refusal> {
    match aws::decode(event.to_string().as_bytes(), &passing())? {
        Event::Whole(brought) => Ok(brought),
        Event::Queue(messages) => panic!("a queue of {}", messages.len()),
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, Refusal>, says: &str) {
    let error = result.expect_err(says).to_string();
    assert!(error.contains(says), "{error}");
}

#[test]
fn a_created_object_is_a_delivery_of_its_version() {
    let brought = whole(&s3("trail", "a+b%3D%C3%A9.json.gz", 7)).unwrap();
    let [delivery] = &brought.deliveries[..] else {
        panic!("{brought:?}")
    };
    let identity = Identity::S3 {
        bucket: "trail",
        key: "a b=é.json.gz",
        version_id: "v1",
    };
    assert_eq!(delivery.id, Some(identity.id()));
    assert_eq!(delivery.from, "s3://trail/a b=é.json.gz?versionId=v1");
    let Content::Object(object) = &delivery.content else {
        panic!("{delivery:?}")
    };
    assert_eq!(object.key, "a b=é.json.gz");
    assert_eq!(object.version.as_deref(), Some("v1"));
    assert_eq!(object.bytes, Some(7));
}

#[test]
fn the_same_object_is_the_same_delivery_however_it_is_announced() {
    let notification = s3("trail", "k.json.gz", 7);
    let sns = json!({"Type": "Notification", "Message": notification.to_string()});
    let bridge = json!({"id": "e", "source": "aws.s3", "detail-type": "Object Created", "detail": {
        "event-version": "1.1", "bucket": {"name": "trail"},
        "object": {"key": "k.json.gz", "size": 7, "version-id": "v1"},
    }});
    let direct = whole(&notification).unwrap();
    assert_eq!(whole(&bridge).unwrap(), direct);
    let in_lambda = json!({"Records": [{"EventSource": "aws:sns", "Sns": sns}]});
    assert_eq!(whole(&in_lambda).unwrap(), direct);
    let queue = json!({"Records": [
        {"messageId": "1", "eventSource": "aws:sqs", "body": notification.to_string()},
        {"messageId": "2", "eventSource": "aws:sqs", "body": sns.to_string()},
        {"messageId": "3", "eventSource": "aws:sqs", "body": bridge.to_string()},
    ]});
    let Event::Queue(messages) = aws::decode(queue.to_string().as_bytes(), &passing()).unwrap()
    else {
        panic!("no queue")
    };
    let ids: Vec<_> = messages.iter().map(|message| &*message.id).collect();
    assert_eq!(ids, ["1", "2", "3"]);
    for message in messages {
        assert_eq!(message.brought, Ok(direct.clone()));
    }
}

#[test]
fn what_is_no_log_is_passed_over_by_name() {
    for (event, why) in [
        (s3("sealed", "segments/0", 9), "our own"),
        (
            s3("trail", "AWSLogs/1/CloudTrail-Digest/x.json.gz", 9),
            "digest",
        ),
        (s3("trail", "AWSLogs/", 0), "folder"),
        (
            json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "trail"}),
            "test event",
        ),
    ] {
        let brought = whole(&event).unwrap();
        assert_eq!(brought.deliveries, []);
        assert!(
            brought.passed_over[0].contains(why),
            "{:?}",
            brought.passed_over
        );
    }
}

#[test]
fn a_detail_of_eventbridge_keeps_its_bytes() {
    let event = br#"{"id":"e-1","source":"aws.iam","detail-type":"AWS API Call via CloudTrail",
        "detail": {"n": 1.0, "big":12345678901234567890123, "a":"\ud800" } }"#;
    let Ok(Event::Whole(brought)) = aws::decode(event, &passing()) else {
        panic!("it is one")
    };
    let [delivery] = &brought.deliveries[..] else {
        panic!("{brought:?}")
    };
    let detail = br#"{"n": 1.0, "big":12345678901234567890123, "a":"\ud800" }"#;
    assert_eq!(delivery.content, Content::Bytes(detail.to_vec()));
    let identity = Identity::EventBridge { event_id: "e-1" };
    assert_eq!(delivery.id, Some(identity.id()));
}

#[test]
fn what_lambda_is_not_for_is_refused_with_a_reason() {
    let removed = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectRemoved:Delete",
        "s3": {"bucket": {"name": "b"}, "object": {"key": "k"}},
    }]});
    refused(whole(&removed), "ObjectRemoved:Delete");
    let mut newer = s3("b", "k", 1);
    newer["Records"][0]["eventVersion"] = "3.0".into();
    refused(whole(&newer), "version `3.0`");
    refused(whole(&json!({"Records": []})), "neither Records");
    refused(
        whole(&json!({"awslogs": {"data": "H4sI"}})),
        "no log delivery",
    );
    let schedule =
        json!({"id": "e", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}});
    refused(whole(&schedule), "schedule");
    let empty = json!({"id": "e", "source": "x", "detail-type": "y", "detail": { }});
    refused(whole(&empty), "empty");
    let nested = json!({"Type": "Notification", "Message":
        json!({"Type": "Notification", "Message": s3("b", "k", 1).to_string()}).to_string()});
    refused(whole(&nested), "within another");
    refused(aws::decode(b"{\"Records\": [", &passing()), "breaks off");
    refused(aws::decode(b"no", &passing()), "no JSON");
}

#[test]
fn one_bad_message_does_not_take_the_others_with_it() {
    let queue = json!({"Records": [
        {"messageId": "good", "eventSource": "aws:sqs", "body": s3("trail", "k", 1).to_string()},
        {"messageId": "bad", "eventSource": "aws:sqs", "body": "{{{ secret"},
        {"messageId": "none", "eventSource": "aws:sqs"},
    ]});
    let Event::Queue(messages) = aws::decode(queue.to_string().as_bytes(), &passing()).unwrap()
    else {
        panic!("no queue")
    };
    let well: Vec<_> = messages.iter().map(|one| one.brought.is_ok()).collect();
    assert_eq!(well, [true, false, false]);
    let error = messages[1].brought.as_ref().unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
    // Without an id its failure could not be told.
    let nameless = json!({"Records": [{"eventSource": "aws:sqs", "body": "x"}]});
    refused(
        aws::decode(nameless.to_string().as_bytes(), &passing()),
        "messageId",
    );
}

/// An invocation as the host sends it: what is no object is JSON text in a string.
fn invocation(bodies: &[&[u8]], first: u64) -> Value {
    let texts: Vec<_> = bodies
        .iter()
        .map(|body| data_encoding::BASE64.encode(body))
        .collect();
    let numbers: Vec<_> = (first..).take(bodies.len()).collect();
    json!({
        "Data": {"events": json!(texts).to_string()},
        "Metadata": {
            "PartitionContext": {"FullyQualifiedNamespace": "Logs.servicebus.windows.net",
                "EventHubName": "activity", "ConsumerGroup": "$Default", "PartitionId": "3"},
            "SequenceNumberArray": json!(numbers).to_string(),
            "sys": {"MethodName": "seal"},
        },
    })
}

fn hub(event: &Value) -> Result<Vec<azure::Message>, Refusal> {
    azure::decode(event.to_string().as_bytes(), "events", &Hub::default())
}

#[test]
fn messages_of_a_hub_are_told_apart_by_their_place() {
    let messages = hub(&invocation(&[b"{\"records\":[]}", b"\xff\x00"], 41)).unwrap();
    let [first, second] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!((&*first.partition, first.sequence), ("3", 41));
    assert_eq!(second.sequence, 42);
    assert_eq!(second.delivery.from, "eventhub://logs/activity/3/42");
    assert_eq!(
        second.delivery.content,
        Content::Bytes(b"\xff\x00".to_vec())
    );
    let identity = Identity::EventHub {
        namespace: "logs",
        hub: "activity",
        partition: "3",
        sequence: 42,
    };
    assert_eq!(second.delivery.id, Some(identity.id()));
}

#[test]
fn the_host_may_write_an_invocation_in_several_ways() {
    let expected = hub(&invocation(&[b"abc"], 5)).unwrap();
    let base64 = data_encoding::BASE64.encode(b"abc");
    let mut plain = invocation(&[b"abc"], 5);
    plain["Data"]["events"] = json!([base64]);
    plain["Metadata"]["SequenceNumberArray"] = json!([5]);
    let context = plain["Metadata"]["PartitionContext"].to_string();
    plain["Metadata"]["PartitionContext"] = json!(context);
    assert_eq!(hub(&plain).unwrap(), expected);
    for single in [json!(base64), json!(json!(base64).to_string())] {
        let mut one = invocation(&[b"abc"], 5);
        one["Data"]["events"] = single;
        let metadata = one["Metadata"].as_object_mut().unwrap();
        metadata.remove("SequenceNumberArray");
        metadata.insert("sequenceNumber".to_owned(), json!("5"));
        assert_eq!(hub(&one).unwrap(), expected);
    }
    // An older extension: no namespace, and another name for the hub.
    let mut old = invocation(&[b"abc"], 5);
    old["Metadata"]["PartitionContext"] = json!({"EventHubPath": "activity", "PartitionId": "3"});
    refused(hub(&old), "namespace");
    let configured = Hub {
        namespace: Some("logs".to_owned()),
    };
    let found = azure::decode(old.to_string().as_bytes(), "events", &configured);
    assert_eq!(found.unwrap(), expected);
}

#[test]
fn an_invocation_that_does_not_say_which_messages_it_brings_is_refused() {
    let mut short = invocation(&[b"a", b"b"], 5);
    short["Metadata"]["SequenceNumberArray"] = json!("[5]");
    refused(hub(&short), "2 messages and 1 sequence numbers");
    let mut none = invocation(&[b"a"], 5);
    none["Metadata"] = json!({});
    refused(hub(&none), "namespace");
    let mut text = invocation(&[b"a"], 5);
    text["Data"]["events"] = json!("[{\"records\":[]}]");
    refused(hub(&text), "dataType");
    refused(
        azure::decode(
            invocation(&[b"a"], 5).to_string().as_bytes(),
            "other",
            &Hub::default(),
        ),
        "`other`",
    );
    let timer = json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}});
    refused(hub(&timer), "`events`");
}

fn push(body: &Value, event_type: Option<&str>) -> Result<Brought, Refusal> {
    gcp::decode(
        body.to_string().as_bytes(),
        event_type,
        &["sealed".to_owned()],
    )
}

#[test]
fn a_push_is_the_same_delivery_with_or_without_eventarc() {
    let body = json!({"subscription": "projects/p/subscriptions/s", "message": {
        "data": "AQIDBA==", "messageId": "7", "message_id": "7", "publishTime": "t", "publish_time": "t",
    }});
    let plain = push(&body, None).unwrap();
    let eventarc = "google.cloud.pubsub.topic.v1.messagePublished";
    assert_eq!(push(&body, Some(eventarc)).unwrap(), plain);
    let structured = json!({"specversion": "1.0", "type": eventarc, "data": body});
    assert_eq!(push(&structured, None).unwrap(), plain);
    let [delivery] = &plain.deliveries[..] else {
        panic!("{plain:?}")
    };
    assert_eq!(delivery.content, Content::Bytes(vec![1, 2, 3, 4]));
    let identity = Identity::PubSub {
        subscription: "projects/p/subscriptions/s",
        message_id: "7",
    };
    assert_eq!(delivery.id, Some(identity.id()));
}

#[test]
fn finalized_objects_are_read_at_their_generation() {
    let object = json!({"bucket": "sink", "name": "a/b c.json", "generation": "15", "size": "9"});
    let finalized = "google.cloud.storage.object.v1.finalized";
    let brought = push(&object, Some(finalized)).unwrap();
    let [delivery] = &brought.deliveries[..] else {
        panic!("{brought:?}")
    };
    assert_eq!(delivery.id, None);
    assert_eq!(delivery.from, "gs://sink/a/b c.json#15");
    let Content::Object(stored) = &delivery.content else {
        panic!("{delivery:?}")
    };
    assert_eq!(stored.version.as_deref(), Some("15"));
    let notification = json!({"subscription": "s", "message": {"messageId": "1", "data": "", "attributes": {
        "eventType": "OBJECT_FINALIZE", "bucketId": "sink", "objectId": "a/b c.json", "objectGeneration": "15",
    }}});
    let notified = push(&notification, None).unwrap();
    assert_eq!(notified.deliveries[0].from, delivery.from);
    let own = json!({"bucket": "sealed", "name": "segments/0", "generation": "1"});
    let brought = push(&own, Some(finalized)).unwrap();
    assert_eq!(brought.deliveries, []);
    assert!(brought.passed_over[0].contains("our own"));
}

#[test]
fn what_a_push_should_not_bring_is_refused_with_a_reason() {
    let body =
        json!({"subscription": "s", "message": {"messageId": "1", "data": "not base64, secret"}});
    refused(push(&body, None), "no base64");
    let error = push(&body, None).unwrap_err().to_string();
    assert!(!error.contains("secret"), "{error}");
    let empty = json!({"subscription": "s", "message": {"messageId": "1"}});
    refused(push(&empty, None), "empty");
    let nameless = json!({"subscription": "s", "message": {"data": "AQ=="}});
    refused(push(&nameless, None), "no messageId");
    refused(
        push(&json!({}), Some("google.cloud.firestore.v1")),
        "google.cloud.firestore",
    );
    refused(
        push(&json!({"customData": "eA=="}), None),
        "has not the members",
    );
}

fn envelopes() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/envelopes");
    let found = folder.is_dir();
    if !found {
        eprintln!(
            "skipped: there are no real envelopes in {}",
            folder.display()
        );
    }
    found.then_some(folder)
}

/// How many deliveries a real payload brings, or what its refusal says.
enum Outcome {
    Brings(usize),
    PassesOver(usize),
    Refused(&'static str),
}

use Outcome::{Brings, PassesOver, Refused};

fn check(name: &str, result: Result<Brought, Refusal>, expected: &Outcome) {
    match (expected, result) {
        (Brings(count), Ok(brought)) => assert_eq!(brought.deliveries.len(), *count, "{name}"),
        (PassesOver(count), Ok(brought)) => {
            assert_eq!(brought.passed_over.len(), *count, "{name}");
            assert_eq!(brought.deliveries, [], "{name}");
        }
        (Refused(says), Err(error)) => {
            assert!(error.to_string().contains(says), "{name}: {error}");
        }
        (_, other) => panic!("{name}: {other:?}"),
    }
}

#[test]
fn real_payloads_of_aws_are_taken_or_refused() {
    let Some(folder) = envelopes() else { return };
    let trail = |name| format!("cloudtrail-rs/{name}");
    let lambda = |name| format!("aws-lambda-events/example-{name}");
    let expected = [
        (trail("eventbridge-object-created.json"), Brings(1)),
        (trail("eventbridge-object-created-plus-key.json"), Brings(1)),
        (
            trail("eventbridge-object-created-unsupported-version.json"),
            Refused("version `2.0`"),
        ),
        (
            trail("eventbridge-object-annotation-created.json"),
            Refused("Object Annotation Created"),
        ),
        (
            trail("eventbridge-object-deleted.json"),
            Refused("Object Deleted"),
        ),
        (
            trail("eventbridge-object-restore-completed.json"),
            Refused("Object Restore Completed"),
        ),
        (trail("s3-event-object-created.json"), Brings(1)),
        (trail("s3-event-urlencoded-key.json"), Brings(1)),
        (trail("s3-test-event.json"), PassesOver(1)),
        (trail("sns-s3-event.json"), Brings(1)),
        (trail("sns-s3-test-event.json"), PassesOver(1)),
        (lambda("s3-event.json"), Brings(1)),
        (lambda("s3-event-with-decoded.json"), Brings(1)),
        (lambda("eventbridge-event-obj.json"), Brings(1)),
        (lambda("eventbridge-schedule.json"), Refused("schedule")),
        (
            lambda("sns-event.json"),
            Refused("the message of SNS cannot be read"),
        ),
        (
            lambda("cloudwatch_logs-event.json"),
            Refused("no log delivery"),
        ),
        (lambda("kinesis-event.json"), Refused("aws:kinesis")),
        (
            lambda("kinesis-firehose-event.json"),
            Refused("no log delivery"),
        ),
        (lambda("ses-s3-event.json"), Refused("aws:ses")),
        (
            lambda("cloudwatch-alarm-metric.json"),
            Refused("no log delivery"),
        ),
        (
            lambda("s3-object-lambda-event-get-object-iam.json"),
            Refused("no log delivery"),
        ),
        (
            lambda("cloudwatch-cloudtrail-assumed-role.json"),
            Refused("no log delivery"),
        ),
    ];
    for (name, expected) in &expected {
        let event = fs::read(folder.join(name)).expect(name);
        let result = aws::decode(&event, &Passing::default()).map(|event| match event {
            Event::Whole(brought) => brought,
            Event::Queue(_) => panic!("{name} is no queue"),
        });
        check(name, result, expected);
    }
    for (name, expected) in [
        ("cloudtrail-rs/sqs-s3-event.json", &[true][..]),
        ("cloudtrail-rs/sqs-sns-event.json", &[true]),
        (
            "cloudtrail-rs/sqs-batch-partial-garbage.json",
            &[true, false, true],
        ),
        ("aws-lambda-events/example-sqs-event.json", &[false]),
    ] {
        let event = fs::read(folder.join(name)).expect(name);
        let Ok(Event::Queue(messages)) = aws::decode(&event, &Passing::default()) else {
            panic!("{name} is a queue")
        };
        let well: Vec<_> = messages.iter().map(|one| one.brought.is_ok()).collect();
        assert_eq!(well, expected, "{name}");
    }
}

#[test]
fn real_payloads_of_google_cloud_are_taken_or_refused() {
    let Some(folder) = envelopes() else { return };
    let conformance = |name| format!("google/conformance/{name}-input.json");
    let data = |name| format!("google/google-cloudevents-testdata/google/events/cloud/{name}.json");
    let published = Some("google.cloud.pubsub.topic.v1.messagePublished");
    let finalized = Some("google.cloud.storage.object.v1.finalized");
    let audit = Some("com.google.cloud.auditlog.event");
    let expected = [
        (conformance("pubsub_binary-cloudevent"), None, Brings(1)),
        (conformance("pubsub_text-cloudevent"), None, Brings(1)),
        (conformance("legacy_pubsub-cloudevent"), None, Brings(1)),
        (conformance("storage-cloudevent"), None, Brings(1)),
        (
            conformance("pubsub_binary-legacy"),
            None,
            Refused("has not the members"),
        ),
        (
            conformance("storage-legacy"),
            None,
            Refused("has not the members"),
        ),
        (
            data("pubsub/v1/MessagePublishedData-binary"),
            None,
            Brings(1),
        ),
        (
            data("pubsub/v1/MessagePublishedData-binary"),
            published,
            Brings(1),
        ),
        (data("pubsub/v1/MessagePublishedData-text"), None, Brings(1)),
        (
            data("pubsub/v1/MessagePublishedData-duplicatedFields"),
            published,
            Brings(1),
        ),
        (
            data("storage/v1/StorageObjectData-simple"),
            finalized,
            Brings(1),
        ),
        (
            data("storage/v1/StorageObjectData-complex"),
            finalized,
            Brings(1),
        ),
        (
            data("audit/v1/LogEntryData-pubsubCreateTopic"),
            audit,
            Brings(1),
        ),
        (
            data("audit/v1/LogEntryData-bigqueryjobcompleted"),
            audit,
            Brings(1),
        ),
        (
            data("audit/v1/LogEntryData-monitoringCreateTimeSeries"),
            audit,
            Brings(1),
        ),
        (
            data("scheduler/v1/SchedulerJobData-simple"),
            None,
            Refused("has not the members"),
        ),
        (
            data("cloudbuild/v1/BuildEventData-simple"),
            Some("google.cloud.cloudbuild.build.v1.statusChanged"),
            Refused("its type is"),
        ),
    ];
    for (name, event_type, expected) in &expected {
        let body = fs::read(folder.join(name)).expect(name);
        check(name, gcp::decode(&body, *event_type, &[]), expected);
    }
}

#[test]
fn the_real_metadata_of_a_hub_name_its_message() {
    let Some(folder) = envelopes() else { return };
    let text = fs::read(folder.join("azure-functions/eventhub_trigger_metadata.json")).unwrap();
    let metadata: Value = serde_json::from_slice(&text).unwrap();
    let body = json!({"Data": {"events": "\"eyJyZWNvcmRzIjpbXX0=\""}, "Metadata": metadata});
    refused(hub(&body), "namespace");
    let configured = Hub {
        namespace: Some("ns".to_owned()),
    };
    let messages = azure::decode(body.to_string().as_bytes(), "events", &configured).unwrap();
    let [message] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert_eq!(
        message.delivery.from,
        "eventhub://ns/python-worker-ci-eventhub-one-metadata/0/47"
    );
    for other in [
        "timer_payload.json",
        "docs_queue_request.json",
        "docs_http_order_request.json",
    ] {
        let body = fs::read(folder.join("azure-functions").join(other)).unwrap();
        assert!(
            azure::decode(&body, "events", &configured).is_err(),
            "{other}"
        );
    }
}
