//! The sealed store in an S3 bucket.

mod body;
mod policy;
mod posture;
mod versions;

use std::fmt::{self, Debug};
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::operation::get_object::{GetObjectError, GetObjectOutput};
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode, EncodingType, ObjectLockMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::retry::RetryConfig;
use bytes::{Bytes, BytesMut};

use super::access::{Access, AccessError, write_timeouts};
use super::clients::Client;
use super::failure::{self, Answer, Asked};
use crate::address::{Bucket, StoreAddress};
use crate::error::{GetError, ListError, PutError};
use crate::failure::Failure;
use crate::key::{MAX_KEY_BYTES, key_is_valid};
use crate::posture::{Expected, Lock, Setting};
use crate::sealed::{Knowledge, ObjectMeta, Page, Retention, SealedStore, VersionPage};

pub(super) use body::drain;

/// Larger than any object of S3, and a number that every server reads.
const BEYOND_ANY_OBJECT: u64 = 1 << 50;

/// The most memory that is taken before an object's bytes come.
const MAX_RESERVED_BYTES: u64 = 8 << 20;

/// How often a put is tried while another one of the same key is under way.
const CONFLICT_TRIES: u32 = 5;

/// The wait after the first such conflict; it doubles.
const CONFLICT_DELAY: Duration = Duration::from_millis(100);

/// A sealed store in a bucket with Object Lock, or in a part of one.
///
/// A put carries `If-None-Match: *`, so that S3 decides who is first, the
/// SHA-256 of what is sent, which S3 checks and keeps, and the lock with its end.
/// It is attempted once. A read checks the SHA-256 that S3 keeps.
///
/// Permissions: a writer needs `s3:PutObject` and `s3:PutObjectRetention`; a
/// reader `s3:GetObject` and `s3:ListBucket`; `verify` also
/// `s3:ListBucketVersions`, `s3:GetObjectRetention` and those that the settings
/// name whose permission is missing. Without `s3:ListBucket`, S3 does not tell
/// a missing object from a forbidden one.
///
/// S3 gives the retention of a version only when it is asked for it alone: the
/// listing of versions costs one request more for each version.
#[derive(Clone)]
pub struct S3SealedStore {
    client: Client<aws_sdk_s3::Client>,
    bucket: Bucket,
    mode: Option<ObjectLockMode>,
    address: String,
    /// What permissions on its objects are given on.
    objects_arn: String,
    bucket_arn: String,
}

impl S3SealedStore {
    /// The store in `bucket`, whose objects are locked as firmly as `lock` says.
    /// Nothing is called yet, and no bucket is ever made.
    ///
    /// # Errors
    ///
    /// [`AccessError`], where no region is known or the endpoint is refused.
    pub fn open(access: &Access, bucket: &Bucket, lock: Lock) -> Result<Self, AccessError> {
        let address = StoreAddress::S3(bucket.clone()).to_string();
        Ok(Self {
            client: access.s3(bucket.region.as_deref(), &address)?,
            mode: match lock {
                Lock::Off => None,
                Lock::Governance => Some(ObjectLockMode::Governance),
                Lock::Compliance => Some(ObjectLockMode::Compliance),
            },
            objects_arn: format!("arn:aws:s3:::{}/*", bucket.name),
            bucket_arn: format!("arn:aws:s3:::{}", bucket.name),
            bucket: bucket.clone(),
            address,
        })
    }

    /// The key in the bucket of a key of this store.
    fn full(&self, key: &str) -> String {
        match &*self.bucket.prefix {
            "" => key.to_owned(),
            prefix => format!("{prefix}/{key}"),
        }
    }

    /// The reverse, of a key that was listed with this store's prefix.
    fn own(&self, full: &str) -> Option<String> {
        let key = match &*self.bucket.prefix {
            "" => full,
            prefix => full.strip_prefix(prefix)?.strip_prefix('/')?,
        };
        Some(key.to_owned())
    }

    fn object(&self, key: &str) -> String {
        format!("{}/{key}", self.address)
    }

