//! Several processes on one folder, and processes that are killed.
//!
//! A child is this test binary, told by its environment to run [`child`] alone.

use std::fs;
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use bytes::Bytes;

use super::{LocalHeadStore, LocalSealedStore};
use crate::{
    HeadStore, ObjectPages, PutError, Retention, SealedStore, SwapError, Version, key_is_valid,
};

/// What a child does, and in which folder.
const TASK: &str = "COUNTERSIGN_STORE_TEST_TASK";
const FOLDER: &str = "COUNTERSIGN_STORE_TEST_FOLDER";
const NUMBER: &str = "COUNTERSIGN_STORE_TEST_NUMBER";

const CHILDREN: usize = 8;
const RACES: usize = 50;
const SWAPS: u64 = 40;
const KILLS: u64 = 20;

#[tokio::test]
async fn of_several_processes_one_puts_each_object() {
    let dir = tempfile::tempdir().unwrap();
    run_together(dir.path(), "race");
    let store = sealed(dir.path());
    let mut wins = [0; CHILDREN];
    for race in 0..RACES {
        let content = store.get(&format!("race/{race}"), 100_000).await.unwrap();
        let winner = usize::from(content[0]);
        assert!(
            content.iter().all(|byte| usize::from(*byte) == winner),
            "one writer's bytes"
        );
        wins[winner] += 1;
    }
    for (number, wins) in wins.into_iter().enumerate() {
        assert_eq!(
            said(dir.path(), number).lines().count(),
            wins,
            "wins of writer {number}"
        );
    }
}

#[tokio::test]
async fn of_several_processes_none_loses_a_swap() {
    let dir = tempfile::tempdir().unwrap();
    run_together(dir.path(), "swap");
    let (number, _) = number(&heads(dir.path())).await;
    assert_eq!(number, SWAPS * CHILDREN as u64);
}

#[tokio::test]
async fn what_a_killed_writer_leaves_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (store, heads) = (sealed(dir.path()), heads(dir.path()));
    let mut random = 1_u64;
    let mut seen = String::new();
    let mut acknowledged = 0;
    fs::write(dir.path().join("go"), "").unwrap();
    for round in 0..KILLS {
        let mut child = spawn(dir.path(), "until-killed", round as usize);
        while said(dir.path(), round as usize).is_empty() {
            assert!(child.0.try_wait().unwrap().is_none(), "the child failed");
            sleep(Duration::from_millis(1));
        }
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        for _ in 0..random >> 60 {
            seen = check_all_after(&store, seen).await;
        }
        sleep(Duration::from_micros((random >> 40) % 3_000));
        drop(child);

        check_all_after(&store, String::new()).await;
        let said = said(dir.path(), round as usize);
        // The last line may be cut off: it was not said then.
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for key in whole.lines() {
            store
                .get(key, u64::MAX)
                .await
                .expect("what was acknowledged stays");
            acknowledged += 1;
        }
        let (number, _) = number(&heads).await;
        assert!(
            number >= acknowledged,
            "{number} swaps, {acknowledged} acknowledged"
        );
    }
    let objects = ObjectPages::new(&store, "").collect().await.unwrap();
    assert!(
        objects
            .iter()
            .all(|object| object.valid_name && object.regular),
        "{objects:?}"
    );
    assert!(
        objects.len() as u64 >= KILLS,
        "only {} objects",
        objects.len()
    );
}

