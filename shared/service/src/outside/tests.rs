use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign_core::cosignature;
use countersign_core::keys::{KeyKind, Seed, SeedSigner, Signer};
use countersign_core::merkle::Hash;
use countersign_core::merkle::proof::consistency_tiles;
use countersign_core::names::Object;
use countersign_core::witness::{Witnessed, decide};
use countersign_store::fault::{CallKind, Fault};

use super::client::is_https;
use super::*;
use crate::config::OutsideWitness;
use crate::testing::{START_MILLIS, World};
use crate::verify::{Options, Verdict, verify};

const NAME: &str = "witness.example/outside";

/// How the stand-in answers.
#[derive(Clone)]
enum Mode {
    /// As the protocol has it.
    Honest,
    /// Always with this status, content type and body.
    Always(u16, &'static str, String),
    /// Takes the request and says nothing more.
    Silent,
    /// A byte now and then.
    Drip,
    /// Closes the connection.
    Drop,
    /// Cosigns with this key.
    OtherKey(Arc<SeedSigner>),
    /// Cosigns with a time that is this much later.
    Late(u64),
}

struct Inner {
    mode: Mode,
    logs: BTreeMap<String, VerifierKey>,
    witnessed: BTreeMap<String, Witnessed>,
    /// Origin, old size, proof lines, status.
    requests: Vec<(String, u64, usize, u16)>,
}

/// A witness that decides as ours do, behind a little HTTP.
struct StandIn {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

fn signer(name: &str, seed: u8) -> SeedSigner {
    SeedSigner::new(name, KeyKind::Witness, &Seed::from_bytes([seed; 32])).unwrap()
}

impl StandIn {
    fn start(world: &mut World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/prefix/", listener.local_addr().unwrap());
        let chains = world.deployment.chains.iter();
        let inner = Arc::new(Mutex::new(Inner {
            mode: Mode::Honest,
            logs: chains
                .map(|c| (c.origin().to_owned(), c.key.clone()))
                .collect(),
            witnessed: BTreeMap::new(),
            requests: Vec::new(),
        }));
        let shared = inner.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // One that went away is none to talk to.
                let _ = serve(stream.unwrap(), &shared);
            }
        });
        world
            .deployment
            .settings
            .outside_witnesses
            .push(OutsideWitness {
                url: url.clone(),
                vkey: signer(NAME, 200).key().to_string(),
            });
        Self { url, inner }
    }

    fn set(&self, mode: Mode) {
        self.inner.lock().unwrap().mode = mode;
    }

    fn requests(&self) -> Vec<(String, u64, usize, u16)> {
        std::mem::take(&mut self.inner.lock().unwrap().requests)
    }
}

