//! Three clouds in memory, for tests of the jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use countersign_core::delivery::Identity;
use countersign_core::genesis::{Genesis, GenesisWitness};
use countersign_core::keys::{KeyKind, Seed, SeedSigner, VerifierKey};
use countersign_core::policy::{Policy, Quorum};
use countersign_core::segment::{Delivery, body_sha256};
use countersign_core::{names, time};
use countersign_store::fault::{Faults, Faulty};
use countersign_store::memory::{MemoryHeadStore, MemorySealedStore};
use countersign_store::{HeadStore, Retention, SealedStore};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::anchor::{AnchorReport, Signers, anchor_with};
use crate::chain::{Chain, Deployment, Witness};
use crate::clock::{Clock, SetClock};
use crate::config::Settings;
use crate::keys::{Signer, sign_document};
use crate::seal::{Pending, Sealer};

/// 2026-11-24T21:00:00Z.
pub const START_MILLIS: u64 = 1_795_554_000_000;

/// Three clouds whose store calls can be made to fail.
pub struct World {
    pub deployment: Deployment,
    pub signers: Signers,
    /// The same by key name, as core wants them.
    pub seeds: BTreeMap<String, Arc<SeedSigner>>,
    pub clock: Arc<SetClock>,
    pub faults: Faults,
    /// The sealed and head stores by cloud, underneath the faults.
    pub sealed: BTreeMap<String, Arc<Faulty<MemorySealedStore>>>,
    pub heads: BTreeMap<String, Arc<Faulty<MemoryHeadStore>>>,
}

impl World {
    /// `clouds` of `aws`, `azure`, `gcp`, each with a chain that has its genesis and a
    /// witness.
    pub async fn new(clouds: &[&str]) -> Self {
        let mut text = "domain = \"audit.example.org\"\n".to_owned();
        for cloud in clouds {
            text += &format!(
                "[chain.{cloud}]\nsealed = \"file:{cloud}\"\nhead = \"file:{cloud}-head\"\nkey = \"file:{cloud}.seed\"\n\
                 [witness.{cloud}]\nsealed = \"file:{cloud}\"\nstate = \"file:{cloud}-head\"\nkey = \"file:{cloud}-witness.seed\"\n"
            );
        }
        let settings = Settings::parse(&text, "test", PathBuf::new(), []).unwrap();
        let mut seeds = BTreeMap::new();
        for (nth, chain) in settings.chains.iter().enumerate() {
            let seed = Seed::from_bytes([nth as u8 + 1; 32]);
            let signer = SeedSigner::new(&chain.origin, KeyKind::Log, &seed).unwrap();
            seeds.insert(chain.origin.clone(), Arc::new(signer));
        }
        for (nth, witness) in settings.witnesses.iter().enumerate() {
            let seed = Seed::from_bytes([nth as u8 + 101; 32]);
            let signer = SeedSigner::new(&witness.key_name, KeyKind::Witness, &seed).unwrap();
            seeds.insert(witness.key_name.clone(), Arc::new(signer));
        }
        let signers: Signers = seeds
            .iter()
            .map(|(name, seed)| (name.clone(), Arc::clone(seed) as Arc<dyn Signer>))
            .collect();
        let key = |name: &str| signers[name].key().clone();
        let logs = settings
            .chains
            .iter()
            .map(|chain| key(&chain.origin))
            .collect();
        let witnesses: Vec<(String, VerifierKey)> = settings
            .witnesses
            .iter()
            .map(|witness| (witness.name.clone(), key(&witness.key_name)))
            .collect();
        let quorum = match settings.quorum() {
            0 => Quorum::None,
            k => Quorum::Group {
                name: "clouds".into(),
                k,
            },
        };
        let policy = Policy::build(logs, witnesses, quorum).unwrap();
        let faults = Faults::new();
        let (mut sealed, mut heads) = (BTreeMap::new(), BTreeMap::new());
        for cloud in clouds {
            let store = MemorySealedStore::new(*cloud);
            sealed.insert((*cloud).to_owned(), Arc::new(Faulty::new(store, &faults)));
            let store = MemoryHeadStore::new(*cloud);
            heads.insert((*cloud).to_owned(), Arc::new(Faulty::new(store, &faults)));
        }
        let chains = settings.chains.iter().map(|chain| Chain {
            key: key(&chain.origin),
            sealed: sealed[&chain.name].clone() as Arc<dyn SealedStore>,
            head: heads[&chain.name].clone() as Arc<dyn HeadStore>,
            settings: chain.clone(),
        });
        let witnesses = settings.witnesses.iter().map(|witness| Witness {
            key: key(&witness.key_name),
            sealed: sealed[&witness.name].clone() as Arc<dyn SealedStore>,
            state: heads[&witness.name].clone() as Arc<dyn HeadStore>,
            settings: witness.clone(),
        });
        let world = Self {
            deployment: Deployment {
                policy_sha256: body_sha256(policy.to_string().as_bytes()),
                policy,
                chains: chains.collect(),
                witnesses: witnesses.collect(),
                settings,
                stores: Arc::default(),
            },
            clock: Arc::new(SetClock::new(START_MILLIS)),
            signers,
            seeds,
            faults,
            sealed,
            heads,
        };
        for chain in &world.deployment.chains {
            world.begin(chain).await;
        }
        world
    }

