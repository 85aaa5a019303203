//! AWS: S3 with Object Lock, DynamoDB, Secrets Manager, KMS.

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};
use aws_sdk_s3::primitives::DateTime;
use aws_sdk_s3::types::{
    BucketLifecycleConfiguration, BucketVersioningStatus, ChecksumAlgorithm, DefaultRetention,
    ExpirationStatus, LifecycleExpiration, LifecycleRule, LifecycleRuleFilter,
    ObjectLockConfiguration, ObjectLockEnabled, ObjectLockMode, ObjectLockRetention,
    ObjectLockRetentionMode, ObjectLockRule, VersioningConfiguration,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::display::DisplayErrorContext;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::json;

use super::{ActError, Emulators, EmulatorsError};
use crate::aws::{Access, Client, Endpoints};
use crate::posture::{Expected, Lock};

/// The region of everything on the stand-ins.
const REGION: &str = "us-east-1";

/// MinIO's own, which its documentation publishes: no secret.
const KEY_ID: &str = "minioadmin";
const SECRET_KEY: &str = "minioadmin";

/// The partition key of a table of heads.
const KEY: &str = "pk";

impl Emulators {
    /// Access to AWS's stand-ins, for stores and keys.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn aws(&self) -> Result<Access, EmulatorsError> {
        let endpoints = Endpoints {
            s3: Some(self.s3.to_string()),
            dynamodb: Some(self.aws.to_string()),
            secrets_manager: Some(self.aws.to_string()),
            kms: Some(self.aws_kms.to_string()),
            sts: Some(self.aws.to_string()),
        };
        let credentials = Credentials::new(KEY_ID, SECRET_KEY, None, None, "emulators");
        Access::with_endpoints(credentials, Some(REGION), endpoints).map_err(unusable)
    }

    pub(super) fn aws_variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_S3", self.s3.to_string()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.aws.to_string()),
            ("AWS_ENDPOINT_URL_SECRETS_MANAGER", self.aws.to_string()),
            ("AWS_ENDPOINT_URL_KMS", self.aws_kms.to_string()),
        ]
    }

    /// Somebody whom an IAM policy lets do what it says, and nothing else, on S3's
    /// stand-in: by a session of the administrator, with that policy. `sts` is the
    /// address of what gives such sessions: MinIO itself.
    ///
    /// # Errors
    /// When no client can be set up, or the session is refused.
    pub async fn aws_session(
        &self,
        sts: &str,
        policy: &str,
    ) -> Result<(Access, Administrator), EmulatorsError> {
        let of = |credentials, sts: &str| {
            let endpoints = Endpoints {
                s3: Some(self.s3.to_string()),
                sts: Some(sts.to_owned()),
                ..Endpoints::default()
            };
            Access::with_endpoints(credentials, Some(REGION), endpoints).map_err(unusable)
        };
        let administrator = Credentials::new(KEY_ID, SECRET_KEY, None, None, "emulators");
        let sts = of(administrator, sts)?.sts(None, "sts").map_err(unusable)?;
        let assumed = sts
            .assume_role()
            // MinIO reads neither.
            .role_arn("arn:aws:iam::000000000000:role/session")
            .role_session_name("session")
            .policy(policy)
            .send();
        let assumed = assumed
            .await
            .map_err(|error| unusable(DisplayErrorContext(error)))?;
        let given = assumed
            .credentials
            .ok_or_else(|| unusable("the session has no credentials"))?;
        let session = Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            None,
            "emulators",
        );
        let access = of(session, "http://127.0.0.1:1")?;
        let who = Administrator {
            s3: access.s3(None, "s3://").map_err(unusable)?,
            dynamodb: access.dynamodb(None, "dynamodb://").map_err(unusable)?,
        };
        Ok((access, who))
    }

    /// Somebody who may do everything that AWS permits anybody.
    ///
    /// # Errors
    /// When no client can be set up.
    pub fn aws_administrator(&self) -> Result<Administrator, EmulatorsError> {
        let access = self.aws()?;
        Ok(Administrator {
            s3: access.s3(None, "s3://").map_err(unusable)?,
            dynamodb: access.dynamodb(None, "dynamodb://").map_err(unusable)?,
        })
    }
}

