//! A party that does not answer is given up within 30 seconds.

use std::time::{Duration, Instant};

use tokio::net::TcpListener;

use super::world::World;
use super::{ALL, Direction};
use crate::testing::wire::{Mode, Wire};

#[tokio::test]
async fn a_silent_exchange_is_given_up_within_30_seconds_and_said() {
    let world = World::new().await;
    let began = Instant::now();
    let tasks = ALL.map(|direction| {
        let url = world.url().to_owned();
        tokio::spawn(async move {
            let wire = Wire::before(&url).await;
            wire.all(Mode::Stall);
            let silent = World::elsewhere(&wire.url()).await;
            let error = direction.open(&silent).read().await.unwrap_err();
            (direction, error)
        })
    });
    for task in tasks {
        let (direction, error) = task.await.unwrap();
        let (home, target) = direction.names();
        assert!(
            error.contains(&format!(
                "the identity in {home} could not be exchanged for access to {target}"
            )),
            "{direction:?}: {error}"
        );
        assert!(error.contains("tried again"), "{direction:?}: {error}");
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(world.steps(), [""; 0]);
}

#[tokio::test]
async fn a_party_that_is_not_there_is_said() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for direction in ALL {
        let away = World::elsewhere(&url).await;
        let began = Instant::now();
        let error = direction.open(&away).read().await.unwrap_err();
        assert!(began.elapsed() < Duration::from_secs(30));
        let (home, target) = direction.names();
        assert!(error.contains(home) && error.contains(target), "{error}");
        if direction != Direction::AwsToGcp {
            assert!(error.contains("exchanged"), "{error}");
        }
    }
}
