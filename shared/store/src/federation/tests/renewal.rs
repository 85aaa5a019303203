//! One exchange for all, made again before its result expires.

use std::time::Duration;

use super::world::{World, entra, exchange_error, exchanged, session};
use super::{ALL, Direction, Reached, aws_home, gcp, gcp_endpoints, gcp_reach};
use crate::testing::server::Answer;

#[tokio::test]
async fn concurrent_and_later_calls_share_one_exchange() {
    for direction in ALL {
        let world = World::new().await;
        let reached = direction.open(&world);
        let calls = (0..8).map(|_| {
            let reached = reached.clone();
            tokio::spawn(async move { reached.read().await })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap().unwrap();
        }
        reached.read().await.unwrap();
        assert_eq!(world.asked(direction.exchange()).len(), 1, "{direction:?}");
        if let Some(home) = direction.home() {
            assert_eq!(world.asked(home).len(), 1, "{direction:?}");
        }
    }
}

/// Access without a service account, whose token is the exchange's own.
fn to_gcp(world: &World) -> Reached {
    let (home, endpoints) = (aws_home(world), gcp_endpoints(world));
    Reached::Gcp(gcp::Access::from_aws(&home, &gcp_reach(None, None), endpoints).unwrap())
}

#[tokio::test]
async fn what_is_about_to_expire_is_renewed_while_it_is_still_good() {
    // Five minutes before the end; of Google's shortest ones a quarter before.
    for (direction, answer) in [
        (Direction::GcpToAzure, entra(303)),
        (Direction::AwsToGcp, exchanged(8)),
    ] {
        let step = direction.exchange();
        let world = World::with(step, answer).await;
        let reached = match direction {
            Direction::AwsToGcp => to_gcp(&world),
            _ => direction.open(&world),
        };
        for _ in 0..3 {
            reached.read().await.unwrap();
        }
        assert_eq!(world.asked(step).len(), 1, "{direction:?}");
        tokio::time::sleep(Duration::from_millis(6500)).await;
        reached.read().await.unwrap();
        assert_eq!(world.asked(step).len(), 2, "{direction:?}");
    }
}

/// AWS's library spreads the renewal over the second half of the five minutes,
/// so that not all processes come at once.
#[tokio::test]
async fn a_session_in_its_last_minutes_is_renewed_by_each_call() {
    for direction in [Direction::AzureToAws, Direction::GcpToAws] {
        let world = World::with("role", session(140)).await;
        let reached = direction.open(&world);
        for calls in 1..4 {
            reached.read().await.unwrap();
            assert_eq!(world.asked("role").len(), calls, "{direction:?}");
        }
    }
}

#[tokio::test]
async fn a_renewal_that_fails_leaves_what_is_still_good_in_use_until_its_end() {
    let world = World::with("exchange", exchanged(4)).await;
    let reached = to_gcp(&world);
    reached.read().await.unwrap();
    let denied = exchange_error(400, "invalid_grant", "no longer");
    world.answer("exchange", denied);
    tokio::time::sleep(Duration::from_millis(3200)).await;
    reached.read().await.unwrap();
    reached.read().await.unwrap();
    assert_eq!(
        world.asked("exchange").len(),
        2,
        "it is not tried each time"
    );
    tokio::time::sleep(Duration::from_millis(1000)).await;
    let error = reached.read().await.unwrap_err();
    assert!(error.contains("no longer"), "{error}");
    world.answer("exchange", exchanged(3600));
    reached.read().await.unwrap();
}

#[tokio::test]
async fn a_failed_exchange_is_made_anew_by_the_next_call() {
    for direction in ALL {
        let step = direction.exchange();
        let world = World::with(step, Answer::new(400, "{}")).await;
        let reached = direction.open(&world);
        reached.read().await.unwrap_err();
        let good = match step {
            "entra" => entra(3600),
            "role" => session(3600),
            _ => exchanged(3600),
        };
        world.answer(step, good);
        reached.read().await.unwrap();
    }
}