fn unusable(error: impl ToString) -> EmulatorsError {
    EmulatorsError::Access {
        cloud: "AWS",
        problem: error.to_string(),
    }
}

/// Somebody with all permissions in the account.
#[derive(Clone, Debug)]
pub struct Administrator {
    s3: Client<aws_sdk_s3::Client>,
    dynamodb: Client<aws_sdk_dynamodb::Client>,
}

impl Administrator {
    /// Makes a bucket as one is deployed for sealed objects: versions, Object
    /// Lock with a default retention where a lock is asked for, and the policy
    /// that denies everybody what no writer needs.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn new_bucket(&self, name: &str, keep: Expected) -> Result<(), ActError> {
        let made = self
            .s3
            .create_bucket()
            .bucket(name)
            .object_lock_enabled_for_bucket(keep.lock != Lock::Off)
            .send();
        made.await.map_err(error)?;
        if keep.lock == Lock::Off {
            return Ok(());
        }
        self.set_default_retention(name, keep).await?;
        self.set_policy(name).await
    }

    /// Sets the retention of objects that are put without one of their own.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn set_default_retention(
        &self,
        bucket: &str,
        keep: Expected,
    ) -> Result<(), ActError> {
        let default = DefaultRetention::builder()
            .mode(mode(keep.lock))
            .days(i32::try_from(keep.retention_days).unwrap_or(i32::MAX))
            .build();
        let configuration = ObjectLockConfiguration::builder()
            .object_lock_enabled(ObjectLockEnabled::Enabled)
            .rule(ObjectLockRule::builder().default_retention(default).build())
            .build();
        let put = self.s3.put_object_lock_configuration().bucket(bucket);
        let put = put.object_lock_configuration(configuration).send().await;
        put.map(drop).map_err(error)
    }

    /// Denies everybody what no writer needs.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn set_policy(&self, bucket: &str) -> Result<(), ActError> {
        let (own, objects) = (
            format!("arn:aws:s3:::{bucket}"),
            format!("arn:aws:s3:::{bucket}/*"),
        );
        let deny = |actions: &[&str]| {
            json!({
                "Effect": "Deny", "Principal": "*", "Action": actions, "Resource": [own, objects],
            })
        };
        let mut not_create_only = deny(&["s3:PutObject"]);
        not_create_only["Condition"] = json!({"Null": {"s3:if-none-match": "true"}});
        // Not what comes without TLS: the stand-ins have none.
        let statements = [
            deny(&[
                "s3:DeleteObject",
                "s3:DeleteObjectVersion",
                "s3:BypassGovernanceRetention",
                "s3:PutBucketObjectLockConfiguration",
                "s3:ReplicateObject",
                "s3:ReplicateDelete",
            ]),
            not_create_only,
        ];
        let policy = json!({"Version": "2012-10-17", "Statement": statements});
        let put = self.s3.put_bucket_policy().bucket(bucket);
        let put = put.policy(policy.to_string()).send().await;
        put.map(drop).map_err(error)
    }

    /// Puts that policy on a bucket in place of the one it has.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put_policy(&self, bucket: &str, policy: &str) -> Result<(), ActError> {
        let put = self.s3.put_bucket_policy().bucket(bucket);
        put.policy(policy).send().await.map(drop).map_err(error)
    }

    /// Puts an object where none stands: as seal does, but without a lock.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put_new(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<(), ActError> {
        let put = self.s3.put_object().bucket(bucket).key(key);
        let put = put.if_none_match("*").body(bytes.into()).send().await;
        put.map(drop).map_err(error)
    }

    /// The names of a bucket's objects, the first thousand of them.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn list(&self, bucket: &str) -> Result<Vec<String>, ActError> {
        let listed = self.s3.list_objects_v2().bucket(bucket).send().await;
        let objects = listed.map_err(error)?.contents.unwrap_or_default();
        Ok(objects
            .into_iter()
            .filter_map(|object| object.key)
            .collect())
    }

    /// Makes a table as one is deployed for heads.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn new_table(&self, name: &str) -> Result<(), ActError> {
        let attribute = AttributeDefinition::builder()
            .attribute_name(KEY)
            .attribute_type(ScalarAttributeType::S);
        let schema = KeySchemaElement::builder()
            .attribute_name(KEY)
            .key_type(KeyType::Hash);
        let made = self
            .dynamodb
            .create_table()
            .table_name(name)
            .attribute_definitions(attribute.build().map_err(ActError::failed)?)
            .key_schema(schema.build().map_err(ActError::failed)?)
            .billing_mode(BillingMode::PayPerRequest)
            .send();
        made.await.map(drop).map_err(error)
    }
}

