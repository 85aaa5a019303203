//! The explicit beginning of a deployment: keys, genesis, policy, first heads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_core::genesis::{Genesis, GenesisWitness, Succeeds};
use countersign_core::keys::{SignError, VerifierKey};
use countersign_core::policy::{Policy, PolicyError, Quorum};
use countersign_core::{names, time};
use countersign_store::local::{LocalHeadStore, LocalSealedStore};
use countersign_store::{GetError, ListError, ObjectPages, StoreAddress, SwapError};

use crate::chain::{OpenError, read_policy, retention};
use crate::clock::Clock;
use crate::config::{ChainSettings, Settings};
use crate::files::{Place, write_whole};
use crate::head::{Head, StateError, load_head, swap_head};
use crate::keys::{self, KeyOpenError, Signer, sign_document};
use crate::objects::{MAX_SMALL_BYTES, WriteError, put_same};
use crate::stores::{AccessError, Stores};

/// The name of the witnesses' group in a policy.
const GROUP: &str = "clouds";

/// What was made.
#[derive(Debug, Default)]
pub struct InitReport {
    /// Key files that were made.
    pub keys: usize,
    /// Origins of the chains that were begun.
    pub chains: Vec<String>,
    /// Policy files that were written, the main one first.
    pub policies: Vec<PathBuf>,
}

