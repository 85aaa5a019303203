//! The head stores, read first and again last.

use countersign_core::merkle::Hash;
use countersign_store::HeadError;

use super::checks::{Check, Checks, Detail};
use super::codes;
use super::history::{History, RootAt};
use crate::chain::Chain;
use crate::head::{StateError, load_head};
use crate::objects::{MAX_RETRIES, pause};

/// What a head store says.
#[derive(Debug, Clone)]
pub(super) enum Reading {
    /// Size and root.
    Head(u64, Hash),
    /// There is no head.
    None,
    Damaged(String),
    Unreadable(String),
}

/// Reads a chain's head.
pub(super) async fn read(chain: &Chain) -> Reading {
    let mut tries = 0;
    loop {
        match load_head(&*chain.head, chain.origin()).await {
            Ok(Some(head)) => return Reading::Head(head.value.size(), head.value.root()),
            Ok(None) => return Reading::None,
            Err(StateError::Store(HeadError::Transient { .. })) if tries < MAX_RETRIES => {
                tries += 1;
                pause(tries).await;
            }
            Err(
                error @ (StateError::Damaged { .. } | StateError::Store(HeadError::Corrupt { .. })),
            ) => return Reading::Damaged(error.to_string()),
            Err(error) => return Reading::Unreadable(error.to_string()),
        }
    }
}

/// Compares both readings with the segments. Tells whether the heads show that
/// segments are missing or were changed.
pub(super) fn check(
    first: &Reading,
    last: &Reading,
    history: &History,
    published: u64,
    checks: &mut Checks,
) -> bool {
    let mut sizes = Vec::new();
    for reading in [first, last] {
        match reading {
            Reading::Head(size, root) => sizes.push((*size, *root)),
            // Before the first segment there need be no head.
            Reading::None if history.end == 0 => sizes.push((0, Hash::EMPTY_ROOT)),
            // The chain was begun while it was read, as far as is known.
            Reading::None if sizes.is_empty() && !matches!(last, Reading::None) => {
                sizes.push((0, Hash::EMPTY_ROOT));
            }
            Reading::None => {
                checks.checked(Check::Head, 1);
                if !checks.has_failed(Check::Head) {
                    let expected = format!("a head at {}", history.end);
                    let detail = Detail::default().expected(expected).found("none");
                    checks.find(&codes::HEAD_MISSING, detail);
                }
            }
            Reading::Damaged(why) => {
                checks.checked(Check::Head, 1);
                if !checks.has_failed(Check::Head) {
                    checks.find(&codes::HEAD_DAMAGED, Detail::default().found(why));
                }
            }
            Reading::Unreadable(why) => checks.unknown(Check::Head, why),
        }
    }
    let [(first, first_root), (last, last_root)] = sizes[..] else {
        return false;
    };
    checks.checked(Check::Head, 2);
    let contradicts = ahead_or_differs(first, first_root, history, checks);
    let detail = || Detail::default().found(last);
    if last < first {
        checks.find(&codes::HEAD_MOVED_BACK, detail().expected(first));
        return contradicts;
    }
    let behind = history.facts.last().is_some_and(|fact| last < fact.start);
    if last < published {
        checks.find(&codes::HEAD_BEHIND_CHECKPOINT, detail().expected(published));
    } else if behind {
        checks.find(&codes::HEAD_BEHIND, detail().expected(history.end));
    } else if last != first && last <= history.end && !contradicts {
        return ahead_or_differs(last, last_root, history, checks);
    }
    contradicts
}

fn ahead_or_differs(size: u64, root: Hash, history: &History, checks: &mut Checks) -> bool {
    match history.root_at(size) {
        RootAt::Known(expected) if expected != root => {
            let detail = Detail::default().expected(expected).found(root);
            checks.find(&codes::HEAD_ROOT, detail.index(size));
            true
        }
        RootAt::NoBoundary => {
            let detail = Detail::default().expected("the end of a segment");
            checks.find(&codes::HEAD_ROOT, detail.found(size));
            true
        }
        RootAt::Beyond if history.stopped.is_none() => {
            let detail = Detail::default().expected(history.end).found(size);
            checks.find(&codes::HEAD_AHEAD, detail);
            true
        }
        RootAt::Stopped | RootAt::Beyond => {
            let reason = history.stopped.as_deref().unwrap_or_default();
            checks.unknown(Check::Head, reason);
            false
        }
        RootAt::Known(_) | RootAt::Before => false,
    }
}
