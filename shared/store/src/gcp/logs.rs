//! Logs that a sink writes to a bucket.

use std::io::Write;

use async_trait::async_trait;

use super::access::Access;
use super::gcs::{Objects, READ_PERMISSION, ReadFailure};
use crate::address::Bucket;
use crate::error::GetError;
use crate::logs::{LogObject, LogStore};

/// The buckets in which logs are delivered. Permission: `storage.objects.get`.
#[derive(Clone, Debug)]
pub struct GcsLogs {
    access: Access,
}

impl GcsLogs {
    /// The buckets that these credentials reach. Nothing is sent yet.
    pub fn open(access: &Access) -> Self {
        Self {
            access: access.clone(),
        }
    }
}

#[async_trait]
impl LogStore for GcsLogs {
    async fn fetch(
        &self,
        object: &LogObject<'_>,
        max_bytes: u64,
        sink: &mut (dyn Write + Send),
    ) -> Result<u64, GetError> {
        let address = match object.version {
            Some(generation) => format!("gs://{}/{}#{generation}", object.bucket, object.key),
            None => format!("gs://{}/{}", object.bucket, object.key),
        };
        let bucket = Bucket {
            name: object.bucket.to_owned(),
            prefix: String::new(),
            region: None,
        };
        let objects = Objects::new(self.access.clone(), &bucket);
        let generation = match object.version.map(str::parse) {
            None => None,
            Some(Ok(generation)) => Some(generation),
            // No object ever had it.
            Some(Err(_)) => return Err(GetError::NotFound { object: address }),
        };
        let keep = |part: &[u8]| sink.write_all(part);
        let read = objects
            .read_to(object.key, generation, max_bytes, keep)
            .await;
        read.map_err(|failure| match failure {
            ReadFailure::Missing => GetError::NotFound { object: address },
            ReadFailure::NoBucket => GetError::NoStore {
                store: format!("gs://{}", object.bucket),
            },
            ReadFailure::TooLarge(bytes) => GetError::TooLarge {
                object: address,
                bytes,
                limit: max_bytes,
            },
            ReadFailure::Corrupt(reason) => GetError::Corrupt {
                object: address,
                reason,
            },
            ReadFailure::Failed(failure) => {
                let store = format!("gs://{}", object.bucket);
                failure.into_get(address, store, READ_PERMISSION)
            }
        })
    }
}
