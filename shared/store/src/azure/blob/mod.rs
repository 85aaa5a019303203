//! Blobs of one container.

mod judge;
mod listing;
mod posture;
mod sealed;

use std::fmt::{self, Debug};
use std::num::NonZero;

use azure_core::base64;
use azure_core::http::Etag;
use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::{
    BlobClientDownloadOptions, BlockBlobClientUploadOptions, BlockBlobClientUploadResult,
    ImmutabilityPolicyMode,
};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use md5::{Digest, Md5};

use super::access::{Access, AccessError, Way};
use super::failure::{self, Ask};
use super::wire::{Call, whole_bytes};
use crate::address::StoreAddress;
use crate::failure::Failure;

pub use sealed::BlobSealedStore;

/// The most that one Put Blob takes, in bytes. An object is never uploaded in
/// blocks: then the last of several requests would decide.
const MAX_PUT_BYTES: NonZero<u64> = NonZero::new(5_000 * 1024 * 1024).expect("not zero");

/// A container, or the part of it below a prefix.
pub(super) struct Container {
    client: BlobContainerClient,
    account: String,
    name: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Container({})", self.describe())
    }
}

/// A blob as it was read.
pub(super) struct Read {
    pub(super) bytes: Bytes,
    pub(super) etag: Option<Etag>,
}

/// Why a blob was not read.
pub(super) enum ReadFailure {
    TooLarge { bytes: u64 },
    Corrupt { reason: String },
    Failed(Failure),
}

impl From<Failure> for ReadFailure {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// What must hold of the blob that stands there for a write to be done.
pub(super) enum If {
    /// There is none.
    Absent,
    /// It is at this version.
    At(Etag),
}

/// A blob's own retention.
pub(super) struct Immutability {
    pub(super) until: OffsetDateTime,
    pub(super) mode: ImmutabilityPolicyMode,
}

impl Container {
    /// Nothing is sent yet.
    pub(super) fn open(
        access: &Access,
        account: &str,
        name: &str,
        prefix: &str,
    ) -> Result<Self, AccessError> {
        let Way {
            mut url,
            wire,
            credential,
        } = access.blob(account)?;
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push(name);
        }
        let options = BlobContainerClientOptions {
            client_options: wire.options(),
            ..BlobContainerClientOptions::default()
        };
        let client = BlobContainerClient::new(url, credential, Some(options)).map_err(|error| {
            AccessError::new(format!("the container cannot be addressed: {error}"))
        })?;
        Ok(Self {
            client,
            account: account.to_owned(),
            name: name.to_owned(),
            prefix: match prefix.trim_matches('/') {
                "" => String::new(),
                prefix => format!("{prefix}/"),
            },
        })
    }

    /// `azblob://ACCOUNT/CONTAINER/PREFIX`.
    pub(super) fn describe(&self) -> String {
        StoreAddress::AzureBlob {
            account: self.account.clone(),
            container: self.name.clone(),
            prefix: self.prefix.trim_end_matches('/').to_owned(),
        }
        .to_string()
    }

