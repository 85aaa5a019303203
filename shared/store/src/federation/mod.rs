//! Access to other clouds without a key that lives long: the identity that a
//! process has in its home cloud is exchanged for short-lived credentials of
//! another.
//!
//! | from | to | what is shown | what it is exchanged for |
//! |---|---|---|---|
//! | AWS | Azure | a token by STS `GetWebIdentityToken` | Entra ID's token, as a client assertion |
//! | AWS | Google Cloud | a signed STS `GetCallerIdentity` | a token of Google's STS |
//! | Azure | AWS | the managed identity's token | a role, by `AssumeRoleWithWebIdentity` |
//! | Azure | Google Cloud | the managed identity's token | a token of Google's STS |
//! | Google Cloud | AWS | the metadata server's ID token | a role, by `AssumeRoleWithWebIdentity` |
//! | Google Cloud | Azure | the metadata server's ID token | Entra ID's token, as a client assertion |
//!
//! `from_*` hold what a home identity can show, `to_*` what the other cloud
//! gives for it. Each direction is a constructor of the other cloud's `Access`:
//! [`aws::Access::from_azure`](crate::aws::Access::from_azure) and so on.
//! Nothing is asked of anybody before the first call.
//!
//! An exchange takes 7 seconds at most. Its result is kept, shared by all calls,
//! and renewed before it expires.

#[cfg(any(
    all(feature = "aws", any(feature = "azure", feature = "gcp")),
    all(feature = "azure", feature = "gcp")
))]
mod exchange;
#[cfg(all(feature = "aws", any(feature = "azure", feature = "gcp")))]
mod from_aws;
#[cfg(all(feature = "azure", any(feature = "aws", feature = "gcp")))]
mod from_azure;
#[cfg(all(feature = "gcp", any(feature = "aws", feature = "azure")))]
mod from_gcp;
mod reach;
#[cfg(all(feature = "aws", any(feature = "azure", feature = "gcp")))]
mod to_aws;
#[cfg(all(feature = "azure", any(feature = "aws", feature = "gcp")))]
mod to_azure;
#[cfg(all(feature = "gcp", any(feature = "aws", feature = "azure")))]
mod to_gcp;

#[cfg(test)]
#[cfg(all(feature = "aws", feature = "azure", feature = "gcp"))]
mod tests;

#[cfg(any(
    all(feature = "aws", any(feature = "azure", feature = "gcp")),
    all(feature = "azure", feature = "gcp")
))]
pub(crate) use exchange::FederationError;
pub use reach::{AwsReach, AzureReach, GcpReach, ReachError};
