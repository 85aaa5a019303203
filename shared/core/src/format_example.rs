//! The worked example of `FORMAT.md`: every byte of it is made here again.

use std::collections::BTreeMap;

use data_encoding::BASE64;

use crate::anchor::Anchor;
use crate::checkpoint::Checkpoint;
use crate::cosignature;
use crate::delivery::Identity;
use crate::genesis::{Genesis, GenesisWitness, file_sha256};
use crate::index::{Index, IndexLine, inspect};
use crate::json::Canonicalizer;
use crate::keys::{KeyKind, Seed, SeedSigner, Signer};
use crate::merkle::Hash;
use crate::merkle::proof::{TileSet, inclusion_tiles};
use crate::merkle::tile::TileBuilder;
use crate::names;
use crate::policy::{Policy, Quorum};
use crate::proof::ProofFile;
use crate::record::{self, Carrier, Cloud, RecordReader};
use crate::segment::{self, Delivery, Header, Segment, body_sha256};
use crate::signed;
use crate::tlog_proof::TlogProof;

const DOCUMENT: &str = include_str!("../FORMAT.md");

/// The events as they were delivered, one a line.
const EVENTS: &str = concat!(
    r#"{"eventVersion":"1.08","eventTime":"2026-11-24T20:59:58+00:00","eventSource":"s3.amazonaws.com","eventName":"GetObject","size":1.50e3}"#,
    "\n",
    r#"{"n": 9007199254740993}"#,
    "\n",
    "boot\tdone\n",
);

