use std::collections::BTreeSet;

use countersign_core::anchor::Anchor;
use countersign_core::checkpoint::Checkpoint;
use countersign_core::index::Index;
use countersign_core::merkle::proof::{TileSet, frontier_tiles};
use countersign_core::names::{self, Object};
use countersign_core::segment::{self, Segment};
use countersign_store::fault::{CallKind, Fault};

use super::*;
use crate::testing::{World, part};

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];
const HOUR_MILLIS: i64 = 3_600_000;

async fn world() -> World {
    let world = World::new(&CLOUDS).await;
    for cloud in CLOUDS {
        world.seal(cloud, &["a", "b", "c"]).await;
    }
    world
}

/// Sizes at which `witness` holds anchors of `chain`, each of which must open.
async fn anchors(world: &World, witness: &str, chain: &str) -> Vec<u64> {
    let (chain, key) = (
        world.chain(chain),
        &world
            .deployment
            .policy
            .witness(&format!("audit.example.org/witness/{witness}"))
            .unwrap()
            .key,
    );
    let prefix = names::anchors(chain.origin());
    let mut sizes = Vec::new();
    for (name, bytes) in world.objects(witness).await {
        if name.starts_with(&prefix) {
            let anchor = Anchor::open(&bytes, &chain.key, key).unwrap();
            assert_eq!(
                name,
                names::anchor_of(chain.origin(), anchor.checkpoint.size, anchor.seconds)
            );
            sizes.push(anchor.checkpoint.size);
        }
    }
    sizes
}

/// Checks that every checkpoint of a chain has the tiles that give its root and an
/// index; returns their sizes.
async fn checkpoints(world: &World, name: &str) -> Vec<u64> {
    let chain = world.chain(name);
    let objects = world.objects(name).await;
    let mut sizes = Vec::new();
    for (key, bytes) in &objects {
        let Some(Object::Checkpoint { size }) = Object::parse(key) else {
            continue;
        };
        let (checkpoint, _) = Checkpoint::open(bytes, &chain.key).unwrap();
        let mut tiles = TileSet::new(size);
        for id in frontier_tiles(size) {
            tiles.insert(id, &objects[&id.path()]).unwrap();
        }
        assert_eq!(
            (checkpoint.size, checkpoint.root),
            (size, tiles.root().unwrap())
        );
        let index = Index::open(&objects[&names::index(size)], &chain.key).unwrap();
        assert_eq!(index.header.size, size);
        sizes.push(size);
    }
    sizes
}

