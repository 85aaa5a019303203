//! The functions of the three clouds, called as their platforms call them, over
//! the clouds' stores and a mail server. Each test skips, saying so, where the
//! servers that stand in are not up.

mod alarm;
mod begin;
mod burst;
mod chain;
mod hostile;
mod outage;
mod trail;

use std::fs;

use countersign_core::segment;
use countersign_service::clock::{Clock as _, SystemClock};
use countersign_store::ObjectPages;
use countersign_store::emulators::Emulators;
use countersign_tests::Clouds;
use countersign_tests::functions::{Program, built, free_port, post};
use countersign_tests::lambda::Lambda;
use countersign_tests::mails::Mails;
use data_encoding::BASE64;
use serde_json::{Value, json};

/// What completes an invocation of Azure's.
const DONE: &[u8] = br#"{"Outputs":{},"Logs":[],"ReturnValue":null}"#;

/// Chains, and what the programs of their functions have in the environment.
struct Deployed {
    clouds: Clouds,
    lambda: Lambda,
    variables: Vec<(&'static str, String)>,
}

impl Deployed {
    /// Chains in folders.
    async fn in_folders() -> Option<Self> {
        Self::of(Clouds::today().await, Vec::new())
    }

    /// Chains with these settings, their stores and keys on the stand-ins.
    async fn over(emulators: &Emulators, settings: &str) -> Option<Self> {
        let clouds = Clouds::over(emulators, settings).await;
        Self::of(clouds, emulators.variables())
    }

    fn of(clouds: Clouds, variables: Vec<(&'static str, String)>) -> Option<Self> {
        let mails = Mails::found()?;
        let lambda = Lambda::start(&clouds.path(""))?;
        let dead = clouds.path("dead");
        fs::create_dir_all(&dead).unwrap();
        let mut all = vec![
            ("AWS_ACCESS_KEY_ID", "none".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "none".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            // Google's library would look for a metadata server.
            ("STORAGE_EMULATOR_HOST", "127.0.0.1:1".to_owned()),
            ("EVENT_HUB_NAMESPACE", "logs".to_owned()),
            (
                "COUNTERSIGN_DEAD_LETTERS",
                format!("file:{}", dead.display()),
            ),
            ("SSL_CERT_FILE", mails.authority),
        ];
        all.extend(variables);
        Some(Self {
            clouds,
            lambda,
            variables: all,
        })
    }

    /// Sets a variable of the programs that are started from now on.
    fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    /// Adds to the settings.
    fn add_settings(&self, more: &str) {
        let path = self.clouds.path("countersign.toml");
        let text = fs::read_to_string(&path).unwrap() + more;
        fs::write(path, text).unwrap();
    }

    /// Starts a function: `seal`, `anchor` or `verify`.
    fn start(&self, cloud: &'static str, job: &'static str) -> Function<'_> {
        let name = format!("{cloud}-{job}");
        let mut variables = self.variables.clone();
        let (platform, port) = match cloud {
            "aws" => {
                variables.extend(self.lambda.variables(&name));
                (Platform::Lambda(&self.lambda), None)
            }
            "azure" => {
                let port = free_port();
                variables.push(("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()));
                (Platform::Functions(port), Some(port))
            }
            _ => {
                let port = free_port();
                variables.push(("PORT", port.to_string()));
                (Platform::CloudRun(port), Some(port))
            }
        };
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, &**value))
            .collect();
        let mut program = Program::start(&built(&name), &self.clouds.path(""), &variables);
        if let Some(port) = port {
            program = program.listening(port);
        }
        Function {
            name,
            job,
            platform,
            program,
        }
    }

    /// Runs a scheduled function once, from its start to its end.
    fn scheduled(&self, cloud: &'static str, job: &'static str) -> Result<(), String> {
        let function = self.start(cloud, job);
        let ended = function.on_schedule();
        match &ended {
            Ok(()) => println!("{cloud}-{job}: done"),
            Err(error) => println!("{cloud}-{job}: {error}\n{}", function.program.text()),
        }
        ended
    }

    /// The records of a chain as they stand in its store, but for those of anchors.
    async fn logs(&self, chain: &str) -> Vec<Value> {
        let deployment = self.clouds.deployment().await;
        let chain = deployment.chains_named(chain).unwrap()[0];
        let objects = ObjectPages::new(&*chain.sealed, "segments/").collect();
        let mut found = Vec::new();
        for object in objects.await.unwrap() {
            let bytes = chain.sealed.get(&object.key, object.bytes).await.unwrap();
            let content = segment::decompress(&bytes, 1 << 26).unwrap();
            let lines = content.split(|byte| *byte == b'\n').skip(1);
            let lines = lines.filter(|line| !line.is_empty());
            found.extend(lines.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        }
        found.retain(|record| record["source"] != "countersign.anchor");
        found
    }

    /// Sets the clock of the jobs in this process to the machine's, by which the
    /// programs go.
    fn catch_up(&self) {
        let behind = SystemClock.unix_millis() - self.clouds.clock.unix_millis();
        self.clouds.clock.advance(i64::try_from(behind).unwrap());
    }
}

/// A function that runs, and how it is called.
struct Function<'a> {
    name: String,
    job: &'static str,
    platform: Platform<'a>,
    program: Program,
}

enum Platform<'a> {
    Lambda(&'a Lambda),
    /// The port of the custom handler.
    Functions(u16),
    /// The port of the service.
    CloudRun(u16),
}

impl Function<'_> {
    /// Calls it: what it answered, or what it said as it failed.
    fn call(&self, body: &[u8]) -> Result<Value, String> {
        let json = ("content-type", "application/json");
        self.send(&[json, ("x-azure-functions-invocationid", "inv-1")], body)
    }

