//! Objects of a part of a bucket: read whole or in part, and written under a
//! condition on their generation.

use std::io;
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use data_encoding::BASE64;
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::model_ext::ReadRange;
use google_cloud_storage::read_object::ReadObjectResponse;
use serde::Deserialize;
use tokio::time::timeout;

use super::super::access::{Access, Service};
use super::super::call::Request;
use super::super::failure::{Answer, Failure};
use super::upload::Source;
use crate::address::Bucket;

/// How long a read may take until its first byte, all attempts together.
const FIRST_BYTE: Duration = Duration::from_secs(20);

/// How long a read may then wait for each next part.
const NEXT_PART: Duration = Duration::from_secs(9);

pub(in super::super) const READ_PERMISSION: &str = "storage.objects.get";
pub(in super::super) const LIST_PERMISSION: &str = "storage.objects.list";

/// The objects whose names begin with a prefix.
#[derive(Debug)]
pub(in super::super) struct Objects {
    access: Access,
    bucket: String,
    /// What every name begins with, its slash included; may be empty.
    prefix: String,
    address: String,
}

/// How a read ended that brought no bytes.
#[derive(Debug)]
pub(in super::super) enum ReadFailure {
    /// The bucket is there, the object is not.
    Missing,
    /// The bucket is not there.
    NoBucket,
    /// The object has more bytes than allowed.
    TooLarge(u64),
    /// Its bytes are not those that were stored.
    Corrupt(String),
    /// Anything else.
    Failed(Failure),
}

/// An object that was read whole.
pub(in super::super) struct Whole {
    pub(in super::super) bytes: Bytes,
    pub(in super::super) generation: i64,
}

/// What the JSON API says of an object.
#[derive(Deserialize)]
struct Metadata {
    generation: String,
    size: String,
    #[serde(default)]
    crc32c: String,
}

impl Objects {
    pub(in super::super) fn new(access: Access, bucket: &Bucket) -> Self {
        let Bucket { name, prefix, .. } = bucket;
        let (prefix, address) = match prefix.as_str() {
            "" => (String::new(), format!("gs://{name}")),
            prefix => (format!("{prefix}/"), format!("gs://{name}/{prefix}")),
        };
        Self {
            access,
            bucket: name.clone(),
            prefix,
            address,
        }
    }

    pub(in super::super) fn access(&self) -> &Access {
        &self.access
    }

    pub(in super::super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// The address of all of them, as in the settings.
    pub(in super::super) fn describe(&self) -> String {
        self.address.clone()
    }

    /// The address of one.
    pub(in super::super) fn address(&self, key: &str) -> String {
        format!("{}/{key}", self.address)
    }

    /// The name in the bucket of the object at `key`.
    pub(in super::super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key of what the bucket calls `name`.
    pub(in super::super) fn key<'a>(&self, name: &'a str) -> Option<&'a str> {
        name.strip_prefix(&self.prefix)
    }

    /// Writes an object if the bucket holds it at `generation` (0: not at all),
    /// and gives the new generation.
    ///
    /// It is one request, so that the server decides in one step, and it is
    /// never repeated: the SDK would take a precondition on the generation for
    /// leave to do so, and then report its own first write as another's.
    pub(in super::super) async fn write(
        &self,
        key: &str,
        bytes: Bytes,
        generation: i64,
        cache_control: &str,
    ) -> Result<i64, Failure> {
        let storage = self.access.storage().await?;
        // Given beforehand, it goes with the metadata, and the server refuses
        // bytes that arrived otherwise.
        let crc32c = crc32c::crc32c(&bytes);
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        let (source, progress) = Source::new(bytes);
        let bucket = format!("projects/_/buckets/{}", self.bucket);
        let upload = storage
            .write_object(bucket, self.name(key), source)
            .set_if_generation_match(generation)
            .set_content_type("application/octet-stream")
            .set_cache_control(cache_control)
            .with_known_crc32c(crc32c)
            .with_resumable_upload_threshold(usize::MAX)
            .with_retry_policy(NeverRetry)
            .send_unbuffered();
        match progress.watch(upload).await {
            // Any JSON with success passes for an object; only the one that was
            // sent confirms it.
            Some(Ok(object)) if object.generation > 0 && object.size == size => {
                Ok(object.generation)
            }
            Some(Ok(_)) => Err(Failure::Unreadable(
                "the answer does not tell of the object that was sent".to_owned(),
            )),
            Some(Err(error)) => Err(Failure::of_sdk(&error, progress.is_whole())),
            None => {
                let cause = format!(
                    "nothing moved for 12 s or more on the way to {}: check the network",
                    self.access.endpoint(Service::Storage)
                );
                Err(if progress.is_whole() {
                    Failure::Lost(cause.into())
                } else {
                    Failure::NotSent(cause.into())
                })
            }
        }
    }

