//! Listings of objects and of their generations.

use google_cloud_wkt::Timestamp;
use serde::Deserialize;

use super::objects::Objects;
use super::settings::Policy;
use crate::gcp::access::Service;
use crate::gcp::call::Request;
use crate::gcp::failure::{Failure, NOT_GOOGLE};
use crate::sealed::{LockMode, ObjectMeta, ObjectVersion, Page, VersionLock, VersionPage};

/// The most that the service puts on a page.
const PAGE_OBJECTS: &str = "1000";

/// The largest page that is read, in bytes: a thousand names of 1,024 bytes,
/// each of which JSON may write with six.
const MAX_PAGE_BYTES: usize = 8 * 1024 * 1024;

/// How many pages one call reads at most: of a key with very many generations,
/// or where the service sends empty pages.
const MAX_PAGES: usize = 100;

/// A page as the service writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(default)]
    items: Vec<Item>,
    next_page_token: Option<String>,
}

/// An object on a page.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    size: String,
    #[serde(default)]
    generation: String,
    time_deleted: Option<String>,
    soft_delete_time: Option<String>,
    retention_expiration_time: Option<String>,
    retention: Option<ObjectRetention>,
}

/// A retention of the object's own, beside that of the bucket.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRetention {
    mode: String,
    retain_until_time: String,
}

/// Which of a bucket's objects are listed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Live,
    /// Live and noncurrent ones.
    Versions,
    /// Removed ones that can still be restored.
    SoftDeleted,
}

/// The objects whose keys begin with `prefix` and are greater than `after`.
pub(super) async fn objects(
    objects: &Objects,
    prefix: &str,
    after: Option<&str>,
) -> Result<Page, Failure> {
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let listing = page(objects, Which::Live, prefix, after, token).await?;
        token = listing.next_page_token;
        let mut page = Page {
            objects: Vec::with_capacity(listing.items.len()),
            more: token.is_some(),
        };
        for item in listing.items {
            let key = key_of(objects, &item, prefix)?;
            // The service begins with `after` itself, where it is there.
            if after.is_none_or(|after| key > after) {
                let bytes = size_of(&item)?;
                page.objects.push(ObjectMeta::new(key.to_owned(), bytes));
            }
        }
        if !page.objects.is_empty() || !page.more {
            return Ok(page);
        }
    }
    Err(endless("it sends empty pages"))
}

/// The generations of the objects whose keys begin with `prefix` and are
/// greater than `after`, those removed but restorable among them.
pub(super) async fn versions(
    objects: &Objects,
    prefix: &str,
    after: Option<&str>,
    policy: Policy,
) -> Result<VersionPage, Failure> {
    let mut runs = vec![run(objects, Which::Versions, prefix, after).await?];
    if policy.soft_deletes() {
        runs.push(run(objects, Which::SoftDeleted, prefix, after).await?);
    }
    // Each run is whole up to its end. What lies behind the nearest end is for
    // the next page.
    let end = runs.iter().filter_map(|run| run.end.clone()).min();
    let mut versions = Vec::new();
    for (key, item) in runs.into_iter().flat_map(|run| run.items) {
        if end.as_ref().is_none_or(|end| key <= *end) {
            versions.push(version(key, &item, policy)?);
        }
    }
    versions.sort_by(|a, b| {
        let generation = |version: &ObjectVersion| version.version.parse::<i64>().unwrap_or(0);
        (&a.key, generation(b)).cmp(&(&b.key, generation(a)))
    });
    Ok(VersionPage {
        versions,
        more: end.is_some(),
    })
}

/// Whether these credentials may list what was removed but can be restored.
pub(super) async fn removed_can_be_listed(objects: &Objects) -> Result<(), Failure> {
    page(objects, Which::SoftDeleted, "", None, None)
        .await
        .map(drop)
}

/// Some items with all generations of each key.
#[derive(Default)]
struct Run {
    items: Vec<(String, Item)>,
    /// The last key that is there whole, where there are more.
    end: Option<String>,
}

