//! What must hold of a run, judged from what was promised to its actors and from
//! what stands in the stores; `verify` is asked besides, not instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use countersign_core::anchor::Anchor;
use countersign_core::checkpoint::Checkpoint;
use countersign_core::merkle::{Frontier, Hash};
use countersign_core::names::{self, Object};
use countersign_core::record::leaf_hash;
use countersign_core::segment::Segment;

use crate::chain::Chain;
use crate::head::{head_key, load_head, witness_key};
use crate::seal::Outcome;
use crate::testing::World;

/// What actors were promised, and what was seen of heads.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<Promises>,
}

#[derive(Debug, Default)]
struct Promises {
    /// By chain and delivery id: the leaf index, where it was told.
    acknowledged: BTreeMap<(String, String), Option<u64>>,
    /// By the key of the document: every size and root that ever stood there, in
    /// order.
    stood: BTreeMap<String, Vec<(u64, Hash)>>,
    /// By origin: what a run said that it published.
    published: BTreeMap<String, Vec<(u64, Hash)>>,
    problems: Vec<String>,
    writes: u64,
}

impl Ledger {
    pub(super) fn acknowledge(&self, chain: &str, id: &str, outcome: Outcome) {
        let mut state = self.state();
        let entry = (chain.to_owned(), id.to_owned());
        let known = state.acknowledged.entry(entry).or_default();
        if let Outcome::Sealed { first_index } = outcome {
            let before = known.replace(first_index);
            if before.is_some_and(|before| before != first_index) {
                let problem = format!("{chain}: {id} was sealed at {before:?} and {first_index}");
                state.problems.push(problem);
            }
        }
    }

    pub(super) fn is_acknowledged(&self, chain: &str, id: &str) -> bool {
        let entry = (chain.to_owned(), id.to_owned());
        self.state().acknowledged.contains_key(&entry)
    }

    /// Whether something was acknowledged of a chain, so that it is not empty.
    pub(super) fn holds_records(&self, chain: &str) -> bool {
        let state = self.state();
        state.acknowledged.keys().any(|(of, _)| of == chain)
    }

    pub(super) fn acknowledged(&self) -> usize {
        self.state().acknowledged.len()
    }

    pub(super) fn published(&self, origin: &str, size: u64, root: Hash) {
        let mut state = self.state();
        let of_origin = state.published.entry(origin.to_owned()).or_default();
        of_origin.push((size, root));
    }

    /// Takes note of a document of a head store, which never gets smaller.
    pub(super) fn head_stood(&self, key: &str, size: u64, root: Hash) {
        let mut state = self.state();
        let stood = state.stood.entry(key.to_owned()).or_default();
        let latest = stood.last().copied();
        if latest.is_none_or(|(latest, _)| latest <= size) {
            stood.push((size, root));
        } else {
            let problem = format!("{key} went back from {latest:?} to {size}");
            state.problems.push(problem);
        }
    }

    /// Counts the writes of stores that break their contract now and then.
    pub(super) fn count_writes(&self) -> u64 {
        let mut state = self.state();
        state.writes += 1;
        state.writes
    }

    /// What was seen not to hold while the run went on.
    pub(super) fn problem(&self) -> Option<String> {
        self.state().problems.first().cloned()
    }

    fn state(&self) -> MutexGuard<'_, Promises> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A chain as its segments alone give it.
pub(super) struct History {
    /// The root at every size at which a segment ends, and at 0.
    roots: BTreeMap<u64, Hash>,
    end: u64,
    /// The first leaf index of every delivery, as often as it was sealed.
    sealed: BTreeMap<String, Vec<u64>>,
}

impl History {
    /// Reads the segments of a chain; they must be one contiguous history.
    pub(super) async fn read(world: &World, chain: &Chain) -> Result<Self, String> {
        let name = &chain.settings.name;
        let mut frontier = Frontier::new();
        let mut history = Self {
            roots: BTreeMap::from([(0, frontier.root())]),
            end: 0,
            sealed: BTreeMap::new(),
        };
        for (key, object) in world.objects(name).await {
            let Some(Object::Segment { start }) = Object::parse(&key) else {
                continue;
            };
            let segment = Segment::open(&object, &chain.key)
                .map_err(|error| format!("{name}: {key}: {error}"))?;
            if start != frontier.size() || segment.header.prev != frontier.root() {
                return Err(format!(
                    "{name}: {key} does not continue the history, which ends at {}",
                    frontier.size()
                ));
            }
            let mut first_index = start + 1;
            for delivery in &segment.header.deliveries {
                let places = history.sealed.entry(delivery.id.clone()).or_default();
                places.push(first_index);
                first_index += delivery.records;
            }
            for line in segment.lines() {
                frontier.push(leaf_hash(line));
            }
            history.roots.insert(frontier.size(), frontier.root());
        }
        history.end = frontier.size();
        Ok(history)
    }

    pub(super) fn end(&self) -> u64 {
        self.end
    }

    pub(super) fn is_head(&self, size: u64, root: Hash) -> bool {
        self.roots.get(&size) == Some(&root)
    }

