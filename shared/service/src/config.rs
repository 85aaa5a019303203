//! Settings: `countersign.toml`, each value also by environment.

mod environment;
mod mail;
mod reach;
mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use countersign_core::checkpoint::origin_is_valid;
use countersign_core::record::Cloud;
use countersign_store::{KeyAddress, Lock, StoreAddress};
use serde::Deserialize;

use crate::printable;
use crate::verify::Check;
use reach::FileReach;

pub use mail::{MailSettings, MailTls, MailWhen};
pub use reach::Reach;
pub use report::ReportSettings;

/// The name of the settings file where none is given.
pub const DEFAULT_FILE: &str = "countersign.toml";

/// A settings file has at most this many bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

const ENVIRONMENT_PREFIX: &str = "COUNTERSIGN_";

/// Names that begin like settings but belong to the programs.
const ENVIRONMENT_OF_PROGRAMS: [&str; 3] = [
    "COUNTERSIGN_CONFIG",
    "COUNTERSIGN_DEAD_LETTERS",
    "COUNTERSIGN_SEAL_CHAIN",
];

/// Settings that were checked: names resolved, defaults filled in, paths made
/// relative to the settings file's folder.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// What origins and witness names begin with.
    pub domain: String,
    /// The policy file.
    pub policy: PathBuf,
    /// How old a checkpoint may be before it needs its quorum.
    pub anchor_grace: Duration,
    /// Codes of findings that fail though by themselves they only inform.
    pub fail_on: Vec<String>,
    /// How many of the newest index objects are searched for duplicates.
    pub duplicate_window: usize,
    /// Within how many days the scheduled verification re-reads all of the history.
    pub scrub_days: u32,
    /// Cap on a delivery's uncompressed bytes.
    pub max_input_bytes: u64,
    /// C2SP witnesses outside all clouds of this deployment.
    pub outside_witnesses: Vec<OutsideWitness>,
    /// How reports are mailed.
    pub mail: Option<MailSettings>,
    /// How reports are sealed and remembered.
    pub report: Option<ReportSettings>,
    /// How the clouds are reached.
    pub reach: Reach,
    /// The chains by name; a sharded chain is one entry a shard.
    pub chains: Vec<ChainSettings>,
    /// The witnesses by name.
    pub witnesses: Vec<WitnessSettings>,
}

/// One chain, or one shard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainSettings {
    /// Its name, without the shard's number.
    pub name: String,
    /// Which shard of how many.
    pub shard: Option<(u32, u32)>,
    /// Its origin.
    pub origin: String,
    /// The cloud that it stands in.
    pub cloud: Cloud,
    /// Its sealed store.
    pub sealed: StoreAddress,
    /// Its head store.
    pub head: StoreAddress,
    /// Its key.
    pub key: KeyAddress,
    /// How long its objects are retained.
    pub retention_days: u32,
    /// How firmly, where its store has locks.
    pub lock: Lock,
    /// It may hold nothing but anchors.
    pub allow_empty: bool,
}

/// One witness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessSettings {
    /// Its name in the settings and the policy.
    pub name: String,
    /// The name of its key.
    pub key_name: String,
    /// Its cloud: it witnesses the chains of the others.
    pub cloud: Cloud,
    /// Its key.
    pub key: KeyAddress,
    /// Where its state is kept.
    pub state: StoreAddress,
    /// Where its anchors are kept.
    pub sealed: StoreAddress,
    /// How firmly they are kept: as the objects of [`chain`](Self::chain).
    pub lock: Lock,
    /// The chain of its own cloud that holds its anchors' records.
    pub chain: String,
}

/// A C2SP witness reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutsideWitness {
    /// Submission prefix.
    pub url: String,
    /// Its key.
    pub vkey: String,
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error(
        "{path}: {error}; give its place with --config or COUNTERSIGN_CONFIG, or make one (README, \"Use it\")"
    )]
    Read {
        /// The file.
        path: String,
        /// What went wrong.
        error: std::io::Error,
    },
    /// Not TOML, or with unknown or missing keys.
    #[error("{path}: {error}")]
    Parse {
        /// The file.
        path: String,
        /// What is wrong and where.
        error: String,
    },
    /// An environment variable that sets nothing.
    #[error("environment variable {name}: {error}")]
    Environment {
        /// The variable.
        name: String,
        /// What is wrong.
        error: String,
    },
    /// Settings that contradict each other.
    #[error("{setting}: {problem}")]
    Invalid {
        /// Which one.
        setting: String,
        /// What is wrong and how to mend it.
        problem: String,
    },
}