    fn on_objects(&self, permission: &'static str) -> Asked<'_> {
        Asked {
            permission,
            resource: &self.objects_arn,
        }
    }

    fn on_bucket(&self, permission: &'static str) -> Asked<'_> {
        Asked {
            permission,
            resource: &self.bucket_arn,
        }
    }

    /// Why no object can have this key here.
    fn unfit(&self, key: &str) -> Option<Failure> {
        if !key_is_valid(key) {
            return Some(Failure::invalid_key());
        }
        (self.full(key).len() > MAX_KEY_BYTES).then(|| Failure::Refused {
            reason: format!("its key and the store's prefix have more than {MAX_KEY_BYTES} bytes"),
            next: "give the store a shorter prefix".to_owned(),
        })
    }

    /// One attempt to put an object.
    async fn put_once(
        &self,
        key: &str,
        bytes: Bytes,
        retention: Retention,
    ) -> Result<(), PutFailure> {
        let timeouts = write_timeouts(bytes.len());
        let mut put = self
            .client
            .put_object()
            .bucket(&self.bucket.name)
            .key(self.full(key))
            .if_none_match("*")
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .body(ByteStream::from(bytes));
        if let (Some(mode), Retention::Until(millis)) = (&self.mode, retention) {
            put = put
                .object_lock_mode(mode.clone())
                .object_lock_retain_until_date(whole_second_from(millis));
        }
        // A repetition of a put that was done would find its own object, and
        // report it as another's.
        let once = aws_sdk_s3::config::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        let Err(error) = put.customize().config_override(once).send().await else {
            return Ok(());
        };
        let code =
            Answer::of(&error).map_or((0, String::new()), |answer| (answer.status, answer.code));
        Err(match (code.0, &*code.1) {
            (412, _) => PutFailure::Exists,
            (409, "ConditionalRequestConflict") => PutFailure::Conflict,
            _ => PutFailure::Failed(failure::of(&error, self.on_objects("s3:PutObject"))),
        })
    }

    async fn fetch(
        &self,
        key: &str,
        range: Option<String>,
    ) -> Result<GetObjectOutput, SdkError<GetObjectError, HttpResponse>> {
        self.client
            .get_object()
            .bucket(&self.bucket.name)
            .key(self.full(key))
            .set_range(range)
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
    }

    fn get_error(&self, key: &str, error: &SdkError<GetObjectError, HttpResponse>) -> GetError {
        let object = self.object(key);
        let answer = Answer::of(error);
        if answer
            .as_ref()
            .is_some_and(|answer| answer.is(404, "NoSuchKey"))
        {
            return GetError::NotFound { object };
        }
        if answer.is_some_and(|answer| answer.is(403, "InvalidObjectState")) {
            return GetError::Refused {
                object,
                reason: "it was moved to an archive class, from which it cannot be read at once".to_owned(),
                next: "restore it (aws s3api restore-object), and remove the transition from the bucket's lifecycle".to_owned(),
            };
        }
        let failure = failure::of(error, self.on_objects("s3:GetObject"));
        let failure = match failure {
            Failure::Refused { reason, next } if reason.starts_with("AccessDenied") => {
                Failure::Refused {
                    reason: format!(
                        "{reason}; or it does not exist, which S3 does not tell without s3:ListBucket"
                    ),
                    next: format!("{next}; allow s3:ListBucket on {} too", self.bucket_arn),
                }
            }
            other => other,
        };
        failure.into_get(object, self.address.clone())
    }

    /// Whether an object stands at a valid key.
    async fn stands(&self, key: &str) -> Result<(), GetError> {
        // Not by HEAD: its answer has no body that tells a missing object from
        // a missing bucket.
        match self.fetch(key, Some("bytes=0-0".to_owned())).await {
            Ok(_) => Ok(()),
            Err(error) if is_past_the_end(&error) => Ok(()),
            Err(error) => Err(self.get_error(key, &error)),
        }
    }

    /// Reads a body to its end, of at most `limit` bytes.
    async fn collect(
        &self,
        key: &str,
        body: ByteStream,
        length: u64,
        limit: u64,
    ) -> Result<Bytes, GetError> {
        // What is announced is not believed before it comes.
        let expected = usize::try_from(length.min(MAX_RESERVED_BYTES)).unwrap_or(0);
        let mut content = BytesMut::with_capacity(expected);
        let keep = |chunk: Bytes| {
            content.extend_from_slice(&chunk);
            Ok(())
        };
        drain(&self.object(key), body, length, limit, keep).await?;
        Ok(content.freeze())
    }
}

#[async_trait]
impl SealedStore for S3SealedStore {
    async fn put_new(&self, key: &str, bytes: Bytes, retention: Retention) -> Result<(), PutError> {
        let object = self.object(key);
        if let Some(failure) = self.unfit(key) {
            return Err(failure.into_put(object));
        }
        for tries in 0..CONFLICT_TRIES {
            match self.put_once(key, bytes.clone(), retention).await {
                Ok(()) => return Ok(()),
                Err(PutFailure::Exists) => return Err(PutError::Exists { object }),
                Err(PutFailure::Failed(failure)) => {
                    return Err(failure.into_put(object));
                }
                // S3 wrote nothing, since another put of this key is under way.
                // That one may yet fail: only an object that stands exists.
                Err(PutFailure::Conflict) => {}
            }
            tokio::time::sleep(CONFLICT_DELAY * 2u32.pow(tries)).await;
            if self.stands(key).await.is_ok() {
                return Err(PutError::Exists { object });
            }
        }
        Err(PutError::Transient {
            object,
            cause: "another put of the same key is under way (ConditionalRequestConflict)".into(),
        })
    }

    async fn get(&self, key: &str, max_bytes: u64) -> Result<Bytes, GetError> {
        if let Some(failure) = self.unfit(key) {
            return Err(failure.into_get(self.object(key), self.address.clone()));
        }
        let output = self
            .fetch(key, None)
            .await
            .map_err(|error| self.get_error(key, &error))?;
        let bytes = length(&output);
        if bytes > max_bytes {
            return Err(GetError::TooLarge {
                object: self.object(key),
                bytes,
                limit: max_bytes,
            });
        }
        self.collect(key, output.body, bytes, max_bytes).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, GetError> {
        if let Some(failure) = self.unfit(key) {
            return Err(failure.into_get(self.object(key), self.address.clone()));
        }
        if range.start >= range.end || range.start >= BEYOND_ANY_OBJECT {
            return self.stands(key).await.map(|()| Bytes::new());
        }
        let end = range.end.min(BEYOND_ANY_OBJECT);
        let asked = format!("bytes={}-{}", range.start, end - 1);
        let output = match self.fetch(key, Some(asked)).await {
            Ok(output) => output,
            Err(error) if is_past_the_end(&error) => return Ok(Bytes::new()),
            Err(error) => return Err(self.get_error(key, &error)),
        };
        let begins = format!("bytes {}-", range.start);
        let honoured = output
            .content_range()
            .is_some_and(|range| range.starts_with(&begins));
        let (bytes, limit) = (length(&output), end - range.start);
        if !honoured || bytes > limit {
            return Err(GetError::Refused {
                object: self.object(key),
                reason: "the server answered with another range than it was asked for".to_owned(),
                next: "check that the endpoint is S3, or a server that reads ranges as it does"
                    .to_owned(),
            });
        }
        self.collect(key, output.body, bytes, limit).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page, ListError> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.bucket.name)
            .prefix(self.full(prefix))
            .set_start_after(after.map(|after| self.full(after)))
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .map_err(|error| {
                failure::of(&error, self.on_bucket("s3:ListBucket")).into_list(self.address.clone())
            })?;
        let objects = listed.contents().iter().filter_map(|object| {
            let key = self.own(&decoded(object.key()?))?;
            let bytes = object.size().and_then(|size| u64::try_from(size).ok());
            Some(ObjectMeta::new(key, bytes.unwrap_or(0)))
        });
        Ok(Page {
            objects: objects.collect(),
            more: listed.is_truncated().unwrap_or(false),
        })
    }

    async fn versions(
        &self,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Knowledge<VersionPage>, ListError> {
        self.version_page(prefix, after).await.map(Knowledge::Known)
    }

    async fn posture(&self, expected: Expected) -> Knowledge<Vec<Setting>> {
        Knowledge::Known(self.settings(expected).await)
    }

    fn describe(&self) -> String {
        self.address.clone()
    }
}

impl Debug for S3SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3SealedStore")
            .field("bucket", &self.bucket)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

enum PutFailure {
    Exists,
    /// Another put of the key is under way, and this one was not done.
    Conflict,
    Failed(Failure),
}

/// The end of a retention as S3 keeps it: in whole seconds, never earlier.
fn whole_second_from(millis: u64) -> DateTime {
    DateTime::from_secs(i64::try_from(millis.div_ceil(1000)).unwrap_or(i64::MAX))
}

fn length(output: &GetObjectOutput) -> u64 {
    output
        .content_length()
        .and_then(|length| u64::try_from(length).ok())
        .unwrap_or(0)
}

/// Whether the object stands, and ends before the range that was asked for.
fn is_past_the_end(error: &SdkError<GetObjectError, HttpResponse>) -> bool {
    Answer::of(error).is_some_and(|answer| answer.status == 416)
}

/// A key that was listed with `encoding-type=url`, which alone shows every key
/// that anybody can put. What is not text becomes U+FFFD.
fn decoded(key: &str) -> String {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = key.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (value, taken) = match (byte, hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(byte), 3),
            (b'+', ..) => (b' ', 1),
            _ => (byte, 1),
        };
        plain.push(value);
        at += taken;
    }
    String::from_utf8(plain)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_is_never_cut_to_a_second_before_its_end() {
        for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2)] {
            assert_eq!(whole_second_from(millis).secs(), seconds);
        }
        assert_eq!(whole_second_from(1001).subsec_nanos(), 0);
    }

    #[test]
    fn keys_are_decoded_as_s3_encodes_them() {
        for (listed, key) in [
            ("a/b-c_d.e", "a/b-c_d.e"),
            ("a+b%2Bc%25", "a b+c%"),
            ("%01%0A", "\u{1}\n"),
            ("caf%C3%A9", "caf\u{e9}"),
            ("%FF", "\u{fffd}"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
        ] {
            assert_eq!(decoded(listed), key, "{listed}");
        }
    }
}