/// All anchors' records in the chain of a cloud: (origin, size), sorted.
async fn records(world: &World, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (key, object) in world.objects(name).await {
        if key.starts_with("segments/") {
            let segment = Segment::open(&object, &world.chain(name).key).unwrap();
            let anchors = segment
                .header
                .deliveries
                .iter()
                .filter(|delivery| delivery.from.starts_with("anchors/"));
            found.extend(anchors.map(|delivery| delivery.from.clone()));
            for line in segment::lines(segment.body()) {
                assert!(!line.is_empty());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn every_head_is_published_countersigned_and_recorded() {
    let world = world().await;
    let report = world.anchor().await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    assert_eq!((report.published.len(), report.witnessed.len()), (3, 6));
    for chain in CLOUDS {
        assert_eq!(checkpoints(&world, chain).await, [4]);
        for witness in CLOUDS.into_iter().filter(|witness| *witness != chain) {
            assert_eq!(anchors(&world, witness, chain).await, [4]);
        }
        assert!(anchors(&world, chain, chain).await.is_empty());
        // Both others' anchors, in one segment.
        assert_eq!(records(&world, chain).await.len(), 2);
    }
}

#[tokio::test]
async fn idle_chains_do_not_feed_each_other() {
    let world = world().await;
    world.anchor().await;
    let before = world.faults.counts();
    let objects: usize = world.objects("aws").await.len();
    for _ in 0..3 {
        world.clock.advance(300_000);
        let report = world.anchor().await;
        assert!(
            report
                .published
                .iter()
                .all(|(_, published)| published.is_none()),
            "{report:?}"
        );
        let current =
            |(_, _, done): &(String, String, Witnessing)| *done == Witnessing::Current { size: 4 };
        assert!(report.witnessed.iter().all(current), "{report:?}");
    }
    assert_eq!((world.faults.counts() - before).puts, 0);
    assert_eq!(world.objects("aws").await.len(), objects);
    // Once an hour the tail of anchors is published and countersigned.
    world.clock.advance(HOUR_MILLIS);
    let report = world.anchor().await;
    assert!(
        report
            .published
            .iter()
            .all(|(_, published)| published.as_ref().is_some_and(|p| p.size == 7)),
        "{report:?}"
    );
    assert_eq!(anchors(&world, "gcp", "aws").await, [4, 7]);
    for chain in CLOUDS {
        assert_eq!(checkpoints(&world, chain).await, [4, 7]);
    }
}

#[tokio::test]
async fn many_segments_and_tiles_are_published_in_steps() {
    let world = World::new(&["aws", "azure"]).await;
    world.seal("azure", &["x"]).await;
    let mut sealer = world.sealer("aws");
    let mut number = 0;
    for round in 0..4 {
        for _ in 0..round * 3 + 1 {
            let texts: Vec<_> = (0..70).map(|n| format!("{number}-{n}")).collect();
            number += 1;
            let texts: Vec<_> = texts.iter().map(String::as_str).collect();
            sealer.seal(&[part(&texts)]).await.unwrap();
        }
        world.clock.advance(60_000);
        assert_eq!(world.anchor().await.exit_code(), 0);
    }
    let sizes = checkpoints(&world, "aws").await;
    assert_eq!(sizes.len(), 4);
    assert_eq!(anchors(&world, "azure", "aws").await, sizes);
    assert!(world.objects("aws").await.contains_key("tile/0/005"));
}

#[tokio::test]
async fn a_fork_is_not_cosigned_and_kept_as_evidence() {
    let world = world().await;
    world.anchor().await;
    // The administrator of AWS rebuilds the chain with its own key.
    let rebuilt = World::new(&CLOUDS).await;
    rebuilt.seal("aws", &["a", "B", "c"]).await;
    rebuilt.seal("aws", &["d"]).await;
    for cloud in ["azure", "gcp"] {
        rebuilt.seal(cloud, &["x"]).await;
    }
    rebuilt.anchor().await;
    let store = world.sealed["aws"].inner();
    for name in world.objects("aws").await.keys() {
        store.tamper_remove(name);
    }
    for (name, bytes) in rebuilt.objects("aws").await {
        store.tamper_replace(&name, bytes);
    }
    let key = crate::head::head_key(world.chain("aws").origin());
    let head = countersign_store::HeadStore::load(rebuilt.heads["aws"].inner(), &key)
        .await
        .unwrap()
        .unwrap();
    world.heads["aws"].inner().tamper_replace(&key, head.bytes);
    for _ in 0..2 {
        let report = world.anchor().await;
        assert_eq!(report.exit_code(), 1, "{report:?}");
        let forks = report.witnessed.iter().filter(|(_, origin, done)| {
            origin.ends_with("/aws") && matches!(done, Witnessing::Contradiction { .. })
        });
        assert_eq!(forks.count(), 2, "{report:?}");
    }
    let evidence: Vec<_> = world
        .objects("gcp")
        .await
        .into_keys()
        .filter(|name| name.starts_with("evidence/"))
        .collect();
    assert_eq!(evidence.len(), 1);
    assert_eq!(anchors(&world, "gcp", "aws").await, [4]);
}

#[tokio::test]
async fn a_rollback_is_seen_even_if_the_state_was_lost() {
    let world = world().await;
    world.anchor().await;
    world.seal("aws", &["d"]).await;
    world.anchor().await;
    let sizes = anchors(&world, "gcp", "aws").await;
    assert_eq!(sizes.len(), 2);
    let newest = names::checkpoint(sizes[1]);
    world.sealed["aws"].inner().tamper_remove(&newest);
    let state =
        crate::head::witness_key("audit.example.org/witness/gcp", world.chain("aws").origin());
    world.heads["gcp"].inner().tamper_remove(&state);
    let gcp = world
        .deployment
        .witnesses
        .iter()
        .find(|witness| witness.settings.name == "gcp")
        .unwrap();
    let signer = &world.signers[&gcp.settings.key_name];
    let (aws, own) = (world.chain("aws"), world.chain("gcp"));
    let done = witness_with_retries(gcp, &**signer, aws, own, &*world.clock)
        .await
        .unwrap();
    assert!(
        matches!(done.witnessing, Some(Witnessing::Contradiction { .. })),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_damaged_tile_is_an_alarm_but_no_fork() {
    let world = world().await;
    world.anchor().await;
    world.seal("aws", &["d"]).await;
    let mut publisher = world.sealer("aws");
    publish(&mut publisher).await.unwrap().unwrap();
    let tile = "tile/0/000.p/9";
    let mut bytes = world.objects("aws").await[tile].to_vec();
    bytes[8 * 32] ^= 1;
    world.sealed["aws"].inner().tamper_replace(tile, bytes);
    let report = world.anchor().await;
    assert_eq!(report.exit_code(), 1, "{report:?}");
    let suspect = report.witnessed.iter().filter(|(_, origin, done)| {
        origin.ends_with("/aws") && matches!(done, Witnessing::Suspect { .. })
    });
    assert_eq!(suspect.count(), 2, "{report:?}");
    assert_eq!(anchors(&world, "gcp", "aws").await, [4]);
}

#[tokio::test]
async fn nothing_is_published_over_what_was_changed() {
    let world = world().await;
    world.anchor().await;
    world.seal("aws", &["d"]).await;
    let name = names::segment(7);
    let object = world.objects("aws").await[&name].clone();
    let (content, key) = (
        segment::decompress(&object, 1 << 20).unwrap(),
        world.chain("aws").key.clone(),
    );
    let changed = String::from_utf8(content)
        .unwrap()
        .replace("\"raw\":\"d\"", "\"raw\":\"D\"");
    let changed = segment::compress(&[changed.as_bytes()], 1).unwrap();
    assert!(Segment::open(&changed, &key).is_err());
    world.sealed["aws"].inner().tamper_replace(&name, changed);
    let report = world.anchor().await;
    assert_eq!(report.exit_code(), 1, "{report:?}");
    assert_eq!(checkpoints(&world, "aws").await, [4]);
}

#[tokio::test]
async fn no_anchor_is_written_before_the_one_before_has_its_record() {
    let world = world().await;
    assert_eq!(world.anchor().await.exit_code(), 0);
    let lacking = async || {
        let held = anchors(&world, "gcp", "aws").await.len();
        let prefix = names::anchors(world.chain("aws").origin());
        let records = records(&world, "gcp").await.into_iter();
        held - records.filter(|name| name.starts_with(&prefix)).count()
    };
    for text in ["d", "e", "f"] {
        world.seal("aws", &[text]).await;
        world.clock.advance(60_000);
        world.faults.fail_when(|call| {
            let seals = call.kind == CallKind::Put && call.key.starts_with("segments/");
            (seals && call.store == "memory:gcp").then_some(Fault::Refused)
        });
        assert_eq!(world.anchor().await.exit_code(), 2);
        world.faults.clear();
        assert_eq!(lacking().await, 1);
    }
    // The next run seals that record first, and then goes on.
    assert_eq!(world.anchor().await.exit_code(), 0);
    assert_eq!(lacking().await, 0);
    let newest = checkpoints(&world, "aws").await.pop();
    assert_eq!(anchors(&world, "gcp", "aws").await.pop(), newest);
}

#[tokio::test(start_paused = true)]
async fn any_write_may_be_lost_or_done_and_reported_failed() {
    // How many writes a run makes when nothing fails.
    let calm = world().await;
    let before = calm.faults.counts();
    calm.anchor().await;
    let writes = (calm.faults.counts() - before).writes();
    assert!(writes > 30, "{writes}");
    for fault in [Fault::Lost, Fault::Done] {
        for nth in 1..=writes {
            let world = world().await;
            world.faults.fail_write(nth, fault);
            world.anchor().await;
            world.faults.clear();
            // The next run makes up for what the failed one left.
            world.clock.advance(300_000);
            let report = world.anchor().await;
            assert_eq!(report.exit_code(), 0, "{fault:?} {nth}: {report:?}");
            for chain in CLOUDS {
                let published = checkpoints(&world, chain).await;
                assert!(published.contains(&4), "{fault:?} {nth}: {published:?}");
                let mut wanted = BTreeSet::new();
                for other in CLOUDS.into_iter().filter(|other| *other != chain) {
                    assert!(
                        anchors(&world, other, chain).await.contains(&4),
                        "{fault:?} {nth}"
                    );
                    let prefix = names::anchors(world.chain(other).origin());
                    let own = world
                        .objects(chain)
                        .await
                        .into_keys()
                        .filter(|name| name.starts_with(&prefix));
                    wanted.extend(own);
                }
                // Every anchor has one record.
                let records = records(&world, chain).await;
                assert_eq!(
                    records,
                    wanted.into_iter().collect::<Vec<_>>(),
                    "{fault:?} {nth}"
                );
            }
        }
    }
}