    async fn begin(&self, chain: &Chain) {
        let signer = &self.signers[chain.origin()];
        let witnesses = self
            .deployment
            .witnesses_of(chain)
            .map(|witness| GenesisWitness {
                name: witness.key.name().to_owned(),
                vkey: witness.key.to_string(),
            });
        let mut genesis = Genesis {
            countersign: "genesis/v1".into(),
            created_at: time::from_unix_millis(self.clock.unix_millis()),
            origin: chain.origin().to_owned(),
            quorum: self.deployment.settings.quorum() as u32,
            retention_days: chain.settings.retention_days,
            signature: None,
            succeeds: None,
            vkey: chain.key.to_string(),
            witnesses: witnesses.collect(),
        };
        let mut file = sign_document(&mut genesis, &**signer).await.unwrap();
        file.push(b'\n');
        let retention = Retention::Until(self.clock.unix_millis() + 365 * 86_400_000);
        chain
            .sealed
            .put_new(names::GENESIS, file.into(), retention)
            .await
            .unwrap();
    }

    pub fn chain(&self, name: &str) -> &Chain {
        self.deployment
            .chains
            .iter()
            .find(|chain| chain.settings.name == name)
            .unwrap()
    }

    pub fn sealer(&self, name: &str) -> Sealer {
        let chain = self.chain(name);
        let signer = self.signers[chain.origin()].clone();
        Sealer::open(chain.clone(), signer, self.clock.clone(), 12).unwrap()
    }

    /// Seals some texts as one delivery.
    pub async fn seal(&self, name: &str, texts: &[&str]) {
        self.sealer(name).seal(&[part(texts)]).await.unwrap();
    }

    pub async fn anchor(&self) -> AnchorReport {
        anchor_with(&self.deployment, &self.signers, self.clock.clone()).await
    }

    /// All objects of a cloud's sealed store.
    pub async fn objects(&self, name: &str) -> BTreeMap<String, Bytes> {
        let store = self.sealed[name].inner();
        let mut found = BTreeMap::new();
        for object in store.list("", None).await.unwrap().objects {
            let bytes = store.get(&object.key, u64::MAX).await.unwrap();
            found.insert(object.key, bytes);
        }
        found
    }
}

/// A delivery of texts, one record each.
pub fn part(texts: &[&str]) -> Pending {
    let body: String = texts
        .iter()
        .map(|text| format!("{{\"cloud\":\"aws\",\"raw\":\"{text}\",\"source\":\"text\"}}\n"))
        .collect();
    let sha256: [u8; 32] = Sha256::digest(texts.join("\n")).into();
    Pending {
        delivery: Delivery {
            from: "test".into(),
            id: Identity::File { sha256 }.id(),
            part: (1, 1),
            records: texts.len() as u64,
            sha256: HEXLOWER.encode(&sha256),
        },
        body: body.into_bytes(),
    }
}
