//! What an identity in Azure can show to other clouds.

use std::fmt;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::exchange::{IdentityToken, Trouble, told};
use crate::azure;

/// The token of the home identity for an application of its tenant.
pub(super) struct ManagedIdentity {
    home: azure::Access,
    scope: String,
}

impl ManagedIdentity {
    /// A token for `audience`, the Application ID URI of that application.
    pub(super) fn new(home: &azure::Access, audience: &str) -> Self {
        Self {
            home: home.clone(),
            scope: format!("{}/.default", audience.trim_end_matches('/')),
        }
    }
}

#[async_trait]
impl IdentityToken for ManagedIdentity {
    async fn identity_token(&self) -> Result<Zeroizing<String>, Trouble> {
        match self.home.token(&self.scope).await {
            Ok(token) if !token.is_empty() => Ok(token),
            Ok(_) => Err(Trouble::refused(
                "Azure gave an empty token",
                "check what IDENTITY_ENDPOINT names",
            )),
            Err(error) => {
                let (_, next, transient) = azure::without_token(&error).into_parts();
                Err(Trouble {
                    reason: format!("there is no token ({})", told(&error.to_string())),
                    next: format!(
                        "{next}; `audience` must be the Application ID URI of an application of the identity's tenant"
                    ),
                    transient,
                })
            }
        }
    }
}

impl fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagedIdentity")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