/// Why nothing was begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// All chains stand.
    #[error("every chain of the settings has been begun already; nothing was changed")]
    AlreadyInitialized,
    /// The settings do not make a deployment.
    #[error("{0}")]
    Settings(String),
    /// A key cannot be made or read.
    #[error(transparent)]
    Key(#[from] KeyOpenError),
    /// A store cannot be reached, or its folder not be made.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The old policy cannot be read, or contradicts the keys.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The policy cannot be made.
    #[error("the new policy: {0}")]
    Policy(#[from] PolicyError),
    /// A policy file cannot be written.
    #[error("{path} cannot be written: {error}; put that right and run init again")]
    Write {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// The genesis cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// A store cannot be read.
    #[error(transparent)]
    Get(#[from] GetError),
    /// A store cannot be listed.
    #[error(transparent)]
    List(#[from] ListError),
    /// The genesis cannot be written.
    #[error(transparent)]
    Put(#[from] WriteError),
    /// The first head cannot be written.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// The old chain's head cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Begins every chain of the settings that was not begun: its key, its genesis
/// (which names `succeeds`, a closed chain), its first head; and writes the
/// policy, which keeps what it held before.
///
/// # Errors
/// When there is nothing to begin, or something stands in the way.
pub async fn init(
    settings: &Settings,
    policy_path: Option<&Path>,
    succeeds: Option<&str>,
    clock: &dyn Clock,
) -> Result<InitReport, InitError> {
    let stores = Stores::new(settings.reach.clone());
    init_with(settings, policy_path, succeeds, clock, &stores).await
}

/// As [`init`], on the stores that `stores` opens.
///
/// # Errors
/// As [`init`].
pub async fn init_with(
    settings: &Settings,
    policy_path: Option<&Path>,
    succeeds: Option<&str>,
    clock: &dyn Clock,
    stores: &Stores,
) -> Result<InitReport, InitError> {
    let policy_path = policy_path.unwrap_or(&settings.policy);
    check_clouds(settings)?;
    let mut fresh = Vec::new();
    for chain in &settings.chains {
        if is_fresh(chain, stores).await? {
            fresh.push(chain);
        }
    }
    if fresh.is_empty() {
        return Err(InitError::AlreadyInitialized);
    }
    let succeeds = match succeeds {
        Some(origin) => Some(last_head(settings, origin, fresh.len(), stores).await?),
        None => None,
    };
    let mut report = InitReport::default();
    let signers = make_keys(settings, stores, &mut report).await?;
    let (main, per_chain) = policies(settings, policy_path, &signers)?;

    // The policy first: a chain whose genesis stands can then always be read.
    write_policy(policy_path, &main, &mut report)?;
    for (name, policy) in per_chain {
        write_policy(&beside(policy_path, &name), &policy, &mut report)?;
    }
    for witness in &settings.witnesses {
        create(&witness.sealed, &witness.state)?;
    }
    for chain in fresh {
        begin(chain, settings, &signers, succeeds.clone(), stores, clock).await?;
        report.chains.push(chain.origin.clone());
    }
    Ok(report)
}

/// The keys of chains and witnesses.
struct Signers {
    chains: Vec<Arc<dyn Signer>>,
    witnesses: Vec<Arc<dyn Signer>>,
}

impl Signers {
    fn chain(&self, origin: &str) -> Option<&dyn Signer> {
        self.chains
            .iter()
            .map(|signer| &**signer)
            .find(|signer| signer.key().name() == origin)
    }
}

async fn make_keys(
    settings: &Settings,
    stores: &Stores,
    report: &mut InitReport,
) -> Result<Signers, InitError> {
    let mut chains = Vec::new();
    for chain in &settings.chains {
        report.keys += usize::from(keys::make_seed(&chain.key, stores).await?);
        chains.push(keys::chain_signer(chain, stores).await?);
    }
    let mut witnesses = Vec::new();
    for witness in &settings.witnesses {
        report.keys += usize::from(keys::make_seed(&witness.key, stores).await?);
        witnesses.push(keys::witness_signer(witness, stores).await?);
    }
    if let Some(reports) = &settings.report {
        report.keys += usize::from(keys::make_seed(&reports.key, stores).await?);
    }
    Ok(Signers { chains, witnesses })
}

/// One witness a cloud, and enough of them for every chain.
fn check_clouds(settings: &Settings) -> Result<(), InitError> {
    let mut clouds = BTreeSet::new();
    for witness in &settings.witnesses {
        if !clouds.insert(witness.cloud) {
            return Err(InitError::Settings(format!(
                "witness.{}: the cloud {} has a witness already, and one cloud counts once",
                witness.name, witness.cloud
            )));
        }
    }
    for chain in &settings.chains {
        let others = clouds.iter().filter(|cloud| **cloud != chain.cloud).count();
        if others < settings.quorum() {
            return Err(InitError::Settings(format!(
                "chain.{}: its checkpoints need {} witnesses of other clouds, and there are {others}: add a table [witness.NAME] for every cloud",
                chain.name,
                settings.quorum()
            )));
        }
    }
    Ok(())
}

/// Whether a chain was never begun. One that lost its genesis is not fresh.
async fn is_fresh(chain: &ChainSettings, stores: &Stores) -> Result<bool, InitError> {
    if let StoreAddress::File(path) = &chain.sealed
        && !path.exists()
    {
        return Ok(true);
    }
    let store = stores.sealed(&chain.sealed, chain.lock).await?;
    match store.get(names::GENESIS, MAX_SMALL_BYTES).await {
        Ok(_) => return Ok(false),
        Err(GetError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    if ObjectPages::new(&*store, "segments/")
        .next()
        .await?
        .is_some()
    {
        return Err(InitError::Settings(format!(
            "chain.{}: {} has segments but no genesis: it was begun before; find out who removed the genesis",
            chain.name,
            store.describe()
        )));
    }
    Ok(true)
}

async fn last_head(
    settings: &Settings,
    origin: &str,
    fresh: usize,
    stores: &Stores,
) -> Result<Succeeds, InitError> {
    if fresh != 1 {
        return Err(InitError::Settings(format!(
            "--succeeds needs exactly one chain that was not begun yet; there are {fresh}"
        )));
    }
    let unknown = || {
        InitError::Settings(format!(
            "--succeeds {origin}: the settings have no chain of that origin with a head; keep the closed chain's table"
        ))
    };
    let old = settings
        .chains
        .iter()
        .find(|chain| chain.origin == origin)
        .ok_or_else(unknown)?;
    let head = load_head(&*stores.head(&old.head).await?, origin)
        .await?
        .ok_or_else(unknown)?;
    Ok(Succeeds {
        origin: origin.to_owned(),
        root: head.value.root(),
        size: head.value.size(),
    })
}

/// The main policy, and for each chain the one that its auditors get.
fn policies(
    settings: &Settings,
    policy_path: &Path,
    signers: &Signers,
) -> Result<(Policy, Vec<(String, Policy)>), InitError> {
    let mut logs: Vec<VerifierKey> = Vec::new();
    let mut witnesses: Vec<(String, VerifierKey)> = Vec::new();
    if policy_path.exists() {
        let (old, _) = read_policy(policy_path)?;
        logs.extend(old.logs().iter().map(|log| log.key.clone()));
        witnesses.extend(
            old.witnesses()
                .iter()
                .map(|witness| (witness.name.clone(), witness.key.clone())),
        );
    }
    let contradiction = |name: &str| {
        InitError::Settings(format!(
            "the policy {} pins another key for {name} than the settings' key file holds: restore that file, or give another policy",
            policy_path.display()
        ))
    };
    for signer in &signers.chains {
        let key = signer.key();
        match logs.iter().find(|known| known.name() == key.name()) {
            None => logs.push(key.clone()),
            Some(known) if known == key => {}
            Some(_) => return Err(contradiction(key.name())),
        }
    }
    for (witness, signer) in settings.witnesses.iter().zip(&signers.witnesses) {
        let key = signer.key();
        match witnesses
            .iter()
            .find(|(name, known)| *name == witness.name || known.name() == key.name())
        {
            None => witnesses.push((witness.name.clone(), key.clone())),
            Some((_, known)) if known == key => {}
            Some(_) => return Err(contradiction(key.name())),
        }
    }
    let quorum = match settings.quorum() {
        0 => Quorum::None,
        k => Quorum::Group {
            name: GROUP.into(),
            k,
        },
    };
    let main = Policy::build(logs, witnesses, quorum)?;
    let mut per_chain = Vec::new();
    for (chain, signer) in settings.chains.iter().zip(&signers.chains) {
        let others: Vec<_> = settings
            .witnesses
            .iter()
            .zip(&signers.witnesses)
            .filter(|(witness, _)| witness.cloud != chain.cloud)
            .map(|(witness, signer)| (witness.name.clone(), signer.key().clone()))
            .collect();
        let quorum = match others.len() {
            0 => Quorum::None,
            _ => Quorum::All { name: GROUP.into() },
        };
        let policy = Policy::build(vec![signer.key().clone()], others, quorum)?;
        per_chain.push((chain.display_name().replace('/', "-"), policy));
    }
    Ok((main, per_chain))
}

/// `countersign.<chain>.policy` in the folder of `countersign.policy`.
fn beside(policy_path: &Path, chain: &str) -> PathBuf {
    policy_path.with_file_name(format!("countersign.{chain}.policy"))
}

fn write_policy(path: &Path, policy: &Policy, report: &mut InitReport) -> Result<(), InitError> {
    let text = policy.to_string();
    let write = || {
        if std::fs::read(path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(());
        }
        write_whole(path, text.as_bytes(), 0o666, Place::Any)
    };
    write().map_err(|error| InitError::Write {
        path: path.to_owned(),
        error,
    })?;
    report.policies.push(path.to_owned());
    Ok(())
}

/// Writes a chain's first head and genesis.
async fn begin(
    chain: &ChainSettings,
    settings: &Settings,
    signers: &Signers,
    succeeds: Option<Succeeds>,
    stores: &Stores,
    clock: &dyn Clock,
) -> Result<(), InitError> {
    let Some(signer) = signers.chain(&chain.origin) else {
        return Ok(());
    };
    create(&chain.sealed, &chain.head)?;
    let sealed = stores.sealed(&chain.sealed, chain.lock).await?;
    let head = stores.head(&chain.head).await?;
    let others = settings.witnesses.iter().zip(&signers.witnesses);
    let witnesses = others
        .filter(|(witness, _)| witness.cloud != chain.cloud)
        .map(|(_, signer)| GenesisWitness {
            name: signer.key().name().to_owned(),
            vkey: signer.key().to_string(),
        })
        .collect();
    let now_millis = clock.unix_millis();
    let mut genesis = Genesis {
        countersign: "genesis/v1".into(),
        created_at: time::from_unix_millis(now_millis),
        origin: chain.origin.clone(),
        quorum: settings.quorum() as u32,
        retention_days: chain.retention_days,
        signature: None,
        succeeds,
        vkey: signer.key().to_string(),
        witnesses,
    };
    let mut file = sign_document(&mut genesis, signer).await?;
    file.push(b'\n');
    match swap_head(&*head, &chain.origin, None, &Head::empty()).await {
        // One that stands is of a run that was cut off: it is empty as well, or
        // sealing refuses.
        Ok(_) | Err(SwapError::Lost { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    // Last: where it stands, the chain has all that it needs.
    let retention = retention(now_millis, chain.retention_days);
    put_same(&*sealed, names::GENESIS, &file.into(), retention).await?;
    Ok(())
}

/// Makes the folders of local stores. Buckets, containers and tables are made by
/// who deploys: their locks are not to be chosen in passing.
fn create(sealed: &StoreAddress, head: &StoreAddress) -> Result<(), InitError> {
    if let StoreAddress::File(path) = sealed {
        LocalSealedStore::create(path).map_err(AccessError::from)?;
    }
    if let StoreAddress::File(path) = head {
        LocalHeadStore::create(path).map_err(AccessError::from)?;
    }
    Ok(())
}