fn example() -> BTreeMap<&'static str, String> {
    let mut made = BTreeMap::new();
    let mut put = |name, text: String| {
        made.insert(name, text.trim_end_matches('\n').to_owned());
    };
    let log_seed = Seed::from_bytes([1; 32]);
    let log = SeedSigner::new("audit.example.org/aws", KeyKind::Log, &log_seed).unwrap();
    let witness_seed = Seed::from_bytes([2; 32]);
    let name = "audit.example.org/witness/gcp";
    let witness = SeedSigner::new(name, KeyKind::Witness, &witness_seed).unwrap();
    let origin = log.key().name().to_owned();
    let quorum = Quorum::All {
        name: "clouds".into(),
    };
    let witnesses = vec![("gcp".to_owned(), witness.key().clone())];
    let policy = Policy::build(vec![log.key().clone()], witnesses, quorum).unwrap();
    put("policy", policy.to_string());

    let mut genesis = Genesis {
        countersign: "genesis/v1".into(),
        created_at: "2026-11-24T20:00:00.000Z".into(),
        origin: origin.clone(),
        quorum: 1,
        retention_days: 365,
        signature: None,
        succeeds: None,
        vkey: log.key().to_string(),
        witnesses: vec![GenesisWitness {
            name: name.into(),
            vkey: witness.key().to_string(),
        }],
    };
    let message = String::from_utf8(signed::message(&mut genesis)).unwrap();
    put("genesis message", message);
    let mut file = signed::sign(&mut genesis, &log).unwrap();
    file.push(b'\n');
    Genesis::open(&file, log.key()).unwrap();
    put("genesis.json", String::from_utf8(file.clone()).unwrap());

    put("events", EVENTS.into());
    let mut body = Vec::new();
    let mut canonicalizer = Canonicalizer::exact();
    let sources = [
        (Cloud::Aws, "aws.cloudtrail", Some("2026-11-24T20:59:58Z")),
        (Cloud::Aws, "json", None),
        (Cloud::Aws, "text", None),
    ];
    let mut ids = String::new();
    for (line, (cloud, source, time)) in EVENTS.lines().zip(sources) {
        let carrier = Carrier::of(line.as_bytes(), &mut canonicalizer);
        record::push(cloud, &carrier, source, time, &mut body);
        body.push(b'\n');
        ids += &format!("{}\n", Hash(carrier.event_id()).to_hex());
    }
    put("event ids", ids);
    let sha256 = body_sha256(EVENTS.as_bytes());
    let hash = data_encoding::HEXLOWER.decode(sha256.as_bytes()).unwrap();
    let id = Identity::File {
        sha256: hash.try_into().unwrap(),
    }
    .id();
    let mut header = Header {
        body_sha256: body_sha256(&body),
        countersign: "segment/v1".into(),
        deliveries: vec![Delivery {
            from: "boot.ndjson".into(),
            id,
            part: (1, 1),
            records: 3,
            sha256,
        }],
        end: 4,
        genesis_sha256: Some(file_sha256(&file)),
        origin: origin.clone(),
        prev: Hash::EMPTY_ROOT,
        sealed_at: "2026-11-24T21:00:00.000Z".into(),
        signature: None,
        start: 0,
    };
    let line = signed::sign(&mut header, &log).unwrap();
    let object = segment::encode(&line, &[&body], 1).unwrap();
    let opened = Segment::open(&object, log.key()).unwrap();
    put(
        "segment",
        String::from_utf8(segment::decompress(&object, 1 << 20).unwrap()).unwrap(),
    );
    put("segment object", BASE64.encode(&object));
    let (summary, bad) = inspect(&opened, &mut RecordReader::default(), |_, _, _| ());
    assert_eq!(bad.count, 0);
    put(
        "leaf hashes",
        opened
            .leaves()
            .iter()
            .map(|leaf| format!("{leaf}\n"))
            .collect(),
    );

    let mut builder = TileBuilder::new();
    for leaf in opened.leaves() {
        builder.push(*leaf, &mut |_, _| unreachable!("no tile is full"));
    }
    let tiles = builder.partial_tiles();
    let [(tile, bytes)] = &tiles[..] else {
        panic!("one tile")
    };
    put("tile", format!("{} {}", tile.path(), BASE64.encode(bytes)));
    let index = IndexLine::new(&header, &summary, body_sha256(&object), object.len() as u64);
    let index_object = Index::seal(&origin, 0, 4, &[index], &log, 1).unwrap();
    Index::open(&index_object, log.key()).unwrap();
    put(
        "index",
        String::from_utf8(segment::decompress(&index_object, 1 << 20).unwrap()).unwrap(),
    );
    let checkpoint = Checkpoint {
        origin: origin.clone(),
        size: 4,
        root: builder.root(),
    };
    let note = checkpoint.sign(&log).unwrap().to_string();
    put("checkpoint", note.clone());
    let line = cosignature::cosign(&witness, 1_795_554_060, &checkpoint.body()).unwrap();
    let anchor = Anchor::new(note.as_bytes(), log.key(), line, 1_795_554_060).unwrap();
    put("anchor", anchor.note.to_string());
    let record = String::from_utf8(anchor.record_line()).unwrap();
    put("anchor record", record);
    put("anchor delivery id", anchor.delivery_id());
    put(
        "names",
        [
            names::segment(0),
            names::index(4),
            names::checkpoint(4),
            names::anchor_of(&origin, 4, 1_795_554_060),
        ]
        .join("\n"),
    );

    let mut set = TileSet::new(4);
    for id in inclusion_tiles(1, 4) {
        set.insert(id, bytes).unwrap();
    }
    let proof = TlogProof {
        extra: None,
        index: 1,
        path: set.inclusion(1).unwrap(),
        checkpoint: anchor.note.to_string(),
    };
    let line = opened.lines().nth(1).unwrap();
    let file = ProofFile::new(String::from_utf8(line.to_vec()).unwrap(), &proof).to_bytes();
    ProofFile::check(&file, &policy).unwrap();
    put("proof", String::from_utf8(file).unwrap());
    made
}

/// The fenced blocks of the document whose fence names them: ```` ```NAME ````.
fn blocks() -> BTreeMap<String, String> {
    let mut blocks = BTreeMap::new();
    let mut rest = DOCUMENT;
    while let Some((_, after)) = rest.split_once("\n```example: ") {
        let (name, after) = after.split_once('\n').unwrap();
        let (text, after) = after.split_once("\n```").unwrap();
        assert!(
            blocks.insert(name.to_owned(), text.to_owned()).is_none(),
            "{name} twice"
        );
        rest = after;
    }
    blocks
}

#[test]
fn the_worked_example_of_the_document_is_what_the_code_makes() {
    let (made, mut written) = (example(), blocks());
    for (name, text) in made {
        // A frame may be made otherwise; what it holds may not.
        if name == "segment object" {
            let object = BASE64.decode(written[name].as_bytes()).unwrap();
            let made = BASE64.decode(text.as_bytes()).unwrap();
            let content = |object: &[u8]| segment::decompress(object, 1 << 20).unwrap();
            assert_eq!(content(&object), content(&made));
            written.remove(name);
            continue;
        }
        assert_eq!(written.remove(name).as_deref(), Some(&text[..]), "{name}");
    }
    assert!(written.is_empty(), "not checked: {:?}", written.keys());
}
