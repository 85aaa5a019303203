//! Requests that each operation makes, at three lengths of a chain.

use countersign_service::prove::prove;
use countersign_store::fault::Counts;

use crate::corpus::{Corpus, DELIVERY_RECORDS};
use crate::speed::anchor;
use crate::world::{CHAIN, World};

/// Records that are sealed after the chain has its length.
const BATCH_RECORDS: usize = 2_000;

/// Prints the requests.
pub fn print(corpus: &Corpus) {
    println!("\nrequests to the stores             reads   lists   writes");
    for records in [10_000, 100_000, 1_000_000] {
        let world = World::new();
        let mut sealer = world.sealer();
        world.seal(&mut sealer, corpus.deliveries(records));
        anchor(&world);
        world.clouds.clock.advance(300_000);
        println!("  a chain of {records} records");
        let mut more = corpus
            .deliveries(records + BATCH_RECORDS)
            .skip(records / DELIVERY_RECORDS);
        // A writer that is warm, and knows of the publication.
        world.seal(&mut sealer, more.next());
        let before = world.faults.counts();
        world.seal(&mut sealer, more);
        row("seal a batch", world.faults.counts() - before);
        let before = world.faults.counts();
        anchor(&world);
        row("anchor all three clouds", world.faults.counts() - before);
        let before = world.faults.counts();
        let chain = world.deployment.chains_named(CHAIN).expect("a chain")[0];
        let proof = world.run(prove(&world.deployment, chain, records as u64 / 3));
        proof.expect("a proof");
        row("prove a record", world.faults.counts() - before);
    }
}

fn row(name: &str, counts: Counts) {
    let reads = counts.gets + counts.loads;
    let lists = counts.lists + counts.versions;
    println!("    {name:28} {reads:6}  {lists:6}   {:6}", counts.writes());
}
