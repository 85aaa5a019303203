//! The local servers that stand in for the clouds (`scripts/services up`): how
//! each cloud's stores are reached on them, and what its administrators may do
//! there. For demonstrations and tests.
//!
//! Their credentials are constants that their makers publish. Nothing of the
//! process's environment is set or, but for [`Emulators::from_environment`],
//! read.

pub mod aws;
pub mod azure;
pub mod gcp;

mod act;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use self::act::ActError;
use crate::gcp::Endpoint;

/// Where the stand-ins are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emulators {
    /// S3 with Object Lock and bucket policies.
    s3: Endpoint,
    /// DynamoDB and Secrets Manager.
    aws: Endpoint,
    aws_kms: Endpoint,
    blob: Endpoint,
    resource_manager: Endpoint,
    key_vault: Endpoint,
    gcs: Endpoint,
    /// Secret Manager, Cloud KMS and Resource Manager.
    gcp: Endpoint,
}

/// Why the stand-ins cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EmulatorsError {
    /// One of them has no address.
    #[error(
        "{variable} is not set: the stand-ins for the clouds are not up; run scripts/services up, which writes their addresses to target/services/env"
    )]
    Missing {
        /// Its variable.
        variable: &'static str,
    },
    /// An address of something else.
    #[error("{variable} is refused: give http://127.0.0.1:PORT, as scripts/services does")]
    Address {
        /// Its variable.
        variable: &'static str,
    },
    /// No client can be set up for them.
    #[error("the stand-ins of {cloud} cannot be used: {problem}")]
    Access {
        /// Whose they are.
        cloud: &'static str,
        /// What is wrong.
        problem: String,
    },
}

impl Emulators {
    /// As the variables say that `scripts/services` writes: `STANDIN_S3` and
    /// so on.
    ///
    /// # Errors
    /// When one is missing, or is no address on this machine.
    pub fn from_environment() -> Result<Self, EmulatorsError> {
        Self::read(|variable| std::env::var(variable).ok())
    }

    /// As the file says that `scripts/services` writes: lines of
    /// `STANDIN_S3=http://127.0.0.1:19001`.
    ///
    /// # Errors
    /// As [`from_environment`](Self::from_environment).
    pub fn parse(file: &str) -> Result<Self, EmulatorsError> {
        Self::read(|variable| {
            file.lines()
                .filter_map(|line| line.trim().split_once('='))
                .find(|(name, _)| *name == variable)
                .map(|(_, value)| value.to_owned())
        })
    }

    /// What a process needs in its environment to reach them with the stores and
    /// keys that find their way by it: names and values. They hold credentials,
    /// if only published ones.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let (aws, azure, gcp) = (
            self.aws_variables(),
            self.azure_variables(),
            self.gcp_variables(),
        );
        aws.into_iter().chain(azure).chain(gcp).collect()
    }

    fn read(value: impl Fn(&str) -> Option<String>) -> Result<Self, EmulatorsError> {
        let address = |variable: &'static str| {
            let found = value(variable).filter(|value| !value.is_empty());
            let found = found.ok_or(EmulatorsError::Missing { variable })?;
            let address = Endpoint::parse(&found).ok();
            address
                .filter(|address| address.is_loopback())
                .ok_or(EmulatorsError::Address { variable })
        };
        Ok(Self {
            s3: address("STANDIN_S3")?,
            aws: address("STANDIN_AWS")?,
            aws_kms: address("STANDIN_AWS_KMS")?,
            blob: address("STANDIN_BLOB")?,
            resource_manager: address("STANDIN_ARM")?,
            key_vault: address("STANDIN_KEYVAULT")?,
            gcs: address("STANDIN_GCS")?,
            gcp: address("STANDIN_GCP")?,
        })
    }
}

/// A name that nothing on the stand-ins has, by any run: `of-` and 12 digits.
/// Buckets, containers and tables take it alike.
///
/// # Errors
/// When the system gives no random numbers.
pub fn fresh_name(of: &str) -> Result<String, getrandom::Error> {
    let mut random = [0; 6];
    getrandom::fill(&mut random)?;
    let random = random.map(|byte| format!("{byte:02x}")).concat();
    Ok(format!("{of}-{random}"))
}