    /// Reads an object whole, if it has at most `max_bytes`, and checks its
    /// CRC32C.
    pub(in super::super) async fn read(
        &self,
        key: &str,
        max_bytes: u64,
    ) -> Result<Whole, ReadFailure> {
        let mut response = self.open(key, None, ReadRange::all()).await?;
        let object = response.object();
        let size = u64::try_from(object.size).unwrap_or(0);
        if size > max_bytes {
            return Err(ReadFailure::TooLarge(size));
        }
        let bytes = self.collect(&mut response, size, max_bytes).await?;
        let generation = object.generation;
        // The SDK has checked the sum that came with the bytes.
        let checked = object.checksums.is_some_and(|sums| sums.crc32c.is_some());
        if !checked {
            self.check(key, generation, &bytes).await?;
        }
        Ok(Whole { bytes, generation })
    }

    /// Hands the bytes of an object, at `generation` where one is given, to `keep`
    /// as they come, if it has at most `max_bytes`; gives its size.
    pub(in super::super) async fn read_to(
        &self,
        key: &str,
        generation: Option<i64>,
        max_bytes: u64,
        keep: impl FnMut(&[u8]) -> io::Result<()> + Send,
    ) -> Result<u64, ReadFailure> {
        let mut response = self.open(key, generation, ReadRange::all()).await?;
        let size = u64::try_from(response.object().size).unwrap_or(0);
        if size > max_bytes {
            return Err(ReadFailure::TooLarge(size));
        }
        // The SDK checks the CRC32C that comes with the bytes.
        self.pour(&mut response, max_bytes, keep).await
    }

    /// Reads a part of an object. No checksum covers a part: what protects it
    /// on the way is TLS, and what proves it is for the caller to check.
    pub(in super::super) async fn read_range(
        &self,
        key: &str,
        range: Range<u64>,
    ) -> Result<Bytes, ReadFailure> {
        let count = range.end.saturating_sub(range.start);
        // The API counts in i64. No object begins to reach that far.
        let last = i64::MAX as u64;
        if count == 0 || range.start >= last {
            self.metadata(key).await?;
            return Ok(Bytes::new());
        }
        let count = count.min(last - range.start);
        let part = ReadRange::segment(range.start, count);
        let mut response = match self.open(key, None, part).await {
            Err(ReadFailure::Failed(Failure::Answer(Answer { status: 416, .. }))) => {
                return Ok(Bytes::new());
            }
            opened => opened?,
        };
        let size = u64::try_from(response.object().size).unwrap_or(0);
        let bytes = self.collect(&mut response, count.min(size), count).await?;
        let expected = size.saturating_sub(range.start).min(count);
        if bytes.len() as u64 != expected {
            return Err(ReadFailure::Corrupt(format!(
                "the server sent {} bytes for a range of {expected}",
                bytes.len()
            )));
        }
        Ok(bytes)
    }