fn invalid(setting: impl Into<String>, problem: impl Into<String>) -> ConfigError {
    // Names and values of the file are in both.
    ConfigError::Invalid {
        setting: printable(&setting.into()),
        problem: printable(&problem.into()),
    }
}

/// On one line, with its place. The parser's own message repeats the line, and
/// with it a key that was pasted by mistake.
fn toml_error(text: &str, error: &toml::de::Error) -> String {
    let Some(span) = error.span() else {
        return printable(error.to_string().trim_end().replace('\n', " ").as_str());
    };
    let before = &text[..text.floor_char_boundary(span.start)];
    let line = before.split('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let message = printable(error.message());
    format!("line {line}, column {column}: {message}")
}

impl Settings {
    /// Reads a settings file; values of the environment take precedence.
    ///
    /// # Errors
    /// When the file cannot be read, or something in it is not in order.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let read = || -> std::io::Result<String> {
            let metadata = std::fs::metadata(path)?;
            if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
                return Err(std::io::Error::other("it is not a settings file"));
            }
            std::fs::read_to_string(path)
        };
        let text = read().map_err(|error| ConfigError::Read {
            path: path.display().to_string(),
            error,
        })?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Self::parse(&text, &path.display().to_string(), folder, environment)
    }

    /// Reads settings from text; `path` is for messages.
    ///
    /// # Errors
    /// When something in it is not in order.
    pub fn parse(
        text: &str,
        path: &str,
        folder: PathBuf,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let parse = |error: toml::de::Error| ConfigError::Parse {
            path: path.to_owned(),
            error: toml_error(text, &error),
        };
        let mut table: toml::Table = text.parse().map_err(parse)?;
        for (name, value) in environment {
            if let Some(key) = name.strip_prefix(ENVIRONMENT_PREFIX)
                && !ENVIRONMENT_OF_PROGRAMS.contains(&&*name)
            {
                environment::set(&mut table, key, &value).map_err(|error| {
                    ConfigError::Environment {
                        name: printable(&name),
                        error,
                    }
                })?;
            }
        }
        let file: File = table.try_into().map_err(parse)?;
        file.check(folder)
    }

    /// The chains of that name: one, or its shards.
    pub fn chains_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a ChainSettings> {
        self.chains.iter().filter(move |chain| chain.name == name)
    }

    /// The names of the chains, shards counted once.
    pub fn chain_names(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.chains.iter().map(|chain| &*chain.name).collect();
        names.dedup();
        names
    }

    /// How many cosignatures of other clouds a checkpoint needs: all clouds' but its own.
    pub fn quorum(&self) -> usize {
        let mut clouds: Vec<_> = self.witnesses.iter().map(|witness| witness.cloud).collect();
        clouds.extend(self.chains.iter().map(|chain| chain.cloud));
        clouds.sort_unstable();
        clouds.dedup();
        clouds.len().saturating_sub(1)
    }
}

impl ChainSettings {
    /// As people and the command line name it: `aws`, or `aws/0` for a shard.
    pub fn display_name(&self) -> String {
        match self.shard {
            Some((shard, _)) => format!("{}/{shard}", self.name),
            None => self.name.clone(),
        }
    }
}

