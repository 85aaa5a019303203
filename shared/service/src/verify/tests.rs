//! Whole verifications over stores in memory.

use bytes::Bytes;
use countersign_core::checkpoint::Checkpoint;
use countersign_core::merkle::Hash;
use countersign_core::merkle::tile::TileId;
use countersign_core::segment::{self, Header};
use countersign_core::{names, signed};
use countersign_store::memory::MemorySealedStore;
use countersign_store::{Aspect, SealedStore, Setting, SettingState};

use super::{Check, Options, Report, Since, Status, Verdict, VerifyError, verify};
use crate::clock::Clock;
use crate::head::{Head, head_key, load_head};
use crate::testing::World;

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];
const AWS: &str = "audit.example.org/aws";

/// Rounds of two segments, a publication and anchors in every cloud.
pub(crate) async fn world(rounds: usize) -> World {
    let world = World::new(&CLOUDS).await;
    extend(&world, 0..rounds).await;
    world
}

async fn extend(world: &World, rounds: std::ops::Range<usize>) {
    for round in rounds {
        for cloud in CLOUDS {
            for part in 0..2 {
                let texts: Vec<String> = (0..90)
                    .map(|n| format!("{cloud}-{round}-{part}-{n}"))
                    .collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                world.seal(cloud, &texts).await;
                world.clock.advance(1000);
            }
        }
        world.anchor().await;
        world.clock.advance(60_000);
    }
}

impl World {
    pub(crate) async fn verified(&self, options: &Options) -> Report {
        let report = verify(&self.deployment, options, &*self.clock, &()).await;
        report.unwrap()
    }

    pub(super) fn store(&self, cloud: &str) -> &MemorySealedStore {
        self.sealed[cloud].inner()
    }

    /// Puts an object back as its writer left it.
    async fn restore(&self, cloud: &str, name: &str, bytes: Bytes) {
        self.store(cloud).tamper_remove(name);
        let retention = self.chain(cloud).retention(self.clock.unix_millis());
        let put = self.store(cloud).put_new(name, bytes, retention);
        put.await.unwrap();
    }

    /// The names that begin so.
    async fn named(&self, cloud: &str, prefix: &str) -> Vec<String> {
        let all = self.objects(cloud).await.into_keys();
        all.filter(|name| name.starts_with(prefix)).collect()
    }

    /// A segment as the chain's key would have signed it with another body.
    async fn resealed(&self, cloud: &str, name: &str, from: &str, to: &str) -> Bytes {
        let object = &self.objects(cloud).await[name];
        let content = segment::decompress(object, 1 << 20).unwrap();
        let end = content.iter().position(|byte| *byte == b'\n').unwrap();
        let mut header: Header = signed::read(&content[..end]).unwrap();
        let body = String::from_utf8(content[end + 1..].to_vec()).unwrap();
        let body = body.replacen(from, to, 1).into_bytes();
        header.body_sha256 = segment::body_sha256(&body);
        let line = signed::sign(&mut header, &*self.seeds[self.chain(cloud).origin()]).unwrap();
        segment::encode(&line, &[&body], 1).unwrap().into()
    }
}

/// `chain check` of the checks that ended so.
fn with(report: &Report, status: Status) -> Vec<String> {
    let mut found = Vec::new();
    for chain in &report.chains {
        let (_, name) = chain.origin.rsplit_once('/').unwrap();
        let checks = chain.checks.iter().filter(|check| check.status == status);
        found.extend(checks.map(|check| format!("{name} {}", check.name.name())));
    }
    found
}

fn codes(report: &Report, chain: &str, check: Check) -> Vec<&'static str> {
    let origin = format!("audit.example.org/{chain}");
    let chain = report.chains.iter().find(|chain| chain.origin == origin);
    let findings = &chain.unwrap().check(check).unwrap().findings;
    findings.iter().map(|finding| finding.code).collect()
}

/// Exactly these checks fail.
async fn fails(world: &World, expected: &[&str]) -> Report {
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        with(&report, Status::Fail),
        expected,
        "{}",
        report.to_text(false)
    );
    assert_eq!(report.result, Verdict::Failed);
    assert_eq!(report.exit_code(), 1);
    report
}

