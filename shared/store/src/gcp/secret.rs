//! Secrets in Secret Manager.

use std::time::Duration;

use async_trait::async_trait;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use zeroize::Zeroizing;

use super::access::{Access, Service};
use super::call::Request;
use super::failure::{Answer, Failure, NOT_GOOGLE};
use crate::secret::{Secret, SecretError};

const ACCESS_PERMISSION: &str = "secretmanager.versions.access";
const CREATE_PERMISSION: &str = "secretmanager.secrets.create";
const ADD_PERMISSION: &str = "secretmanager.versions.add";

/// The largest content that Secret Manager holds, in bytes.
const MAX_CONTENT_BYTES: usize = 64 * 1024;

/// How long a secret without content is left to who made it: long enough for
/// the second request of one that is at it.
const LEFT_TO_ITS_MAKER: Duration = Duration::from_secs(3);

/// A secret of Google's Secret Manager: its newest version.
///
/// Making one takes two requests: the secret, then a version with the content.
/// The service decides who makes the secret, but not who adds its first
/// version. So who finds a secret without a version leaves it some seconds to
/// its maker, and then completes it, since its maker may have died between the
/// two. If two add a version after all, the one whose version is not the first
/// is told that the outcome is unknown and, like everybody, reads the newest.
pub struct SecretManagerSecret {
    access: Access,
    project: String,
    name: String,
}

#[derive(Deserialize)]
struct Accessed<'a> {
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    /// Base64.
    #[serde(default)]
    data: &'a str,
    /// An int64, which JSON writes as text.
    data_crc32c: Option<&'a str>,
}

#[derive(Serialize)]
struct NewVersion<'a> {
    payload: Payload<'a>,
}

#[derive(Deserialize)]
struct Named<'a> {
    name: &'a str,
}

impl SecretManagerSecret {
    /// The secret `name` of `project`, which is its id or number. Nothing is
    /// called yet.
    pub fn open(access: &Access, project: &str, name: &str) -> Self {
        Self {
            access: access.clone(),
            project: project.to_owned(),
            name: name.to_owned(),
        }
    }

    fn unsuitable(&self, reason: String, next: &str) -> SecretError {
        SecretError::Unsuitable {
            secret: self.describe(),
            reason,
            next: next.to_owned(),
        }
    }