    async fn open(
        &self,
        key: &str,
        generation: Option<i64>,
        range: ReadRange,
    ) -> Result<ReadObjectResponse, ReadFailure> {
        let storage = self.access.storage().await.map_err(ReadFailure::Failed)?;
        let bucket = format!("projects/_/buckets/{}", self.bucket);
        let mut read = storage
            .read_object(bucket, self.name(key))
            .set_read_range(range);
        if let Some(generation) = generation {
            read = read.set_generation(generation);
        }
        match timeout(FIRST_BYTE, read.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.read_failure(key, Failure::of_sdk(&error, true)).await),
            Err(_) => Err(ReadFailure::Failed(self.silence(FIRST_BYTE))),
        }
    }

    async fn collect(
        &self,
        response: &mut ReadObjectResponse,
        expected: u64,
        max_bytes: u64,
    ) -> Result<Bytes, ReadFailure> {
        let capacity = usize::try_from(expected).unwrap_or(0);
        let mut bytes = BytesMut::with_capacity(capacity);
        let keep = |part: &[u8]| {
            bytes.extend_from_slice(part);
            Ok(())
        };
        self.pour(response, max_bytes, keep).await?;
        Ok(bytes.freeze())
    }

    async fn pour(
        &self,
        response: &mut ReadObjectResponse,
        max_bytes: u64,
        mut keep: impl FnMut(&[u8]) -> io::Result<()> + Send,
    ) -> Result<u64, ReadFailure> {
        let mut total = 0;
        loop {
            let next = match timeout(NEXT_PART, response.next()).await {
                Ok(None) => return Ok(total),
                Ok(Some(next)) => next,
                Err(_) => return Err(ReadFailure::Failed(self.silence(NEXT_PART))),
            };
            let part = next.map_err(|error| {
                let corrupt = error.is_deserialization();
                match Failure::of_sdk(&error, true) {
                    Failure::Lost(cause) if corrupt => ReadFailure::Corrupt(cause.to_string()),
                    failure => ReadFailure::Failed(failure),
                }
            })?;
            total += part.len() as u64;
            if total > max_bytes {
                return Err(ReadFailure::TooLarge(total));
            }
            keep(&part).map_err(|error| {
                let cause = format!("what came could not be kept: {error}");
                ReadFailure::Failed(Failure::NotSent(cause.into()))
            })?;
        }
    }

    /// Checks bytes by what the object's metadata says, where the bytes came
    /// without a checksum.
    async fn check(&self, key: &str, generation: i64, bytes: &[u8]) -> Result<(), ReadFailure> {
        let metadata = self.metadata(key).await?;
        let sum = crc32c::crc32c(bytes);
        let same = metadata.generation == generation.to_string()
            && metadata.size == bytes.len().to_string()
            && metadata.crc32c == BASE64.encode(&sum.to_be_bytes());
        if same {
            return Ok(());
        }
        Err(ReadFailure::Corrupt(format!(
            "{} bytes with the CRC32C {sum:08x} came for what the bucket says has {} bytes and the CRC32C {} (base64)",
            bytes.len(),
            metadata.size,
            metadata.crc32c
        )))
    }

    async fn metadata(&self, key: &str) -> Result<Metadata, ReadFailure> {
        let path = ["storage", "v1", "b", &self.bucket, "o", &self.name(key)];
        let request =
            Request::get(Service::Storage, &path).query("fields", "generation,size,crc32c");
        match self.access.read_json(&request).await {
            Ok(metadata) => Ok(metadata),
            Err(failure) => Err(self.read_failure(key, failure).await),
        }
    }

    /// Tells a missing object from a missing bucket: both are 404.
    async fn read_failure(&self, key: &str, failure: Failure) -> ReadFailure {
        let Failure::Answer(Answer {
            status: 404,
            message,
            ..
        }) = &failure
        else {
            return ReadFailure::Failed(failure);
        };
        if message.starts_with("No such object:") {
            return ReadFailure::Missing;
        }
        if message.contains("bucket does not exist") {
            return ReadFailure::NoBucket;
        }
        let path = ["storage", "v1", "b", &self.bucket, "o"];
        let request = Request::get(Service::Storage, &path)
            .query("prefix", self.name(key))
            .query("maxResults", "1")
            .query("fields", "kind");
        match self.access.read(&request).await {
            Ok(_) => ReadFailure::Missing,
            Err(Failure::Answer(Answer { status: 404, .. })) => ReadFailure::NoBucket,
            Err(failure) => ReadFailure::Failed(failure),
        }
    }

    fn silence(&self, waited: Duration) -> Failure {
        let endpoint = self.access.endpoint(Service::Storage);
        Failure::Lost(
            format!(
                "nothing came from {endpoint} for {} s: check the network",
                waited.as_secs()
            )
            .into(),
        )
    }
}
