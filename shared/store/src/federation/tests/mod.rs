//! Each direction against one server that stands in for all parties: it checks
//! what it is asked, and answers as they do.

mod refusals;
mod renewal;
mod secrecy;
mod sigv4;
mod silence;
mod success;
mod world;

use aws_credential_types::Credentials;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions};

use super::from_gcp::MetadataIdentity;
use super::{AwsReach, AzureReach, GcpReach};
use crate::address::Bucket;
use crate::posture::Lock;
use crate::sealed::SealedStore;
use crate::{aws, azure, gcp};
use world::World;

const ROLE: &str = "arn:aws:iam::123456789012:role/countersign-reader";
const TENANT: &str = "aaaaaaaa-0000-0000-0000-00000000000a";
const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const PROVIDER: &str = "projects/123/locations/global/workloadIdentityPools/pool/providers/home";
const ACCOUNT: &str = "reader@project.iam.gserviceaccount.com";
const APPLICATION: &str = "api://countersign";

/// What the home identity in AWS has.
const HOME_KEY_ID: &str = "AKIAHOMEHOMEHOMEHOME";
const HOME_SECRET: &str = "home-secret-key-wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
const HOME_SESSION: &str = "home-session-token-IQoJb3JpZ2luX2VjEJr0123456789";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    AwsToAzure,
    AwsToGcp,
    AzureToAws,
    AzureToGcp,
    GcpToAws,
    GcpToAzure,
}

const ALL: [Direction; 6] = [
    Direction::AwsToAzure,
    Direction::AwsToGcp,
    Direction::AzureToAws,
    Direction::AzureToGcp,
    Direction::GcpToAws,
    Direction::GcpToAzure,
];

/// The cloud that was reached.
#[derive(Clone, Debug)]
enum Reached {
    Aws(aws::Access),
    Azure(Box<azure::Access>),
    Gcp(gcp::Access),
}

fn aws_home(world: &World) -> aws::Access {
    let session = Some(HOME_SESSION.to_owned());
    let credentials = Credentials::new(HOME_KEY_ID, HOME_SECRET, session, None, "test");
    aws::Access::new(credentials, Some("eu-west-1"), Some(world.url())).unwrap()
}

/// A machine with a managed identity.
fn azure_home(world: &World) -> azure::Access {
    let options = ManagedIdentityCredentialOptions {
        client_options: azure_endpoints(world).authority_options().unwrap(),
        ..Default::default()
    };
    let credential = ManagedIdentityCredential::new(Some(options)).unwrap();
    azure::Access::new(credential, azure::Endpoints::default()).unwrap()
}

fn gcp_home(world: &World, audience: &str) -> MetadataIdentity {
    let host = world.url().strip_prefix("http://").unwrap();
    MetadataIdentity::at(host, audience).unwrap()
}

fn azure_endpoints(world: &World) -> azure::Endpoints {
    azure::Endpoints::default()
        .with_authority(world.url())
        .unwrap()
}

fn gcp_endpoints(world: &World) -> gcp::Endpoints {
    let endpoint = gcp::Endpoint::parse(world.url()).unwrap();
    gcp::Endpoints {
        storage: endpoint.clone(),
        security_token: endpoint.clone(),
        iam_credentials: endpoint,
        ..gcp::Endpoints::google()
    }
}

fn aws_reach(audience: Option<&str>) -> AwsReach {
    AwsReach {
        role: ROLE.to_owned(),
        region: Some("eu-north-1".to_owned()),
        audience: audience.map(str::to_owned),
    }
}

fn azure_reach() -> AzureReach {
    AzureReach {
        tenant: TENANT.to_owned(),
        client: CLIENT.to_owned(),
        audience: None,
    }
}

fn gcp_reach(audience: Option<&str>, service_account: Option<&str>) -> GcpReach {
    GcpReach {
        provider: PROVIDER.to_owned(),
        service_account: service_account.map(str::to_owned),
        audience: audience.map(str::to_owned),
    }
}

