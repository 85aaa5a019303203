//! Processes that are killed at any instant.

use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use super::*;

/// Kills of each kind of run.
const KILLS: usize = 50;

/// How long a run takes, as far as it is known, and how many kills hit one.
struct Aim {
    takes: Duration,
    hits: usize,
}

impl Aim {
    fn at(run: impl FnOnce()) -> Self {
        let began = Instant::now();
        run();
        Self {
            takes: began.elapsed(),
            hits: 0,
        }
    }

    /// Runs a command and kills it somewhere in the middle. What it said on
    /// stdout by then.
    fn kill(&mut self, command: &mut Command, random: &mut Random) -> String {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        sleep(self.takes.mul_f64(random.fraction()));
        // It may have ended by itself.
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        if output.status.signal() == Some(9) {
            self.hits += 1;
            self.takes = self.takes.mul_f64(1.03);
        } else {
            let said = stderr(&output);
            assert_eq!(output.status.code(), Some(0), "{said}");
            self.takes = self.takes.mul_f64(0.9);
        }
        stdout(&output)
    }
}

/// Knuth's MMIX generator: the same kills in every run, as far as time allows.
struct Random(u64);

impl Random {
    fn fraction(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from((self.0 >> 32) as u32) / f64::from(u32::MAX)
    }
}

/// The deliveries of one chain, and what was said of them.
#[derive(Default)]
struct Handed {
    all: Vec<String>,
    /// Not acknowledged yet.
    open: Vec<String>,
    /// Leaf indexes by delivery, as `sealed` lines named them.
    sealed: BTreeMap<String, (u64, u64)>,
}

impl Handed {
    /// What the whole lines of a process that may have been killed acknowledge.
    fn take(&mut self, said: &str) {
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        for line in whole.lines() {
            let name = line.rsplit(' ').next().unwrap().to_owned();
            self.open.retain(|open| *open != name);
            if let Some(range) = line.strip_prefix("sealed ") {
                let (first, last) = range.split(' ').next().unwrap().split_once("..").unwrap();
                let range = (first.parse().unwrap(), last.parse().unwrap());
                self.sealed.insert(name, range);
            }
        }
    }
}

/// A delivery of two events; a large one has a batch for itself and what came
/// before it, so that a run has two.
fn events(name: &str, large: bool) -> String {
    let pad = "x".repeat(if large { 9 << 20 } else { 0 });
    format!(
        "{{\"delivery\":\"{name}\",\"n\":0}}\n{{\"delivery\":\"{name}\",\"n\":1,\"pad\":\"{pad}\"}}\n"
    )
}

#[test]
fn killed_processes_lose_nothing_and_repeat_nothing() {
    let clouds = Clouds::settings(TempDir::new().unwrap());
    // So that what was sealed at first is still known at the end.
    let settings = fs::read_to_string(clouds.path("countersign.toml")).unwrap();
    let settings = format!("duplicate_window = 1000\n{settings}");
    clouds.write("countersign.toml", settings.as_bytes());
    clouds.expect(0, &["init"]);
    let mut random = Random(20_261_124);
    let mut handed: BTreeMap<&str, Handed> = BTreeMap::new();
    let deliver = |handed: &mut Handed, name: String, large: bool| {
        clouds.write(&name, events(&name, large).as_bytes());
        handed.all.push(name.clone());
        handed.open.push(name);
    };
    clouds.write("first.json", events("first.json", true).as_bytes());
    let first = ["seal", "--chain", "aws", "first.json"];
    let mut sealing = Aim::at(|| drop(clouds.expect(0, &first)));
    let mut anchoring = Aim::at(|| drop(clouds.expect(0, &["anchor"])));
    for round in 0..KILLS {
        let cloud = CLOUDS[round % 3];
        let of_cloud = handed.entry(cloud).or_default();
        for nth in 0..3 {
            let large = nth == 1 && round % 4 == 0;
            deliver(of_cloud, format!("{cloud}-{round}-{nth}.json"), large);
        }
        let said = sealing.kill(&mut clouds.seal(cloud, &of_cloud.open), &mut random);
        of_cloud.take(&said);
        anchoring.kill(&mut clouds.command(&["anchor"]), &mut random);
    }
    let hits = (sealing.hits, anchoring.hits);
    assert!(hits.0 > KILLS / 2 && hits.1 > KILLS / 2, "{hits:?}");
    let acknowledged: usize = handed.values().map(|handed| handed.sealed.len()).sum();
    let open: usize = handed.values().map(|handed| handed.open.len()).sum();
    assert!(acknowledged > 0 && open > 0, "{acknowledged} {open}");
    let left = temporary(&clouds);
    eprintln!(
        "killed {hits:?} of {KILLS} seals and anchors each; {acknowledged} deliveries acknowledged, {open} not; {} temporary files left",
        left.len()
    );

    // What was left behind goes once nobody can be writing it any more.
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for file in left {
        let file = fs::File::open(file).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    for (cloud, handed) in &mut handed {
        let again = clouds.seal(cloud, &handed.all).output().unwrap();
        assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
        handed.take(&stdout(&again));
        assert_eq!(handed.open, Vec::<String>::new());
        deliver(handed, format!("{cloud}-last.json"), false);
        let last = clouds.seal(cloud, &handed.open).output().unwrap();
        handed.take(&stdout(&last));
    }
    clouds.expect(0, &["anchor"]);
    clouds.verified();
    assert_eq!(temporary(&clouds), Vec::<PathBuf>::new());
    for (cloud, handed) in &handed {
        let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (index, line) in clouds.records(cloud) {
            if let Some(name) = line.split("\"delivery\":\"").nth(1) {
                let name = name.split('"').next().unwrap().to_owned();
                found.entry(name).or_default().push(index);
            }
        }
        found.remove("first.json");
        assert_eq!(found.len(), handed.all.len());
        for name in &handed.all {
            let [first, last] = found[name][..] else {
                panic!("{name} has the records {:?}", found[name]);
            };
            let said = handed.sealed.get(name);
            assert!(said.is_none_or(|said| *said == (first, last)), "{name}");
        }
    }
}

/// What writers are writing, or have left behind.
fn temporary(clouds: &Clouds) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for cloud in CLOUDS {
        for store in ["sealed", "state"] {
            let folder = clouds.path(format!("{cloud}/{store}/.tmp"));
            if folder.exists() {
                found.extend(files(&folder));
            }
        }
    }
    found
}
