//! Versions, locks and times.

use countersign_core::genesis::Genesis;
use countersign_core::names::Object;
use countersign_core::time;
use countersign_store::{
    Aspect, Expected, Knowledge, Lock, ObjectVersion, Setting, SettingState, VersionLock,
    VersionPages,
};

use super::checks::{Check, Checks, Detail};
use super::codes;
use super::history::History;
use crate::chain::Chain;
use crate::clock::TOLERANCE_MILLIS;

/// One version per key, and each retained for long enough.
pub(super) async fn versions(
    chain: &Chain,
    genesis: Option<&Genesis>,
    history: &History,
    now: i64,
    checks: &mut Checks,
) {
    let days = genesis.map_or(chain.settings.retention_days, |genesis| {
        genesis.retention_days
    });
    let created = genesis.and_then(|genesis| time::parse(&genesis.created_at));
    let created = created.map(|at| at.unix_millis());
    let mut soft = Soft {
        lock: chain.settings.lock,
        count: 0,
        first: None,
    };
    let mut pages = VersionPages::new(&*chain.sealed, "");
    loop {
        match pages.next().await {
            Ok(Knowledge::Known(Some(page))) => {
                for of_key in page.chunk_by(|a, b| a.key == b.key) {
                    one_version(of_key, checks, || expired(of_key, history, days, now));
                    retained(of_key, history, created, days, &mut soft, checks);
                }
            }
            Ok(Knowledge::Known(None)) => return soft.tell(checks),
            Ok(Knowledge::NotApplicable { reason }) => {
                checks.skip(Check::RetentionLocks, &reason);
                return;
            }
            Err(error) => {
                checks.unknown(Check::ObjectVersions, error.to_string());
                checks.unknown(Check::RetentionLocks, error.to_string());
                return;
            }
        }
    }
}

fn one_version(versions: &[ObjectVersion], checks: &mut Checks, expired: impl Fn() -> bool) {
    let Some(newest) = versions.first() else {
        return;
    };
    let markers = versions.iter().filter(|version| version.delete_marker);
    let (markers, contents) = (markers.clone().count(), versions.len() - markers.count());
    let detail = Detail::object(&newest.key).expected("one version");
    // The lifecycle of a bucket sets one when a segment's retention has ended.
    if markers > 0 && !expired() {
        checks.find(&codes::DELETE_MARKER, detail);
    } else if contents > 1 {
        let found = format!("{contents} versions");
        checks.find(&codes::SECOND_VERSION, detail.found(found));
    }
}

/// Whether these are versions of a segment whose retention has ended.
fn expired(versions: &[ObjectVersion], history: &History, days: u32, now: i64) -> bool {
    let Some(Object::Segment { start }) = versions
        .first()
        .and_then(|newest| Object::parse(&newest.key))
    else {
        return false;
    };
    if let Some((_, fact)) = history.starting_at(start) {
        let days = i64::from(days) * 86_400_000;
        return fact
            .sealed_at
            .is_some_and(|at| at < now.saturating_sub(days));
    }
    // One before what is verified: by its locks.
    let now = u64::try_from(now).unwrap_or(0);
    let mut contents = versions.iter().filter(|version| !version.delete_marker);
    contents
        .all(|version| matches!(version.lock, VersionLock::Until { millis, .. } if millis < now))
}

