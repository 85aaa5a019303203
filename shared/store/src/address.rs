//! Addresses of stores and keys, as the settings write them. They are read in
//! every build, whichever clouds it can reach.

use std::fmt;
use std::path::PathBuf;

/// Where a sealed store or a head store is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreAddress {
    /// `file:PATH`: a local folder.
    File(PathBuf),
    /// `s3://BUCKET[/PREFIX][?region=REGION]`: objects of an S3 bucket.
    S3(Bucket),
    /// `dynamodb://TABLE[?region=REGION]`: items of a DynamoDB table.
    DynamoDb {
        /// The table.
        table: String,
        /// Its region; that of the environment where none is given.
        region: Option<String>,
    },
    /// `azblob://ACCOUNT/CONTAINER[/PREFIX]`: blobs of an Azure container.
    AzureBlob {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
        /// What every name begins with, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// `gs://BUCKET[/PREFIX]`: objects of a Cloud Storage bucket.
    Gcs(Bucket),
}

/// A bucket, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bucket {
    /// The bucket.
    pub name: String,
    /// What every key begins with, without slashes at its ends; may be empty.
    pub prefix: String,
    /// S3: its region; that of the environment where none is given.
    pub region: Option<String>,
}

/// Where a key is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyAddress {
    /// `file:PATH`: a seed file.
    File(PathBuf),
    /// `awssecret:NAME` or its ARN: a seed in AWS Secrets Manager.
    AwsSecret(String),
    /// `keyvault:VAULT/NAME`: a seed as a secret of an Azure Key Vault.
    KeyVault {
        /// The vault's name, as in `https://VAULT.vault.azure.net`.
        vault: String,
        /// The secret's name.
        name: String,
    },
    /// `gcpsecret:projects/PROJECT/secrets/NAME`: a seed in Secret Manager.
    GcpSecret {
        /// The project's id or number.
        project: String,
        /// The secret's name.
        name: String,
    },
    /// `awskms:KEY`: an AWS KMS key by id, alias or ARN.
    AwsKms(String),
    /// `gcpkms:projects/…/cryptoKeyVersions/N`: a version of a Cloud KMS key.
    GcpKms(String),
}

/// Why an address cannot be read. It never repeats the address: in place of a
/// key's, a key may have been pasted by mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AddressError(&'static str);

const STORE_FORMS: &str = "is no address of a store: it is one of file:PATH, s3://BUCKET/PREFIX, dynamodb://TABLE, azblob://ACCOUNT/CONTAINER/PREFIX, gs://BUCKET/PREFIX";
const KEY_FORMS: &str = "is not the place of a key: it is one of file:PATH, awssecret:NAME, keyvault:VAULT/NAME, gcpsecret:projects/PROJECT/secrets/NAME, awskms:KEY, gcpkms:projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N";

