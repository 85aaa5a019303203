//! Every way to tamper is named by the check that the design gives it.

use std::fs;

use countersign_core::checkpoint::Checkpoint;
use countersign_core::index::{Index, IndexLine};
use countersign_core::keys::{KeyKind, Seed, SeedSigner};
use countersign_core::merkle::Hash;
use countersign_core::segment;
use countersign_service::chain::Deployment;
use countersign_tests::{CLOUDS, Clouds, copy_folder, failed, resealed, with_status};

const ROUNDS: usize = 3;

/// Three chains with several segments, checkpoints and anchors each.
async fn clouds() -> Clouds {
    let clouds = Clouds::new().await;
    for round in 0..ROUNDS {
        for cloud in CLOUDS {
            for part in 0..2 {
                let text: String = (0..150)
                    .map(|n| format!("{{\"eventVersion\":\"1\",\"eventSource\":\"s\",\"eventName\":\"{cloud}-{round}-{part}-{n}\"}}\n"))
                    .collect();
                let (_, errors) = clouds
                    .seal(cloud, vec![(format!("{round}.{part}"), text.into_bytes())])
                    .await;
                assert!(errors.is_empty());
                // Segments of their own.
                clouds.clock.advance(1000);
            }
        }
        let report = clouds.anchor().await;
        assert_eq!(report.exit_code(), 0, "{report:?}");
        clouds.clock.advance(60_000);
    }
    clouds
}