/// The file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    domain: String,
    #[serde(default = "default_policy")]
    policy: String,
    #[serde(default)]
    anchor_grace: Option<String>,
    #[serde(default)]
    fail_on: Vec<String>,
    #[serde(default)]
    duplicate_window: Option<usize>,
    #[serde(default)]
    scrub_days: Option<u32>,
    #[serde(default)]
    max_input_bytes: Option<u64>,
    #[serde(default)]
    outside_witnesses: Vec<OutsideWitness>,
    mail: Option<mail::FileMail>,
    report: Option<report::FileReport>,
    home: Option<String>,
    #[serde(default)]
    reach: FileReach,
    #[serde(default)]
    chain: BTreeMap<String, FileChain>,
    #[serde(default)]
    witness: BTreeMap<String, FileWitness>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileChain {
    cloud: Option<String>,
    sealed: String,
    head: String,
    key: String,
    #[serde(default = "default_retention_days")]
    retention_days: u32,
    lock_mode: Option<String>,
    origin: Option<String>,
    #[serde(default)]
    allow_empty: bool,
    shards: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWitness {
    cloud: Option<String>,
    key: String,
    state: String,
    sealed: String,
    chain: Option<String>,
}

fn default_policy() -> String {
    "countersign.policy".into()
}

fn default_retention_days() -> u32 {
    365
}

/// Chains of one name are split into so many shards at most.
const MAX_SHARDS: u32 = 256;

impl File {
    fn check(self, folder: PathBuf) -> Result<Settings, ConfigError> {
        let domain_ok = origin_is_valid(&self.domain) && !self.domain.ends_with('/');
        if !domain_ok {
            return Err(invalid(
                "domain",
                "must be a name such as audit.example.org (letters, digits, `.`, `_`, `/`, `-`)",
            ));
        }
        let grace = self.anchor_grace.as_deref().unwrap_or("15m");
        let anchor_grace = duration(grace).ok_or_else(|| {
            invalid(
                "anchor_grace",
                "must be a number with s, m, h or d, such as 15m",
            )
        })?;
        for named in &self.fail_on {
            let is_code = named.strip_prefix("CS-").is_some_and(|digits| {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            });
            if !is_code && !Check::ALL.iter().any(|check| check.name() == named) {
                let problem = format!(
                    "`{named}` is neither a check nor a finding's code, such as log-volume or CS-1901"
                );
                return Err(invalid("fail_on", problem));
            }
        }
        if self.chain.is_empty() {
            return Err(invalid(
                "chain",
                "there is none: add a table such as [chain.aws]",
            ));
        }
        let mut chains = Vec::new();
        for (name, chain) in &self.chain {
            chains.append(&mut chain.check(name, &self.domain, &folder)?);
        }
        let mut witnesses = Vec::new();
        for (name, witness) in &self.witness {
            witnesses.push(witness.check(name, &self.domain, &folder, &chains)?);
        }
        let mail = self.mail.map(|mail| mail.check(&folder)).transpose()?;
        let report = self.report.map(|report| report.check(&folder, &chains));
        let settings = Settings {
            policy: folder.join(&self.policy),
            mail,
            report: report.transpose()?,
            folder,
            domain: self.domain,
            anchor_grace,
            fail_on: self.fail_on,
            duplicate_window: self.duplicate_window.unwrap_or(12),
            scrub_days: self.scrub_days.unwrap_or(30),
            max_input_bytes: self.max_input_bytes.unwrap_or(1 << 30),
            outside_witnesses: self.outside_witnesses,
            reach: self.reach.check(self.home.as_deref())?,
            chains,
            witnesses,
        };
        check_apart(&settings)?;
        Ok(settings)
    }
}

/// What must not be shared between chains and witnesses.
fn check_apart(settings: &Settings) -> Result<(), ConfigError> {
    for (nth, chain) in settings.chains.iter().enumerate() {
        for other in &settings.chains[..nth] {
            let setting = format!("chain.{}", chain.name);
            if chain.sealed == other.sealed {
                let problem = format!("shares its sealed store with chain.{}", other.name);
                return Err(invalid(format!("{setting}.sealed"), problem));
            }
            if chain.origin == other.origin {
                let problem = format!("is the origin of chain.{} too", other.name);
                return Err(invalid(format!("{setting}.origin"), problem));
            }
        }
    }
    for (nth, witness) in settings.witnesses.iter().enumerate() {
        let setting = format!("witness.{}", witness.name);
        for other in &settings.witnesses[..nth] {
            if witness.sealed == other.sealed {
                let problem = format!("shares its sealed store with witness.{}", other.name);
                return Err(invalid(format!("{setting}.sealed"), problem));
            }
        }
        // One key per name: a cosignature does not commit to the cosigner's name.
        if settings
            .chains
            .iter()
            .any(|chain| chain.key == witness.key && chain.shard.is_none())
        {
            return Err(invalid(
                format!("{setting}.key"),
                "is a chain's key: a witness has its own",
            ));
        }
    }
    Ok(())
}

impl FileChain {
    fn check(
        &self,
        name: &str,
        domain: &str,
        folder: &Path,
    ) -> Result<Vec<ChainSettings>, ConfigError> {
        let setting = |key: &str| format!("chain.{name}.{key}");
        if !name_is_valid(name) {
            return Err(invalid(format!("chain.{name}"), NAME_RULE));
        }
        let origin = self
            .origin
            .clone()
            .unwrap_or_else(|| format!("{domain}/{name}"));
        if !origin_is_valid(&origin) {
            return Err(invalid(
                setting("origin"),
                "may hold letters, digits, `.`, `_`, `/`, `-`",
            ));
        }
        if self.retention_days == 0 {
            return Err(invalid(setting("retention_days"), "must be at least 1"));
        }
        let sealed = store(&self.sealed, folder, &setting("sealed"))?;
        let shard_of = |shard: Option<(u32, u32)>| -> Result<ChainSettings, ConfigError> {
            let suffix = shard.map(|(number, _)| number.to_string());
            Ok(ChainSettings {
                name: name.to_owned(),
                shard,
                origin: match &suffix {
                    Some(suffix) => format!("{origin}/{suffix}"),
                    None => origin.clone(),
                },
                cloud: cloud(self.cloud.as_deref(), name, &setting("cloud"))?,
                sealed: match &suffix {
                    Some(suffix) => sealed.part(suffix),
                    None => sealed.clone(),
                },
                head: store(&self.head, folder, &setting("head"))?,
                key: key(&self.key, folder, &setting("key"))?,
                retention_days: self.retention_days,
                lock: lock(self.lock_mode.as_deref(), &setting("lock_mode"))?,
                allow_empty: self.allow_empty,
            })
        };
        match self.shards {
            None => Ok(vec![shard_of(None)?]),
            Some(shards @ 1..=MAX_SHARDS) => (0..shards)
                .map(|shard| shard_of(Some((shard, shards))))
                .collect(),
            Some(_) => Err(invalid(
                setting("shards"),
                format!("must be 1 to {MAX_SHARDS}"),
            )),
        }
    }
}

impl FileWitness {
    fn check(
        &self,
        name: &str,
        domain: &str,
        folder: &Path,
        chains: &[ChainSettings],
    ) -> Result<WitnessSettings, ConfigError> {
        let setting = |key: &str| format!("witness.{name}.{key}");
        if !name_is_valid(name) || name == "none" || name == "clouds" {
            return Err(invalid(format!("witness.{name}"), NAME_RULE));
        }
        let cloud = cloud(self.cloud.as_deref(), name, &setting("cloud"))?;
        let own = |chain: &&ChainSettings| chain.cloud == cloud;
        let chain = match &self.chain {
            Some(named) => chains.iter().filter(own).find(|chain| chain.name == *named),
            None => chains.iter().find(own),
        };
        let Some(chain) = chain else {
            let problem = format!("names no chain of the cloud {cloud} to seal its anchors in");
            return Err(invalid(setting("chain"), problem));
        };
        Ok(WitnessSettings {
            name: name.to_owned(),
            key_name: format!("{domain}/witness/{name}"),
            cloud,
            key: key(&self.key, folder, &setting("key"))?,
            state: store(&self.state, folder, &setting("state"))?,
            sealed: store(&self.sealed, folder, &setting("sealed"))?,
            lock: chain.lock,
            chain: chain.name.clone(),
        })
    }
}

const NAME_RULE: &str =
    "a name has letters, digits, `-` and `_` (and a witness is not called `none` or `clouds`)";

fn name_is_valid(name: &str) -> bool {
    let byte_ok = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !name.is_empty() && name.bytes().all(byte_ok)
}

fn cloud(named: Option<&str>, name: &str, setting: &str) -> Result<Cloud, ConfigError> {
    Cloud::parse(named.unwrap_or(name))
        .ok_or_else(|| invalid(setting, "must be `aws`, `azure`, `gcp` or `other`"))
}

fn store(text: &str, folder: &Path, setting: &str) -> Result<StoreAddress, ConfigError> {
    match StoreAddress::parse(text) {
        Ok(StoreAddress::File(path)) => Ok(StoreAddress::File(folder.join(path))),
        Ok(address) => Ok(address),
        Err(error) => Err(invalid(setting, format!("`{text}` {error}"))),
    }
}

fn key(text: &str, folder: &Path, setting: &str) -> Result<KeyAddress, ConfigError> {
    match KeyAddress::parse(text) {
        Ok(KeyAddress::File(path)) => Ok(KeyAddress::File(folder.join(path))),
        Ok(address) => Ok(address),
        // The value may be a key that was pasted by mistake: it is not repeated.
        Err(error) => Err(invalid(setting, error.to_string())),
    }
}

fn lock(text: Option<&str>, setting: &str) -> Result<Lock, ConfigError> {
    match text {
        None => Ok(Lock::default()),
        Some("off") => Ok(Lock::Off),
        Some("governance") => Ok(Lock::Governance),
        Some("compliance") => Ok(Lock::Compliance),
        Some(_) => Err(invalid(
            setting,
            "must be `off`, `governance` or `compliance`",
        )),
    }
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number: u64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests;