#[tokio::test]
async fn what_is_whole_verifies() {
    let world = world(3).await;
    let report = world.verified(&Options::default()).await;
    let text = report.to_text(false);
    assert_eq!(report.result, Verdict::Verified, "{text}");
    assert_eq!(report.anchors.len(), 18);
    assert!(report.anchors.iter().all(|a| a.lag_seconds.is_some()));
    let aws = &report.chains[0];
    assert_eq!((aws.records, aws.duplicates), (3 * 180 + 6, 0));
    assert!(aws.published > 0 && aws.root.is_some());
    assert_eq!(with(&report, Status::Unknown), [""; 0]);
    assert_eq!(
        with(&report, Status::Skip)[..2],
        ["aws store-posture", "aws source-completeness"]
    );
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(text.starts_with("VERIFIED") && text.lines().last().unwrap().starts_with("VERIFIED"));
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let names: Vec<_> = json["chains"][0]["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| check["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, Check::ALL.map(Check::name));
    assert!(json["chains"][0]["checks"][0].get("reason").is_none());
    let members: Vec<&str> = json["chains"][0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let expected = "bytes checks duplicates origin published records requests requests_per_segment root segments size";
    assert_eq!(members.join(" "), expected, "pictures are not in the JSON");
}

#[tokio::test]
async fn pictures_show_what_was_read() {
    let world = world(2).await;
    let report = world.verified(&Options::default()).await;
    for chain in &report.chains {
        let points: Vec<_> = chain.growth.points().collect();
        assert_eq!(points.len() as u64, chain.segments);
        let (first, last) = chain.span.unwrap();
        assert_eq!(points[0].at_millis, first);
        let end = points.last().unwrap();
        assert_eq!((end.at_millis, end.size), (last, chain.size));
        assert_eq!(chain.growth.breaks, []);
        let anchors = 4;
        let [source] = &chain.volume.sources[..] else {
            panic!("{:?}", chain.volume)
        };
        assert_eq!(source.records, chain.records - anchors);
        // They have no times of their own.
        assert_eq!(source.counts.iter().max(), Some(&source.records));
    }

    // A segment that is gone is known by its index, and is a break.
    let name = &world.named("aws", "segments/").await[1];
    world.store("aws").tamper_remove(name);
    let report = world.verified(&Options::default()).await;
    let growth = &report.chains[0].growth;
    let [gap] = growth.breaks[..] else {
        panic!("{growth:?}")
    };
    assert_eq!(names::segment(gap.start), *name);
    assert_eq!(
        growth.points().count() as u64,
        report.chains[0].segments + 1
    );

    // What was trusted is not drawn.
    let size = report.anchors[0].size;
    let options = Options {
        chain: Some("aws".into()),
        since: Some(Since { size, root: None }),
        ..Options::default()
    };
    let report = world.verified(&options).await;
    let growth = &report.chains[0].growth;
    assert_eq!((growth.from, growth.breaks.len()), (size, 0));
    assert!(growth.points().all(|point| point.size > size));
    assert!(report.to_html().contains("was taken as trusted"));
}

#[tokio::test]
async fn only_the_chain_that_was_asked_for_is_reported() {
    let world = world(1).await;
    world.store("azure").tamper_remove("genesis.json");
    let options = Options {
        chain: Some("aws".into()),
        ..Options::default()
    };
    let report = world.verified(&options).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    assert_eq!(report.chains.len(), 1);
    assert!(report.anchors.iter().all(|anchor| anchor.origin == AWS));
    let unknown = Options {
        chain: Some("none".into()),
        ..Options::default()
    };
    let result = verify(&world.deployment, &unknown, &*world.clock, &()).await;
    assert!(matches!(result, Err(VerifyError::Open(_))));
}

#[tokio::test]
async fn one_cloud_has_no_independent_witness() {
    let world = World::new(&["aws"]).await;
    world.seal("aws", &["a", "b"]).await;
    world.anchor().await;
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    assert!(with(&report, Status::Skip).contains(&"aws anchor-quorum".to_owned()));
    assert!(report.to_text(false).contains("no independent witness"));
}

#[tokio::test]
async fn a_broken_segment_is_bridged_by_tiles() {
    let world = world(3).await;
    let name = &world.named("aws", "segments/").await[2];
    let mut object = world.objects("aws").await[name].to_vec();
    let whole = object.clone();
    let middle = object.len() / 2;
    object[middle] ^= 1;
    world.store("aws").tamper_replace(name, object);
    let report = fails(&world, &["aws record-hashes", "aws index"]).await;
    assert!(report.chains[0].root.is_some(), "the tree goes on");

    // The same records compressed otherwise.
    let content = segment::decompress(&whole, 1 << 20).unwrap();
    let object = segment::compress(&[&content], 19).unwrap();
    world.store("aws").tamper_replace(name, object);
    fails(&world, &["aws index"]).await;

    // Another segment in its place.
    let other = &world.named("aws", "segments/").await[0];
    let object = world.objects("aws").await[other].clone();
    world.store("aws").tamper_replace(name, object);
    fails(&world, &["aws segments-contiguous", "aws index"]).await;

    // Removed: one finding, and others' anchors that it may have held are unknown.
    world.store("aws").tamper_remove(name);
    let report = fails(&world, &["aws segments-contiguous"]).await;
    let found = codes(&report, "aws", Check::SegmentsContiguous);
    assert_eq!(found, ["CS-302"]);
}

#[tokio::test]
async fn a_record_changed_under_a_right_signature_contradicts_everything_else() {
    let world = world(3).await;
    let name = &world.named("aws", "segments/").await[1];
    let object = world
        .resealed("aws", name, "aws-0-1-7\"", "aws-0-1-X\"")
        .await;
    world.store("aws").tamper_replace(name, object);
    let expected = [
        "aws head",
        "aws segments-contiguous",
        "aws tiles",
        "aws index",
        "aws checkpoints-consistent",
        "aws anchors-consistent",
    ];
    let report = fails(&world, &expected).await;
    let found = codes(&report, "aws", Check::SegmentsContiguous);
    assert_eq!(found, ["CS-305"], "one cause, one finding");
    let found = codes(&report, "aws", Check::AnchorsConsistent);
    assert_eq!(found, ["CS-1101", "CS-1101"], "one for each witness");
    for line in report.to_text(false).lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[tokio::test]
async fn newest_segments_cut_off_are_found_from_head_and_anchors() {
    let world = world(3).await;
    let report = world.verified(&Options::default()).await;
    let size = report.anchors[2].size;
    for name in world.objects("aws").await.into_keys() {
        let beyond = match names::Object::parse(&name) {
            Some(names::Object::Segment { start }) => start >= size,
            Some(names::Object::Index { size: of } | names::Object::Checkpoint { size: of }) => {
                of > size
            }
            Some(names::Object::Tile(id)) => super::names::reaches(id) > u128::from(size),
            _ => false,
        };
        if beyond {
            world.store("aws").tamper_remove(&name);
        }
    }
    fails(&world, &["aws head", "aws anchors-consistent"]).await;
    // The head too.
    let head = load_head(&*world.chain("aws").head, AWS).await.unwrap();
    let back = world.heads["aws"].inner();
    assert!(head.is_some() && back.tamper_remove(&head_key(AWS)));
    let report = fails(&world, &["aws head", "aws anchors-consistent"]).await;
    let found = codes(&report, "aws", Check::AnchorsConsistent);
    assert_eq!(found, ["CS-1102", "CS-1102"]);
}

#[tokio::test]
async fn a_removed_anchor_is_missed_by_its_record() {
    let world = world(3).await;
    let anchors = world.named("gcp", &names::anchors(AWS)).await;
    assert_eq!(anchors.len(), 3);
    for name in &anchors {
        let bytes = world.objects("gcp").await[name].clone();
        let mut flipped = bytes.to_vec();
        flipped[3] ^= 1;
        world.store("gcp").tamper_replace(name, flipped);
        let report = fails(&world, &["aws anchors-consistent"]).await;
        assert_eq!(codes(&report, "aws", Check::AnchorsConsistent), ["CS-1103"]);
        world.store("gcp").tamper_remove(name);
        let report = fails(&world, &["aws anchors-consistent"]).await;
        assert_eq!(codes(&report, "aws", Check::AnchorsConsistent), ["CS-1104"]);
        world.restore("gcp", name, bytes).await;
    }
    // Past the retention one without the other is expired.
    let much_later = Options {
        at_millis: Some(crate::testing::START_MILLIS + 400 * 86_400_000),
        ..Options::default()
    };
    world.store("gcp").tamper_remove(&anchors[0]);
    let report = world.verified(&much_later).await;
    let failed = with(&report, Status::Fail);
    assert!(
        !failed.contains(&"aws anchors-consistent".to_owned()),
        "{failed:?}"
    );
}

#[tokio::test]
async fn heads_that_do_not_fit_are_told_apart() {
    let world = world(2).await;
    let head = load_head(&*world.chain("aws").head, AWS)
        .await
        .unwrap()
        .unwrap();
    let store = world.heads["aws"].inner();
    let key = head_key(AWS);
    let document = world
        .chain("aws")
        .head
        .load(&key)
        .await
        .unwrap()
        .unwrap()
        .bytes;
    for (head, code) in [
        (Some(Head::empty()), "CS-205"),
        (None, "CS-201"),
        (
            Some({
                let mut ahead = head.value.clone();
                ahead.push_segment(&[Hash([1; 32])]);
                ahead
            }),
            "CS-203",
        ),
    ] {
        store.tamper_remove(&key);
        if let Some(head) = head {
            crate::head::swap_head(&*world.chain("aws").head, AWS, None, &head)
                .await
                .unwrap();
        }
        let report = fails(&world, &["aws head"]).await;
        assert_eq!(codes(&report, "aws", Check::Head), [code]);
    }
    store.tamper_replace(&key, "{}");
    let report = fails(&world, &["aws head"]).await;
    assert_eq!(codes(&report, "aws", Check::Head), ["CS-202"]);
    // One segment less is a crash between PUT and swap.
    store.tamper_replace(&key, document.clone());
    world.seal("aws", &["one more"]).await;
    store.tamper_replace(&key, document.clone());
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    // Two segments less is not.
    world.seal("aws", &["one more", "and another"]).await;
    world.seal("aws", &["yet another"]).await;
    store.tamper_replace(&key, document);
    let report = fails(&world, &["aws head"]).await;
    assert_eq!(codes(&report, "aws", Check::Head), ["CS-204"]);
}

#[tokio::test]
async fn planted_and_missing_objects_are_found() {
    let world = world(2).await;
    let store = world.store("aws");
    let signer = &world.seeds[AWS];
    let newest = world.named("aws", "checkpoints/").await.pop().unwrap();
    let size: u64 = newest["checkpoints/".len()..].parse().unwrap();
    let forged = |size: u64| {
        let origin = AWS.to_owned();
        let root = Hash([7; 32]);
        let note = Checkpoint { origin, size, root }.sign(&**signer).unwrap();
        note.to_string()
    };
    let partial = TileId {
        level: 0,
        index: 0,
        width: 3,
    };
    let index = world.named("aws", "index/").await.pop().unwrap();
    let index = world.objects("aws").await[&index].clone();
    let stranger = world.objects("gcp").await["genesis.json"].clone();
    let cases: [(String, Option<Bytes>, &str); 13] = [
        (
            newest.clone(),
            Some(forged(size).into()),
            "aws checkpoints-consistent",
        ),
        (
            newest.clone(),
            Some(forged(size - 1).into()),
            "aws checkpoints-signed",
        ),
        (
            names::checkpoint(7),
            Some(forged(7).into()),
            "aws checkpoints-consistent",
        ),
        (
            names::checkpoint(1 << 40),
            Some("x".into()),
            "aws checkpoints-signed",
        ),
        (partial.path(), Some(vec![7; 96].into()), "aws tiles"),
        ("tile/0/900".into(), Some(vec![7; 8192].into()), "aws tiles"),
        (names::index(5), Some(index.clone()), "aws index"),
        (names::index(1 << 40), Some("x".into()), "aws index"),
        (
            names::segment(3),
            Some("x".into()),
            "aws segments-contiguous",
        ),
        ("genesis.json".into(), Some(stranger), "aws genesis"),
        ("genesis.json".into(), None, "aws genesis"),
        ("notes.txt".into(), Some("x".into()), "aws object-versions"),
        ("segments/7".into(), Some("x".into()), "aws object-versions"),
    ];
    for (name, bytes, expected) in cases {
        let before = world.objects("aws").await.get(&name).cloned();
        match bytes {
            Some(bytes) => store.tamper_replace(&name, bytes),
            None => drop(store.tamper_remove(&name)),
        }
        let report = world.verified(&Options::default()).await;
        let failed = with(&report, Status::Fail);
        assert!(failed.contains(&expected.to_owned()), "{name}: {failed:?}");
        match before {
            Some(bytes) => world.restore("aws", &name, bytes).await,
            None => drop(store.tamper_remove(&name)),
        }
    }
    // Junk far beyond the end does not stretch the history.
    for start in [1 << 40, u64::MAX] {
        store.tamper_replace(&names::segment(start), "x");
        let report = fails(&world, &["aws record-hashes"]).await;
        assert_eq!(report.chains[0].size, report.chains[1].size);
        store.tamper_remove(&names::segment(start));
    }
    store.tamper_add_version(
        "genesis.json",
        world.objects("aws").await["genesis.json"].clone(),
    );
    let report = fails(&world, &["aws object-versions"]).await;
    assert_eq!(codes(&report, "aws", Check::ObjectVersions), ["CS-1403"]);
    let first = names::segment(0);
    world.store("azure").tamper_retention(&first, Some(1));
    let report = fails(&world, &["aws object-versions", "azure retention-locks"]).await;
    assert_eq!(codes(&report, "azure", Check::RetentionLocks), ["CS-1501"]);
}

#[tokio::test]
async fn retention_that_may_not_be_read_is_unknown_and_not_none() {
    let world = world(1).await;
    let store = world.store("azure");
    store.tamper_hide_retention("the permission x/read is missing");
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        with(&report, Status::Unknown),
        ["azure retention-locks"],
        "{}",
        report.to_text(false)
    );
    assert_eq!(report.result, Verdict::Incomplete);
    assert!(report.to_text(false).contains("x/read is missing"));
    // The versions themselves are still looked at.
    store.tamper_delete_marker("genesis.json");
    let report = world.verified(&Options::default()).await;
    assert!(
        codes(&report, "azure", Check::ObjectVersions).contains(&"CS-1404"),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_marker_over_a_segment_is_no_finding_once_its_retention_has_ended() {
    let world = world(3).await;
    let first = &world.named("aws", "segments/").await[0];
    let size = world.verified(&Options::default()).await.anchors[0].size;
    let now = Options::default();
    let much_later = Options {
        at_millis: Some(crate::testing::START_MILLIS + 400 * 86_400_000),
        ..Options::default()
    };
    let past_it = Options {
        chain: Some("aws".into()),
        since: Some(Since { size, root: None }),
        ..much_later.clone()
    };
    world.store("aws").tamper_delete_marker(first);
    for (options, told) in [
        (&now, &["CS-1404"][..]),
        (&much_later, &[]),
        (&past_it, &[]),
    ] {
        let report = world.verified(options).await;
        let found = codes(&report, "aws", Check::ObjectVersions);
        assert_eq!(found, told, "{}", report.to_text(false));
    }
    // What later records lean on does not expire.
    world.store("aws").tamper_delete_marker("genesis.json");
    let report = world.verified(&much_later).await;
    let found = codes(&report, "aws", Check::ObjectVersions);
    assert_eq!(found, ["CS-1404"]);
}

#[tokio::test]
async fn a_setting_that_leaves_a_store_open_fails_and_one_that_is_weak_is_told() {
    let world = world(1).await;
    let weak = |name: &str, aspect, open, mend: &str| Setting {
        name: name.to_owned(),
        aspect,
        state: SettingState::Weak {
            open,
            expected: "on".to_owned(),
            found: "off".to_owned(),
            why: "an administrator can remove objects".to_owned(),
            mend: mend.to_owned(),
        },
    };
    let holds = Setting {
        name: "versioning".to_owned(),
        aspect: Aspect::Store,
        state: SettingState::Holds {
            found: "enabled".to_owned(),
        },
    };
    let store = world.store("azure");
    store.tamper_settings(vec![
        holds.clone(),
        weak("soft delete", Aspect::Store, false, "switch it on"),
    ]);
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    assert_eq!(codes(&report, "azure", Check::StorePosture), ["CS-1602"]);

    store.tamper_settings(vec![
        holds,
        weak(
            "public access",
            Aspect::Store,
            true,
            "close it: cloud close",
        ),
        weak(
            "shared keys",
            Aspect::Store,
            true,
            "forbid them: cloud forbid",
        ),
        weak("the policy", Aspect::Retention, true, "lock it: cloud lock"),
    ]);
    let report = world.verified(&Options::default()).await;
    assert_eq!(report.result, Verdict::Failed);
    assert_eq!(
        codes(&report, "azure", Check::StorePosture),
        ["CS-1601", "CS-1601"]
    );
    assert!(codes(&report, "azure", Check::RetentionLocks).contains(&"CS-1505"));
    // Each setting is a cause of its own, with what mends it.
    for page in [report.to_text(false), report.to_html()] {
        for mend in ["cloud close", "cloud forbid", "cloud lock"] {
            assert!(page.contains(mend), "{mend}: {page}");
        }
    }
}

#[tokio::test]
async fn a_setting_that_may_not_be_read_makes_the_verdict_incomplete() {
    let world = world(1).await;
    world.store("azure").tamper_settings(vec![Setting {
        name: "versioning".to_owned(),
        aspect: Aspect::Store,
        state: SettingState::Unknown {
            reason: "403".to_owned(),
            permission: Some("s3:GetBucketVersioning".to_owned()),
        },
    }]);
    let report = world.verified(&Options::default()).await;
    assert_eq!(report.result, Verdict::Incomplete);
    assert_eq!(with(&report, Status::Unknown), ["azure store-posture"]);
    assert!(
        report
            .to_json()
            .contains("the permission s3:GetBucketVersioning is missing")
    );
}

#[tokio::test]
async fn without_anchors_an_old_chain_fails() {
    let world = World::new(&CLOUDS).await;
    for cloud in CLOUDS {
        world.seal(cloud, &[cloud]).await;
    }
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    let options = |minutes: u64| Options {
        at_millis: Some(crate::testing::START_MILLIS + minutes * 60_000),
        ..Options::default()
    };
    let report = world.verified(&options(16)).await;
    let failed = with(&report, Status::Fail);
    assert_eq!(
        failed[..3],
        ["aws tiles", "aws checkpoints-signed", "aws anchor-quorum"]
    );
    world.anchor().await;
    let report = world.verified(&options(16)).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    let report = world.verified(&options(76)).await;
    let failed = with(&report, Status::Fail);
    assert_eq!(
        failed,
        CLOUDS.map(|cloud| format!("{cloud} anchor-freshness"))
    );
}

#[tokio::test]
async fn an_empty_store_fails_unless_it_may_be_empty() {
    let mut world = World::new(&CLOUDS).await;
    let empty = CLOUDS.map(|cloud| format!("{cloud} segments-contiguous"));
    fails(&world, &empty.each_ref().map(String::as_str)).await;
    for chain in &mut world.deployment.chains {
        chain.settings.allow_empty = true;
    }
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    // Anchors alone: they wait for an hour before they are published.
    world.seal("aws", &["a"]).await;
    world.anchor().await;
    let at_millis = Some(crate::testing::START_MILLIS + 70 * 60_000);
    let options = Options {
        at_millis,
        ..Options::default()
    };
    let report = world.verified(&options).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_incomplete() {
    let mut world = world(1).await;
    let gone = tempfile::tempdir().unwrap().path().join("gone");
    let local = countersign_store::local::LocalSealedStore::open(&gone);
    world.deployment.chains[0].sealed = std::sync::Arc::new(local);
    let report = world.verified(&Options::default()).await;
    assert_eq!(
        report.result,
        Verdict::Incomplete,
        "{}",
        report.to_text(false)
    );
    assert_eq!(report.exit_code(), 2);
    assert_eq!(with(&report, Status::Fail), [""; 0]);
}

#[tokio::test]
async fn a_verification_goes_on_from_a_trusted_size() {
    let world = world(3).await;
    let all = world.verified(&Options::default()).await;
    let size = all.anchors[0].size;
    let since = |size, root| Options {
        chain: Some("aws".into()),
        since: Some(Since { size, root }),
        ..Options::default()
    };
    // Damage before the trusted size is not looked for.
    world.store("aws").tamper_replace(&names::segment(0), "x");
    let report = world.verified(&since(size, None)).await;
    assert_eq!(
        report.result,
        Verdict::Verified,
        "{}",
        report.to_text(false)
    );
    let aws = &report.chains[0];
    assert_eq!(
        (aws.size, aws.root),
        (all.chains[0].size, all.chains[0].root)
    );
    assert!(aws.records < all.chains[0].records);
    let report = world.verified(&since(size, Some(Hash([1; 32])))).await;
    assert_eq!(with(&report, Status::Fail), ["aws checkpoints-consistent"]);
    for (options, why) in [
        (since(size + 1, None), "begins there"),
        (
            Options {
                chain: None,
                ..since(size, None)
            },
            "--chain",
        ),
    ] {
        let error = verify(&world.deployment, &options, &*world.clock, &()).await;
        assert!(error.unwrap_err().to_string().contains(why));
    }
    // A boundary without checkpoint needs its root.
    let names = world.named("aws", "segments/").await;
    let start: u64 = names[names.len() - 2]["segments/".len()..][..20]
        .parse()
        .unwrap();
    let error = verify(&world.deployment, &since(start, None), &*world.clock, &()).await;
    assert!(matches!(error, Err(VerifyError::SinceUntrusted { .. })));
    let genesis_of = world.verified(&since(size, None)).await;
    let genesis = genesis_of.chains[0].check(Check::Genesis).unwrap();
    assert_eq!(genesis.status, Status::Pass);
}
