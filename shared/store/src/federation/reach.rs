//! What is told of a way into another cloud, and whether it can be one.

use thiserror::Error;

/// How to get into AWS: a role that trusts the home cloud's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsReach {
    /// The role's ARN: `arn:aws:iam::123456789012:role/countersign-reader`.
    pub role: String,
    /// The region where an address names none.
    pub region: Option<String>,
    /// What the home identity's token is made for. From Azure it must be given:
    /// the Application ID URI of an application that the tenant has. From
    /// Google Cloud it is `sts.amazonaws.com` unless given.
    pub audience: Option<String>,
}

/// How to get into Azure: an application with a federated credential for the
/// home cloud's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AzureReach {
    /// The tenant (directory): its id or its domain name.
    pub tenant: String,
    /// The application (client) id of the application or the managed identity.
    pub client: String,
    /// What the home identity's token is made for:
    /// `api://AzureADTokenExchange` unless given.
    pub audience: Option<String>,
}

/// How to get into Google Cloud: a workload identity pool's provider that
/// trusts the home cloud's identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcpReach {
    /// `projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER`.
    pub provider: String,
    /// The service account to act as. Without one the pool's identity itself
    /// needs the permissions.
    pub service_account: Option<String>,
    /// What the home identity's token is made for. From Azure it must be given:
    /// the Application ID URI of an application that the tenant has, which the
    /// provider has among its allowed audiences. From AWS there is none.
    pub audience: Option<String>,
}

/// A part that cannot be what it should be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{part} {problem}")]
pub struct ReachError {
    /// Which part: `role`.
    pub part: &'static str,
    /// What it should be.
    pub problem: &'static str,
}

/// Entra ID makes tokens for applications that it knows, and for nothing else.
#[cfg(feature = "azure")]
#[cfg(any(feature = "aws", feature = "gcp"))]
pub(super) const NO_AUDIENCE: ReachError = ReachError {
    part: "audience",
    problem: "must be given where the home is Azure: the Application ID URI of an application of the tenant",
};

const AUDIENCE: &str = "must be at most 512 letters, digits and signs without spaces";

impl AwsReach {
    /// Whether each part has its shape.
    ///
    /// # Errors
    /// Names the first that has not.
    pub fn check(&self) -> Result<(), ReachError> {
        let region = self.region.as_deref();
        part("role", ROLE, is_role(&self.role))?;
        part("region", REGION, region.is_none_or(is_region))?;
        audience(self.audience.as_deref())
    }

    /// Where the role is assumed if no region is given: one that each account
    /// of the role's partition has.
    #[cfg(all(feature = "aws", any(feature = "azure", feature = "gcp")))]
    pub(super) fn sts_region(&self) -> &str {
        let partition = self.role.split(':').nth(1).unwrap_or_default();
        self.region.as_deref().unwrap_or(match partition {
            "aws-cn" => "cn-north-1",
            "aws-us-gov" => "us-gov-west-1",
            _ => "us-east-1",
        })
    }
}

impl AzureReach {
    /// Whether each part has its shape.
    ///
    /// # Errors
    /// Names the first that has not.
    pub fn check(&self) -> Result<(), ReachError> {
        part("tenant", TENANT, is_tenant(&self.tenant))?;
        part("client", CLIENT, is_guid(&self.client))?;
        audience(self.audience.as_deref())
    }
}

impl GcpReach {
    /// Whether each part has its shape.
    ///
    /// # Errors
    /// Names the first that has not.
    pub fn check(&self) -> Result<(), ReachError> {
        let account = self.service_account.as_deref();
        part("provider", PROVIDER, is_provider(&self.provider))?;
        part(
            "service_account",
            SERVICE_ACCOUNT,
            account.is_none_or(is_service_account),
        )?;
        audience(self.audience.as_deref())
    }
}

const ROLE: &str =
    "must be a role's ARN, such as arn:aws:iam::123456789012:role/countersign-reader";
const REGION: &str = "must be a region, such as eu-west-1";
const TENANT: &str = "must be the tenant's id or its domain name";
const CLIENT: &str =
    "must be an application (client) id, such as 11111111-2222-3333-4444-555555555555";
const PROVIDER: &str = "must be projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, with the project's number";
const SERVICE_ACCOUNT: &str =
    "must be a service account's address, such as reader@project.iam.gserviceaccount.com";

fn part(part: &'static str, problem: &'static str, fits: bool) -> Result<(), ReachError> {
    match fits {
        true => Ok(()),
        false => Err(ReachError { part, problem }),
    }
}

fn audience(text: Option<&str>) -> Result<(), ReachError> {
    let fits = |text: &str| within(text, 512, |c| c.is_ascii_graphic());
    part("audience", AUDIENCE, text.is_none_or(fits))
}