impl Direction {
    /// Access by this direction; into Google Cloud as a service account.
    fn open(self, world: &World) -> Reached {
        let endpoint = Some(world.url());
        match self {
            Self::AwsToAzure => {
                let (home, endpoints) = (aws_home(world), azure_endpoints(world));
                let opened = azure::Access::from_aws(&home, &azure_reach(), endpoints);
                Reached::Azure(Box::new(opened.unwrap()))
            }
            Self::AwsToGcp => {
                let (home, endpoints) = (aws_home(world), gcp_endpoints(world));
                let reach = gcp_reach(None, Some(ACCOUNT));
                Reached::Gcp(gcp::Access::from_aws(&home, &reach, endpoints).unwrap())
            }
            Self::AzureToAws => {
                let reach = aws_reach(Some(APPLICATION));
                let opened = aws::Access::from_azure(&azure_home(world), &reach, endpoint);
                Reached::Aws(opened.unwrap())
            }
            Self::AzureToGcp => {
                let (home, endpoints) = (azure_home(world), gcp_endpoints(world));
                let reach = gcp_reach(Some(APPLICATION), Some(ACCOUNT));
                Reached::Gcp(gcp::Access::from_azure(&home, &reach, endpoints).unwrap())
            }
            Self::GcpToAws => {
                let home = gcp_home(world, "sts.amazonaws.com");
                let opened = aws::Access::from_gcp_identity(home, &aws_reach(None), endpoint);
                Reached::Aws(opened.unwrap())
            }
            Self::GcpToAzure => {
                let home = gcp_home(world, "api://AzureADTokenExchange");
                let endpoints = azure_endpoints(world);
                let opened = azure::Access::from_gcp_identity(home, &azure_reach(), endpoints);
                Reached::Azure(Box::new(opened.unwrap()))
            }
        }
    }

    /// What the other cloud's token service is asked.
    fn exchange(self) -> &'static str {
        match self {
            Self::AwsToAzure | Self::GcpToAzure => "entra",
            Self::AwsToGcp | Self::AzureToGcp => "exchange",
            Self::AzureToAws | Self::GcpToAws => "role",
        }
    }

    /// What the home identity is asked; nobody, where it signs by itself.
    fn home(self) -> Option<&'static str> {
        match self {
            Self::AwsToAzure => Some("web identity"),
            Self::AwsToGcp => None,
            Self::AzureToAws | Self::AzureToGcp => Some("managed identity"),
            Self::GcpToAws | Self::GcpToAzure => Some("id token"),
        }
    }

    /// The two clouds as errors name them.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::AwsToAzure => ("AWS", "Azure"),
            Self::AwsToGcp => ("AWS", "Google Cloud"),
            Self::AzureToAws => ("Azure", "AWS"),
            Self::AzureToGcp => ("Azure", "Google Cloud"),
            Self::GcpToAws => ("Google Cloud", "AWS"),
            Self::GcpToAzure => ("Google Cloud", "Azure"),
        }
    }
}

impl Reached {
    /// Reads an object with what was exchanged. Azure's stand-ins are sent no
    /// token of anybody: there it is the token itself that is looked at.
    async fn read(&self) -> Result<String, String> {
        let bucket = Bucket {
            name: "bkt".to_owned(),
            prefix: "p".to_owned(),
            region: None,
        };
        let got = match self {
            Self::Aws(access) => {
                let store = aws::S3SealedStore::open(access, &bucket, Lock::Off).unwrap();
                store.get("a", 9).await
            }
            Self::Gcp(access) => {
                let store = gcp::GcsSealedStore::open(access, &bucket, Lock::Off);
                store.get("a", 9).await
            }
            Self::Azure(access) => {
                let got = access.token("https://storage.azure.com/.default").await;
                return got.map(|token| token.to_string()).map_err(|error| {
                    let (reason, next, _) = azure::without_token(&error).into_parts();
                    format!("{reason}; {next}")
                });
            }
        };
        got.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|error| error.to_string())
    }
}

/// A token as long as real ones, which begins with `name`.
fn token(name: &str) -> String {
    let part = name.replace(' ', "-");
    format!(
        "{part}-header0123456789.{}.{part}-signature",
        "p4yl0ad".repeat(40)
    )
}
