use std::collections::BTreeMap;

use countersign_core::merkle::Frontier;
use countersign_core::segment::Segment;
use countersign_store::HeadStore;

use super::*;
use crate::head::load_head;
use crate::testing::{World, part};

/// The chain's record lines by leaf index, read from its segments alone; panics
/// unless they are one contiguous signed history that the head follows.
pub(super) async fn records(world: &World, name: &str) -> BTreeMap<u64, String> {
    let chain = world.chain(name);
    let mut frontier = Frontier::new();
    let mut records = BTreeMap::new();
    for (key, object) in world.objects(name).await {
        if !key.starts_with("segments/") {
            continue;
        }
        let segment = Segment::open(&object, &chain.key).unwrap();
        assert_eq!(key, names::segment(frontier.size()));
        assert_eq!(segment.header.prev, frontier.root());
        segment
            .lines()
            .for_each(|line| frontier.push(leaf_hash(line)));
        for (index, line) in (segment.header.start + 1..).zip(segment::lines(segment.body())) {
            records.insert(index, String::from_utf8(line.to_vec()).unwrap());
        }
    }
    let head = load_head(&*world.heads[name], chain.origin())
        .await
        .unwrap()
        .unwrap()
        .value;
    assert_eq!(
        (head.size(), head.root()),
        (frontier.size(), frontier.root())
    );
    records
}

/// The chain's texts in order.
async fn texts(world: &World, name: &str) -> Vec<String> {
    let text = |line: String| line.split('"').nth(7).unwrap().to_owned();
    records(world, name).await.into_values().map(text).collect()
}