    fn holds(&self, what: &str, size: u64, root: Hash) -> Result<(), String> {
        match self.roots.get(&size) {
            Some(found) if *found == root => Ok(()),
            Some(found) => Err(format!("{what} at {size} is {root}, the history's {found}")),
            None => Err(format!("{what} at {size}: no segment ends there")),
        }
    }
}

/// Everything that was promised stands, once, in one history of each chain.
pub(super) async fn audit(world: &World, ledger: &Ledger) -> Result<(), String> {
    for chain in &world.deployment.chains {
        let history = History::read(world, chain).await?;
        let head = load_head(world.heads[&chain.settings.name].inner(), chain.origin()).await;
        let head = head.map_err(|error| error.to_string())?;
        let size = head.map(|head| head.value.size());
        if size != Some(history.end) {
            let (origin, end) = (chain.origin(), history.end);
            return Err(format!(
                "{origin}: the head is at {size:?}, the segments end at {end}"
            ));
        }
        promises(chain, ledger, &history)?;
        published(world, chain, &history).await?;
    }
    Ok(())
}

fn promises(chain: &Chain, ledger: &Ledger, history: &History) -> Result<(), String> {
    let name = &chain.settings.name;
    let state = ledger.state();
    for ((_, id), told) in state.acknowledged.iter().filter(|((of, _), _)| of == name) {
        match history.sealed.get(id).map(Vec::as_slice) {
            None => return Err(format!("{name}: {id} was acknowledged and is not there")),
            Some([at]) if told.is_some_and(|told| told != *at) => {
                return Err(format!("{name}: {id} was told at {told:?} and is at {at}"));
            }
            Some(_) => {}
        }
    }
    if let Some((id, at)) = history.sealed.iter().find(|(_, at)| at.len() > 1) {
        return Err(format!("{name}: {id} was sealed more than once, at {at:?}"));
    }
    let head = head_key(chain.origin());
    for (size, root) in state.stood.get(&head).into_iter().flatten() {
        history.holds(&format!("{name}: a head that stood"), *size, *root)?;
    }
    for (size, root) in state.published.get(chain.origin()).into_iter().flatten() {
        history.holds(&format!("{name}: a publication"), *size, *root)?;
    }
    Ok(())
}

/// Every checkpoint, anchor and witness state is a head of the history.
async fn published(world: &World, chain: &Chain, history: &History) -> Result<(), String> {
    let name = &chain.settings.name;
    let mut sizes = BTreeSet::new();
    for (key, object) in world.objects(name).await {
        match Object::parse(&key) {
            Some(Object::Checkpoint { size }) => {
                let (checkpoint, _) = Checkpoint::open(&object, &chain.key)
                    .map_err(|error| format!("{name}: {key}: {error}"))?;
                sizes.insert(size);
                history.holds(&format!("{name}: {key}"), checkpoint.size, checkpoint.root)?;
            }
            Some(Object::Evidence) => return Err(format!("{name}: {key} without an attack")),
            _ => {}
        }
    }
    if sizes.is_empty() {
        return Err(format!("{name}: nothing was published"));
    }
    for witness in world.deployment.witnesses_of(chain) {
        let prefix = names::anchors(chain.origin());
        let mut newest = 0;
        for (key, object) in world.objects(&witness.settings.name).await {
            if !key.starts_with(&prefix) {
                continue;
            }
            let anchor = Anchor::open(&object, &chain.key, &witness.key)
                .map_err(|error| format!("{name}: {key}: {error}"))?;
            let Checkpoint { size, root, .. } = anchor.checkpoint;
            history.holds(&format!("{name}: {key}"), size, root)?;
            newest = newest.max(size);
        }
        let state = world.heads[&witness.settings.name].inner();
        let key = witness_key(witness.key.name(), chain.origin());
        let stored = countersign_store::HeadStore::load(state, &key).await;
        if newest == 0 || !matches!(stored, Ok(Some(_))) {
            return Err(format!("{name}: {key} witnessed nothing"));
        }
    }
    Ok(())
}

/// The acknowledged deliveries of a chain, from a size on, that anchors of other
/// clouds cover now.
pub(super) async fn anchored(
    world: &World,
    ledger: &Ledger,
    chain: &Chain,
    from: u64,
) -> Vec<String> {
    let mut anchored = 0;
    for witness in world.deployment.witnesses_of(chain) {
        let prefix = names::anchors(chain.origin());
        for key in world.objects(&witness.settings.name).await.into_keys() {
            if let Some(Object::Anchor { size, .. }) = Object::parse(&key)
                && key.starts_with(&prefix)
            {
                anchored = anchored.max(size);
            }
        }
    }
    let state = ledger.state();
    let of_chain = |of: &String| *of == chain.settings.name;
    let acknowledged = state.acknowledged.iter();
    acknowledged
        .filter(|((of, _), at)| of_chain(of) && at.is_some_and(|at| (from..anchored).contains(&at)))
        .map(|((_, id), _)| id.clone())
        .collect()
}

/// The deliveries that stand in a chain's segments, as far as those are whole.
pub(super) async fn standing(world: &World, chain: &Chain) -> BTreeSet<String> {
    let mut standing = BTreeSet::new();
    for (key, object) in world.objects(&chain.settings.name).await {
        if let (Some(Object::Segment { .. }), Ok(segment)) =
            (Object::parse(&key), Segment::open(&object, &chain.key))
        {
            let ids = segment.header.deliveries.iter();
            standing.extend(ids.map(|delivery| delivery.id.clone()));
        }
    }
    standing
}