/// What somebody with all permissions can do to a bucket, and S3 refuses or not.
impl Administrator {
    /// Reads an object.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Vec<u8>, ActError> {
        let got = self.s3.get_object().bucket(bucket).key(key).send().await;
        let body = got.map_err(error)?.body.collect().await;
        Ok(body.map_err(ActError::failed)?.to_vec())
    }

    /// Puts an object, over whatever stands there; gives its version.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put(&self, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<String, ActError> {
        let put = self.s3.put_object().bucket(bucket).key(key);
        let put = put.body(bytes.into()).send().await.map_err(error)?;
        Ok(put.version_id.unwrap_or_default())
    }

    /// Puts an object that is retained so.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put_retained(
        &self,
        bucket: &str,
        key: &str,
        bytes: Vec<u8>,
        until_millis: u64,
        lock: Lock,
    ) -> Result<(), ActError> {
        let put = self.s3.put_object().bucket(bucket).key(key);
        let put = put
            .checksum_algorithm(ChecksumAlgorithm::Sha256)
            .object_lock_mode(object_mode(lock))
            .object_lock_retain_until_date(DateTime::from_millis(signed(until_millis)));
        put.body(bytes.into()).send().await.map(drop).map_err(error)
    }

    /// Deletes an object as most do: by a marker over it, whose version it gives.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<String, ActError> {
        let deleted = self.s3.delete_object().bucket(bucket).key(key).send();
        let deleted = deleted.await.map_err(error)?;
        Ok(deleted.version_id.unwrap_or_default())
    }

    /// Deletes a version for good, past a lock in governance mode.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn delete_version(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
    ) -> Result<(), ActError> {
        let deleted = self.s3.delete_object().bucket(bucket).key(key);
        let deleted = deleted
            .version_id(version)
            .bypass_governance_retention(true)
            .send();
        deleted.await.map(drop).map_err(error)
    }

    /// The version that readers of an object get.
    ///
    /// # Errors
    /// When it is refused, or there is no such object.
    pub async fn version(&self, bucket: &str, key: &str) -> Result<String, ActError> {
        let head = self.s3.head_object().bucket(bucket).key(key).send().await;
        Ok(head.map_err(error)?.version_id.unwrap_or_default())
    }

    /// Sets until when a version is retained, past a lock in governance mode.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn retain(
        &self,
        bucket: &str,
        key: &str,
        version: &str,
        until_millis: u64,
        lock: Lock,
    ) -> Result<(), ActError> {
        let retention = ObjectLockRetention::builder()
            .mode(mode(lock))
            .retain_until_date(DateTime::from_millis(signed(until_millis)))
            .build();
        let put = self.s3.put_object_retention().bucket(bucket).key(key);
        let put = put
            .version_id(version)
            .retention(retention)
            .bypass_governance_retention(true)
            .send();
        put.await.map(drop).map_err(error)
    }

    /// Suspends the bucket's versions.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn suspend_versions(&self, bucket: &str) -> Result<(), ActError> {
        let suspended = VersioningConfiguration::builder()
            .status(BucketVersioningStatus::Suspended)
            .build();
        let put = self.s3.put_bucket_versioning().bucket(bucket);
        let put = put.versioning_configuration(suspended).send().await;
        put.map(drop).map_err(error)
    }

    /// Lets the service itself delete objects of those names after some days.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn expire_after(
        &self,
        bucket: &str,
        prefix: &str,
        days: i32,
    ) -> Result<(), ActError> {
        let rule = LifecycleRule::builder()
            .id("expire")
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(prefix).build())
            .expiration(LifecycleExpiration::builder().days(days).build())
            .build()
            .map_err(ActError::failed)?;
        let rules = BucketLifecycleConfiguration::builder().rules(rule).build();
        let put = self.s3.put_bucket_lifecycle_configuration().bucket(bucket);
        let put = put.lifecycle_configuration(rules.map_err(ActError::failed)?);
        put.send().await.map(drop).map_err(error)
    }

    /// Takes that away.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn remove_lifecycle(&self, bucket: &str) -> Result<(), ActError> {
        let removed = self.s3.delete_bucket_lifecycle().bucket(bucket).send();
        removed.await.map(drop).map_err(error)
    }

    /// Removes the bucket's policy.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn remove_policy(&self, bucket: &str) -> Result<(), ActError> {
        let removed = self.s3.delete_bucket_policy().bucket(bucket).send();
        removed.await.map(drop).map_err(error)
    }
}