async fn fails(clouds: &Clouds, expected: &str) {
    let report = clouds.verify().await;
    assert_eq!(report["result"], "failed", "{report:#}");
    let found = failed(&report);
    assert!(
        found.contains(&expected.to_owned()),
        "{expected}: {found:?}\n{report:#}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_untouched_verifies() {
    let clouds = clouds().await;
    let report = clouds.verify().await;
    assert_eq!(report["result"], "verified", "{report:#}");
    assert_eq!(report["anchors"].as_array().unwrap().len(), ROUNDS * 6);
    for chain in report["chains"].as_array().unwrap() {
        assert_eq!(chain["records"], 6 * 150 + ROUNDS * 2);
        assert_eq!(chain["duplicates"], 0);
        assert!(chain["published"].as_u64() < chain["size"].as_u64());
    }
    assert!(with_status(&report, "unknown").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_flipped_in_any_object_is_found() {
    let clouds = clouds().await;
    let mut flipped = 0;
    for cloud in CLOUDS {
        for (name, bytes) in clouds.objects(cloud) {
            let mut changed = bytes.clone();
            let middle = changed.len() / 2;
            changed[middle] ^= 0x10;
            clouds.replace(cloud, &name, &changed);
            let report = clouds.verify().await;
            assert_eq!(report["result"], "failed", "{cloud} {name}");
            assert!(!failed(&report).is_empty());
            clouds.replace(cloud, &name, &bytes);
            flipped += 1;
        }
    }
    assert!(flipped > 80, "{flipped}");
    assert_eq!(clouds.verify().await["result"], "verified");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_record_or_another_signer_is_found() {
    let clouds = clouds().await;
    let name = &clouds.named("aws", "segments/")[1];
    let object = clouds.objects("aws")[name].clone();
    let signer = clouds.signer("aws");
    let alter = |body: &mut Vec<u8>| {
        let text = String::from_utf8(std::mem::take(body)).unwrap();
        *body = text.replacen("aws-0-1-7\"", "aws-0-1-X\"", 1).into_bytes();
    };

    // The header as it was, another body.
    let content = segment::decompress(&object, 1 << 20).unwrap();
    let text = String::from_utf8(content)
        .unwrap()
        .replacen("aws-0-1-7\"", "aws-0-1-X\"", 1);
    let copy = clouds.copy();
    copy.replace(
        "aws",
        name,
        &segment::compress(&[text.as_bytes()], 1).unwrap(),
    );
    fails(&copy, "aws record-hashes").await;

    // Signed anew with the right key: another history than the anchored one.
    let copy = clouds.copy();
    let changed = resealed(&object, None, &signer, |header, body| {
        alter(body);
        header.body_sha256 = segment::body_sha256(body);
    });
    copy.replace("aws", name, &changed);
    fails(&copy, "aws segments-contiguous").await;
    fails(&copy, "aws anchors-consistent").await;

    // Another key.
    let copy = clouds.copy();
    copy.replace("aws", name, &resealed(&object, Some(9), &signer, |_, _| ()));
    fails(&copy, "aws segment-signatures").await;

    // The same content, compressed otherwise.
    let copy = clouds.copy();
    let content = segment::decompress(&object, 1 << 20).unwrap();
    copy.replace("aws", name, &segment::compress(&[&content], 19).unwrap());
    fails(&copy, "aws index").await;

    // A record in another spelling, under a right signature.
    let copy = clouds.copy();
    let last = clouds.named("aws", "segments/").pop().unwrap();
    let object = clouds.objects("aws")[&last].clone();
    let spelled = resealed(&object, None, &signer, |header, body| {
        let text = String::from_utf8(std::mem::take(body)).unwrap();
        *body = text.replacen("{\"cloud\"", "{ \"cloud\"", 1).into_bytes();
        header.body_sha256 = segment::body_sha256(body);
    });
    copy.replace("aws", &last, &spelled);
    fails(&copy, "aws canonical-form").await;
}

/// Removes the newest `count` segments and what was published beyond them.
fn cut(clouds: &Clouds, cloud: &str, count: usize) {
    let segments = clouds.named(cloud, "segments/");
    let first = &segments[segments.len() - count];
    let size: u64 = first["segments/".len()..][..20].parse().unwrap();
    for name in &segments[segments.len() - count..] {
        clouds.remove(cloud, name);
    }
    for folder in ["checkpoints/", "index/"] {
        for name in clouds.named(cloud, folder) {
            if name[folder.len()..][..20].parse::<u64>().unwrap() > size {
                clouds.remove(cloud, &name);
            }
        }
    }
    for name in clouds.named(cloud, "tile/") {
        let tile = countersign_core::merkle::tile::TileId::parse(&name).unwrap();
        let span = 256u64.pow(u32::from(tile.level));
        if (tile.index * 256 + u64::from(tile.width)) * span > size {
            clouds.remove(cloud, &name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_was_cut_off_is_found_from_the_peers_anchors() {
    let clouds = clouds().await;
    for count in [3, 5] {
        let copy = clouds.copy();
        cut(&copy, "aws", count);
        fails(&copy, "aws anchors-consistent").await;
        fails(&copy, "aws head").await;
        // With the head removed as well.
        let head = fs::read_dir(copy.path("aws/state")).unwrap();
        for entry in head {
            let path = entry.unwrap().path();
            if path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("head-")
                && path.is_file()
            {
                fs::remove_file(path).unwrap();
            }
        }
        fails(&copy, "aws anchors-consistent").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_rebuilt_with_its_own_key_is_found_from_the_anchors() {
    let clouds = clouds().await;
    let copy = clouds.copy();
    // The administrator of AWS begins anew with the same key and seals the same
    // records but one.
    let deliveries: Vec<_> = (0..6)
        .map(|n| {
            let (round, part) = (n / 2, n % 2);
            let text: String = (0..150)
                .map(|n| {
                    let name = if (round, part, n) == (1, 0, 7) { "AssumeNothing".into() } else { format!("aws-{round}-{part}-{n}") };
                    format!("{{\"eventVersion\":\"1\",\"eventSource\":\"s\",\"eventName\":\"{name}\"}}\n")
                })
                .collect();
            (format!("{round}.{part}"), text.into_bytes())
        })
        .collect();
    for folder in ["segments", "tile", "index", "checkpoints"] {
        fs::remove_dir_all(copy.path("aws/sealed").join(folder)).unwrap();
    }
    fs::remove_dir_all(copy.path("aws/state")).unwrap();
    fs::create_dir(copy.path("aws/state")).unwrap();
    for delivery in deliveries {
        copy.seal("aws", vec![delivery]).await;
    }
    let report = copy.anchor().await;
    assert_eq!(report.exit_code(), 1, "{report:?}");
    fails(&copy, "aws anchors-consistent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_anchor_is_found() {
    let clouds = clouds().await;
    let report = clouds.verify().await;
    let aws = countersign_core::names::anchors("audit.example.org/aws");
    let anchors = clouds.named("gcp", &aws);
    assert_eq!(anchors.len(), ROUNDS, "{report:#}");
    for name in &anchors {
        let copy = clouds.copy();
        copy.remove("gcp", name);
        fails(&copy, "aws anchors-consistent").await;
    }
    // All of a witness's, once the chain is older than the grace.
    let copy = clouds.copy();
    anchors.iter().for_each(|name| copy.remove("gcp", name));
    fails(&copy, "aws anchors-consistent").await;
    copy.clock.advance(20 * 60_000);
    fails(&copy, "aws anchor-quorum").await;
    fails(&copy, "aws anchors-consistent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_and_planted_objects_are_found() {
    let clouds = clouds().await;
    let (signer, stranger) = (clouds.signer("aws"), {
        let seed = Seed::from_bytes([9; 32]);
        SeedSigner::new("audit.example.org/aws", KeyKind::Log, &seed).unwrap()
    });
    let newest = clouds.named("aws", "checkpoints/").pop().unwrap();
    let size: u64 = newest["checkpoints/".len()..].parse().unwrap();
    let forged = |size, signer: &SeedSigner| {
        let origin = "audit.example.org/aws".to_owned();
        let note = Checkpoint {
            origin,
            size,
            root: Hash([7; 32]),
        }
        .sign(signer)
        .unwrap();
        note.to_string().into_bytes()
    };
    for (name, bytes, expected) in [
        (
            newest.clone(),
            forged(size, &stranger),
            "aws checkpoints-signed",
        ),
        (
            newest.clone(),
            forged(size - 1, &signer),
            "aws checkpoints-signed",
        ),
        (
            newest.clone(),
            forged(size, &signer),
            "aws checkpoints-consistent",
        ),
        (
            "checkpoints/00000000000000000100".into(),
            forged(100, &signer),
            "aws checkpoints-consistent",
        ),
        (
            "checkpoints/00000000000099999999".into(),
            forged(99_999_999, &signer),
            "aws checkpoints-consistent",
        ),
        ("tile/0/000.p/77".into(), vec![7; 77 * 32], "aws tiles"),
        ("tile/0/999".into(), vec![7; 256 * 32], "aws tiles"),
        (
            "segments/99999999999999999999.ndjson.zst".into(),
            b"x".to_vec(),
            "aws object-versions",
        ),
        ("notes.txt".into(), b"x".to_vec(), "aws object-versions"),
    ] {
        let copy = clouds.copy();
        copy.replace("aws", &name, &bytes);
        fails(&copy, expected).await;
    }
    // An index entry that says something else of a segment, under a right signature.
    let name = clouds.named("aws", "index/").pop().unwrap();
    let index = Index::open(
        &clouds.objects("aws")[&name],
        countersign_core::keys::Signer::key(&signer),
    )
    .unwrap();
    let mut lines: Vec<IndexLine> = index.lines;
    lines[0].sources.insert("planted".into(), 1);
    let planted = Index::seal(
        &index.header.origin,
        index.header.from,
        index.header.size,
        &lines,
        &signer,
        1,
    )
    .unwrap();
    let copy = clouds.copy();
    copy.replace("aws", &name, &planted);
    fails(&copy, "aws index").await;
    // Every published object is missed.
    for folder in ["tile/", "index/", "checkpoints/", "segments/"] {
        for name in clouds.named("aws", folder).into_iter().rev().take(1) {
            let copy = clouds.copy();
            copy.remove("aws", &name);
            assert_eq!(copy.verify().await["result"], "failed", "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_genesis_policy_or_head_is_found() {
    let clouds = clouds().await;
    let other = Clouds::new().await;

    let copy = clouds.copy();
    copy.replace("aws", "genesis.json", &other.objects("aws")["genesis.json"]);
    fails(&copy, "aws genesis").await;
    // One that is signed by the right key, but is another.
    let copy = clouds.copy();
    let text = String::from_utf8(clouds.objects("aws")["genesis.json"].clone()).unwrap();
    let mut genesis: countersign_core::genesis::Genesis =
        countersign_core::signed::read(text.trim_end().as_bytes()).unwrap();
    genesis.quorum = 0;
    let mut file = countersign_core::signed::sign(&mut genesis, &clouds.signer("aws")).unwrap();
    file.push(b'\n');
    copy.replace("aws", "genesis.json", &file);
    fails(&copy, "aws genesis").await;

    // A policy with other keys.
    let swapped = other.path("countersign.policy");
    let deployment = Deployment::open(clouds.settings(), Some(&swapped))
        .await
        .unwrap();
    let report = clouds.verify_with(&deployment).await;
    assert_eq!(report["result"], "failed");
    assert!(
        failed(&report).contains(&"aws genesis".to_owned()),
        "{:?}",
        failed(&report)
    );

    // The head as it was a while ago.
    let early = clouds.copy();
    for cloud in CLOUDS {
        early
            .seal(cloud, vec![("later".into(), b"later".to_vec())])
            .await;
        early
            .seal(cloud, vec![("later still".into(), b"later still".to_vec())])
            .await;
    }
    fs::remove_dir_all(early.path("aws/state")).unwrap();
    copy_folder(&clouds.path("aws/state"), &early.path("aws/state"));
    fails(&early, "aws head").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_fails_and_a_missing_one_is_incomplete() {
    let clouds = Clouds::new().await;
    let report = clouds.verify().await;
    assert_eq!(report["result"], "failed", "{report:#}");
    let clouds = self::clouds().await;
    let copy = clouds.copy();
    fs::remove_dir_all(copy.path("aws/sealed")).unwrap();
    fs::create_dir(copy.path("aws/sealed")).unwrap();
    assert_eq!(copy.verify().await["result"], "failed");
    let copy = clouds.copy();
    fs::rename(copy.path("aws/sealed"), copy.path("aws/elsewhere")).unwrap();
    let report = copy.verify().await;
    assert!(!with_status(&report, "unknown").is_empty(), "{report:#}");
    assert_ne!(report["result"], "verified", "{report:#}");
}
