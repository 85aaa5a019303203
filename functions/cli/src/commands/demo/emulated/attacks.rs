//! What an administrator of one cloud may do to its stores, and what undoes it.

use countersign_core::names;
use countersign_service::chain::Deployment;
use countersign_service::clock::{Clock as _, SystemClock};
use countersign_store::emulators::{ActError, aws};
use countersign_store::{ObjectPages, SealedStore};

use super::clouds::{Clouds, RETENTION_DAYS, head};
use crate::commands::demo::stage::Trace;
use crate::ui::Failure;

const DAY_MILLIS: u64 = 86_400_000;

/// An object that nothing of countersign's writes.
const STRAY: &str = "notes.txt";

/// A way to tamper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attack {
    AwsDeleteMarker,
    AwsLifecycle,
    AwsHeadDeleted,
    AwsHeadOfNoon,
    AzureHeadEmptied,
    GcpVersions,
    GcpHeadOfNoon,
    AwsSecondVersion,
    AwsStray,
    AwsBypass,
    AwsShortened,
    AzureShortened,
    AzureOverwritten,
    AzureDeleted,
    AzureStray,
    GcpShortened,
    GcpDeleted,
    GcpAnchorRemoved,
}

/// Those that a firm lock does not prevent.
pub const FIRM: [Attack; 7] = [
    Attack::AwsDeleteMarker,
    Attack::AwsLifecycle,
    Attack::AwsHeadDeleted,
    Attack::AwsHeadOfNoon,
    Attack::AzureHeadEmptied,
    Attack::GcpVersions,
    Attack::GcpHeadOfNoon,
];

/// Those that need a lock which an administrator may lift, or that such a lock
/// lets be undone.
pub const SOFT: [Attack; 11] = [
    Attack::AwsSecondVersion,
    Attack::AwsStray,
    Attack::AwsBypass,
    Attack::AwsShortened,
    Attack::AzureShortened,
    Attack::AzureOverwritten,
    Attack::AzureDeleted,
    Attack::AzureStray,
    Attack::GcpShortened,
    Attack::GcpDeleted,
    Attack::GcpAnchorRemoved,
];

/// What is needed to undo an attack.
#[derive(Default)]
pub struct Kept {
    key: String,
    bytes: Vec<u8>,
    version: String,
    item: Option<aws::Item>,
}

/// The longest of [`Attack::what`].
pub fn width() -> usize {
    let all = FIRM.iter().chain(&SOFT);
    all.map(|attack| attack.what().len())
        .max()
        .unwrap_or_default()
}

