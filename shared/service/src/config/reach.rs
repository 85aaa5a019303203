//! Where a process runs, and how it reaches the clouds where it does not.

use countersign_core::record::Cloud;
use countersign_store::federation::{AwsReach, AzureReach, GcpReach, ReachError};
use serde::Deserialize;

use super::{ConfigError, invalid};

/// How each cloud is reached. By default with its own credentials, as its own
/// tools find them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The cloud that this process runs in. Its identity opens the ways below.
    pub home: Option<Cloud>,
    /// The way into AWS.
    pub aws: Option<AwsReach>,
    /// The way into Azure.
    pub azure: Option<AzureReach>,
    /// The way into Google Cloud.
    pub gcp: Option<GcpReach>,
}

/// The tables `[reach.CLOUD]` as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileReach {
    aws: Option<FileAws>,
    azure: Option<FileAzure>,
    gcp: Option<FileGcp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAws {
    role: String,
    region: Option<String>,
    audience: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAzure {
    tenant: String,
    client: String,
    audience: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGcp {
    provider: String,
    service_account: Option<String>,
    audience: Option<String>,
}

/// The names that the tables have, for the environment.
pub(super) const KEYS: [(&str, &[&str]); 3] = [
    ("aws", &["role", "region", "audience"]),
    ("azure", &["tenant", "client", "audience"]),
    ("gcp", &["provider", "service_account", "audience"]),
];

impl FileReach {
    pub(super) fn check(self, home: Option<&str>) -> Result<Reach, ConfigError> {
        let home = match home.map(Cloud::parse) {
            None => None,
            Some(Some(cloud @ (Cloud::Aws | Cloud::Azure | Cloud::Gcp))) => Some(cloud),
            Some(_) => return Err(invalid("home", "must be `aws`, `azure` or `gcp`")),
        };
        let reach = Reach {
            home,
            aws: self.aws.map(|aws| AwsReach {
                role: aws.role,
                region: aws.region,
                audience: aws.audience,
            }),
            azure: self.azure.map(|azure| AzureReach {
                tenant: azure.tenant,
                client: azure.client,
                audience: azure.audience,
            }),
            gcp: self.gcp.map(|gcp| GcpReach {
                provider: gcp.provider,
                service_account: gcp.service_account,
                audience: gcp.audience,
            }),
        };
        reach.check_aws()?;
        reach.check_azure()?;
        reach.check_gcp()?;
        Ok(reach)
    }
}

impl Reach {
    fn check_aws(&self) -> Result<(), ConfigError> {
        let Some(aws) = &self.aws else { return Ok(()) };
        self.check_home("aws", Cloud::Aws)?;
        shape("aws", aws.check())?;
        self.check_audience("aws", aws.audience.as_ref())
    }

    fn check_azure(&self) -> Result<(), ConfigError> {
        let Some(azure) = &self.azure else {
            return Ok(());
        };
        self.check_home("azure", Cloud::Azure)?;
        shape("azure", azure.check())
    }

    fn check_gcp(&self) -> Result<(), ConfigError> {
        let Some(gcp) = &self.gcp else { return Ok(()) };
        self.check_home("gcp", Cloud::Gcp)?;
        shape("gcp", gcp.check())?;
        if self.home == Some(Cloud::Aws) && gcp.audience.is_some() {
            let problem = "is not used where the home is AWS: the provider itself is the audience";
            return Err(invalid("reach.gcp.audience", problem));
        }
        self.check_audience("gcp", gcp.audience.as_ref())
    }

    fn check_home(&self, name: &str, cloud: Cloud) -> Result<(), ConfigError> {
        let setting = format!("reach.{name}");
        match self.home {
            None => Err(invalid(
                setting,
                "needs `home`, the cloud that this runs in, before all tables: home = \"aws\", \"azure\" or \"gcp\"",
            )),
            Some(home) if home == cloud => Err(invalid(
                setting,
                "is the way into the home cloud itself, which is reached with its own credentials: remove it, or correct `home`",
            )),
            Some(_) => Ok(()),
        }
    }

    fn check_audience(&self, name: &str, given: Option<&String>) -> Result<(), ConfigError> {
        if self.home == Some(Cloud::Azure) && given.is_none() {
            let problem = "must be given where the home is Azure: the Application ID URI of an application of the tenant, such as api://countersign";
            return Err(invalid(format!("reach.{name}.audience"), problem));
        }
        Ok(())
    }
}

fn shape(name: &str, checked: Result<(), ReachError>) -> Result<(), ConfigError> {
    checked.map_err(|ReachError { part, problem }| invalid(format!("reach.{name}.{part}"), problem))
}

#[cfg(test)]
mod tests {
    use super::super::Settings;
    use super::*;

    const FILE: &str = r#"
        domain = "audit.example.org"
        HOME
        [chain.aws]
        sealed = "s3://bucket/aws"
        head = "dynamodb://heads"
        key = "awskms:alias/aws"
        REACH
    "#;

    const AWS: &str = "[reach.aws]\nrole = \"arn:aws:iam::123456789012:role/countersign-reader\"";
    const AZURE: &str = "[reach.azure]\ntenant = \"contoso.example\"\nclient = \"11111111-2222-3333-4444-555555555555\"";
    const GCP: &str = "[reach.gcp]\nprovider = \"projects/123/locations/global/workloadIdentityPools/pool/providers/home\"";

    fn parse(home: &str, reach: &str, environment: &[(&str, &str)]) -> Result<Reach, ConfigError> {
        let text = FILE.replace("HOME", home).replace("REACH", reach);
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::parse(&text, "countersign.toml", "base".into(), environment)
            .map(|settings| settings.reach)
    }

    #[test]
    fn without_a_home_each_cloud_has_its_own_credentials() {
        assert_eq!(parse("", "", &[]).unwrap(), Reach::default());
    }

    #[test]
    fn the_ways_out_of_a_home_are_read() {
        let reach = parse("home = \"aws\"", &format!("{AZURE}\n{GCP}"), &[]).unwrap();
        assert_eq!(reach.home, Some(Cloud::Aws));
        assert_eq!(reach.azure.unwrap().tenant, "contoso.example");
        assert_eq!(reach.gcp.unwrap().service_account, None);
        assert_eq!(reach.aws, None);
    }

    #[test]
    fn the_environment_sets_what_the_file_has_and_what_it_has_not() {
        let environment = [
            ("COUNTERSIGN_HOME", "gcp"),
            (
                "COUNTERSIGN_REACH_AWS_ROLE",
                "arn:aws:iam::123456789012:role/other",
            ),
            ("COUNTERSIGN_REACH_AWS_REGION", "eu-west-1"),
            ("COUNTERSIGN_REACH_AZURE_TENANT", "contoso.example"),
            (
                "COUNTERSIGN_REACH_AZURE_CLIENT",
                "11111111-2222-3333-4444-555555555555",
            ),
        ];
        let reach = parse("home = \"azure\"", AWS, &environment).unwrap();
        assert_eq!(reach.home, Some(Cloud::Gcp));
        let aws = reach.aws.unwrap();
        assert_eq!(aws.role, "arn:aws:iam::123456789012:role/other");
        assert_eq!(aws.region.as_deref(), Some("eu-west-1"));
        assert_eq!(reach.azure.unwrap().tenant, "contoso.example");
        let gcp = [
            ("COUNTERSIGN_HOME", "aws"),
            (
                "COUNTERSIGN_REACH_GCP_PROVIDER",
                "projects/1/locations/global/workloadIdentityPools/pool/providers/home",
            ),
            (
                "COUNTERSIGN_REACH_GCP_SERVICE_ACCOUNT",
                "reader@project.iam.gserviceaccount.com",
            ),
        ];
        let account = parse("", "", &gcp).unwrap().gcp.unwrap().service_account;
        assert_eq!(
            account.as_deref(),
            Some("reader@project.iam.gserviceaccount.com")
        );
    }

    #[test]
    fn what_cannot_be_right_is_named() {
        let aws = "home = \"aws\"";
        let azure = "home = \"azure\"";
        let gcp = "home = \"gcp\"";
        let with_role = |role: &str| format!("[reach.aws]\nrole = \"{role}\"");
        for (home, reach, expected) in [
            ("home = \"other\"", "", "home: "),
            ("home = \"AWS\"", "", "home: "),
            ("", AWS, "reach.aws: needs `home`"),
            ("", AZURE, "reach.azure: needs `home`"),
            ("", GCP, "reach.gcp: needs `home`"),
            (aws, AWS, "reach.aws: is the way into the home cloud"),
            (azure, AZURE, "reach.azure: is the way into the home cloud"),
            (gcp, GCP, "reach.gcp: is the way into the home cloud"),
            (gcp, &with_role("countersign-reader"), "reach.aws.role: "),
            (gcp, &with_role(""), "reach.aws.role: "),
            (
                gcp,
                &format!("{AWS}\nregion = \"a.example/\""),
                "reach.aws.region: ",
            ),
            (
                gcp,
                &format!("{AWS}\naudience = \"\""),
                "reach.aws.audience: ",
            ),
            (azure, AWS, "reach.aws.audience: must be given"),
            (azure, GCP, "reach.gcp.audience: must be given"),
            (
                aws,
                &format!("{GCP}\naudience = \"x\""),
                "reach.gcp.audience: is not used",
            ),
            (
                aws,
                &AZURE.replace("11111111-", "1-"),
                "reach.azure.client: ",
            ),
            (aws, &GCP.replace("123", "name"), "reach.gcp.provider: "),
            (
                aws,
                &format!("{GCP}\nservice_account = \"me@example.org\""),
                "reach.gcp.service_account: ",
            ),
            (gcp, &format!("{AWS}\nsecret = \"x\""), "secret"),
            (gcp, "[reach.aws]\nregion = \"eu-west-1\"", "role"),
            (gcp, "[reach.ibm]\nrole = \"x\"", "ibm"),
        ] {
            let error = parse(home, reach, &[]).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
        for name in [
            "COUNTERSIGN_REACH_AWS_TENANT",
            "COUNTERSIGN_REACH_AWS",
            "COUNTERSIGN_REACH_IBM_ROLE",
            "COUNTERSIGN_REACH_GCP_KEY",
        ] {
            let error = parse(aws, "", &[(name, "x")]).unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
