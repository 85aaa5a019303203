//! An object's bytes as they come.

use aws_sdk_s3::primitives::{ByteStream, ByteStreamError};
use bytes::Bytes;

use crate::aws::access::{STALL_GRACE, transfer_time};
use crate::aws::failure::{causes, find};
use crate::error::GetError;

/// Reads a body to its end, of `length` bytes as announced and of `limit` at most,
/// and hands each part to `keep`. `object` is for the messages.
pub(in crate::aws) async fn drain(
    object: &str,
    mut body: ByteStream,
    length: u64,
    limit: u64,
    mut keep: impl FnMut(Bytes) -> std::io::Result<()> + Send,
) -> Result<(), GetError> {
    let mut bytes = 0;
    let read = async {
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|error| broken(object, &error))?;
            bytes += chunk.len() as u64;
            if bytes > limit {
                return Err(GetError::TooLarge {
                    object: object.to_owned(),
                    bytes,
                    limit,
                });
            }
            keep(chunk).map_err(|error| GetError::Transient {
                object: object.to_owned(),
                cause: format!("what came could not be kept: {error}").into(),
            })?;
        }
        Ok(())
    };
    // The stall protection sees an answer that stops. This ends one that drips.
    let time = STALL_GRACE + transfer_time(length);
    match tokio::time::timeout(time, read).await {
        Ok(read) => read?,
        Err(_) => {
            return Err(GetError::Transient {
                object: object.to_owned(),
                cause: format!("its {length} bytes did not come within {time:?}").into(),
            });
        }
    }
    if bytes != length {
        return Err(GetError::Transient {
            object: object.to_owned(),
            cause: format!("{bytes} bytes came where {length} were announced").into(),
        });
    }
    Ok(())
}

fn broken(object: &str, error: &ByteStreamError) -> GetError {
    let object = object.to_owned();
    if find::<aws_smithy_checksums::body::validate::Error>(error).is_some() {
        return GetError::Corrupt {
            object,
            reason: "what was read does not have the checksum that S3 keeps of it".to_owned(),
        };
    }
    GetError::Transient {
        object,
        cause: format!("the answer broke off: {}", causes(error)).into(),
    }
}
