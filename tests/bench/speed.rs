//! Speeds, each over the same records.

use std::hint::black_box;

use countersign_core::json::Canonicalizer;
use countersign_core::segment;
use countersign_service::anchor::{Signers, anchor_with};
use countersign_service::keys;
use countersign_service::prove::prove;
use countersign_service::verify::{self, Options, Verdict};

use crate::corpus::Corpus;
use crate::measure::{self, Figure, all_cores, cores, cpu_time, on_all_cores, one_core};
use crate::world::{CHAIN, World, seal};

/// Records that are worked on: some 60 MB.
const RECORDS: usize = 48_000;

/// Prints every speed.
pub fn print(corpus: &Corpus) {
    let ndjson = corpus.ndjson(RECORDS);
    let lines: Vec<&[u8]> = segment::lines(&ndjson).collect();
    let bytes = ndjson.len() as u64;
    println!(
        "{RECORDS} records, {:.1} MB; {} cores. \"x SHA-256\" is the speed beside SHA-256\n\
         alone over the same bytes in the same run, the median of runs in turn.\n",
        bytes as f64 / 1e6,
        cores()
    );
    println!("one core (processor time)          MB/s   x SHA-256   wanted");
    row(
        "SHA-256 alone",
        one_core(&ndjson, bytes, || (), |()| measure::sha256(&ndjson)),
        "",
    );
    let own = one_core(&ndjson, bytes, || (), |()| canonicalize(&lines));
    row("canonicalize", own, "0.3");
    let oracle = one_core(&ndjson, bytes, || (), |()| canonicalize_with_serde(&lines));
    row("serde_json_canonicalizer", oracle, "");
    println!(
        "  canonicalize is {:.1} x serde_json_canonicalizer      (wanted: 10)",
        own.ratio / oracle.ratio
    );
    let deliveries: Vec<_> = corpus.deliveries(RECORDS).collect();
    let fresh = || {
        let world = World::new();
        let sealer = world.sealer();
        (world, sealer, deliveries.clone())
    };
    let sealed = one_core(&ndjson, bytes, fresh, |(world, mut sealer, deliveries)| {
        world.seal(&mut sealer, deliveries);
    });
    row("seal", sealed, "0.2");
    let published = |deliveries: &[Vec<u8>]| {
        let world = World::new();
        world.seal(&mut world.sealer(), deliveries.iter().cloned());
        world
    };
    let anchored = one_core(
        &ndjson,
        bytes,
        || published(&deliveries),
        |world| anchor(&world),
    );
    row("anchor (publish and witness)", anchored, "");
    let world = published(&deliveries);
    anchor(&world);
    let verified = one_core(&ndjson, bytes, || (), |()| verify(&world, 1));
    row("verify", verified, "0.33");
    let proofs = 200;
    let took = cpu_time(|| {
        for nth in 0..proofs {
            let chain = world.deployment.chains_named(CHAIN).expect("a chain")[0];
            let index = nth * (RECORDS as u64 / proofs) + 1;
            black_box(
                world
                    .run(prove(&world.deployment, chain, index))
                    .expect("a proof"),
            );
        }
    });
    println!(
        "  prove: {:.2} ms a proof (its segment is read and hashed)",
        took.as_secs_f64() * 1e3 / proofs as f64
    );

    println!(
        "\nall {} cores (wall time)             MB/s   x SHA-256 on all",
        cores()
    );
    let all = bytes * cores() as u64;
    let canonicalized = all_cores(
        &ndjson,
        all,
        || (),
        |()| on_all_cores(|_| canonicalize(&lines)),
    );
    row("canonicalize", canonicalized, "");
    let fresh = || -> Vec<_> {
        (0..cores())
            .map(|_| std::sync::Mutex::new(Some(fresh())))
            .collect()
    };
    let sealed = all_cores(&ndjson, all, fresh, |worlds| {
        on_all_cores(|core| {
            let taken = worlds[core].lock().expect("nobody panics").take();
            let (world, mut sealer, deliveries) = taken.expect("each once");
            world.run(seal(&mut sealer, deliveries));
        });
    });
    row("seal, a chain a core", sealed, "");
    let verified = all_cores(&ndjson, bytes, || (), |()| verify(&world, cores()));
    row("verify", verified, "");
}

fn row(name: &str, figure: Figure, wanted: &str) {
    println!(
        "  {name:30} {:6.0}   {:9.3}   {wanted}",
        figure.mb_per_second, figure.ratio
    );
}

fn canonicalize(lines: &[&[u8]]) {
    let mut canonicalizer = Canonicalizer::exact();
    for line in lines {
        let _ = black_box(canonicalizer.canonicalize(black_box(line)));
    }
}

fn canonicalize_with_serde(lines: &[&[u8]]) {
    for line in lines {
        let value: serde_json::Value = serde_json::from_slice(black_box(line)).expect("JSON");
        black_box(serde_json_canonicalizer::to_vec(&value).expect("JSON"));
    }
}

/// Publishes and witnesses every chain.
pub fn anchor(world: &World) {
    let mut signers = Signers::new();
    let stores = &world.deployment.stores;
    for chain in &world.deployment.chains {
        let signer = world.run(keys::chain_signer(&chain.settings, stores));
        signers.insert(chain.origin().to_owned(), signer.expect("its key"));
    }
    for witness in &world.deployment.witnesses {
        let signer = world.run(keys::witness_signer(&witness.settings, stores));
        signers.insert(witness.settings.key_name.clone(), signer.expect("its key"));
    }
    let clock = world.clouds.clock.clone();
    let report = world.run(anchor_with(&world.deployment, &signers, clock));
    assert_eq!(report.exit_code(), 0, "{report:?}");
}

fn verify(world: &World, concurrency: usize) {
    let options = Options {
        chain: Some(CHAIN.into()),
        concurrency: Some(concurrency),
        ..Options::default()
    };
    let clock = &*world.clouds.clock;
    let report = world.run(verify::verify(&world.deployment, &options, clock, &()));
    let report = report.expect("a report");
    let chain = &report.chains[0];
    assert_eq!(chain.records, RECORDS as u64);
    assert!(report.result != Verdict::Failed, "{}", report.to_json());
}