impl Attack {
    /// Of the folder of its report.
    pub fn name(self) -> &'static str {
        match self {
            Self::AwsDeleteMarker => "aws-delete-marker",
            Self::AwsLifecycle => "aws-lifecycle",
            Self::AwsHeadDeleted => "aws-head-deleted",
            Self::AwsHeadOfNoon => "aws-head-of-noon",
            Self::AzureHeadEmptied => "azure-head-emptied",
            Self::GcpVersions => "gcp-versions",
            Self::GcpHeadOfNoon => "gcp-head-of-noon",
            Self::AwsSecondVersion => "aws-second-version",
            Self::AwsStray => "aws-stray-object",
            Self::AwsBypass => "aws-bypassed-lock",
            Self::AwsShortened => "aws-shortened-retention",
            Self::AzureShortened => "azure-shortened-policy",
            Self::AzureOverwritten => "azure-overwritten-segment",
            Self::AzureDeleted => "azure-deleted-segment",
            Self::AzureStray => "azure-stray-blob",
            Self::GcpShortened => "gcp-shortened-policy",
            Self::GcpDeleted => "gcp-deleted-segment",
            Self::GcpAnchorRemoved => "gcp-removed-anchor",
        }
    }

    /// What was done, for people.
    pub fn what(self) -> &'static str {
        match self {
            Self::AwsDeleteMarker => "aws: a delete marker over a segment",
            Self::AwsLifecycle => "aws: a lifecycle rule expires objects",
            Self::AwsHeadDeleted => "aws: the head's item is deleted",
            Self::AwsHeadOfNoon => "aws: the head is put back to noon",
            Self::AzureHeadEmptied => "azure: the head's blob is emptied",
            Self::GcpVersions => "gcp: Object Versioning is switched on",
            Self::GcpHeadOfNoon => "gcp: the head is put back to noon",
            Self::AwsSecondVersion => "aws: a forged version over a segment",
            Self::AwsStray => "aws: an object that does not belong",
            Self::AwsBypass => "aws: a segment deleted past its lock",
            Self::AwsShortened => "aws: a segment's retention shortened",
            Self::AzureShortened => "azure: the policy is cut to one day",
            Self::AzureOverwritten => "azure: a segment is overwritten",
            Self::AzureDeleted => "azure: a segment is deleted",
            Self::AzureStray => "azure: a blob that does not belong",
            Self::GcpShortened => "gcp: the retention is cut to one day",
            Self::GcpDeleted => "gcp: a segment is deleted",
            Self::GcpAnchorRemoved => "gcp: an anchor of aws is removed",
        }
    }

    /// What verify must find of it.
    pub fn trace(self) -> Trace {
        let (chain, code, check) = match self {
            Self::AwsDeleteMarker => ("aws", "CS-1404", "object-versions"),
            Self::AwsLifecycle => ("aws", "CS-1505", "retention-locks"),
            Self::AwsHeadDeleted => ("aws", "CS-201", "head"),
            Self::AwsHeadOfNoon => ("aws", "CS-205", "head"),
            Self::AzureHeadEmptied => ("azure", "CS-202", "head"),
            Self::GcpVersions => ("gcp", "CS-1601", "store-posture"),
            Self::GcpHeadOfNoon => ("gcp", "CS-205", "head"),
            Self::AwsSecondVersion => ("aws", "CS-1403", "object-versions"),
            Self::AwsStray => ("aws", "CS-1401", "object-versions"),
            Self::AwsBypass => ("aws", "CS-302", "segments-contiguous"),
            Self::AwsShortened => ("aws", "CS-1501", "retention-locks"),
            Self::AzureShortened => ("azure", "CS-1505", "retention-locks"),
            Self::AzureOverwritten => ("azure", "CS-501", "record-hashes"),
            Self::AzureDeleted => ("azure", "CS-302", "segments-contiguous"),
            Self::AzureStray => ("azure", "CS-1401", "object-versions"),
            Self::GcpShortened => ("gcp", "CS-1505", "retention-locks"),
            Self::GcpDeleted => ("gcp", "CS-302", "segments-contiguous"),
            Self::GcpAnchorRemoved => ("aws", "CS-1104", "anchors-consistent"),
        };
        Trace { chain, check, code }
    }

    /// Does it; gives what undoes it.
    pub async fn carry_out(self, clouds: &Clouds, chains: &Deployment) -> Result<Kept, Failure> {
        let key = match self {
            Self::GcpAnchorRemoved => anchor_of_aws(chains).await?,
            Self::AwsStray | Self::AzureStray => STRAY.to_owned(),
            Self::AwsHeadDeleted | Self::AwsHeadOfNoon => head("aws"),
            Self::AzureHeadEmptied => head("azure"),
            Self::GcpHeadOfNoon => head("gcp"),
            _ => names::segment(0),
        };
        let noon = clouds.noon()?;
        let done = self.act(clouds, key, noon).await;
        done.map_err(|error| Failure::undone(format_args!("{}: {error}", self.what())))
    }

    async fn act(
        self,
        clouds: &Clouds,
        key: String,
        noon: &super::clouds::Noon,
    ) -> Result<Kept, ActError> {
        let Clouds {
            aws, azure, gcp, ..
        } = clouds;
        let (bucket, state) = (&*clouds.sealed, &*clouds.state);
        let mut kept = Kept {
            key,
            ..Kept::default()
        };
        let key = &*kept.key;
        match self {
            Self::AwsDeleteMarker => {
                aws.remove_policy(bucket).await?;
                kept.version = aws.delete(bucket, key).await?;
            }
            Self::AwsLifecycle => aws.expire_after(bucket, "", 1).await?,
            Self::AwsHeadDeleted => {
                kept.item = Some(aws.item(bucket, key).await?);
                aws.delete_item(bucket, key).await?;
            }
            Self::AwsHeadOfNoon => {
                kept.item = Some(aws.item(bucket, key).await?);
                aws.put_item(bucket, &noon.aws).await?;
            }
            Self::AzureHeadEmptied => {
                kept.bytes = azure.get(state, key).await?;
                azure.put(state, key, Vec::new()).await?;
            }
            Self::GcpVersions => gcp.set_versions(bucket, true).await?,
            Self::GcpHeadOfNoon => {
                kept.bytes = gcp.get(state, key).await?;
                gcp.put(state, key, noon.gcp.clone()).await?;
            }
            Self::AwsSecondVersion => {
                aws.remove_policy(bucket).await?;
                let forged = flipped(aws.get(bucket, key).await?);
                kept.version = aws.put(bucket, key, forged).await?;
            }
            Self::AwsStray => {
                aws.remove_policy(bucket).await?;
                kept.version = aws.put(bucket, key, b"a note".to_vec()).await?;
            }
            Self::AwsBypass => {
                kept.bytes = aws.get(bucket, key).await?;
                aws.remove_policy(bucket).await?;
                let version = aws.version(bucket, key).await?;
                aws.delete_version(bucket, key, &version).await?;
            }
            Self::AwsShortened => {
                aws.remove_policy(bucket).await?;
                kept.version = aws.version(bucket, key).await?;
                let tomorrow = SystemClock.unix_millis() + DAY_MILLIS;
                aws.retain(bucket, key, &kept.version, tomorrow, clouds.lock)
                    .await?;
            }
            Self::AzureShortened => azure.set_policy(bucket, 1).await?,
            Self::AzureOverwritten => {
                kept.bytes = azure.get(bucket, key).await?;
                azure.remove_policy(bucket).await?;
                azure.put(bucket, key, flipped(kept.bytes.clone())).await?;
                azure.set_policy(bucket, RETENTION_DAYS).await?;
            }
            Self::AzureDeleted => {
                kept.bytes = azure.get(bucket, key).await?;
                azure.remove_policy(bucket).await?;
                azure.delete(bucket, key).await?;
                azure.set_policy(bucket, RETENTION_DAYS).await?;
            }
            Self::AzureStray => azure.put(bucket, key, b"a note".to_vec()).await?,
            Self::GcpShortened => gcp.set_retention(bucket, Some(1)).await?,
            Self::GcpDeleted | Self::GcpAnchorRemoved => {
                kept.bytes = gcp.get(bucket, key).await?;
                gcp.set_retention(bucket, None).await?;
                gcp.delete(bucket, key).await?;
                gcp.set_retention(bucket, Some(RETENTION_DAYS)).await?;
            }
        }
        Ok(kept)
    }

    /// Undoes it.
    pub async fn undo(self, clouds: &Clouds, kept: Kept) -> Result<(), Failure> {
        let undone = self.take_back(clouds, kept).await;
        undone.map_err(|error| {
            Failure::undone(format_args!("{}, and to undo it: {error}", self.what()))
        })
    }

    async fn take_back(self, clouds: &Clouds, kept: Kept) -> Result<(), ActError> {
        let Clouds {
            aws, azure, gcp, ..
        } = clouds;
        let (bucket, state) = (&*clouds.sealed, &*clouds.state);
        let Kept {
            key,
            bytes,
            version,
            item,
        } = kept;
        let until = SystemClock.unix_millis() + u64::from(RETENTION_DAYS) * DAY_MILLIS;
        match self {
            Self::AwsDeleteMarker | Self::AwsSecondVersion | Self::AwsStray => {
                aws.delete_version(bucket, &key, &version).await?;
                aws.set_policy(bucket).await
            }
            Self::AwsLifecycle => aws.remove_lifecycle(bucket).await,
            Self::AwsHeadDeleted | Self::AwsHeadOfNoon => match &item {
                Some(item) => aws.put_item(bucket, item).await,
                None => Ok(()),
            },
            Self::AzureHeadEmptied => azure.put(state, &key, bytes).await,
            Self::GcpVersions => gcp.set_versions(bucket, false).await,
            Self::GcpHeadOfNoon => gcp.put(state, &key, bytes).await,
            Self::AwsBypass => {
                aws.put_retained(bucket, &key, bytes, until, clouds.lock)
                    .await?;
                aws.set_policy(bucket).await
            }
            Self::AwsShortened => {
                aws.retain(bucket, &key, &version, until, clouds.lock)
                    .await?;
                aws.set_policy(bucket).await
            }
            Self::AzureShortened => azure.set_policy(bucket, RETENTION_DAYS).await,
            Self::AzureOverwritten | Self::AzureDeleted => {
                azure.remove_policy(bucket).await?;
                azure.put(bucket, &key, bytes).await?;
                azure.set_policy(bucket, RETENTION_DAYS).await
            }
            Self::AzureStray => {
                azure.remove_policy(bucket).await?;
                azure.delete(bucket, &key).await?;
                azure.set_policy(bucket, RETENTION_DAYS).await
            }
            Self::GcpShortened => gcp.set_retention(bucket, Some(RETENTION_DAYS)).await,
            Self::GcpDeleted | Self::GcpAnchorRemoved => gcp.put(bucket, &key, bytes).await,
        }
    }
}

/// With one bit in the middle turned.
fn flipped(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes
}

/// The first anchor of aws that gcp keeps.
async fn anchor_of_aws(chains: &Deployment) -> Result<String, Failure> {
    let chain = |name| {
        let found = chains.chains_named(name).map_err(Failure::undone)?;
        let found = found.first().copied();
        found.ok_or_else(|| Failure::failed(format_args!("there is no chain {name}")))
    };
    let (aws, gcp) = (chain("aws")?, chain("gcp")?);
    let store: &dyn SealedStore = &*gcp.sealed;
    let page = ObjectPages::new(store, &names::anchors(aws.origin()))
        .next()
        .await
        .map_err(Failure::undone)?;
    let first = page.and_then(|page| page.into_iter().next());
    let first = first.ok_or_else(|| Failure::failed("gcp keeps no anchor of aws"))?;
    Ok(first.key)
}
