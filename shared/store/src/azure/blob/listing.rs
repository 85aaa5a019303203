//! Listings of a container, a page of the service at a time.
//!
//! A call keeps no memory of the one before: it asks the service to start from
//! the last key (`startFrom`), so that every page is one request and sees what
//! was put meanwhile. A server that does not know the parameter, as Azurite,
//! starts from the beginning; its pages are passed over until the key comes.

use azure_core::http::XmlFormat;
use azure_core::http::pager::PagerOptions;
use azure_core::http::response::Response;
use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::{
    BlobContainerClientListBlobsOptions, BlobItem, ImmutabilityPolicyMode, ListBlobsIncludeItem,
    ListBlobsResponse,
};
use futures_util::TryStreamExt;

use super::BlobSealedStore;
use crate::azure::failure::{self, Ask};
use crate::azure::wire::Call;
use crate::error::ListError;
use crate::sealed::{
    LockMode, ObjectMeta, ObjectVersion, Page, SealedStore, VersionLock, VersionPage,
};

const DAY_MILLIS: u64 = 86_400_000;

/// The most versions of one key that are held in memory. A sealed object has one.
const MAX_VERSIONS_OF_KEY: usize = 10_000;

/// A container's own policy, none, or why it could not be read.
type Policy = Result<Option<ContainerPolicy>, String>;

/// What a container's own policy does for every blob in it.
pub(super) struct ContainerPolicy {
    pub(super) days: u64,
    pub(super) mode: LockMode,
}

struct Items {
    /// With names below the store's prefix, after the key asked for.
    items: Vec<(String, BlobItem)>,
    marker: Option<String>,
}