fn retained(
    versions: &[ObjectVersion],
    history: &History,
    created: Option<i64>,
    days: u32,
    soft: &mut Soft,
    checks: &mut Checks,
) {
    let sealed = |size: u64| history.ending_at(size).and_then(|fact| fact.sealed_at);
    let Some(version) = versions.iter().rev().find(|version| !version.delete_marker) else {
        return;
    };
    // From the latest time that is certainly not after the object was written.
    let written = match Object::parse(&version.key) {
        Some(Object::Genesis) => created,
        Some(Object::Segment { start }) => history
            .starting_at(start)
            .and_then(|(_, fact)| fact.sealed_at),
        Some(Object::Index { size } | Object::Checkpoint { size }) => sealed(size),
        Some(Object::Anchor { seconds, .. }) => i64::try_from(seconds)
            .ok()
            .and_then(|seconds| seconds.checked_mul(1000)),
        Some(Object::Tile(_)) => created,
        Some(Object::Evidence | Object::Report) | None => return,
    };
    checks.checked(Check::RetentionLocks, 1);
    let Some(written) = written else {
        return;
    };
    let until = written.saturating_add(i64::from(days) * 86_400_000);
    let least = u64::try_from(until.saturating_sub(TOLERANCE_MILLIS)).unwrap_or(0);
    let detail = Detail::object(&version.key);
    let text = time::from_unix_millis;
    match &version.lock {
        VersionLock::Until { millis, mode } if *millis >= least => {
            if !mode.is_firm() {
                soft.count += 1;
                soft.first.get_or_insert_with(|| version.key.clone());
            }
        }
        VersionLock::None if soft.lock == Lock::Off => {
            soft.count += 1;
            soft.first.get_or_insert_with(|| version.key.clone());
        }
        VersionLock::Until { millis, .. } => {
            let detail = detail.expected(text(least)).found(text(*millis));
            checks.find(&codes::RETENTION_SHORT, detail);
        }
        VersionLock::Unknown { reason } => {
            checks.unknown(
                Check::RetentionLocks,
                format!(
                    "the retention of {} could not be read: {reason}",
                    version.key
                ),
            );
        }
        VersionLock::None => {
            let detail = detail.expected(text(least)).found("no retention");
            checks.find(&codes::RETENTION_SHORT, detail);
        }
    }
}

/// Objects whose lock some may lift: one cause, however many they are.
struct Soft {
    lock: Lock,
    count: u64,
    first: Option<String>,
}

impl Soft {
    fn tell(self, checks: &mut Checks) {
        let Some(first) = self.first else { return };
        let code = match self.lock {
            Lock::Off => &codes::LOCK_OFF,
            Lock::Governance => &codes::LOCK_SOFT,
            Lock::Compliance => &codes::LOCK_SOFTER,
        };
        let found = format!("{} such objects", self.count);
        checks.find_many(code, self.count, Detail::object(first).found(found));
    }
}

/// What the store says of its own settings, beside what they should be.
pub(super) async fn settings(chain: &Chain, days: u32, checks: &mut Checks) {
    let expected = Expected {
        retention_days: days,
        lock: chain.settings.lock,
    };
    let settings = match chain.sealed.posture(expected).await {
        Knowledge::Known(settings) => settings,
        Knowledge::NotApplicable { reason } => {
            checks.skip(Check::StorePosture, &reason);
            return;
        }
    };
    for Setting {
        name,
        aspect,
        state,
    } in settings
    {
        let (check, open_code, weak_code) = match aspect {
            Aspect::Retention => (
                Check::RetentionLocks,
                &codes::RETENTION_OPEN,
                &codes::RETENTION_WEAK,
            ),
            Aspect::Store => (Check::StorePosture, &codes::STORE_OPEN, &codes::STORE_WEAK),
        };
        checks.checked(check, 1);
        match state {
            SettingState::Holds { .. } => {}
            SettingState::Weak {
                open,
                expected,
                found,
                why,
                mend,
            } => {
                let code = if open { open_code } else { weak_code };
                let detail = Detail::object(name).expected(expected);
                checks.find(code, detail.found(format!("{found}: {why}")).next(mend));
            }
            SettingState::Unknown { reason, permission } => {
                let missing = permission.map_or_else(String::new, |permission| {
                    format!("; the permission {permission} is missing")
                });
                checks.unknown(
                    check,
                    format!("{name} could not be read: {reason}{missing}"),
                );
            }
        }
    }
}

/// Segments do not say that they were sealed before those before them.
pub(super) fn sealed_in_order(history: &History, checks: &mut Checks) {
    let mut latest: Option<i64> = None;
    for fact in &history.facts {
        let Some(at) = fact.sealed_at else { continue };
        checks.checked(Check::TimeOrder, 1);
        if let Some(before) = latest
            && at < before.saturating_sub(TOLERANCE_MILLIS)
        {
            let detail = Detail::object(countersign_core::names::segment(fact.start))
                .index(fact.start)
                .expected(format!("not before {}", millis(before)))
                .found(millis(at));
            checks.find(&codes::SEALED_AT_BACK, detail);
        }
        latest = latest.max(Some(at));
    }
}

/// A time as text; before 1970 as its beginning.
pub(super) fn millis(at: i64) -> String {
    time::from_unix_millis(u64::try_from(at).unwrap_or(0))
}