fn within(text: &str, longest: usize, good: impl Fn(char) -> bool) -> bool {
    !text.is_empty() && text.len() <= longest && text.chars().all(good)
}

fn is_lower(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn is_role(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let &["arn", partition, "iam", "", account, role] = &*parts else {
        return false;
    };
    let name = role.strip_prefix("role/").unwrap_or_default();
    let in_name = |c: char| c.is_ascii_alphanumeric() || "_+=,.@/-".contains(c);
    (partition == "aws" || partition.starts_with("aws-"))
        && within(partition, 20, is_lower)
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && within(name, 576, in_name)
        && !name.ends_with('/')
}

/// Nothing else may stand in it: it becomes part of a host's name.
fn is_region(text: &str) -> bool {
    within(text, 32, is_lower)
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.contains('-')
        && text.ends_with(|c: char| c.is_ascii_digit())
}

fn is_guid(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let lengths: Vec<_> = parts.iter().map(|part| part.len()).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
}

fn is_tenant(text: &str) -> bool {
    let is_domain = || {
        text.contains('.')
            && !text.starts_with(['.', '-'])
            && !text.contains("..")
            && within(text, 253, |c| c.is_ascii_alphanumeric() || ".-".contains(c))
    };
    is_guid(text) || is_domain()
}

fn is_provider(text: &str) -> bool {
    let parts: Vec<_> = text.split('/').collect();
    let &[
        "projects",
        project,
        "locations",
        "global",
        "workloadIdentityPools",
        pool,
        "providers",
        provider,
    ] = &*parts
    else {
        return false;
    };
    let is_id = |id: &str| within(id, 32, is_lower) && id.len() >= 4;
    within(project, 20, |c| c.is_ascii_digit()) && is_id(pool) && is_id(provider)
}

fn is_service_account(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else {
        return false;
    };
    within(name, 64, is_lower)
        && domain.ends_with(".gserviceaccount.com")
        && within(domain, 190, |c| is_lower(c) || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_a_whole_arn() {
        for good in [
            "arn:aws:iam::123456789012:role/countersign-reader",
            "arn:aws-cn:iam::123456789012:role/path/to/Reader_1@x",
        ] {
            assert!(is_role(good), "{good}");
        }
        for bad in [
            "",
            "countersign-reader",
            "arn:aws:iam::12345678901:role/r",
            "arn:aws:iam::123456789012:user/u",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role/a\nb",
            "arn:azure:iam::123456789012:role/r",
            "arn:aws:iam:eu-west-1:123456789012:role/r",
        ] {
            assert!(!is_role(bad), "{bad}");
        }
    }

    #[test]
    fn a_region_can_be_part_of_a_host_and_nothing_more() {
        for good in ["eu-west-1", "us-gov-west-1", "ap-southeast-5"] {
            assert!(is_region(good), "{good}");
        }
        for bad in [
            "",
            "eu",
            "EU-west-1",
            "eu-west-1.evil.example",
            "a/b-1",
            "-1",
        ] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn azure_s_ids_are_guids_and_a_tenant_may_be_a_domain() {
        let id = "11111111-2222-3333-4444-55555555AaFf";
        assert!(is_guid(id) && is_tenant(id));
        assert!(is_tenant("contoso.onmicrosoft.com"));
        for bad in ["", "common", "1-2-3-4-5", "a/b.c", "..", "a..b", "a.b?c"] {
            assert!(!is_tenant(bad), "{bad}");
        }
        assert!(!is_guid("contoso.onmicrosoft.com"));
    }

    #[test]
    fn a_provider_is_named_with_its_project_s_number() {
        let good = "projects/123/locations/global/workloadIdentityPools/pool-a/providers/aws-1";
        assert!(is_provider(good));
        for bad in [
            "",
            &good.replace("123", "my-project"),
            &good.replace("global", "eu"),
            &good.replace("pool-a", "p"),
            &format!("//iam.googleapis.com/{good}"),
            &format!("{good}/x"),
        ] {
            assert!(!is_provider(bad), "{bad}");
        }
    }

    #[test]
    fn a_service_account_is_one_of_google_s() {
        for good in [
            "reader@project.iam.gserviceaccount.com",
            "123-compute@developer.gserviceaccount.com",
        ] {
            assert!(is_service_account(good), "{good}");
        }
        for bad in [
            "",
            "reader",
            "reader@example.org",
            "a/b@p.iam.gserviceaccount.com",
        ] {
            assert!(!is_service_account(bad), "{bad}");
        }
    }

    #[test]
    fn the_part_that_does_not_fit_is_named_and_not_repeated() {
        let reach = AwsReach {
            role: "arn:aws:iam::123456789012:role/r".to_owned(),
            region: None,
            audience: Some("two words".to_owned()),
        };
        let error = reach.check().unwrap_err().to_string();
        assert!(error.starts_with("audience ") && !error.contains("two words"));
    }
}