impl BlobSealedStore {
    pub(super) async fn list_page(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Page, ListError> {
        let mut marker = None;
        loop {
            let page = self.items(prefix, after, marker, &[]).await?;
            marker = page.marker;
            if !page.items.is_empty() || marker.is_none() {
                let meta = |(key, item): (String, BlobItem)| ObjectMeta::new(key, bytes_of(&item));
                return Ok(Page {
                    objects: page.items.into_iter().map(meta).collect(),
                    more: marker.is_some(),
                });
            }
        }
    }

    pub(super) async fn version_page(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<VersionPage, ListError> {
        const INCLUDE: [ListBlobsIncludeItem; 3] = [
            ListBlobsIncludeItem::Versions,
            ListBlobsIncludeItem::Deleted,
            ListBlobsIncludeItem::ImmutabilityPolicy,
        ];
        let policy = self.container_policy().await;
        let mut items: Vec<(String, BlobItem)> = Vec::new();
        let mut marker = None;
        let more = loop {
            let page = self.items(prefix, after, marker, &INCLUDE).await?;
            marker = page.marker;
            items.extend(page.items);
            if marker.is_none() {
                break false;
            }
            // The versions of the last key may go on in the next page: it is
            // left to the next call, if there are others before it.
            if let Some((last, _)) = items.last() {
                let begin = items.partition_point(|(key, _)| key < last);
                if begin > 0 {
                    items.truncate(begin);
                    break true;
                }
            }
            if items.len() > MAX_VERSIONS_OF_KEY {
                return Err(ListError::Refused {
                    store: self.describe(),
                    reason: format!(
                        "{} has more than {MAX_VERSIONS_OF_KEY} versions",
                        items[0].0
                    ),
                    next: "find out who wrote them: sealed objects have one".to_owned(),
                });
            }
        };
        let of_key = items.chunk_by(|(a, _), (b, _)| a == b);
        Ok(VersionPage {
            versions: of_key
                .flat_map(|items| versions_of(items, &policy))
                .collect(),
            more,
        })
    }

    /// One page of the service, of which `after` and all before it are left out.
    async fn items(
        &self,
        prefix: &str,
        after: Option<&str>,
        marker: Option<String>,
        include: &[ListBlobsIncludeItem],
    ) -> Result<Items, ListError> {
        let own = &self.container.prefix;
        let call = Call::new();
        let options = BlobContainerClientListBlobsOptions {
            include: Some(include.to_vec()).filter(|include| !include.is_empty()),
            maxresults: self.page_blobs,
            method_options: PagerOptions {
                context: call.options().context,
                continuation: None,
            },
            prefix: Some(format!("{own}{prefix}")).filter(|prefix| !prefix.is_empty()),
            start_from: match (&marker, after) {
                (None, Some(after)) if after > prefix => Some(format!("{own}{after}")),
                _ => None,
            },
            marker,
            ..BlobContainerClientListBlobsOptions::default()
        };
        let failed = |error| failure::of(&error, &call, Ask::ReadBlobs).into_list(self.describe());
        let mut pages = self
            .container
            .client
            .list_blobs(Some(options))
            .map_err(failed)?
            .into_pages();
        let page: Option<Response<ListBlobsResponse, XmlFormat>> =
            pages.try_next().await.map_err(failed)?;
        let Some(page) = page else {
            return Ok(Items {
                items: Vec::new(),
                marker: None,
            });
        };
        let page = page.into_model().map_err(failed)?;
        let key_of = |mut item: BlobItem| {
            let name = item.name.take()?;
            let key = name.strip_prefix(own.as_str())?.to_owned();
            let wanted = key.starts_with(prefix) && after.is_none_or(|after| *key > *after);
            wanted.then_some((key, item))
        };
        Ok(Items {
            items: page.blob_items.into_iter().filter_map(key_of).collect(),
            marker: page.next_marker.filter(|marker| !marker.is_empty()),
        })
    }
}

/// All versions of one key, the newest first.
fn versions_of(items: &[(String, BlobItem)], policy: &Policy) -> Vec<ObjectVersion> {
    let mut versions: Vec<_> = items
        .iter()
        .map(|(key, item)| version(key, item, policy))
        .collect();
    // The names of versions are times.
    versions.sort_by(|a, b| (b.is_latest, &b.version).cmp(&(a.is_latest, &a.version)));
    // Azure has no markers: a deleted blob is one of which only earlier
    // versions or what soft delete keeps are left.
    if let Some(first) = versions.first().filter(|first| !first.is_latest) {
        let deletion = ObjectVersion {
            key: first.key.clone(),
            version: "deleted".to_owned(),
            is_latest: true,
            delete_marker: true,
            bytes: 0,
            lock: VersionLock::None,
        };
        versions.insert(0, deletion);
    }
    versions
}

fn version(key: &str, item: &BlobItem, policy: &Policy) -> ObjectVersion {
    let deleted = item.deleted == Some(true);
    let own = item.properties.as_ref().and_then(|properties| {
        let until = millis(properties.immutability_policy_expires_on?)?;
        let mode = match properties.immutability_policy_mode {
            Some(ImmutabilityPolicyMode::Locked) => LockMode::Locked,
            _ => LockMode::Unlocked,
        };
        Some((until, mode))
    });
    let by_policy = policy.as_ref().ok().and_then(Option::as_ref);
    let by_policy = by_policy.and_then(|policy| {
        let created = millis(item.properties.as_ref()?.creation_time?)?;
        Some((
            created.saturating_add(policy.days * DAY_MILLIS),
            policy.mode,
        ))
    });
    // The longer of the two holds; of two equally long the firmer.
    let kept = [own, by_policy]
        .into_iter()
        .flatten()
        .filter(|_| !deleted)
        .max_by_key(|(until, mode)| (*until, mode.is_firm()));
    ObjectVersion {
        key: key.to_owned(),
        version: item.version_id.clone().unwrap_or_else(|| match deleted {
            true => "soft-deleted".to_owned(),
            false => "current".to_owned(),
        }),
        is_latest: !deleted && (item.is_current_version == Some(true) || item.version_id.is_none()),
        delete_marker: false,
        bytes: bytes_of(item),
        lock: match (kept, policy) {
            (Some((millis, mode)), _) => VersionLock::Until { millis, mode },
            (None, Err(reason)) if !deleted => VersionLock::Unknown {
                reason: reason.clone(),
            },
            (None, _) => VersionLock::None,
        },
    }
}

fn bytes_of(item: &BlobItem) -> u64 {
    item.properties
        .as_ref()
        .and_then(|properties| properties.content_length)
        .unwrap_or_default()
}

fn millis(at: OffsetDateTime) -> Option<u64> {
    u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}