    /// Calls it with these headers, of which Lambda knows none.
    fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> Result<Value, String> {
        let (answer, completes) = match self.platform {
            Platform::Lambda(lambda) => return lambda.invoke(&self.name, body),
            Platform::Functions(port) => {
                let path = format!("/{}", self.job);
                (post(port, &path, headers, body), (200, DONE))
            }
            Platform::CloudRun(port) => (post(port, "/", headers, body), (204, &b""[..])),
        };
        let answer = answer.ok_or("no answer")?;
        let done = (answer.status, &*answer.body) == completes;
        let said = String::from_utf8_lossy(&answer.body).into_owned();
        done.then_some(Value::Null).ok_or(said)
    }

    /// Calls it as its cloud's schedule does.
    fn on_schedule(&self) -> Result<(), String> {
        let event = match self.platform {
            Platform::Lambda(_) => json!({"source": "aws.scheduler"}).to_string(),
            Platform::Functions(_) => {
                json!({"Data": {"timer": {"IsPastDue": false}}, "Metadata": {}}).to_string()
            }
            Platform::CloudRun(_) => String::new(),
        };
        self.call(event.as_bytes()).map(drop)
    }

    /// Hands logs over in one call: pairs of a number that names the delivery and
    /// its bytes. What comes back are the numbers that are to come again.
    fn deliver(&self, deliveries: &[(u64, Vec<u8>)]) -> Vec<u64> {
        let all = || deliveries.iter().map(|(number, _)| *number).collect();
        match self.platform {
            Platform::Lambda(_) => {
                let Ok(answer) = self.call(&queue(deliveries)) else {
                    return all();
                };
                let failed = answer["batchItemFailures"].as_array().unwrap();
                let number = |one: &Value| one["itemIdentifier"].as_str().unwrap().parse();
                failed.iter().map(|one| number(one).unwrap()).collect()
            }
            Platform::Functions(_) => match self.call(&batch(deliveries)) {
                Ok(_) => Vec::new(),
                Err(_) => all(),
            },
            // One message a call, several calls at a time.
            Platform::CloudRun(_) => std::thread::scope(|scope| {
                let push = |(number, bytes): &(u64, Vec<u8>)| {
                    self.call(&push(&number.to_string(), bytes))
                        .is_err()
                        .then_some(*number)
                };
                let calls: Vec<_> = deliveries
                    .iter()
                    .map(|one| scope.spawn(move || push(one)))
                    .collect();
                let ended = calls.into_iter().filter_map(|call| call.join().unwrap());
                ended.collect()
            }),
        }
    }
}

/// Messages of a queue, each an event of EventBridge around one record.
fn queue(deliveries: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let message = |(number, record): &(u64, Vec<u8>)| {
        // The spelling of the record is kept.
        let event = format!(
            "{{\"id\":\"e-{number}\",\"source\":\"aws.x\",\"detail-type\":\"t\",\"detail\":{}}}",
            std::str::from_utf8(record).unwrap()
        );
        json!({"messageId": number.to_string(), "eventSource": "aws:sqs", "body": event})
    };
    let records: Vec<_> = deliveries.iter().map(message).collect();
    json!({ "Records": records }).to_string().into_bytes()
}

/// Messages of a partition of an Event Hub; the numbers are in sequence.
fn batch(deliveries: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let context = json!({"EventHubName": "activity", "PartitionId": "0"});
    let numbers: Vec<_> = deliveries.iter().map(|(number, _)| *number).collect();
    let bodies: Vec<_> = deliveries.iter().map(|(_, bytes)| &**bytes).collect();
    invocation(&context, &numbers, &bodies)
}

/// An invocation by an Event Hub trigger, as the host posts it.
fn invocation(context: &Value, numbers: &[u64], bodies: &[&[u8]]) -> Vec<u8> {
    let texts: Vec<String> = bodies.iter().map(|body| BASE64.encode(body)).collect();
    let body = json!({
        "Data": {"events": json!(texts).to_string()},
        "Metadata": {
            "PartitionContext": context,
            "SequenceNumberArray": json!(numbers).to_string(),
            "sys": {"MethodName": "seal"},
        },
    });
    body.to_string().into_bytes()
}

/// A push of Pub/Sub.
fn push(id: &str, data: &[u8]) -> Vec<u8> {
    let body = json!({
        "subscription": "projects/p/subscriptions/s",
        "message": {"data": BASE64.encode(data), "messageId": id, "message_id": id},
    });
    body.to_string().into_bytes()
}
