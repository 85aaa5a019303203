//! `[report]`: where the reports of the scheduled verification are sealed, and
//! where it remembers what it found.

use std::path::Path;

use countersign_store::{KeyAddress, StoreAddress};
use serde::Deserialize;

use super::{ChainSettings, ConfigError, invalid, key, store};

/// How reports are sealed and remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportSettings {
    /// The chain in whose store they are sealed, under `reports/`.
    pub chain: String,
    /// The key that signs them.
    pub key: KeyAddress,
    /// Where what was found is remembered: outside the sealed stores.
    pub state: StoreAddress,
}

impl ReportSettings {
    /// The name of the key.
    pub fn key_name(&self, domain: &str) -> String {
        format!("{domain}/report/{}", self.chain)
    }
}

/// The table as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileReport {
    chain: String,
    key: String,
    state: String,
}

impl FileReport {
    pub(super) fn check(
        &self,
        folder: &Path,
        chains: &[ChainSettings],
    ) -> Result<ReportSettings, ConfigError> {
        if !chains.iter().any(|chain| chain.name == self.chain) {
            let problem = format!("names no chain of the settings: `{}`", self.chain);
            return Err(invalid("report.chain", problem));
        }
        let key = key(&self.key, folder, "report.key")?;
        // What a chain's key signs is believed to be of that chain.
        if chains.iter().any(|chain| chain.key == key) {
            let problem = "is a chain's key: reports have their own";
            return Err(invalid("report.key", problem));
        }
        Ok(ReportSettings {
            chain: self.chain.clone(),
            key,
            state: store(&self.state, folder, "report.state")?,
        })
    }
}