    /// The newest version as the service answers; `None` without a secret or a
    /// version.
    async fn newest(&self, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let path = [
            "v1",
            "projects",
            &self.project,
            "secrets",
            &self.name,
            "versions",
            "latest:access",
        ];
        // Base64 is a third longer; the names around it are short.
        let answer_bytes = max_bytes.min(MAX_CONTENT_BYTES) / 3 * 4 + 4096;
        let request = Request::get(Service::SecretManager, &path).max_bytes(answer_bytes);
        match self.access.read(&request).await {
            Ok(body) => Ok(Some(body)),
            Err(Failure::Answer(Answer { status: 404, .. })) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes the secret, without a content; whether it was there already.
    async fn make(&self) -> Result<bool, Failure> {
        let body = br#"{"replication":{"automatic":{}}}"#.to_vec();
        let path = ["v1", "projects", &self.project, "secrets"];
        let request = Request::post(Service::SecretManager, &path, Zeroizing::new(body))
            .query("secretId", &*self.name);
        match self.access.write(&request).await {
            Ok(_) => Ok(false),
            Err(Failure::Answer(Answer { status: 409, .. })) => Ok(true),
            Err(failure) => Err(failure),
        }
    }

    /// Adds a version; whether it is the first.
    async fn add(&self, content: &[u8]) -> Result<bool, Failure> {
        // Sized beforehand, so that no copy of the content is left behind.
        let mut data = Zeroizing::new(String::with_capacity(BASE64.encode_len(content.len())));
        BASE64.encode_append(content, &mut data);
        let crc32c = crc32c::crc32c(content).to_string();
        let version = NewVersion {
            payload: Payload {
                data: &data,
                data_crc32c: Some(&crc32c),
            },
        };
        let mut body = Zeroizing::new(Vec::with_capacity(data.len() + 256));
        serde_json::to_writer(&mut *body, &version)
            .map_err(|error| Failure::refused(error.to_string(), "report this"))?;
        let secret = format!("{}:addVersion", self.name);
        let path = ["v1", "projects", &self.project, "secrets", &secret];
        let request = Request::post(Service::SecretManager, &path, body);
        let answer = self.access.write(&request).await?;
        let Named { name } = serde_json::from_slice(&answer)
            .map_err(|error| Failure::Unreadable(format!("the answer cannot be read: {error}")))?;
        Ok(name.ends_with("/versions/1"))
    }

    fn exists(&self) -> SecretError {
        SecretError::Exists {
            secret: self.describe(),
        }
    }
}

#[async_trait]
impl Secret for SecretManagerSecret {
    async fn read(&self, max_bytes: usize) -> Result<Option<Zeroizing<Vec<u8>>>, SecretError> {
        let newest = self.newest(max_bytes).await;
        let newest = newest
            .map_err(|failure| failure.into_secret(self.describe(), true, ACCESS_PERMISSION))?;
        let Some(body) = newest else {
            return Ok(None);
        };
        let Accessed { payload } = serde_json::from_slice(&body)
            .map_err(|_| self.unsuitable("the answer is not a version's".to_owned(), NOT_GOOGLE))?;
        let content = decoded(payload.data)
            .ok_or_else(|| self.unsuitable("the answer is not base64".to_owned(), NOT_GOOGLE))?;
        if content.len() > max_bytes {
            return Err(self.unsuitable(
                format!("its content has more than the {max_bytes} bytes expected"),
                "correct the setting: it is another secret",
            ));
        }
        let sum = crc32c::crc32c(&content).to_string();
        match payload.data_crc32c {
            Some(stored) if stored == sum => Ok(Some(content)),
            Some(_) => Err(SecretError::Transient {
                secret: self.describe(),
                cause: "its content came with a CRC32C that is not its own".into(),
            }),
            None => Err(self.unsuitable("the answer has no CRC32C".to_owned(), NOT_GOOGLE)),
        }
    }

    async fn create(&self, content: &[u8]) -> Result<(), SecretError> {
        let failed = |failure: Failure, read, permission| {
            failure.into_secret(self.describe(), read, permission)
        };
        let there = self.make().await;
        if there.map_err(|failure| failed(failure, false, CREATE_PERMISSION))? {
            for wait in [Some(LEFT_TO_ITS_MAKER), None] {
                match self.newest(MAX_CONTENT_BYTES).await {
                    Ok(None) => {}
                    // A version that is disabled or destroyed is one too.
                    Ok(Some(_)) | Err(Failure::Answer(Answer { status: 400, .. })) => {
                        return Err(self.exists());
                    }
                    Err(failure) => return Err(failed(failure, true, ACCESS_PERMISSION)),
                }
                if let Some(wait) = wait {
                    sleep(wait).await;
                }
            }
        }
        match self.add(content).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(SecretError::Unknown {
                secret: self.describe(),
                cause: "another version was added at the same time".into(),
            }),
            Err(failure) => Err(failed(failure, false, ADD_PERMISSION)),
        }
    }

    fn describe(&self) -> String {
        format!("gcpsecret:projects/{}/secrets/{}", self.project, self.name)
    }
}

/// The bytes of a base64 text, copied nowhere else.
fn decoded(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let len = BASE64.decode_len(text.len()).ok()?;
    let mut bytes = Zeroizing::new(vec![0; len]);
    let len = BASE64.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    bytes.truncate(len);
    Some(bytes)
}

impl std::fmt::Debug for SecretManagerSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecretManagerSecret")
            .field("address", &self.describe())
            .finish_non_exhaustive()
    }
}
