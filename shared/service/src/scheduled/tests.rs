//! Scheduled verifications over stores in memory; what is remembered and the key
//! are in a folder.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use countersign_core::keys::{KeyKind, Seed, SeedSigner};
use countersign_store::{KeyAddress, StoreAddress};

use super::*;
use crate::keys::Signer;
use crate::testing::World;
use crate::verify::tests::world;

const DAY: i64 = 86_400_000;

/// A world whose reports are sealed with the chain of azure.
async fn reporting(folder: &Path) -> World {
    let mut world = world(2).await;
    let key = folder.join("report.seed");
    let seed = Seed::from_bytes([7; 32]);
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(&key);
    std::io::Write::write_all(&mut file.unwrap(), seed.to_file().as_bytes()).unwrap();
    let state = folder.join("state");
    std::fs::create_dir(&state).unwrap();
    world.deployment.settings.report = Some(ReportSettings {
        chain: "azure".to_owned(),
        key: KeyAddress::File(key),
        state: StoreAddress::File(state),
    });
    world
}

async fn scheduled(world: &World) -> Run {
    let run = run(&world.deployment, &*world.clock, &()).await;
    run.unwrap()
}

fn since(run: &Run) -> Vec<u64> {
    run.report.chains.iter().map(|chain| chain.since).collect()
}

#[tokio::test]
async fn a_run_seals_its_report_where_the_settings_say() {
    let folder = tempfile::tempdir().unwrap();
    let world = reporting(folder.path()).await;
    let run = scheduled(&world).await;
    assert!(run.errors.is_empty(), "{:?}", run.errors);
    assert_eq!((run.report.result, run.exit_code()), (Verdict::Verified, 0));
    let address = run.sealed.unwrap();
    let (_, key) = address.split_once("/reports/").unwrap();
    let stored = world.objects("azure").await[&format!("reports/{key}")].clone();
    let name = "audit.example.org/report/azure";
    let signer = SeedSigner::new(name, KeyKind::Log, &Seed::from_bytes([7; 32])).unwrap();
    let statement = attest::open(&stored, Signer::key(&signer)).unwrap();
    assert_eq!(statement["predicate"]["result"], "verified");
    // It belongs there: the next run does not complain of it.
    world.clock.advance(60_000);
    assert_eq!(scheduled(&world).await.report.result, Verdict::Verified);
}

#[tokio::test]
async fn what_was_verified_is_not_read_again_until_all_of_it_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let world = reporting(folder.path()).await;
    let first = scheduled(&world).await;
    assert_eq!(since(&first), [0, 0, 0]);
    let published: Vec<_> = first.report.chains.iter().map(|c| c.published).collect();

    world.seal("aws", &["new"]).await;
    world.anchor().await;
    world.clock.advance(60_000);
    let second = scheduled(&world).await;
    assert_eq!(
        second.report.result,
        Verdict::Verified,
        "{}",
        second.report.to_text(false)
    );
    assert_eq!(since(&second), published);
    let read = |run: &Run| run.report.chains.iter().map(|c| c.records).sum::<u64>();
    assert!(read(&second) < read(&first));

    // Anchors are renewed, or their age alone would fail.
    world.clock.advance(31 * DAY);
    world.anchor().await;
    world.clock.advance(60_000);
    let third = scheduled(&world).await;
    assert_eq!(since(&third), [0, 0, 0]);
}

