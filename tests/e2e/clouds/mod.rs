//! Whole deployments over the clouds' stores, on the servers that stand in for
//! them. Each test skips, saying so, where those are not up.

mod constant;
mod faults;
mod front;
mod keys;
mod long;
mod mixes;
mod races;
mod requests;
mod secrecy;
mod three;

use std::collections::BTreeMap;

use countersign_core::names::Object;
use countersign_core::segment::Segment;
use countersign_service::clock::{Clock as _, SystemClock};
use countersign_service::verify::{Report, Verdict};
use countersign_store::emulators::{Emulators, fresh_name};
use countersign_store::{Expected, Lock, ObjectPages};
use countersign_tests::{Clouds, stand_in};

/// The stand-ins, where they are up.
fn emulators() -> Option<Emulators> {
    stand_in("STANDIN_S3")?;
    Some(Emulators::from_environment().unwrap())
}

/// Sealed and head stores of one cloud, made as who deploys makes them.
#[derive(Debug, Clone)]
struct Ground {
    cloud: &'static str,
    sealed: String,
    head: String,
}

impl Ground {
    /// New ones in that cloud.
    async fn new(emulators: &Emulators, cloud: &'static str) -> Self {
        let name = fresh_name("e2e").unwrap();
        let state = format!("{name}-state");
        let keep = Expected {
            retention_days: 365,
            lock: Lock::Governance,
        };
        let off = Expected {
            lock: Lock::Off,
            ..keep
        };
        let (sealed, head) = match cloud {
            "aws" => {
                let administrator = emulators.aws_administrator().unwrap();
                administrator.new_bucket(&name, keep).await.unwrap();
                administrator.new_table(&state).await.unwrap();
                (format!("s3://{name}"), format!("dynamodb://{state}"))
            }
            "azure" => {
                let administrator = emulators.azure_administrator().unwrap();
                administrator.new_container(&name, keep).await.unwrap();
                administrator.new_container(&state, off).await.unwrap();
                let account = "azblob://devstoreaccount1";
                (format!("{account}/{name}"), format!("{account}/{state}"))
            }
            "gcp" => {
                let administrator = emulators.gcp_administrator().unwrap();
                administrator.new_bucket(&name, keep).await.unwrap();
                administrator.new_bucket(&state, off).await.unwrap();
                (format!("gs://{name}"), format!("gs://{state}"))
            }
            other => panic!("{other}"),
        };
        Self {
            cloud,
            sealed,
            head,
        }
    }

    /// A part of both that nobody else uses. A table has no parts: who shares it
    /// takes origins of their own.
    fn part(&self, part: &str) -> Self {
        let head = match self.cloud {
            "aws" => self.head.clone(),
            _ => format!("{}/{part}", self.head),
        };
        Self {
            cloud: self.cloud,
            sealed: format!("{}/{part}", self.sealed),
            head,
        }
    }

    /// A chain that stands here.
    fn chain(&self, name: &str, key: &str) -> String {
        let Self {
            cloud,
            sealed,
            head,
        } = self;
        format!(
            "[chain.{name}]\ncloud = \"{cloud}\"\nsealed = \"{sealed}\"\nhead = \"{head}\"\nkey = \"{key}\"\n"
        )
    }

    /// This cloud's witness, whose anchors' records stand in that chain.
    fn witness(&self, chain: &str, key: &str) -> String {
        let Self {
            cloud,
            sealed,
            head,
        } = self;
        format!(
            "[witness.{cloud}]\nchain = \"{chain}\"\nsealed = \"{sealed}\"\nstate = \"{head}\"\nkey = \"{key}\"\n"
        )
    }
}

/// The first line of settings.
fn domain(name: &str) -> String {
    format!("domain = \"{name}.example.org\"\n")
}

/// One chain and nothing else.
fn alone(ground: &Ground) -> String {
    domain("audit") + &ground.chain("alone", "file:alone.seed")
}

/// Deliveries of one record each.
fn deliveries(of: &str, count: usize) -> Vec<(String, Vec<u8>)> {
    (0..count)
        .map(|nth| {
            let event = format!("{{\"by\":\"{of}\",\"nth\":{nth}}}");
            (format!("{of}-{nth}"), event.into_bytes())
        })
        .collect()
}

/// How often each delivery stands in the chain's segments, by what its header
/// calls it.
async fn stored(clouds: &Clouds, chain: &str) -> BTreeMap<String, usize> {
    let deployment = clouds.deployment().await;
    let chain = deployment.chains_named(chain).unwrap()[0];
    let objects = ObjectPages::new(&*chain.sealed, "segments/").collect();
    let (mut found, mut end) = (BTreeMap::new(), 0);
    for object in objects.await.unwrap() {
        let Some(Object::Segment { start }) = Object::parse(&object.key) else {
            panic!("{object:?}");
        };
        let bytes = chain.sealed.get(&object.key, object.bytes).await.unwrap();
        let segment = Segment::open(&bytes, &chain.key).unwrap();
        assert_eq!(start, end, "no gap and no fork");
        end = segment.header.end;
        for delivery in &segment.header.deliveries {
            *found.entry(delivery.from.clone()).or_default() += 1;
        }
    }
    found
}

/// A whole verification, which must be well.
async fn verified(clouds: &Clouds) -> Report {
    let report = clouds.report_of(&clouds.deployment().await).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    report
}

/// Anchors, and a minute passes.
async fn anchored(clouds: &Clouds) {
    let report = clouds.anchor().await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    clouds.clock.advance(60_000);
}

/// Milliseconds of the machine's clock, to measure with.
pub(crate) fn now_millis() -> u64 {
    SystemClock.unix_millis()
}