/// An item of a table of heads.
#[derive(Clone, Debug)]
pub struct Item(HashMap<String, AttributeValue>);

/// What somebody with all permissions can do to a table.
impl Administrator {
    /// Reads the item of that key.
    ///
    /// # Errors
    /// When it is refused, or there is none.
    pub async fn item(&self, table: &str, key: &str) -> Result<Item, ActError> {
        let got = self.dynamodb.get_item().table_name(table);
        let got = got.key(KEY, AttributeValue::S(key.to_owned()));
        let item = got.send().await.map_err(error)?.item;
        item.map(Item)
            .ok_or_else(|| ActError::failed(format_args!("{table} has no item {key}")))
    }

    /// Puts an item in place of the one of its key.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put_item(&self, table: &str, item: &Item) -> Result<(), ActError> {
        let put = self.dynamodb.put_item().table_name(table);
        let put = put.set_item(Some(item.0.clone())).send().await;
        put.map(drop).map_err(error)
    }

    /// Deletes the item of that key.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn delete_item(&self, table: &str, key: &str) -> Result<(), ActError> {
        let deleted = self.dynamodb.delete_item().table_name(table);
        let deleted = deleted.key(KEY, AttributeValue::S(key.to_owned()));
        deleted.send().await.map(drop).map_err(error)
    }
}

fn object_mode(lock: Lock) -> ObjectLockMode {
    match lock {
        Lock::Compliance => ObjectLockMode::Compliance,
        _ => ObjectLockMode::Governance,
    }
}

fn signed(millis: u64) -> i64 {
    i64::try_from(millis).unwrap_or(i64::MAX)
}

fn mode(lock: Lock) -> ObjectLockRetentionMode {
    match lock {
        Lock::Compliance => ObjectLockRetentionMode::Compliance,
        _ => ObjectLockRetentionMode::Governance,
    }
}

fn error<E>(error: SdkError<E, HttpResponse>) -> ActError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match error.raw_response() {
        Some(response) => ActError::Refused {
            status: response.status().as_u16(),
            code: error.code().unwrap_or_default().to_owned(),
            message: error.message().unwrap_or_default().to_owned(),
        },
        None => ActError::failed(DisplayErrorContext(error)),
    }
}