fn serve(stream: TcpStream, inner: &Mutex<Inner>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.set_write_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(&stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line)?;
    assert_eq!(line, "POST /prefix/add-checkpoint HTTP/1.1\r\n");
    while line != "\r\n" {
        line.clear();
        reader.read_line(&mut line)?;
        let lower = line.to_ascii_lowercase();
        assert!(!lower.starts_with("accept-encoding") && !lower.starts_with("cookie"));
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mode = inner.lock().unwrap().mode.clone();
    let (status, kind, body) = match mode {
        Mode::Drop => return Ok(()),
        Mode::Silent => {
            // Until the other side gives up.
            let _ = reader.read(&mut [0]);
            return Ok(());
        }
        Mode::Drip => {
            let mut stream = &stream;
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
            for _ in 0..100 {
                stream.write_all(b"x")?;
                std::thread::sleep(Duration::from_millis(50));
            }
            return Ok(());
        }
        Mode::Always(status, kind, body) => (status, kind, body),
        mode => inner
            .lock()
            .unwrap()
            .answer(&String::from_utf8(body).unwrap(), &mode),
    };
    write!(
        &stream,
        "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

impl Inner {
    fn answer(&mut self, request: &str, mode: &Mode) -> (u16, &'static str, String) {
        let (head, note) = request.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        let old = lines.next().unwrap().strip_prefix("old ").unwrap();
        let old: u64 = old.parse().unwrap();
        let proof: Vec<Hash> = lines.map(|line| Hash::from_base64(line).unwrap()).collect();
        let origin = note.lines().next().unwrap();
        let log = &self.logs[origin];
        let (checkpoint, note) = Checkpoint::open(note.as_bytes(), log).unwrap();
        assert_eq!(note.signatures().len(), 1, "the log's signature alone");
        let known = self
            .witnessed
            .get(origin)
            .copied()
            .unwrap_or(Witnessed::NOTHING);
        let decided = decide(&known, old, &proof, &checkpoint);
        let status = decided.as_ref().err().map_or(200, |no| no.http_status());
        self.requests
            .push((origin.to_owned(), old, proof.len(), status));
        if status == 409 {
            return (409, "text/x.tlog.size", format!("{}\n", known.size));
        }
        if let Err(refusal) = decided {
            return (status, "text/plain", refusal.to_string());
        }
        let (size, root) = (checkpoint.size, checkpoint.root);
        self.witnessed
            .insert(origin.to_owned(), Witnessed { size, root });
        let mut seconds = START_MILLIS / 1000 + 1;
        let mut own = Arc::new(signer(NAME, 200));
        match mode {
            Mode::OtherKey(other) => own = other.clone(),
            Mode::Late(by) => seconds += by,
            _ => {}
        }
        let good = cosignature::cosign(&*own, seconds, note.text()).unwrap();
        let other =
            cosignature::cosign(&signer("witness.example/w2", 201), 9, note.text()).unwrap();
        (
            200,
            "text/plain",
            format!("{other}\nno signature\n{good}\n"),
        )
    }
}

/// Two clouds, of which azure's witness saw the chain aws, and the other way round.
async fn world() -> (World, StandIn) {
    let mut world = World::new(&["aws", "azure"]).await;
    world.seal("aws", &["a", "b", "c"]).await;
    world.seal("azure", &["d"]).await;
    let stand_in = StandIn::start(&mut world);
    (world, stand_in)
}

const AWS: &str = "audit.example.org/aws";

/// What the report says of the chain aws, which azure's witness fed.
fn of_aws(report: &AnchorReport) -> OutsideResult {
    assert_eq!(report.outside.len(), 2, "{report:?}");
    assert!(report.errors.is_empty(), "{report:?}");
    let of = |(_, origin, _): &&(String, String, OutsideResult)| origin == AWS;
    report.outside.iter().find(of).unwrap().2.clone()
}

fn problem(report: &AnchorReport) -> String {
    match of_aws(report) {
        OutsideResult::Failed { problem } => {
            assert_eq!(report.exit_code(), 0, "{report:?}");
            problem
        }
        OutsideResult::Contradiction { problem } => {
            assert_eq!(report.exit_code(), 1, "{report:?}");
            format!("ALARM {problem}")
        }
        result => panic!("{result:?}"),
    }
}

/// Sizes of the chain aws at which azure's store holds cosignatures from outside,
/// each of which must open.
async fn kept(world: &World) -> Vec<u64> {
    let (chain, own) = (world.chain("aws"), signer(NAME, 200));
    let mut sizes = Vec::new();
    for (name, bytes) in world.objects("azure").await {
        let Some(Object::Anchor {
            size,
            seconds,
            outside: Some(id),
            origin_hash,
        }) = Object::parse(&name)
        else {
            continue;
        };
        assert_eq!(origin_hash, names::origin_hash(AWS));
        assert_eq!(id, HEXLOWER.encode(&own.key().id()));
        let anchor = Anchor::open(&bytes, &chain.key, own.key()).unwrap();
        assert_eq!((anchor.checkpoint.size, anchor.seconds), (size, seconds));
        sizes.push(size);
    }
    sizes
}

#[tokio::test]
async fn a_chain_is_fed_from_nothing_and_then_with_proofs() {
    let (world, stand_in) = world().await;
    let report = world.anchor().await;
    assert_eq!(report.exit_code(), 0, "{report:?}");
    let seconds = START_MILLIS / 1000 + 1;
    assert_eq!(
        of_aws(&report),
        OutsideResult::Cosigned { size: 4, seconds }
    );
    assert_eq!(report.outside[0].0, stand_in.url);
    assert_eq!(kept(&world).await, [4]);
    assert!(stand_in.requests().contains(&(AWS.to_owned(), 0, 0, 200)));
    // Not again for the same size.
    let report = world.anchor().await;
    assert_eq!(of_aws(&report), OutsideResult::Current { size: 4 });
    assert_eq!(stand_in.requests(), []);
    // Grown, across more than one tile.
    let many: Vec<String> = (0..600).map(|nth| format!("line {nth}")).collect();
    let many: Vec<&str> = many.iter().map(|text| &**text).collect();
    world.seal("aws", &many).await;
    let report = world.anchor().await;
    let OutsideResult::Cosigned { size, .. } = of_aws(&report) else {
        panic!("{report:?}");
    };
    assert!(size > 600);
    assert_eq!(kept(&world).await, [4, size]);
    let requests = stand_in.requests();
    let of_aws: Vec<_> = requests
        .iter()
        .filter(|(origin, ..)| origin == AWS)
        .collect();
    assert!(matches!(of_aws[..], [(_, 4, 1.., 200)]), "{requests:?}");
}

#[tokio::test]
async fn a_forgotten_size_costs_one_request() {
    let (world, stand_in) = world().await;
    world.anchor().await;
    world.seal("aws", &["e"]).await;
    stand_in.requests();
    // The state is damaged: nothing is remembered.
    let (witness, chain) = (&world.deployment.witnesses[1], world.chain("aws"));
    let (ours, theirs) = (
        origin_hash(witness.key.name()),
        origin_hash(&signer(NAME, 200).key().to_string()),
    );
    let key = format!(
        "outside-{}-{}-{}",
        &ours[..16],
        &theirs[..16],
        origin_hash(chain.origin())
    );
    let stored = witness.state.load(&key).await.unwrap().unwrap();
    let swapped = witness
        .state
        .swap(&key, Some(&stored.version), Bytes::from("{"))
        .await;
    swapped.unwrap();
    let report = world.anchor().await;
    assert!(
        matches!(of_aws(&report), OutsideResult::Cosigned { .. }),
        "{report:?}"
    );
    let asked: Vec<_> = stand_in
        .requests()
        .into_iter()
        .filter(|(origin, ..)| origin == AWS)
        .collect();
    assert!(
        matches!(asked[..], [(_, 0, 0, 409), (_, 4, 1.., 200)]),
        "{asked:?}"
    );
    assert!(matches!(
        of_aws(&world.anchor().await),
        OutsideResult::Current { .. }
    ));
}

#[tokio::test]
async fn a_witness_that_saw_something_else_is_an_alarm() {
    let (world, stand_in) = world().await;
    // Another history of the same size, and then of a smaller one.
    for (size, expected) in [(4, "422"), (3, "422")] {
        let fork = Witnessed {
            size,
            root: Hash([7; 32]),
        };
        stand_in
            .inner
            .lock()
            .unwrap()
            .witnessed
            .insert(AWS.to_owned(), fork);
        let found = problem(&world.anchor().await);
        assert!(
            found.starts_with("ALARM") && found.contains(expected),
            "{found}"
        );
    }
    // A longer one.
    let longer = Witnessed {
        size: 9,
        root: Hash([7; 32]),
    };
    stand_in
        .inner
        .lock()
        .unwrap()
        .witnessed
        .insert(AWS.to_owned(), longer);
    let found = problem(&world.anchor().await);
    assert!(
        found.starts_with("ALARM") && found.contains("saw 9 leaves"),
        "{found}"
    );
    assert!(kept(&world).await.is_empty());
}

#[tokio::test]
async fn a_chain_that_grew_while_it_was_fed_is_no_alarm() {
    let (mut world, stand_in) = world().await;
    let settings = std::mem::take(&mut world.deployment.settings.outside_witnesses);
    let mut report = world.anchor().await;
    world.seal("aws", &["e"]).await;
    world.anchor().await;
    let longer = Witnessed {
        size: 5,
        root: Hash([7; 32]),
    };
    stand_in
        .inner
        .lock()
        .unwrap()
        .witnessed
        .insert(AWS.to_owned(), longer);
    world.deployment.settings.outside_witnesses = settings;
    feed_all(&world.deployment, &*world.clock, &mut report).await;
    assert_eq!(of_aws(&report), OutsideResult::Ahead { size: 4, seen: 5 });
    assert_eq!(report.exit_code(), 0);
}

#[tokio::test]
async fn what_is_published_and_does_not_hold_is_not_shown() {
    let (mut world, _stand_in) = world().await;
    world.anchor().await;
    world.seal("aws", &["e"]).await;
    let settings = std::mem::take(&mut world.deployment.settings.outside_witnesses);
    let report = world.anchor().await;
    world.deployment.settings.outside_witnesses = settings;
    let newest = newest_checkpoint(&*world.chain("aws").sealed, 5)
        .await
        .unwrap();
    let (tile, newest) = (
        consistency_tiles(4, newest.unwrap())[0],
        names::checkpoint(newest.unwrap()),
    );
    let objects = world.objects("aws").await;
    let changed = vec![7; objects[&tile.path()].len()];
    let older = objects[&names::checkpoint(4)].to_vec();
    for (name, bytes, expected) in [
        (tile.path(), changed, "give another root"),
        (tile.path(), vec![7], "the tiles below"),
        (newest.clone(), older, "of another size"),
        (newest, b"x".to_vec(), "the checkpoint of"),
    ] {
        let mut report = AnchorReport {
            witnessed: report.witnessed.clone(),
            ..Default::default()
        };
        world.sealed["aws"].inner().tamper_replace(&name, bytes);
        feed_all(&world.deployment, &*world.clock, &mut report).await;
        let found = problem(&report);
        assert!(
            found.starts_with("ALARM") && found.contains(expected),
            "{found}"
        );
    }
}

#[tokio::test]
async fn answers_that_are_worth_nothing_are_warnings() {
    let (world, stand_in) = world().await;
    let always = |status, kind, body: &str| Mode::Always(status, kind, body.to_owned());
    let line = |name: &str, seed| {
        let line = cosignature::cosign(&signer(name, seed), 7, "other\n").unwrap();
        format!("{line}\n")
    };
    for (mode, expected) in [
        (
            always(404, "text/plain", "unknown\u{1b}[31m log"),
            "404 \"unknown\\u{1b}[31m log\"",
        ),
        (always(403, "text/plain", ""), "403"),
        (always(400, "text/plain", ""), "400"),
        (always(500, "text/plain", "sorry"), "500"),
        (always(302, "text/plain", ""), "302"),
        (always(307, "text/plain", ""), "307"),
        (always(409, "text/plain", "9\n"), "409"),
        (always(409, "text/x.tlog.size", "nine\n"), "409"),
        (always(409, "text/x.tlog.size", "\n"), "409"),
        (always(409, "text/x.tlog.size", "+9\n"), "409"),
        // Of the size that it was given, and then of that again.
        (always(409, "text/x.tlog.size", "0\n"), "409"),
        (always(409, "text/x.tlog.size", "2\n"), "409"),
        (always(200, "text/plain", ""), "no cosignature"),
        (
            always(200, "text/plain", &line("other", 5)),
            "no cosignature",
        ),
        (always(200, "text/plain", &line(NAME, 200)), "does not hold"),
        (always(200, "text/plain", &"x".repeat(70_000)), ""),
        (Mode::Drop, ""),
        (
            Mode::OtherKey(Arc::new(signer(NAME, 201))),
            "no cosignature",
        ),
        (Mode::Late(301), "clock"),
    ] {
        stand_in.set(mode);
        let found = problem(&world.anchor().await);
        assert!(
            found.contains(expected) && !found.contains("ALARM"),
            "{expected}: {found}"
        );
    }
    assert!(kept(&world).await.is_empty());
    // None of that stands in the way of a later answer.
    stand_in.set(Mode::Honest);
    world.anchor().await;
    assert_eq!(kept(&world).await, [4]);
}

#[tokio::test]
async fn a_slow_witness_is_given_up_and_then_passed_over() {
    let (mut world, stand_in) = world().await;
    let settings = std::mem::take(&mut world.deployment.settings.outside_witnesses);
    let report = world.anchor().await;
    world.deployment.settings.outside_witnesses = settings;
    let limits = Limits {
        connect: Duration::from_millis(300),
        request: Duration::from_millis(300),
        run: Duration::from_millis(200),
    };
    for mode in [Mode::Silent, Mode::Drip] {
        stand_in.set(mode);
        let mut report = AnchorReport {
            witnessed: report.witnessed.clone(),
            ..Default::default()
        };
        let begun = Instant::now();
        feed_within(limits, &world.deployment, &*world.clock, &mut report).await;
        assert!(begun.elapsed() < Duration::from_secs(3));
        let [(_, _, first), (_, _, second)] = &report.outside[..] else {
            panic!("{report:?}");
        };
        let failed = |result: &OutsideResult| match result {
            OutsideResult::Failed { problem } => problem.clone(),
            result => panic!("{result:?}"),
        };
        assert!(failed(first).contains("timeout"), "{first:?}");
        assert!(failed(second).contains("passed over"), "{second:?}");
        assert_eq!(report.exit_code(), 0);
    }
}

#[tokio::test]
async fn a_witness_that_is_not_there_is_a_warning() {
    let (mut world, _stand_in) = world().await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    world.deployment.settings.outside_witnesses[0].url = url;
    assert!(!problem(&world.anchor().await).is_empty());
    // TLS where none is spoken.
    let (mut world, stand_in) = self::world().await;
    let url = stand_in.url.replace("http://", "https://");
    stand_in.set(Mode::Drop);
    world.deployment.settings.outside_witnesses[0].url = url;
    assert!(!problem(&world.anchor().await).is_empty());
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_named_and_the_others_are() {
    let (mut world, stand_in) = world().await;
    let good = world.deployment.settings.outside_witnesses.remove(0);
    let with = |url: &str, vkey: String| OutsideWitness {
        url: url.to_owned(),
        vkey,
    };
    let log = world.chain("aws").key.to_string();
    let own = world.deployment.witnesses[0].key.to_string();
    world.deployment.settings.outside_witnesses = vec![
        with("http://witness.example/", good.vkey.clone()),
        with(&good.url, "nothing".into()),
        with(&good.url, log),
        with(&good.url, own),
        good.clone(),
        good,
    ];
    let report = world.anchor().await;
    let named: Vec<_> = report
        .errors
        .iter()
        .map(|(what, error)| format!("{what} {error}"))
        .collect();
    let expected = [
        "[0] url: must begin with https",
        "[1] vkey: this is no",
        "[2] vkey: is a log's",
        "[3] vkey: is the key of another",
        "[5] vkey: is the key of another",
    ];
    assert_eq!(named.len(), expected.len(), "{named:?}");
    for (named, expected) in named.iter().zip(expected) {
        assert!(named.contains(expected), "{named}");
    }
    assert_eq!((report.outside.len(), report.exit_code()), (2, 2));
    assert_eq!(stand_in.requests().len(), 2);
}

#[test]
fn only_this_machine_is_asked_without_tls() {
    for url in [
        "https://witness.example",
        "https://witness.example:8443/a/",
        "https://10.0.0.1",
        "HTTPS://witness.example",
    ] {
        assert_eq!(is_https(url), Ok(true), "{url}");
    }
    for url in [
        "http://127.0.0.1:80/",
        "http://127.9.9.9",
        "http://[::1]:1/x",
        "http://localhost",
        "http://LOCALHOST:7",
    ] {
        assert_eq!(is_https(url), Ok(false), "{url}");
    }
    for url in [
        "",
        "/",
        "witness.example",
        "http://",
        "https://",
        "http://witness.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://localhost.evil.example",
        "http://localhost:1@evil.example",
        "http://[::ffff:10.0.0.1]",
        "http://2130706433",
        "http://128.0.0.1",
        "ftp://127.0.0.1",
        "file:///x",
        "https://user:word@witness.example",
        "https://witness.example/?a=b",
        "https://witness.example/#a",
        "https://witness example",
    ] {
        assert!(is_https(url).is_err(), "{url}");
    }
}

/// A grown chain that is to be fed once more.
async fn grown() -> (World, StandIn) {
    let (world, stand_in) = world().await;
    assert_eq!(world.anchor().await.exit_code(), 0);
    world.seal("aws", &["e"]).await;
    world.clock.advance(60_000);
    (world, stand_in)
}

#[tokio::test(start_paused = true)]
async fn any_store_call_of_a_feed_may_fail_twice() {
    // The calls from the first look at what the outside witness accepted.
    let (world, _stand_in) = grown().await;
    let (calls, begin) = (Arc::new(Mutex::new(Vec::new())), world.faults.counts());
    let seen = calls.clone();
    world.faults.fail_when(move |call| {
        let mut seen = seen.lock().unwrap();
        if !seen.is_empty() || call.key.starts_with("outside-") {
            seen.push((call.counts.total() - begin.total(), call.kind));
        }
        None
    });
    assert_eq!(world.anchor().await.exit_code(), 0);
    let calls = calls.lock().unwrap().clone();
    let kinds: Vec<_> = calls.iter().map(|(_, kind)| *kind).collect();
    assert!(kinds.contains(&CallKind::Load) && kinds.contains(&CallKind::Swap));
    assert!(kinds.contains(&CallKind::Put) && kinds.contains(&CallKind::Get));
    let mut cases = 0;
    for (nth, kind) in calls {
        let ways: &[Fault] = match kind.is_write() {
            true => &[Fault::Lost, Fault::Done, Fault::Transient, Fault::Refused],
            false => &[Fault::Transient, Fault::Refused],
        };
        for (way, twice) in ways.iter().flat_map(|way| [(*way, false), (*way, true)]) {
            let (world, _stand_in) = grown().await;
            let (fired, begin) = (Arc::new(Mutex::new(0)), world.faults.counts());
            let count = fired.clone();
            world.faults.fail_when(move |call| {
                let at = call.counts.total() - begin.total();
                let fails = at == nth || (twice && at == nth + 1);
                *count.lock().unwrap() += u32::from(fails);
                fails.then_some(way)
            });
            let report = world.anchor().await;
            assert_ne!(report.exit_code(), 1, "{way:?} {nth}: {report:?}");
            assert!(*fired.lock().unwrap() >= 1, "{way:?} {nth}");
            world.faults.clear();
            world.clock.advance(60_000);
            let report = world.anchor().await;
            assert_eq!(report.exit_code(), 0, "{way:?} {nth}: {report:?}");
            assert!(matches!(
                of_aws(&report),
                OutsideResult::Cosigned { .. } | OutsideResult::Current { .. }
            ));
            let newest = report
                .witnessed
                .iter()
                .find_map(|(_, origin, done)| match done {
                    Witnessing::Cosigned { size, .. } | Witnessing::Current { size }
                        if origin == AWS =>
                    {
                        Some(*size)
                    }
                    _ => None,
                });
            assert_eq!(kept(&world).await.last().copied(), newest, "{way:?} {nth}");
            let report = verify(&world.deployment, &Options::default(), &*world.clock, &()).await;
            let report = report.unwrap();
            assert_eq!(
                report.result,
                Verdict::Verified,
                "{}",
                report.to_text(false)
            );
            cases += 1;
        }
    }
    assert!(cases >= 30, "{cases}");
}