#[tokio::test]
async fn a_history_that_was_replaced_below_what_was_trusted_contradicts_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = reporting(folder.path()).await;
    scheduled(&world).await;
    // As if the earlier run had seen another history of aws.
    let settings = world.deployment.settings.report.clone().unwrap();
    let mut memory = Memory::load(&world.deployment, &settings).await.unwrap();
    let mut state = memory.state.take().unwrap();
    let trusted = state.chains.get_mut("audit.example.org/aws").unwrap();
    trusted.root = Hash::leaf(b"another");
    let store = memory.store.unwrap();
    let bytes = Bytes::from(canonical(&state));
    store
        .swap(STATE_KEY, memory.version.as_ref(), bytes)
        .await
        .unwrap();

    let run = scheduled(&world).await;
    assert_eq!((run.report.result, run.exit_code()), (Verdict::Failed, 1));
    let settings = world.deployment.settings.report.clone().unwrap();
    let memory = Memory::load(&world.deployment, &settings).await.unwrap();
    let kept = memory.state.unwrap();
    assert_eq!(kept.verdict, StoredVerdict::Failed);
    // A failure does not make what it found the thing to trust.
    assert_eq!(kept.chains, state.chains);
    assert!(!kept.findings.is_empty());
    // And is looked at whole from then on.
    assert_eq!(since(&scheduled(&world).await), [0, 0, 0]);
}

#[tokio::test]
async fn a_memory_that_is_lost_or_damaged_costs_a_whole_reading_and_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let world = reporting(folder.path()).await;
    scheduled(&world).await;
    let file = folder.path().join("state").join(STATE_KEY);
    let content = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, content.replace("verification/v1", "verification/v9")).unwrap();
    let run = scheduled(&world).await;
    assert_eq!(since(&run), [0, 0, 0]);
    assert_eq!(run.report.result, Verdict::Verified);
    // Verified, and yet not all is as it should be.
    assert_eq!(run.exit_code(), 2);
    assert!(
        matches!(run.errors[..], [RunError::Damaged(..)]),
        "{:?}",
        run.errors
    );
}

#[tokio::test]
async fn good_reports_are_mailed_as_often_as_the_settings_say() {
    let week = 7 * DAY_MILLIS;
    let memory = |mailed_at_millis| Memory {
        state: Some(State {
            countersign: STATE_TYPE.to_owned(),
            chains: BTreeMap::new(),
            findings: Vec::new(),
            full_at_millis: 0,
            mailed_at_millis,
            verdict: StoredVerdict::Verified,
        }),
        ..Memory::default()
    };
    let now = 100 * week;
    for (when, verdict, mailed_before, due) in [
        (MailWhen::Always, Verdict::Verified, now - 1, true),
        (MailWhen::Failure, Verdict::Verified, 0, false),
        (MailWhen::Failure, Verdict::Incomplete, now - 1, true),
        (MailWhen::Failure, Verdict::Failed, now - 1, true),
        (MailWhen::Weekly, Verdict::Verified, now - week + 1, false),
        (MailWhen::Weekly, Verdict::Verified, now - week, true),
        (MailWhen::Weekly, Verdict::Failed, now - 1, true),
        // A clock that was set back does not silence it.
        (MailWhen::Weekly, Verdict::Verified, now + 1, true),
    ] {
        let found = memory(mailed_before).mail_is_due(when, verdict, now);
        assert_eq!(found, due, "{when:?} {verdict:?} {mailed_before}");
    }
    assert!(Memory::default().mail_is_due(MailWhen::Weekly, Verdict::Verified, now));
    assert_eq!(when(MailWhen::Weekly, None), MailWhen::Failure);
    assert_eq!(when(MailWhen::Always, None), MailWhen::Always);
}

#[test]
fn what_is_new_comes_first() {
    let changes = |before, now: &[&str]| {
        let now: Vec<String> = now.iter().map(|one| (*one).to_owned()).collect();
        let verdict = match now.is_empty() {
            true => Verdict::Verified,
            false => Verdict::Failed,
        };
        mail::changes(before, (verdict, &now))
    };
    assert_eq!(changes(None, &[]), ["This is the first report."]);
    let calm = (Verdict::Verified, &[][..]);
    assert_eq!(
        changes(Some(calm), &[]),
        ["Nothing has changed since the last report."]
    );
    let found = ["head CS-1 of a".to_owned()];
    let lines = changes(Some(calm), &["head CS-1 of a"]);
    assert!(
        lines[0].starts_with("FAILED since the last report"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "New: head CS-1 of a");
    let lines = changes(Some((Verdict::Failed, &found)), &[]);
    assert_eq!(lines.last().unwrap(), "Gone: head CS-1 of a");
}