impl StoreAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// When it has none of the forms.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("file:") {
            let path = Some(path).filter(|path| !path.is_empty());
            return path
                .map(|path| Self::File(path.into()))
                .ok_or(AddressError(STORE_FORMS));
        }
        let (scheme, rest) = text.split_once("://").ok_or(AddressError(STORE_FORMS))?;
        let (rest, region) = match rest.split_once("?region=") {
            Some((rest, region)) if matches!(scheme, "s3" | "dynamodb") => {
                (rest, Some(name(region, "-")?))
            }
            _ => (rest, None),
        };
        let (first, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        match scheme {
            "s3" => Ok(Self::S3(Bucket {
                name: name(first, ".-")?,
                prefix: prefix_of(prefix)?,
                region,
            })),
            "gs" => Ok(Self::Gcs(Bucket {
                name: name(first, "._-")?,
                prefix: prefix_of(prefix)?,
                region: None,
            })),
            "dynamodb" if !rest.contains('/') => Ok(Self::DynamoDb {
                table: name(first, "._-")?,
                region,
            }),
            "azblob" => {
                let (container, prefix) = prefix.split_once('/').unwrap_or((prefix, ""));
                Ok(Self::AzureBlob {
                    account: name(first, "")?,
                    container: name(container, "-$")?,
                    prefix: prefix_of(prefix)?,
                })
            }
            _ => Err(AddressError(STORE_FORMS)),
        }
    }

    /// How many objects to ask for at a time: of a folder as many as there are
    /// cores to read them, of what is far away more, to wait for them together.
    pub fn reads_at_a_time(&self) -> usize {
        match self {
            Self::File(_) => std::thread::available_parallelism().map_or(2, usize::from),
            _ => 16,
        }
    }

    /// The part of this store that `part` names: a folder of its own in it.
    #[must_use]
    pub fn part(&self, part: &str) -> Self {
        let inside = |prefix: &str| match prefix {
            "" => part.to_owned(),
            prefix => format!("{prefix}/{part}"),
        };
        match self {
            Self::File(path) => Self::File(path.join(part)),
            Self::S3(bucket) => Self::S3(Bucket {
                prefix: inside(&bucket.prefix),
                ..bucket.clone()
            }),
            Self::Gcs(bucket) => Self::Gcs(Bucket {
                prefix: inside(&bucket.prefix),
                ..bucket.clone()
            }),
            Self::AzureBlob {
                account,
                container,
                prefix,
            } => Self::AzureBlob {
                account: account.clone(),
                container: container.clone(),
                prefix: inside(prefix),
            },
            Self::DynamoDb { .. } => self.clone(),
        }
    }
}

impl fmt::Display for StoreAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slash = |prefix: &str| if prefix.is_empty() { "" } else { "/" };
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::S3(Bucket { name, prefix, .. }) => {
                write!(f, "s3://{name}{}{prefix}", slash(prefix))
            }
            Self::Gcs(Bucket { name, prefix, .. }) => {
                write!(f, "gs://{name}{}{prefix}", slash(prefix))
            }
            Self::DynamoDb { table, .. } => write!(f, "dynamodb://{table}"),
            Self::AzureBlob {
                account,
                container,
                prefix,
            } => write!(f, "azblob://{account}/{container}{}{prefix}", slash(prefix)),
        }
    }
}

impl KeyAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// When it has none of the forms.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let error = AddressError(KEY_FORMS);
        let (scheme, rest) = text.split_once(':').ok_or(error.clone())?;
        if rest.is_empty() {
            return Err(error);
        }
        match scheme {
            "file" => Ok(Self::File(rest.into())),
            "awssecret" => Ok(Self::AwsSecret(name(rest, "/_+=.@:-")?)),
            "awskms" => Ok(Self::AwsKms(name(rest, "/_:-")?)),
            "keyvault" => {
                let (vault, secret) = rest.split_once('/').ok_or(error)?;
                Ok(Self::KeyVault {
                    vault: name(vault, "-")?,
                    name: name(secret, "-")?,
                })
            }
            "gcpsecret" => match rest.split('/').collect::<Vec<_>>()[..] {
                ["projects", project, "secrets", secret] => Ok(Self::GcpSecret {
                    project: name(project, "-:.")?,
                    name: name(secret, "_-")?,
                }),
                _ => Err(error),
            },
            "gcpkms" => {
                const PARTS: [&str; 5] = [
                    "projects",
                    "locations",
                    "keyRings",
                    "cryptoKeys",
                    "cryptoKeyVersions",
                ];
                let parts: Vec<_> = rest.split('/').collect();
                let fits = parts.len() == 2 * PARTS.len()
                    && parts
                        .chunks(2)
                        .zip(PARTS)
                        .all(|(part, kind)| part[0] == kind && name(part[1], "_-:.").is_ok());
                fits.then(|| Self::GcpKms(rest.to_owned())).ok_or(error)
            }
            _ => Err(error),
        }
    }
}

