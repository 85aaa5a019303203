//! Logs that AWS delivers to a bucket.

use std::io::Write;

use async_trait::async_trait;
use aws_sdk_s3::types::ChecksumMode;

use super::access::{Access, AccessError};
use super::clients::Client;
use super::failure::{self, Answer, Asked};
use super::s3::drain;
use crate::error::GetError;
use crate::logs::{LogObject, LogStore};

/// The buckets of a region in which logs are delivered.
///
/// Permissions: `s3:GetObject` and, where the bucket has versions,
/// `s3:GetObjectVersion`; without `s3:ListBucket`, S3 does not tell a missing
/// object from a forbidden one.
#[derive(Clone, Debug)]
pub struct S3Logs {
    client: Client<aws_sdk_s3::Client>,
}

impl S3Logs {
    /// The buckets of the environment's region. Nothing is sent yet.
    ///
    /// # Errors
    /// When no region is known.
    pub fn open(access: &Access) -> Result<Self, AccessError> {
        Ok(Self {
            client: access.s3(None, "the buckets of the logs")?,
        })
    }
}

#[async_trait]
impl LogStore for S3Logs {
    async fn fetch(
        &self,
        object: &LogObject<'_>,
        max_bytes: u64,
        sink: &mut (dyn Write + Send),
    ) -> Result<u64, GetError> {
        let address = match object.version {
            Some(version) => format!("s3://{}/{}?versionId={version}", object.bucket, object.key),
            None => format!("s3://{}/{}", object.bucket, object.key),
        };
        let got = self
            .client
            .get_object()
            .bucket(object.bucket)
            .key(object.key)
            .set_version_id(object.version.map(str::to_owned))
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await;
        let output = got.map_err(|error| {
            let missing = ["NoSuchKey", "NoSuchVersion"];
            if Answer::of(&error)
                .is_some_and(|answer| missing.iter().any(|code| answer.is(404, code)))
            {
                return GetError::NotFound {
                    object: address.clone(),
                };
            }
            let asked = Asked {
                permission: match object.version {
                    Some(_) => "s3:GetObjectVersion",
                    None => "s3:GetObject",
                },
                resource: &format!("arn:aws:s3:::{}/*", object.bucket),
            };
            let store = format!("s3://{}", object.bucket);
            failure::of(&error, asked).into_get(address.clone(), store)
        })?;
        let length = output
            .content_length()
            .and_then(|length| u64::try_from(length).ok());
        let length = length.unwrap_or(0);
        if length > max_bytes {
            return Err(GetError::TooLarge {
                object: address,
                bytes: length,
                limit: max_bytes,
            });
        }
        let keep = |chunk: bytes::Bytes| sink.write_all(&chunk);
        drain(&address, output.body, length, max_bytes, keep).await?;
        Ok(length)
    }
}