/// Not a test of its own: what a child process does.
#[tokio::test]
async fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let dir = PathBuf::from(std::env::var(FOLDER).unwrap());
    let number: usize = std::env::var(NUMBER).unwrap().parse().unwrap();
    let mut says = fs::File::create(dir.join(format!("said-{number}"))).unwrap();
    while !dir.join("go").exists() {
        assert!(dir.exists(), "the test is over");
        sleep(Duration::from_micros(100));
    }
    let (store, heads) = (sealed(&dir), heads(&dir));
    match task.as_str() {
        "race" => {
            for race in 0..RACES {
                let content = Bytes::from(vec![number as u8; 50_000]);
                match store
                    .put_new(&format!("race/{race}"), content, Retention::None)
                    .await
                {
                    Ok(()) => writeln!(says, "{race}").unwrap(),
                    Err(PutError::Exists { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        }
        "swap" => {
            for _ in 0..SWAPS {
                increment(&heads).await;
            }
        }
        "until-killed" => {
            for count in 0.. {
                let key = format!("objects/{number:02}/{:03}/{count:06}", count / 10);
                store
                    .put_new(&key, content(&key), Retention::None)
                    .await
                    .unwrap();
                increment(&heads).await;
                writeln!(says, "{key}").unwrap();
            }
        }
        other => panic!("no such task: {other}"),
    }
}

/// Runs the children at one time and waits until all have done well.
fn run_together(dir: &Path, task: &str) {
    let children: Vec<_> = (0..CHILDREN)
        .map(|number| spawn(dir, task, number))
        .collect();
    while (0..CHILDREN).any(|number| !dir.join(format!("said-{number}")).exists()) {
        sleep(Duration::from_millis(1));
    }
    fs::write(dir.join("go"), "").unwrap();
    for mut child in children {
        assert!(child.0.wait().unwrap().success(), "a child failed");
    }
}

fn spawn(dir: &Path, task: &str, number: usize) -> Killed {
    fs::create_dir_all(dir.join("sealed")).unwrap();
    fs::create_dir_all(dir.join("state")).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "local::process_tests::child", "--nocapture"])
        .env(TASK, task)
        .env(FOLDER, dir)
        .env(NUMBER, number.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    Killed(child)
}

/// A child that does not outlive the test, however that ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a child has said so far.
fn said(dir: &Path, number: usize) -> String {
    fs::read_to_string(dir.join(format!("said-{number}"))).unwrap_or_default()
}

fn sealed(dir: &Path) -> LocalSealedStore {
    LocalSealedStore::open(dir.join("sealed"))
}

fn heads(dir: &Path) -> LocalHeadStore {
    LocalHeadStore::open(dir.join("state"))
}

async fn number(heads: &LocalHeadStore) -> (u64, Option<Version>) {
    match heads.load("number").await.expect("a head is whole") {
        None => (0, None),
        Some(stored) => {
            let digits = std::str::from_utf8(&stored.bytes).unwrap();
            (digits.parse().unwrap(), Some(stored.version))
        }
    }
}

async fn increment(heads: &LocalHeadStore) {
    loop {
        let (number, version) = number(heads).await;
        let next = Bytes::from((number + 1).to_string());
        match heads.swap("number", version.as_ref(), next).await {
            Ok(_) => return,
            Err(SwapError::Lost { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Checks every object after the key `from`, and gives the last key seen.
async fn check_all_after(store: &LocalSealedStore, from: String) -> String {
    let mut last = from.clone();
    let from = Some(from).filter(|from| !from.is_empty());
    let mut pages = ObjectPages::after(store, "", from);
    while let Some(objects) = pages.next().await.unwrap() {
        for object in objects {
            assert!(key_is_valid(&object.key), "{object:?}");
            let whole = content(&object.key);
            assert_eq!(
                object.bytes,
                whole.len() as u64,
                "{object:?} is listed in part"
            );
            let got = store.get(&object.key, u64::MAX).await.unwrap();
            assert!(got == whole, "{} is not what was put", object.key);
            last = object.key;
        }
    }
    last
}

/// What belongs at a key: its own bytes over and over, up to 200 kB of them.
fn content(key: &str) -> Bytes {
    const SIZES: Range<usize> = 1..200_000;
    let hash = key.bytes().fold(7_usize, |hash, byte| {
        hash.wrapping_mul(31) + usize::from(byte)
    });
    let len = SIZES.start + hash.wrapping_mul(2_654_435_761) % SIZES.len();
    key.bytes().cycle().take(len).collect()
}
