//! Three clouds whose stores are in memory and count their calls.

use std::sync::Arc;

use bytes::Bytes;
use countersign_core::names;
use countersign_service::chain::Deployment;
use countersign_service::keys;
use countersign_service::seal::{Incoming, Job, Sealer};
use countersign_store::fault::{Faults, Faulty};
use countersign_store::memory::{MemoryHeadStore, MemorySealedStore};
use countersign_store::{HeadStore, Retention, SealedStore};
use countersign_tests::Clouds;
use tokio::runtime::{Builder, Runtime};

/// The chain that is measured.
pub const CHAIN: &str = "aws";

/// What one delivery may hold, uncompressed.
const MAX_INPUT_BYTES: u64 = 1 << 30;

/// Three clouds with chains that were begun.
pub struct World {
    pub clouds: Clouds,
    pub deployment: Deployment,
    pub faults: Faults,
    runtime: Runtime,
}

impl World {
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let faults = Faults::new();
        let (clouds, deployment) = runtime.block_on(async {
            let clouds = Clouds::new().await;
            let deployment = in_memory(clouds.deployment().await, &faults).await;
            (clouds, deployment)
        });
        Self {
            clouds,
            deployment,
            faults,
            runtime,
        }
    }

    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// A writer of the measured chain that has nothing in memory yet.
    pub fn sealer(&self) -> Sealer {
        let chain = self.deployment.chains_named(CHAIN).expect("a chain")[0].clone();
        let signer = self.run(keys::chain_signer(&chain.settings, &self.deployment.stores));
        let signer = signer.expect("its key");
        Sealer::open(chain, signer, self.clouds.clock.clone(), 12).expect("its own key")
    }

    /// Seals deliveries, as the command line does.
    pub fn seal(&self, sealer: &mut Sealer, deliveries: impl IntoIterator<Item = Vec<u8>>) {
        self.run(seal(sealer, deliveries));
    }
}

pub async fn seal(sealer: &mut Sealer, deliveries: impl IntoIterator<Item = Vec<u8>>) {
    let mut job = Job::new(std::slice::from_mut(sealer), MAX_INPUT_BYTES);
    for delivery in deliveries {
        let incoming = Incoming {
            from: "bench".into(),
            id: None,
            input: Box::new(delivery),
        };
        job.add(incoming).await.expect("sealed");
    }
    job.finish().await.expect("sealed");
}

/// The same chains over stores in memory.
async fn in_memory(mut deployment: Deployment, faults: &Faults) -> Deployment {
    for chain in &mut deployment.chains {
        let sealed = MemorySealedStore::new(chain.settings.name.clone());
        let genesis = chain
            .sealed
            .get(names::GENESIS, 1 << 20)
            .await
            .expect("it was begun");
        put(&sealed, genesis).await;
        chain.sealed = Arc::new(Faulty::new(sealed, faults)) as Arc<dyn SealedStore>;
        let head = MemoryHeadStore::new(chain.settings.name.clone());
        chain.head = Arc::new(Faulty::new(head, faults)) as Arc<dyn HeadStore>;
        for witness in &mut deployment.witnesses {
            if witness.settings.cloud == chain.settings.cloud {
                witness.sealed = Arc::clone(&chain.sealed);
                witness.state = Arc::clone(&chain.head);
            }
        }
    }
    deployment
}

async fn put(store: &MemorySealedStore, genesis: Bytes) {
    let put = store.put_new(names::GENESIS, genesis, Retention::Until(u64::MAX));
    put.await.expect("an empty store");
}