async fn run(
    objects: &Objects,
    which: Which,
    prefix: &str,
    after: Option<&str>,
) -> Result<Run, Failure> {
    let mut items: Vec<(String, Item)> = Vec::new();
    let mut token = None;
    for _ in 0..MAX_PAGES {
        let listing = match page(objects, which, prefix, after, token).await {
            // Who may only read may not list what was removed; the posture
            // says so.
            Err(Failure::Answer(answer))
                if which == Which::SoftDeleted && matches!(answer.status, 400 | 403) =>
            {
                return Ok(Run::default());
            }
            listing => listing?,
        };
        let removed = listing
            .items
            .iter()
            .all(|item| item.soft_delete_time.is_some());
        if which == Which::SoftDeleted && !removed {
            // A server that does not know the parameter lists what is live.
            return Ok(Run::default());
        }
        for item in listing.items {
            let key = key_of(objects, &item, prefix)?.to_owned();
            if after.is_none_or(|after| *key > *after) {
                items.push((key, item));
            }
        }
        token = listing.next_page_token;
        if token.is_none() {
            return Ok(Run { items, end: None });
        }
        // The next page may go on with the last key, so that is left to it.
        let last = items.last().map(|(key, _)| key.clone());
        let whole = items.partition_point(|(key, _)| Some(key) < last.as_ref());
        if whole > 0 {
            items.truncate(whole);
            let end = items.last().map(|(key, _)| key.clone());
            return Ok(Run { items, end });
        }
    }
    let reason = match items.first() {
        Some((key, _)) => format!("{} has too many generations", objects.address(key)),
        None => "it sends empty pages".to_owned(),
    };
    Err(endless(&reason))
}

async fn page(
    objects: &Objects,
    which: Which,
    prefix: &str,
    after: Option<&str>,
    token: Option<String>,
) -> Result<Listing, Failure> {
    let fields = match which {
        Which::Live => "nextPageToken,items(name,size)",
        _ => {
            "nextPageToken,items(name,size,generation,timeDeleted,softDeleteTime,retentionExpirationTime,retention)"
        }
    };
    let path = ["storage", "v1", "b", objects.bucket(), "o"];
    let mut request = Request::get(Service::Storage, &path)
        .query("maxResults", PAGE_OBJECTS)
        .query("prefix", objects.name(prefix))
        .query("fields", fields)
        .max_bytes(MAX_PAGE_BYTES);
    if let Some(after) = after {
        request = request.query("startOffset", objects.name(after));
    }
    request = match which {
        Which::Live => request,
        Which::Versions => request.query("versions", "true"),
        Which::SoftDeleted => request.query("softDeleted", "true"),
    };
    if let Some(token) = token {
        request = request.query("pageToken", token);
    }
    objects.access().read_json(&request).await
}

fn key_of<'a>(objects: &Objects, item: &'a Item, prefix: &str) -> Result<&'a str, Failure> {
    objects
        .key(&item.name)
        .filter(|key| key.starts_with(prefix))
        .ok_or_else(|| unreadable("it lists objects that were not asked for"))
}

fn size_of(item: &Item) -> Result<u64, Failure> {
    let size = item.size.parse();
    size.map_err(|_| unreadable("it lists an object whose size is not a number"))
}

fn version(key: String, item: &Item, policy: Policy) -> Result<ObjectVersion, Failure> {
    let retain_until = item.retention_expiration_time.as_deref();
    let retain_until = retain_until.map(unix_millis).transpose()?;
    let own = match &item.retention {
        Some(own) if own.mode == "Locked" => Some(unix_millis(&own.retain_until_time)?),
        _ => None,
    };
    let mode = match retain_until {
        Some(until) if own.is_some_and(|own| own >= until) => Some(LockMode::Locked),
        _ => policy.mode(),
    };
    let lock = match (retain_until, mode) {
        (None, _) => VersionLock::None,
        (Some(millis), Some(mode)) => VersionLock::Until { millis, mode },
        (Some(_), None) => VersionLock::Unknown {
            reason: "it is retained, and how firmly is not known: storage.buckets.get is missing"
                .to_owned(),
        },
    };
    Ok(ObjectVersion {
        key,
        version: item.generation.clone(),
        is_latest: item.time_deleted.is_none() && item.soft_delete_time.is_none(),
        delete_marker: false,
        bytes: size_of(item)?,
        lock,
    })
}

/// A time as Google writes it (RFC 3339), in milliseconds since 1970.
fn unix_millis(text: &str) -> Result<u64, Failure> {
    let invalid = || unreadable("it lists an object whose retention is not a time");
    let time = Timestamp::try_from(text).map_err(|_| invalid())?;
    let seconds = u64::try_from(time.seconds()).map_err(|_| invalid())?;
    let millis = u64::from(time.nanos().unsigned_abs() / 1_000_000);
    Ok(seconds * 1000 + millis)
}

fn unreadable(reason: &str) -> Failure {
    Failure::refused(format!("its listing cannot be read: {reason}"), NOT_GOOGLE)
}

fn endless(reason: &str) -> Failure {
    Failure::refused(
        format!("its listing does not end: {reason}"),
        "find out who wrote so often to one key, and run verify; else check that the address is Google's own service",
    )
}