#[tokio::test]
async fn deliveries_are_sealed_once_and_in_order() {
    let world = World::new(&["aws"]).await;
    let mut sealer = world.sealer("aws");
    let first = sealer
        .seal(&[part(&["a", "b"]), part(&["c"]), part(&["a", "b"])])
        .await
        .unwrap();
    assert_eq!(
        first,
        [
            Outcome::Sealed { first_index: 1 },
            Outcome::Sealed { first_index: 3 },
            Outcome::AlreadySealed
        ]
    );
    let second = sealer
        .seal(&[part(&["c"]), part(&["d"]), part(&[])])
        .await
        .unwrap();
    assert_eq!(
        second,
        [
            Outcome::AlreadySealed,
            Outcome::Sealed { first_index: 5 },
            Outcome::Sealed { first_index: 6 }
        ]
    );
    // A cold writer knows them from the headers.
    let cold = world
        .sealer("aws")
        .seal(&[part(&["d"]), part(&["a", "b"])])
        .await
        .unwrap();
    assert_eq!(cold, [Outcome::AlreadySealed; 2]);
    // And from the indexes, once published.
    assert_eq!(world.anchor().await.exit_code(), 0);
    let cold = world
        .sealer("aws")
        .seal(&[part(&["d"]), part(&["a", "b"])])
        .await
        .unwrap();
    assert_eq!(cold, [Outcome::AlreadySealed; 2]);
    assert_eq!(texts(&world, "aws").await, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn one_put_and_one_swap_a_batch() {
    let world = World::new(&["aws"]).await;
    let mut sealer = world.sealer("aws");
    sealer.seal(&[part(&["a"])]).await.unwrap();
    let before = world.faults.counts();
    let batch: Vec<_> = (0..100).map(|n| part(&[&format!("b{n}")])).collect();
    sealer.seal(&batch).await.unwrap();
    let calls = world.faults.counts() - before;
    assert_eq!((calls.puts, calls.swaps, calls.total()), (1, 1, 2));
}

#[tokio::test]
async fn writers_of_one_chain_lose_nothing_and_repeat_nothing() {
    let world = World::new(&["aws"]).await;
    let mut tasks = Vec::new();
    for writer in 0..8 {
        let mut sealer = world.sealer("aws");
        tasks.push(tokio::spawn(async move {
            for n in 0..20 {
                // Every delivery reaches two writers.
                let (own, shared) = (format!("w{writer}-{n}"), format!("s{}-{n}", writer / 2));
                sealer
                    .seal(&[part(&[&own]), part(&[&shared])])
                    .await
                    .unwrap();
                tokio::task::yield_now().await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let mut texts = texts(&world, "aws").await;
    texts.sort();
    let mut wanted: Vec<_> = (0..8)
        .flat_map(|w| (0..20).map(move |n| format!("w{w}-{n}")))
        .collect();
    wanted.extend((0..4).flat_map(|s| (0..20).map(move |n| format!("s{s}-{n}"))));
    wanted.sort();
    assert_eq!(texts, wanted);
}

#[tokio::test]
async fn an_orphan_is_adopted_and_two_are_an_alarm() {
    let world = World::new(&["aws"]).await;
    world.seal("aws", &["a"]).await;
    let key = crate::head::head_key(world.chain("aws").origin());
    let old_head = world.heads["aws"]
        .inner()
        .load(&key)
        .await
        .unwrap()
        .unwrap();
    world.seal("aws", &["b"]).await;
    // The swap after the second segment was lost.
    world.heads["aws"]
        .inner()
        .tamper_replace(&key, old_head.bytes.clone());
    world.seal("aws", &["c"]).await;
    assert_eq!(texts(&world, "aws").await, ["a", "b", "c"]);
    // A delivery in the orphan is not sealed again.
    world.heads["aws"]
        .inner()
        .tamper_replace(&key, old_head.bytes.clone());
    let error = world.sealer("aws").seal(&[part(&["c"])]).await.unwrap_err();
    assert!(matches!(error, SealError::Alarm { .. }), "{error}");
    assert!(error.to_string().contains("run verify"));
}

#[tokio::test]
async fn what_readers_would_refuse_is_not_written() {
    let world = World::new(&["aws"]).await;
    world.seal("aws", &["a"]).await;
    let mut odd = part(&["odd"]);
    odd.delivery.id = "not hex".into();
    let mut short = part(&["short"]);
    short.delivery.part = (2, 1);
    for part in [odd, short] {
        let error = world.sealer("aws").seal(&[part]).await.unwrap_err();
        assert!(matches!(error, SealError::Segment(_)), "{error}");
    }
    world.seal("aws", &["b"]).await;
    assert_eq!(texts(&world, "aws").await, ["a", "b"]);
}

#[tokio::test]
async fn what_does_not_belong_stops_the_chain() {
    // A squatter on the next key.
    let world = World::new(&["aws"]).await;
    world.seal("aws", &["a"]).await;
    let next = names::segment(2);
    world.sealed["aws"]
        .inner()
        .tamper_replace(&next, &b"squat"[..]);
    let error = world.sealer("aws").seal(&[part(&["b"])]).await.unwrap_err();
    assert!(matches!(error, SealError::Alarm { .. }), "{error}");

    // A segment of the same key that continues another history.
    let other = World::new(&["aws"]).await;
    other.seal("aws", &["x"]).await;
    other.seal("aws", &["y"]).await;
    let foreign = other.objects("aws").await[&next].clone();
    world.sealed["aws"].inner().tamper_replace(&next, foreign);
    let error = world.sealer("aws").seal(&[part(&["b"])]).await.unwrap_err();
    assert!(error.to_string().contains("another history"), "{error}");

    // No head over segments; no genesis.
    let world = World::new(&["aws"]).await;
    world.seal("aws", &["a"]).await;
    let key = crate::head::head_key(world.chain("aws").origin());
    world.heads["aws"].inner().tamper_remove(&key);
    let error = world.sealer("aws").seal(&[part(&["b"])]).await.unwrap_err();
    assert!(matches!(error, SealError::NoHead { .. }), "{error}");
    world.sealed["aws"].inner().tamper_remove(names::GENESIS);
    let error = world.sealer("aws").seal(&[part(&["b"])]).await.unwrap_err();
    assert!(matches!(error, SealError::NoGenesis { .. }), "{error}");
}
