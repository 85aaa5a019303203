//! The head store in a DynamoDB table.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use bytes::Bytes;

use super::access::{Access, AccessError, write_timeouts};
use super::clients::Client;
use super::failure::{self, Answer, Asked, NO_TABLE};
use crate::address::StoreAddress;
use crate::error::{HeadError, SwapError};
use crate::failure::Failure;
use crate::head::{HeadStore, Stored, Version, swap_refusal};
use crate::key::key_is_valid;

/// The table's partition key: a string, and the head's key.
const KEY: &str = "pk";
/// What the next swap must expect: a string.
const VERSION: &str = "version";
/// The document: binary.
const DOCUMENT: &str = "document";

/// What to do about an item that is not a head.
const RESTORE: &str = "restore the item from a backup of the table (point-in-time recovery), or run verify to learn where the chain ends; do not delete it";

/// A head store in a table whose partition key is the string `pk`, without a
/// sort key: one item per head.
///
/// Loads are strongly consistent. A swap is a `PutItem` on the condition that
/// the item's version is the expected one, attempted once. A version is 128
/// random bits, so that none comes back, not even after the item or the table
/// was removed and made anew, or restored from a backup.
///
/// Permissions: `dynamodb:GetItem`, and `dynamodb:PutItem` to move heads.
#[derive(Clone)]
pub struct DynamoHeadStore {
    client: Client<aws_sdk_dynamodb::Client>,
    table: String,
    address: String,
    arn: String,
}

impl DynamoHeadStore {
    /// The store in `table`; `region` is that of the environment if not given.
    /// Nothing is called yet, and no table is ever made.
    ///
    /// # Errors
    ///
    /// [`AccessError`], where no region is known or the endpoint is refused.
    pub fn open(access: &Access, table: &str, region: Option<&str>) -> Result<Self, AccessError> {
        let address = StoreAddress::DynamoDb {
            table: table.to_owned(),
            region: region.map(str::to_owned),
        }
        .to_string();
        Ok(Self {
            client: access.dynamodb(region, &address)?,
            table: table.to_owned(),
            arn: format!("the table {table}"),
            address,
        })
    }

    fn head(&self, key: &str) -> String {
        format!("{}/{key}", self.address)
    }

    fn failure<E>(&self, error: &SdkError<E, HttpResponse>, permission: &'static str) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        match Answer::of(error) {
            Some(answer) if answer.code == "ResourceNotFoundException" => NO_TABLE,
            Some(answer) if answer.code == "ValidationException" => Failure::Refused {
                reason: answer.message,
                next: format!("check that the table's key is the string `{KEY}` alone"),
            },
            _ => failure::of(
                error,
                Asked {
                    permission,
                    resource: &self.arn,
                },
            ),
        }
    }
}

#[async_trait]
impl HeadStore for DynamoHeadStore {
    async fn load(&self, key: &str) -> Result<Option<Stored>, HeadError> {
        let head = self.head(key);
        if !key_is_valid(key) {
            return Err(Failure::invalid_key().into_load(head, self.describe()));
        }
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, AttributeValue::S(key.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| {
                self.failure(&error, "dynamodb:GetItem")
                    .into_load(head.clone(), self.describe())
            })?;
        let Some(mut item) = output.item else {
            return Ok(None);
        };
        let corrupt = |attribute: &str| HeadError::Corrupt {
            head: head.clone(),
            reason: format!("its item has no attribute `{attribute}` of the right type"),
            next: RESTORE.to_owned(),
        };
        let Some(AttributeValue::S(version)) = item.remove(VERSION) else {
            return Err(corrupt(VERSION));
        };
        let Some(AttributeValue::B(document)) = item.remove(DOCUMENT) else {
            return Err(corrupt(DOCUMENT));
        };
        Ok(Some(Stored {
            bytes: Bytes::from(document.into_inner()),
            version: Version::new(version),
        }))
    }

    async fn swap(
        &self,
        key: &str,
        expected: Option<&Version>,
        new: Bytes,
    ) -> Result<Version, SwapError> {
        let head = self.head(key);
        if let Some((reason, next)) = swap_refusal(key, &new) {
            return Err(SwapError::Refused { head, reason, next });
        }
        let version = match fresh_version() {
            Ok(version) => version,
            Err(error) => {
                return Err(SwapError::Transient {
                    head,
                    cause: format!("the system gave no random bytes: {error}").into(),
                });
            }
        };
        let timeouts = write_timeouts(new.len());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .item(KEY, AttributeValue::S(key.to_owned()))
            .item(VERSION, AttributeValue::S(version.as_str().to_owned()))
            .item(DOCUMENT, AttributeValue::B(Blob::new(new)));
        let put = match expected {
            None => put
                .condition_expression("attribute_not_exists(#key)")
                .expression_attribute_names("#key", KEY),
            Some(expected) => put
                .condition_expression("#version = :expected")
                .expression_attribute_names("#version", VERSION)
                .expression_attribute_values(
                    ":expected",
                    AttributeValue::S(expected.as_str().to_owned()),
                ),
        };
        // A repetition of a swap that was done would report its own success as
        // lost.
        let once = aws_sdk_dynamodb::config::Config::builder()
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        let Err(error) = put.customize().config_override(once).send().await else {
            return Ok(version);
        };
        let is_lost = Answer::of(&error)
            .is_some_and(|answer| answer.code == "ConditionalCheckFailedException");
        if is_lost {
            return Err(SwapError::Lost { head });
        }
        Err(self.failure(&error, "dynamodb:PutItem").into_swap(head))
    }

    fn describe(&self) -> String {
        self.address.clone()
    }
}

impl Debug for DynamoHeadStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoHeadStore")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// A version that was never given before.
fn fresh_version() -> Result<Version, getrandom::Error> {
    let mut random = [0; 16];
    getrandom::fill(&mut random)?;
    Ok(Version::new(format!(
        "{:032x}",
        u128::from_be_bytes(random)
    )))
}