    pub(super) fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.describe())
    }

    fn blob(&self, key: &str) -> BlobClient {
        self.client.blob_client(&format!("{}{key}", self.prefix))
    }

    /// Writes a blob in one request, with its Content-MD5.
    pub(super) async fn write(
        &self,
        key: &str,
        bytes: Bytes,
        condition: If,
        immutability: Option<Immutability>,
    ) -> Result<BlockBlobClientUploadResult, Failure> {
        if bytes.len() as u64 > MAX_PUT_BYTES.get() {
            return Err(Failure::refused(
                format!("{} bytes are more than one blob is put with", bytes.len()),
                "write smaller objects",
            ));
        }
        let call = Call::new();
        let (if_match, if_none_match) = match condition {
            If::Absent => (None, Some(Etag::from("*"))),
            If::At(etag) => (Some(etag), None),
        };
        let (expiry, mode) = immutability.map(|kept| (kept.until, kept.mode)).unzip();
        let options = BlockBlobClientUploadOptions {
            blob_content_type: Some("application/octet-stream".to_owned()),
            if_match,
            if_none_match,
            immutability_policy_expiry: expiry,
            immutability_policy_mode: mode,
            method_options: call.options(),
            partition_size: Some(MAX_PUT_BYTES),
            ..BlockBlobClientUploadOptions::default()
        };
        let blob = self.blob(key).block_blob_client();
        blob.upload(bytes.into(), Some(options))
            .await
            .map_err(|error| failure::of(&error, &call, Ask::WriteBlobs))
    }

    /// Reads a whole blob of at most `max_bytes`, in one request, and checks it
    /// against the Content-MD5 that it was written with.
    pub(super) async fn read(&self, key: &str, max_bytes: u64) -> Result<Read, ReadFailure> {
        // The SDK asks for the first part, of the size of a partition.
        let first = usize::try_from(max_bytes.clamp(1, 1 << 40)).unwrap_or(usize::MAX);
        let call = Call::reading(first as u64, max_bytes);
        let options = BlobClientDownloadOptions {
            method_options: call.options(),
            parallel: NonZero::new(1),
            partition_size: NonZero::new(first),
            ..BlobClientDownloadOptions::default()
        };
        let failed = |error| failure::of(&error, &call, Ask::ReadBlobs);
        let result = self
            .blob(key)
            .download(Some(options))
            .await
            .map_err(failed)?;
        let length = || result.properties.content_length;
        if let Some(bytes) = whole_bytes(&result.headers).or_else(length)
            && bytes > max_bytes
        {
            return Err(ReadFailure::TooLarge { bytes });
        }
        let (written_md5, etag) = (result.properties.blob_content_md5, result.properties.etag);
        let bytes = collect(result.body).await.map_err(failed)?;
        if let Some(md5) = written_md5
            && md5 != Md5::digest(&bytes)[..]
        {
            let reason = format!(
                "its bytes do not match its Content-MD5 {}",
                base64::encode(md5)
            );
            return Err(ReadFailure::Corrupt { reason });
        }
        Ok(Read { bytes, etag })
    }

    /// The size of a blob.
    pub(super) async fn size(&self, key: &str) -> Result<u64, Failure> {
        use azure_storage_blob::models::{
            BlobClientGetPropertiesOptions, BlobClientGetPropertiesResultHeaders,
        };
        let call = Call::new();
        let options = BlobClientGetPropertiesOptions {
            method_options: call.options(),
            ..BlobClientGetPropertiesOptions::default()
        };
        let failed = |error| failure::of(&error, &call, Ask::ReadBlobs);
        let found = self
            .blob(key)
            .get_properties(Some(options))
            .await
            .map_err(failed)?;
        Ok(found.content_length().map_err(failed)?.unwrap_or_default())
    }
}

#[cfg(test)]
impl Container {
    pub(super) async fn create(&self) {
        self.client
            .create(None)
            .await
            .expect("a new container is made");
    }

    /// What an administrator tries; otherwise the code of the refusal.
    pub(super) async fn try_delete(&self, key: &str) -> Result<(), Option<String>> {
        let done = self.blob(key).delete(None).await;
        done.map(|_| ()).map_err(code_of)
    }

    pub(super) async fn try_overwrite(&self, key: &str) -> Result<(), Option<String>> {
        let other = Bytes::from_static(b"other");
        let done = self.blob(key).upload(other.into(), None).await;
        done.map(|_| ()).map_err(code_of)
    }
}

#[cfg(test)]
fn code_of(error: azure_core::Error) -> Option<String> {
    match error.kind() {
        azure_core::error::ErrorKind::HttpResponse { error_code, .. } => error_code.clone(),
        _ => None,
    }
}

/// The bytes of an answer, which the transport holds already.
async fn collect(mut body: azure_core::http::AsyncResponseBody) -> azure_core::Result<Bytes> {
    let mut whole = Bytes::new();
    while let Some(piece) = body.next().await {
        let piece = piece?;
        whole = match whole.is_empty() {
            true => piece,
            false => {
                let mut both = BytesMut::from(whole);
                both.extend_from_slice(&piece);
                both.freeze()
            }
        };
    }
    Ok(whole)
}
