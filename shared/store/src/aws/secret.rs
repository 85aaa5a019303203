//! Secrets of AWS Secrets Manager.

use std::fmt::{self, Debug};

use async_trait::async_trait;
use aws_sdk_secretsmanager::primitives::Blob;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;
use zeroize::Zeroizing;

use super::access::{Access, AccessError};
use super::clients::Client;
use super::failure::{self, Answer, Asked};
use super::region_of_arn;
use crate::address::KeyAddress;
use crate::secret::{Secret, SecretError};

/// A secret by its name or ARN.
///
/// Permissions: `secretsmanager:GetSecretValue`, and
/// `secretsmanager:CreateSecret` to make it; where it is encrypted with a key of
/// one's own, `kms:Decrypt` and `kms:GenerateDataKey` on that key.
#[derive(Clone)]
pub struct SecretsManagerSecret {
    client: Client<aws_sdk_secretsmanager::Client>,
    id: String,
    address: String,
}

impl SecretsManagerSecret {
    /// The secret `id`; an ARN names its region itself, a name is looked up in
    /// that of `access`. Nothing is called yet.
    ///
    /// # Errors
    ///
    /// [`AccessError`], where no region is known or the endpoint is refused.
    pub fn open(access: &Access, id: &str) -> Result<Self, AccessError> {
        let address = KeyAddress::AwsSecret(id.to_owned()).to_string();
        Ok(Self {
            client: access.secrets(region_of_arn(id), &address)?,
            id: id.to_owned(),
            address,
        })
    }

    fn asked(&self, permission: &'static str) -> Asked<'_> {
        Asked {
            permission,
            resource: &self.id,
        }
    }
}

#[async_trait]
impl Secret for SecretsManagerSecret {
    async fn read(&self, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let read = self
            .client
            .get_secret_value()
            .secret_id(&self.id)
            .send()
            // The library logs answers at trace level.
            .with_subscriber(NoSubscriber::new())
            .await;
        let mut output = match read {
            Ok(output) => output,
            Err(error) => {
                let code = Answer::of(&error).map(|answer| answer.code);
                return match code.as_deref() {
                    Some("ResourceNotFoundException") => Ok(None),
                    Some("InvalidRequestException") => Err(self.being_deleted()),
                    _ => {
                        let asked = self.asked("secretsmanager:GetSecretValue");
                        Err(failure::of(&error, asked)
                            .of_read()
                            .into_secret(self.describe()))
                    }
                };
            }
        };
        let content = match (output.secret_binary.take(), output.secret_string.take()) {
            (Some(binary), _) => Zeroizing::new(binary.into_inner()),
            (None, Some(text)) => Zeroizing::new(text.into_bytes()),
            (None, None) => return Ok(None),
        };
        if content.len() > max_bytes {
            return Err(SecretError::Unsuitable {
                secret: self.describe(),
                reason: format!(
                    "its {} bytes are more than the {max_bytes} expected",
                    content.len()
                ),
                next: "correct the setting: this is another secret".to_owned(),
            });
        }
        Ok(Some(content))
    }

    async fn create(&self, content: &[u8]) -> Result<(), SecretError> {
        let create = self.client.create_secret().name(&self.id);
        // As text where it is text, so that a person can restore it.
        let create = match std::str::from_utf8(content) {
            Ok(text) => create.secret_string(text),
            Err(_) => create.secret_binary(Blob::new(content)),
        };
        // The library makes a `ClientRequestToken` once per call and repeats the
        // call with it: of what was done already, Secrets Manager then says so.
        let created = create.send().with_subscriber(NoSubscriber::new()).await;
        let Err(error) = created else { return Ok(()) };
        let secret = self.describe();
        Err(
            match Answer::of(&error).map(|answer| answer.code).as_deref() {
                Some("ResourceExistsException") => SecretError::Exists { secret },
                Some("InvalidRequestException") => self.being_deleted(),
                _ => failure::of(&error, self.asked("secretsmanager:CreateSecret"))
                    .into_secret(secret),
            },
        )
    }

    fn describe(&self) -> String {
        self.address.clone()
    }
}

impl SecretsManagerSecret {
    fn being_deleted(&self) -> SecretError {
        SecretError::Refused {
            secret: self.describe(),
            reason: "Secrets Manager does not allow it in the secret's present state".to_owned(),
            next: format!(
                "if it is to be deleted, take it back: aws secretsmanager restore-secret --secret-id {}",
                self.id
            ),
        }
    }
}

impl Debug for SecretsManagerSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretsManagerSecret")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
