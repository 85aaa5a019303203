use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use countersign_store::fault::{CallKind, Fault};
use countersign_store::{
    Expected, GetError, Knowledge, ListError, Page, PutError, Retention, SealedStore, Setting,
    VersionPage,
};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::*;
use crate::seal::tests::records;
use crate::testing::World;
use crate::verify::{Options, Verdict, verify};

/// Far more than any of these tests takes.
const LONG: Duration = Duration::from_secs(60);

/// A store whose puts take a while, and wait until they are let through.
#[derive(Debug)]
struct Slow {
    inner: Arc<dyn SealedStore>,
    takes: Duration,
    gate: Semaphore,
    /// Puts that wait or are being done: now, and at most so far.
    flying: AtomicUsize,
    most: AtomicUsize,
}

impl Slow {
    fn open_all(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    /// Until a put waits at the gate.
    async fn reached(&self) {
        while self.flying.load(SeqCst) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

#[async_trait]
impl SealedStore for Slow {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let flying = self.flying.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(flying, SeqCst);
        self.gate.acquire().await.unwrap().forget();
        sleep(self.takes).await;
        let result = self.inner.put_new(key, bytes, retention).await;
        self.flying.fetch_sub(1, SeqCst);
        result
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        self.inner.get(key, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        self.inner.get_range(key, range).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        self.inner.list(prefix, after).await
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        self.inner.versions(prefix, after).await
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        self.inner.posture(expected).await
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// A group of one chain whose puts take that long once `open` lets them through.
fn group(world: &World, takes: Duration, open: bool) -> (Group, Arc<Slow>) {
    let mut chain = world.chain("aws").clone();
    let slow = Arc::new(Slow {
        inner: chain.sealed.clone(),
        takes,
        gate: Semaphore::new(0),
        flying: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    if open {
        slow.open_all();
    }
    chain.sealed = slow.clone();
    let signer = world.signers[chain.origin()].clone();
    let sealer = Sealer::open(chain, signer, world.clock.clone(), 12).unwrap();
    (Group::new(vec![sealer], 1 << 30), slow)
}

fn event(caller: usize) -> Incoming {
    delivery(&format!("caller {caller}"), event_line(caller))
}

fn event_line(caller: usize) -> String {
    format!("{{\"caller\":\"{caller:06}\"}}")
}

fn delivery(from: &str, content: String) -> Incoming {
    Incoming {
        from: from.to_owned(),
        id: None,
        input: Box::new(content.into_bytes()),
    }
}

/// Calls with one event each, at once; as a platform does, again after an error.
fn burst(group: &Group, callers: Range<usize>) -> JoinSet<(usize, Receipt)> {
    let mut calls = JoinSet::new();
    for caller in callers {
        let group = group.clone();
        calls.spawn(async move {
            loop {
                match group.seal(event(caller)).await {
                    Ok(receipts) => {
                        let [receipt] = <[Receipt; 1]>::try_from(receipts).unwrap();
                        assert_eq!(receipt.from, format!("caller {caller}"));
                        return (caller, receipt);
                    }
                    Err(GroupError::Seal(error)) => {
                        assert!(!matches!(*error, SealError::Alarm { .. }), "{error}");
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    calls
}

/// Each caller's receipt names the record that holds its event, and no event is
/// sealed twice.
async fn check(world: &World, answered: &[(usize, Receipt)], callers: usize) {
    let records = records(world, "aws").await;
    let mut indexes = BTreeSet::new();
    for (caller, receipt) in answered {
        let line = event_line(*caller);
        let held = |record: &String| record.contains(&line);
        match receipt.outcome {
            Outcome::Sealed { first_index } => {
                assert!(indexes.insert(first_index), "{first_index} twice");
                assert!(held(&records[&first_index]), "{}", records[&first_index]);
            }
            Outcome::AlreadySealed => assert!(records.values().any(held), "{line} is missing"),
        }
    }
    let distinct: BTreeSet<_> = records.values().collect();
    assert_eq!((distinct.len(), records.len()), (callers, callers));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_callers_share_a_few_puts() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::from_millis(30), true);
    let before = world.faults.counts();
    let answered = burst(&group, 0..1000).join_all().await;
    let calls = world.faults.counts() - before;
    eprintln!(
        "{} puts, {} swaps for 1000 callers",
        calls.puts, calls.swaps
    );
    assert!(calls.puts < 20 && calls.swaps < 20, "{calls:?}");
    assert_eq!(slow.most.load(SeqCst), 1, "one put in flight");
    let sealed = |(_, receipt): &&(usize, Receipt)| receipt.outcome != Outcome::AlreadySealed;
    assert_eq!(answered.iter().filter(sealed).count(), 1000);
    check(&world, &answered, 1000).await;
}

#[tokio::test]
async fn nobody_is_answered_before_the_put_is_done() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::ZERO, false);
    let before = world.faults.counts();
    let mut calls = burst(&group, 0..1);
    slow.reached().await;
    // They wait behind the first, the same delivery among them.
    let mut others = burst(&group, 0..1000);
    handed_in(&group, 1001).await;
    sleep(Duration::from_millis(50)).await;
    assert!(calls.try_join_next().is_none());
    assert!(others.try_join_next().is_none());

    slow.gate.add_permits(1);
    let first = calls.join_next().await.unwrap().unwrap();
    assert_eq!(first.1.outcome, Outcome::Sealed { first_index: 1 });
    sleep(Duration::from_millis(50)).await;
    // The second batch is in flight, with the first delivery's duplicate in it.
    assert!(others.try_join_next().is_none());
    slow.gate.add_permits(1);
    let answered = others.join_all().await;
    assert_eq!((world.faults.counts() - before).puts, 2);
    let again = answered.iter().find(|(caller, _)| *caller == 0).unwrap();
    assert_eq!(again.1.outcome, Outcome::AlreadySealed);
    check(&world, &answered, 1000).await;
    assert_eq!(waiting_bytes(&group), 0);
}

#[tokio::test]
async fn a_delivery_twice_in_a_batch_is_sealed_once() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::ZERO, false);
    let first = burst(&group, 0..1);
    slow.reached().await;
    let mut twice = JoinSet::new();
    for _ in 0..2 {
        let group = group.clone();
        twice.spawn(async move { group.seal(event(1)).await.unwrap().remove(0).outcome });
    }
    handed_in(&group, 3).await;
    slow.gate.add_permits(1);
    first.join_all().await;
    sleep(Duration::from_millis(50)).await;
    assert!(twice.try_join_next().is_none(), "answered before durable");
    slow.gate.add_permits(1);
    let outcomes = twice.join_all().await;
    assert!(outcomes.contains(&Outcome::AlreadySealed), "{outcomes:?}");
    let sealed = Outcome::Sealed { first_index: 3 };
    assert!(outcomes.contains(&sealed), "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn faults_during_a_burst_lose_nothing_and_repeat_nothing() {
    let every = [Fault::Lost, Fault::Done, Fault::Transient, Fault::Refused];
    for (nth, fault) in every.into_iter().enumerate() {
        let world = World::new(&["aws"]).await;
        let (group, _) = group(&world, Duration::from_millis(3), true);
        // Long enough for a batch to run out of its retries.
        let offset = nth as u64;
        let failed = Arc::new(AtomicUsize::new(0));
        let count = failed.clone();
        world.faults.fail_when(move |call| {
            let write = call.counts.writes() + offset;
            let fails = call.kind.is_write() && write % 20 < 9;
            count.fetch_add(usize::from(fails), SeqCst);
            fails.then_some(fault)
        });
        let mut answered = Vec::new();
        for from in (0..500).step_by(50) {
            answered.extend(burst(&group, from..from + 50).join_all().await);
        }
        world.faults.clear();
        assert!(failed.load(SeqCst) > 9, "{fault:?} {failed:?}");
        check(&world, &answered, 500).await;
        assert_eq!(world.anchor().await.exit_code(), 0);
        let options = Options::default();
        let report = verify(&world.deployment, &options, &*world.clock, &()).await;
        let report = report.unwrap();
        assert_eq!(report.result, Verdict::Verified, "{fault:?}");
        assert_eq!(report.chains[0].duplicates, 0);
    }
}

#[tokio::test]
async fn an_error_is_every_callers_and_passes_with_its_cause() {
    let world = World::new(&["aws"]).await;
    let (group, _) = group(&world, Duration::ZERO, true);
    world
        .faults
        .fail_when(|call| (call.kind == CallKind::Put).then_some(Fault::Refused));
    let mut calls = JoinSet::new();
    for caller in 0..100 {
        let group = group.clone();
        calls.spawn(async move { group.seal(event(caller)).await });
    }
    for result in calls.join_all().await {
        let error = result.unwrap_err();
        assert!(matches!(error, GroupError::Seal(_)), "{error}");
        assert!(error.to_string().contains("clear the faults"), "{error}");
    }
    world.faults.clear();
    // A squatter on the next key, and what an operator finds out about it.
    let squatted = countersign_core::names::segment(0);
    let store = world.sealed["aws"].inner();
    store.tamper_replace(&squatted, &b"squat"[..]);
    for _ in 0..2 {
        let error = group.seal(event(1)).await.unwrap_err();
        assert!(error.to_string().starts_with("ALARM"), "{error}");
    }
    store.tamper_remove(&squatted);
    let answered = burst(&group, 0..100).join_all().await;
    check(&world, &answered, 100).await;
}

#[tokio::test]
async fn a_delivery_that_cannot_be_sealed_fails_alone() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::ZERO, false);
    let first = burst(&group, 0..1);
    slow.reached().await;
    let mut bad = event(1);
    bad.id = Some("not hex".into());
    let with_bad = group.clone();
    let bad = tokio::spawn(async move { with_bad.seal(bad).await });
    let others = burst(&group, 2..10);
    let broken = group.seal(delivery("broken", "{\"Records\":[{".into()));
    let broken = broken.await.unwrap_err();
    assert!(matches!(broken, GroupError::Source { .. }), "{broken}");
    handed_in(&group, 10).await;
    slow.open_all();
    let mut answered = first.join_all().await;
    answered.extend(others.join_all().await);
    let error = bad.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not written"), "{error}");
    check(&world, &answered, 9).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_store_makes_callers_wait_and_no_memory_grow() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::from_millis(5), false);
    let mut calls = JoinSet::new();
    // 80 MB in deliveries of 2 MB, and one larger than a batch.
    let big = |caller: usize, bytes: usize| format!("[{caller},\"{}\"]", "x".repeat(bytes));
    for caller in 0..40 {
        let group = group.clone();
        let content = big(caller, if caller == 20 { 12 << 20 } else { 2 << 20 });
        calls.spawn(async move { group.seal(delivery("big", content)).await.unwrap() });
    }
    slow.reached().await;
    let watched = group.clone();
    let watch = async || {
        let waiting = waiting_bytes(&watched);
        assert!(waiting <= ROOM_BYTES, "{waiting} bytes wait");
        sleep(Duration::from_millis(2)).await;
        waiting
    };
    // It fills, and nothing more is taken.
    while watch().await < ROOM_BYTES - (13 << 20) {}
    for _ in 0..50 {
        watch().await;
    }
    assert!(calls.try_join_next().is_none());
    slow.open_all();
    while !calls.is_empty() {
        watch().await;
        while let Some(done) = calls.try_join_next() {
            done.unwrap();
        }
    }
    assert_eq!(waiting_bytes(&group), 0);
    assert_eq!(records(&world, "aws").await.len(), 80);
    assert_eq!(slow.most.load(SeqCst), 1);
}

#[tokio::test]
async fn a_part_larger_than_the_room_has_it_alone() {
    let world = World::new(&["aws"]).await;
    let (group, _) = group(&world, Duration::ZERO, true);
    // Two parts: of a little less than 48 MB, and the rest.
    let line = format!("\"{}\"\n", "x".repeat(1 << 20));
    let content = line.repeat(50);
    let large = group.seal(delivery("large", content));
    let (receipts, small) = tokio::join!(large, group.seal(event(1)));
    small.unwrap();
    let receipts = receipts.unwrap();
    let parts: Vec<_> = receipts.iter().map(|receipt| receipt.part).collect();
    assert_eq!(parts, [(1, 2), (2, 2)]);
    assert_eq!(receipts.iter().map(|part| part.records).sum::<u64>(), 50);
    assert_eq!(records(&world, "aws").await.len(), 51);
}

#[tokio::test]
async fn callers_that_go_away_take_nothing_from_others() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::from_millis(1), false);
    let stay = burst(&group, 0..100);
    let go = burst(&group, 100..200);
    slow.reached().await;
    drop(go);
    slow.open_all();
    let mut answered = stay.join_all().await;
    // Handed in again, each is sealed now or was by then.
    answered.extend(burst(&group, 100..200).join_all().await);
    check(&world, &answered, 200).await;
    timeout(LONG, group.close()).await.unwrap();
    assert_eq!(records(&world, "aws").await.len(), 200);
}

#[tokio::test]
async fn closing_drains_and_refuses() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::from_millis(1), false);
    let calls = burst(&group, 0..200);
    slow.reached().await;
    handed_in(&group, 200).await;
    let closer = group.clone();
    let closed = tokio::spawn(async move { closer.close().await });
    sleep(Duration::from_millis(50)).await;
    let refused = timeout(LONG, group.seal(event(200))).await.unwrap();
    assert!(matches!(refused, Err(GroupError::Closed)), "{refused:?}");
    assert!(!closed.is_finished());
    slow.open_all();
    timeout(LONG, closed).await.unwrap().unwrap();
    let answered = timeout(LONG, calls.join_all()).await.unwrap();
    check(&world, &answered, 200).await;
    // Again, and on another handle.
    timeout(LONG, group.clone().close()).await.unwrap();
}

#[tokio::test]
async fn the_last_handle_leaves_writers_that_drain() {
    let world = World::new(&["aws"]).await;
    let (group, slow) = group(&world, Duration::from_millis(1), false);
    let calls = burst(&group, 0..50);
    slow.reached().await;
    drop(group);
    slow.open_all();
    let answered = timeout(LONG, calls.join_all()).await.unwrap();
    check(&world, &answered, 50).await;
    // The writer has ended: nobody has the store but us.
    while Arc::strong_count(&slow) > 1 {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_panic_is_an_error_and_the_writer_goes_on() {
    let world = World::new(&["aws"]).await;
    let (group, _) = group(&world, Duration::ZERO, true);
    let answered = burst(&group, 0..10).join_all().await;
    world.faults.fail_when(|call| {
        assert_ne!(call.kind, CallKind::Put, "as a defect would");
        None
    });
    let error = timeout(LONG, group.seal(event(10))).await.unwrap();
    assert!(matches!(error, Err(GroupError::Stopped)), "{error:?}");
    world.faults.clear();
    let mut answered = answered;
    answered.extend(burst(&group, 5..20).join_all().await);
    check(&world, &answered, 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_instances_share_a_chain() {
    let world = World::new(&["aws"]).await;
    let groups: Vec<_> = (0..8)
        .map(|_| group(&world, Duration::from_millis(2), true).0)
        .collect();
    // Neighbours are handed the same deliveries.
    let calls: Vec<_> = groups
        .iter()
        .zip(0..)
        .map(|(group, nth)| burst(group, nth * 50..nth * 50 + 100))
        .collect();
    let mut answered = Vec::new();
    for calls in calls {
        answered.extend(calls.join_all().await);
    }
    assert_eq!(answered.len(), 800);
    check(&world, &answered, 450).await;
}

/// What is counted against the room now.
fn waiting_bytes(group: &Group) -> usize {
    let lanes = group.shared.lanes();
    ROOM_BYTES - lanes.as_ref().unwrap().shards[0].room.available_permits()
}

/// Until that many events are handed in and not answered.
async fn handed_in(group: &Group, events: usize) {
    let event = event(0);
    let part = Parts::of(&event, Cloud::Aws, 1 << 20).unwrap().next();
    let bytes = part.unwrap().unwrap().body.len() + PART_BYTES;
    while waiting_bytes(group) != events * bytes {
        sleep(Duration::from_millis(1)).await;
    }
}
