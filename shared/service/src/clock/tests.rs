//! What a clock that jumps does to the jobs: nothing is lost, no wrong head is
//! signed, and `verify` names what is out of order.

use std::collections::BTreeSet;

use countersign_core::segment::Segment;

use super::{Clock, SetClock, TOLERANCE_MILLIS};
use crate::testing::{START_MILLIS, World, part};
use crate::verify::{Check, Options, Report, Status, Verdict, verify};

const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];
const MINUTE_MILLIS: u64 = 60_000;
const YEAR_2106_MILLIS: u64 = (1 << 32) * 1000;
const YEAR_9999_MILLIS: u64 = 253_402_300_799_000;

fn set(clock: &SetClock, to: u64) {
    while clock.unix_millis() != to {
        let by = i128::from(to) - i128::from(clock.unix_millis());
        let by = by.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
        clock.advance(i64::try_from(by).unwrap());
    }
}

async fn round(world: &World, name: &str) {
    for cloud in CLOUDS {
        world.seal(cloud, &[&format!("{name} {cloud}")]).await;
    }
    let report = world.anchor().await;
    assert!(report.published.iter().all(|(_, new)| new.is_some()));
    if world.clock.unix_seconds() == 0 {
        // Time 0 means none in a cosignature: all is done but that.
        assert_eq!((report.exit_code(), report.errors.len()), (2, 6));
        let said = report.errors[0].1.to_string();
        assert!(said.contains("set the clock right"), "{said}");
    } else {
        assert_eq!(report.exit_code(), 0, "{name}: {:?}", report.errors);
    }
}

async fn verified(world: &World, at_millis: Option<u64>) -> Report {
    let options = Options {
        at_millis,
        ..Options::default()
    };
    let report = verify(&world.deployment, &options, &*world.clock, &()).await;
    report.unwrap()
}

/// Segments that say they were sealed before one before them, as `verify` should
/// name them.
async fn sealed_back(world: &World, cloud: &str) -> BTreeSet<String> {
    let mut latest = i64::MIN;
    let mut back = BTreeSet::new();
    for (name, object) in world.objects(cloud).await {
        if name.starts_with("segments/") {
            let segment = Segment::open(&object, &world.chain(cloud).key).unwrap();
            let at = segment.header.sealed_at_millis();
            if at < latest.saturating_sub(TOLERANCE_MILLIS) {
                back.insert(name);
            }
            latest = latest.max(at);
        }
    }
    back
}

#[tokio::test]
async fn a_clock_that_jumps_stops_nothing_and_is_named() {
    let now = START_MILLIS + 10 * MINUTE_MILLIS;
    for (jumped, named) in [
        (now - 4 * MINUTE_MILLIS, false),
        (now - 6 * MINUTE_MILLIS, true),
        (now - 3 * 60 * MINUTE_MILLIS, true),
        (1000, true),
        (0, true),
        (now + 4 * MINUTE_MILLIS, false),
        (YEAR_2106_MILLIS, true),
        (YEAR_9999_MILLIS, true),
        (YEAR_9999_MILLIS + 1000, true),
        (u64::MAX, true),
    ] {
        let world = World::new(&CLOUDS).await;
        set(&world.clock, now);
        round(&world, "before").await;
        set(&world.clock, jumped);
        round(&world, "jumped").await;
        // Whatever it says of the times, it can be said at any time.
        for at in [None, Some(0), Some(now), Some(u64::MAX)] {
            verified(&world, at).await;
        }
        set(&world.clock, now + 2 * MINUTE_MILLIS);
        round(&world, "after").await;
        let report = verified(&world, None).await;
        let expected = if named {
            Verdict::Failed
        } else {
            Verdict::Verified
        };
        assert_eq!(report.result, expected, "{jumped}");
        for (chain, cloud) in report.chains.iter().zip(CLOUDS) {
            for check in &chain.checks {
                // Tiles are to be kept as long as the genesis at least.
                let short = jumped < START_MILLIS - TOLERANCE_MILLIS.unsigned_abs();
                let fails = match check.name {
                    Check::TimeOrder => named,
                    Check::RetentionLocks => short,
                    _ => false,
                };
                let failed = check.status == Status::Fail;
                assert_eq!(failed, fails, "{jumped} {:?}", check.findings);
                let segments = check.findings.iter().filter(|f| f.code == "CS-1701");
                let found: BTreeSet<_> = segments.filter_map(|f| f.object.clone()).collect();
                if check.name == Check::TimeOrder {
                    assert_eq!(found, sealed_back(&world, cloud).await, "{jumped}");
                }
            }
            assert_eq!(chain.duplicates, 0);
        }
    }
}

#[tokio::test]
async fn a_sealer_knows_that_its_clock_is_behind() {
    let world = World::new(&CLOUDS).await;
    let mut warm = world.sealer("aws");
    warm.seal(&[part(&["a"])]).await.unwrap();
    let late = START_MILLIS - TOLERANCE_MILLIS.unsigned_abs();
    assert_eq!(warm.later_than(late), None);
    let said = warm.later_than(late - 1);
    assert_eq!(said.as_deref(), Some("2026-11-24T21:00:00.000Z"));
    // A cold one learns it from the headers, or from the indexes once published.
    for published in [false, true] {
        if published {
            assert_eq!(world.anchor().await.exit_code(), 0);
        }
        let mut cold = world.sealer("aws");
        assert_eq!(cold.later_than(0), None);
        cold.load_and_adopt().await.unwrap();
        assert_eq!(cold.later_than(late), None);
        assert_eq!(cold.later_than(late - 1), said);
    }
}