impl fmt::Display for KeyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::AwsSecret(id) => write!(f, "awssecret:{id}"),
            Self::KeyVault { vault, name } => write!(f, "keyvault:{vault}/{name}"),
            Self::GcpSecret { project, name } => {
                write!(f, "gcpsecret:projects/{project}/secrets/{name}")
            }
            Self::AwsKms(id) => write!(f, "awskms:{id}"),
            Self::GcpKms(version) => write!(f, "gcpkms:{version}"),
        }
    }
}

/// A name of letters, digits and the `others`. What a service allows beyond
/// that is not needed, and what it does not allow it says itself.
fn name(text: &str, others: &str) -> Result<String, AddressError> {
    let fits = !text.is_empty()
        && text.len() <= 2048
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || others.contains(c));
    fits.then(|| text.to_owned()).ok_or(AddressError(
        "holds a name that is empty or has characters which no such name has",
    ))
}

fn prefix_of(text: &str) -> Result<String, AddressError> {
    let prefix = text.strip_suffix('/').unwrap_or(text);
    if prefix.is_empty() || crate::key_is_valid(prefix) {
        return Ok(prefix.to_owned());
    }
    Err(AddressError(
        "has a prefix that is no valid key: use A-Z a-z 0-9 . _ / -, no empty part and none that begins with a dot",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_stores_are_read_and_written_alike() {
        for text in [
            "file:data/aws/sealed",
            "s3://bucket",
            "s3://my.bucket-1/a/b",
            "gs://bucket_1/a",
            "dynamodb://heads",
            "azblob://account/container",
            "azblob://account/container/a/b",
        ] {
            let address = StoreAddress::parse(text).unwrap();
            assert_eq!(address.to_string(), text);
        }
        let StoreAddress::S3(bucket) = StoreAddress::parse("s3://b/p/?region=eu-west-1").unwrap()
        else {
            panic!("an S3 address")
        };
        assert_eq!(
            (&*bucket.prefix, bucket.region.as_deref()),
            ("p", Some("eu-west-1"))
        );
    }

    #[test]
    fn a_part_of_a_store_is_a_folder_in_it() {
        for (text, part) in [
            ("file:a", "file:a/0"),
            ("s3://b", "s3://b/0"),
            ("gs://b/p", "gs://b/p/0"),
            ("azblob://a/c/p", "azblob://a/c/p/0"),
        ] {
            assert_eq!(
                StoreAddress::parse(text).unwrap().part("0").to_string(),
                part
            );
        }
    }

    #[test]
    fn addresses_of_keys_are_read_and_written_alike() {
        for text in [
            "file:keys/aws.seed",
            "awssecret:countersign/aws",
            "awssecret:arn:aws:secretsmanager:eu-west-1:111122223333:secret:cs-AbCdEf",
            "keyvault:vault-1/countersign-azure",
            "gcpsecret:projects/my-project/secrets/countersign",
            "awskms:alias/countersign",
            "gcpkms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1",
        ] {
            assert_eq!(KeyAddress::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_not_repeated() {
        let secret = "0123456789abcdef0123456789abcdef";
        for text in [
            "",
            "file:",
            "s3:bucket",
            "s3://",
            "s3:///key",
            "s3://b/a//b",
            "s3://b/../c",
            "gs://b?region=x",
            "dynamodb://table/key",
            "azblob://account",
            "http://host/x",
            "s3://b?region=",
            "s3://b/%20",
            secret,
        ] {
            let error = StoreAddress::parse(text).unwrap_err().to_string();
            assert!(!error.contains(secret), "{text}: {error}");
        }
        for text in [
            "",
            "awssecret:",
            "keyvault:vault",
            "gcpsecret:name",
            "gcpkms:projects/p",
            "awskms:a b",
            "kms:x",
            secret,
        ] {
            let error = KeyAddress::parse(text).unwrap_err().to_string();
            assert!(!error.contains(secret), "{text}: {error}");
        }
    }
}
