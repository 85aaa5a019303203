//! Stores of three clouds as a deployer makes them, and the administrators of
//! each.

use countersign_service::head::head_key;
use countersign_store::emulators::{
    ActError, Emulators, EmulatorsError, aws, azure, fresh_name, gcp,
};
use countersign_store::{Expected, Lock};

use crate::ui::Failure;

/// For how long everything is kept.
pub const RETENTION_DAYS: u32 = 30;

const DOMAIN: &str = "audit.example.org";

const UNLOCKED: Expected = Expected {
    retention_days: RETENTION_DAYS,
    lock: Lock::Off,
};

/// One bucket or container for sealed objects in each cloud, all of one name,
/// and one table, container or bucket for heads.
pub struct Clouds {
    /// How firmly objects are kept.
    pub lock: Lock,
    /// Of the stores of sealed objects, and of the table.
    pub sealed: String,
    /// Of the container and the bucket for heads.
    pub state: String,
    pub aws: aws::Administrator,
    pub azure: azure::Administrator,
    pub gcp: gcp::Administrator,
    noon: Option<Noon>,
}

/// The heads of noon.
#[derive(Clone)]
pub struct Noon {
    pub aws: aws::Item,
    pub gcp: Vec<u8>,
}

impl Clouds {
    /// Makes them.
    pub async fn make(emulators: &Emulators, lock: Lock) -> Result<Self, Failure> {
        let sealed = fresh_name("countersign").map_err(Failure::undone)?;
        let unusable = |error: EmulatorsError| Failure::undone(error);
        let clouds = Self {
            lock,
            state: format!("{sealed}-state"),
            sealed,
            aws: emulators.aws_administrator().map_err(unusable)?,
            azure: emulators.azure_administrator().map_err(unusable)?,
            gcp: emulators.gcp_administrator().map_err(unusable)?,
            noon: None,
        };
        clouds.deploy().await.map_err(Failure::undone)?;
        Ok(clouds)
    }

    async fn deploy(&self) -> Result<(), ActError> {
        let keep = self.keep();
        self.aws.new_bucket(&self.sealed, keep).await?;
        self.aws.new_table(&self.sealed).await?;
        self.azure.new_container(&self.sealed, keep).await?;
        self.azure.new_container(&self.state, UNLOCKED).await?;
        self.gcp.new_bucket(&self.sealed, keep).await?;
        self.gcp.new_bucket(&self.state, UNLOCKED).await
    }

    /// How objects are kept.
    pub fn keep(&self) -> Expected {
        Expected {
            retention_days: RETENTION_DAYS,
            lock: self.lock,
        }
    }

    /// The settings of a deployment on them.
    pub fn settings(&self) -> String {
        let (sealed, state, account) = (&self.sealed, &self.state, azure::ACCOUNT);
        let mode = match self.lock {
            Lock::Compliance => "compliance",
            _ => "governance",
        };
        let project = gcp::PROJECT;
        let mut text = format!(
            "# Three clouds' stores on local servers that stand in for them.\ndomain = \"{DOMAIN}\"\n"
        );
        for (cloud, objects, heads, secret) in [
            (
                "aws",
                format!("s3://{sealed}"),
                format!("dynamodb://{sealed}"),
                format!("awssecret:{sealed}"),
            ),
            (
                "azure",
                format!("azblob://{account}/{sealed}"),
                format!("azblob://{account}/{state}"),
                format!("keyvault:vault/{sealed}"),
            ),
            (
                "gcp",
                format!("gs://{sealed}"),
                format!("gs://{state}"),
                format!("gcpsecret:projects/{project}/secrets/{sealed}"),
            ),
        ] {
            text += &format!(
                "\n[chain.{cloud}]\n\
                 sealed = \"{objects}\"\n\
                 head = \"{heads}\"\n\
                 key = \"{secret}\"\n\
                 retention_days = {RETENTION_DAYS}\n\
                 lock_mode = \"{mode}\"\n\n\
                 [witness.{cloud}]\n\
                 sealed = \"{objects}\"\n\
                 state = \"{heads}\"\n\
                 key = \"{secret}-witness\"\n"
            );
        }
        text
    }

    /// Keeps a copy of the heads as they are now.
    pub async fn remember_noon(&mut self) -> Result<(), Failure> {
        let copy = async || {
            Ok::<_, ActError>(Noon {
                aws: self.aws.item(&self.sealed, &head("aws")).await?,
                gcp: self.gcp.get(&self.state, &head("gcp")).await?,
            })
        };
        let noon = copy().await.map_err(Failure::undone)?;
        self.noon = Some(noon);
        Ok(())
    }

    /// The heads of noon.
    pub fn noon(&self) -> Result<&Noon, Failure> {
        let noon = self.noon.as_ref();
        noon.ok_or_else(|| Failure::failed("the heads of noon were not kept"))
    }
}

/// The key of a chain's head.
pub fn head(chain: &str) -> String {
    head_key(&format!("{DOMAIN}/{chain}"))
}
