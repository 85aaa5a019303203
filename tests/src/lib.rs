//! Three clouds in local folders, whole: what an end-to-end test needs to seal,
//! anchor, tamper and verify, through the same jobs that the command line calls.

#![allow(clippy::unwrap_used, clippy::expect_used)] // for tests alone

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use countersign_core::keys::{KeyKind, Seed, SeedSigner};
use countersign_core::segment::{self, Header};
use countersign_core::signed;
use countersign_service::anchor::{AnchorReport, anchor};
use countersign_service::chain::Deployment;
use countersign_service::clock::{Clock, SetClock, SystemClock};
use countersign_service::config::Settings;
use countersign_service::init::init_with;
use countersign_service::keys;
use countersign_service::seal::{Incoming, Job, JobError, Receipt, Sealer};
use countersign_service::stores::Stores;
use countersign_service::verify::{self, Options, Report};
#[cfg(feature = "emulators")]
use countersign_store::emulators::Emulators;
use serde_json::Value;

pub mod functions;
pub mod gate;
pub mod lambda;
pub mod mails;
pub mod stand_ins;
pub mod targets;

/// The clouds, in the order of their names.
pub const CLOUDS: [&str; 3] = ["aws", "azure", "gcp"];

/// 2026-11-24T21:00:00Z.
pub const START_MILLIS: u64 = 1_795_554_000_000;

/// A folder of the real test material beside the project, if it is there; else
/// says that the test is skipped.
pub fn data(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/data")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent", path.display());
    None
}

/// The address of a server that `scripts/services up` started, by the name of
/// its variable: `STANDIN_S3_DIRECT`. None, said on stderr, where there is none.
///
/// # Panics
///
/// Where there is none though `STANDINS=required` is set, as `scripts/test` does.
pub fn stand_in(variable: &str) -> Option<String> {
    let found = std::env::var(variable).ok().filter(|url| !url.is_empty());
    if found.is_none() {
        let required = std::env::var_os("STANDINS").is_some_and(|value| value == "required");
        assert!(!required, "{variable} is not set: run scripts/services up");
        eprintln!("skipped: {variable} is not set (scripts/services up starts what it names)");
    }
    found
}

/// Three clouds in a folder that goes with them, or with stores elsewhere.
pub struct Clouds {
    folder: tempfile::TempDir,
    #[cfg(feature = "emulators")]
    emulators: Option<Emulators>,
    /// The jobs' clock.
    pub clock: Arc<SetClock>,
}

impl Clouds {
    /// Three chains that were begun.
    pub async fn new() -> Self {
        Self::begun_at(START_MILLIS).await
    }

    /// Three chains that were begun now, by the machine's clock, as programs have
    /// it that write to them.
    pub async fn today() -> Self {
        Self::begun_at(SystemClock.unix_millis()).await
    }

    /// Three chains with a record each, countersigned, of which the keys of one
    /// cloud alone are left: what that cloud's scheduled functions have.
    pub async fn with_keys_of(cloud: &str) -> Self {
        let clouds = Self::today().await;
        for chain in CLOUDS {
            let event = ("x".to_owned(), b"{\"n\":1}".to_vec());
            let (_, errors) = clouds.seal(chain, vec![event]).await;
            assert!(errors.is_empty(), "{errors:?}");
        }
        clouds.anchor().await;
        for other in CLOUDS.into_iter().filter(|other| *other != cloud) {
            for key in [other.to_owned(), format!("{other}-witness")] {
                fs::remove_file(clouds.path(&format!("keys/{key}.seed"))).unwrap();
            }
        }
        clouds
    }

    async fn begun_at(unix_millis: u64) -> Self {
        let clouds = Self {
            folder: tempfile::tempdir().unwrap(),
            #[cfg(feature = "emulators")]
            emulators: None,
            clock: Arc::new(SetClock::new(unix_millis)),
        };
        let mut text = "domain = \"audit.example.org\"\n".to_owned();
        for cloud in CLOUDS {
            text += &format!(
                "[chain.{cloud}]\nsealed = \"file:{cloud}/sealed\"\nhead = \"file:{cloud}/state\"\nkey = \"file:keys/{cloud}.seed\"\n\
                 [witness.{cloud}]\nsealed = \"file:{cloud}/sealed\"\nstate = \"file:{cloud}/state\"\nkey = \"file:keys/{cloud}-witness.seed\"\n"
            );
        }
        clouds.begin(&text).await;
        clouds
    }

    /// Chains with these settings that were begun, their stores and keys on the
    /// stand-ins. Their clock begins two hours ago, since some stand-ins have the
    /// real time and nothing may come from the future.
    #[cfg(feature = "emulators")]
    pub async fn over(emulators: &Emulators, settings: &str) -> Self {
        let began = SystemClock.unix_millis() - 2 * 3_600_000;
        let clouds = Self {
            folder: tempfile::tempdir().unwrap(),
            emulators: Some(emulators.clone()),
            clock: Arc::new(SetClock::new(began)),
        };
        clouds.begin(settings).await;
        clouds
    }

    async fn begin(&self, settings: &str) {
        fs::write(self.path("countersign.toml"), settings).unwrap();
        let stores = self.stores();
        init_with(&self.settings(), None, None, &*self.clock, &stores)
            .await
            .unwrap();
    }

    /// What opens the stores and the keys.
    pub fn stores(&self) -> Arc<Stores> {
        #[cfg(feature = "emulators")]
        if let Some(emulators) = &self.emulators {
            return Arc::new(Stores::over(emulators).unwrap());
        }
        Arc::default()
    }

    /// A copy that can be tampered with.
    pub fn copy(&self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.folder.path(), copy.path());
        Self {
            folder: copy,
            #[cfg(feature = "emulators")]
            emulators: self.emulators.clone(),
            clock: Arc::new(SetClock::new(self.clock.unix_millis())),
        }
    }

    /// A path in the folder.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        Settings::load(&self.path("countersign.toml"), []).unwrap()
    }

    /// All stores, under the pinned policy.
    pub async fn deployment(&self) -> Deployment {
        Deployment::open_with(self.settings(), None, self.stores())
            .await
            .unwrap()
    }

    /// The signer of a chain.
    pub fn signer(&self, chain: &str) -> SeedSigner {
        let file = fs::read(self.path(&format!("keys/{chain}.seed"))).unwrap();
        let origin = format!("audit.example.org/{chain}");
        SeedSigner::new(&origin, KeyKind::Log, &Seed::parse(&file).unwrap()).unwrap()
    }

    /// Seals deliveries (name and bytes); broken ones are returned with their error.
    pub async fn seal(
        &self,
        chain: &str,
        deliveries: Vec<(String, Vec<u8>)>,
    ) -> (Vec<Receipt>, Vec<JobError>) {
        let deployment = self.deployment().await;
        let (receipts, errors) = self.seal_through(&deployment, chain, deliveries).await;
        let broken = |error: &JobError| matches!(error, JobError::Source { .. });
        assert!(errors.iter().all(broken), "{errors:?}");
        (receipts, errors)
    }

    /// The same through the stores of a deployment, which may fail; what is not
    /// durable is an error then.
    pub async fn seal_through(
        &self,
        deployment: &Deployment,
        chain: &str,
        deliveries: Vec<(String, Vec<u8>)>,
    ) -> (Vec<Receipt>, Vec<JobError>) {
        let chain = deployment.chains_named(chain).unwrap()[0].clone();
        let signer = keys::chain_signer(&chain.settings, &deployment.stores);
        let signer = signer.await.unwrap();
        let mut sealers = [Sealer::open(chain, signer, self.clock.clone(), 12).unwrap()];
        let mut job = Job::new(&mut sealers, 1 << 30);
        let (mut receipts, mut errors) = (Vec::new(), Vec::new());
        for (from, bytes) in deliveries {
            match job
                .add(Incoming {
                    from,
                    id: None,
                    input: Box::new(bytes),
                })
                .await
            {
                Ok(done) => receipts.extend(done),
                Err(error) => errors.push(error),
            }
        }
        match job.finish().await {
            Ok(done) => receipts.extend(done),
            Err(error) => errors.push(error.into()),
        }
        (receipts, errors)
    }

    /// Publishes and witnesses every chain once.
    pub async fn anchor(&self) -> AnchorReport {
        anchor(&self.deployment().await, self.clock.clone())
            .await
            .unwrap()
    }

    /// Verifies everything; the report as the command line prints it.
    pub async fn verify(&self) -> Value {
        self.verify_with(&self.deployment().await).await
    }

    /// Verifies a deployment, which may have another policy.
    pub async fn verify_with(&self, deployment: &Deployment) -> Value {
        serde_json::from_str(&self.report_of(deployment).await.to_json()).unwrap()
    }

    /// Verifies a deployment.
    pub async fn report_of(&self, deployment: &Deployment) -> Report {
        verify::verify(deployment, &Options::default(), &*self.clock, &())
            .await
            .unwrap()
    }

    /// Publishes and witnesses every chain, and verifies everything, by the
    /// machine's clock. A chain without a record would fail: it gets one.
    pub async fn anchored_and_verified(&self) -> Report {
        for cloud in CLOUDS
            .into_iter()
            .filter(|cloud| self.logs(cloud).is_empty())
        {
            let idle = ("idle".to_owned(), b"{\"idle\":true}".to_vec());
            let (_, errors) = self.seal(cloud, vec![idle]).await;
            assert!(errors.is_empty(), "{errors:?}");
        }
        let behind = SystemClock.unix_millis() - self.clock.unix_millis();
        self.clock.advance(i64::try_from(behind).unwrap());
        self.anchor().await;
        let deployment = self.deployment().await;
        verify::verify(&deployment, &Options::default(), &*self.clock, &())
            .await
            .unwrap()
    }

    /// The records of a cloud's chain, but for those of anchors.
    pub fn logs(&self, cloud: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for name in self.named(cloud, "segments/") {
            let object = &self.objects(cloud)[&name];
            let content = segment::decompress(object, 1 << 26).unwrap();
            let lines = content.split(|byte| *byte == b'\n').skip(1);
            let records = lines.filter(|line| !line.is_empty());
            found.extend(records.map(|line| serde_json::from_slice::<Value>(line).unwrap()));
        }
        found.retain(|record| record["source"] != "countersign.anchor");
        found
    }

    /// The objects of a cloud's sealed store: name and bytes.
    pub fn objects(&self, cloud: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.path(cloud).join("sealed");
        let mut found = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.file_name().unwrap().to_string_lossy().starts_with('.') {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path
                        .strip_prefix(&root)
                        .unwrap()
                        .to_str()
                        .unwrap()
                        .to_owned();
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found
    }

    /// Names of a cloud's objects that begin so.
    pub fn named(&self, cloud: &str, prefix: &str) -> Vec<String> {
        self.objects(cloud)
            .into_keys()
            .filter(|name| name.starts_with(prefix))
            .collect()
    }

    /// Removes an object, as an administrator of the folder can.
    pub fn remove(&self, cloud: &str, name: &str) {
        fs::remove_file(self.path(cloud).join("sealed").join(name)).unwrap();
    }

    /// Puts other bytes in an object's place.
    pub fn replace(&self, cloud: &str, name: &str, bytes: &[u8]) {
        let path = self.path(cloud).join("sealed").join(name);
        let _ = fs::remove_file(&path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Checks that did not pass: `chain check` for each, sorted.
pub fn failed(report: &Value) -> Vec<String> {
    with_status(report, "fail")
}

/// Checks of that status.
pub fn with_status(report: &Value, status: &str) -> Vec<String> {
    let mut found = Vec::new();
    for chain in report["chains"].as_array().unwrap() {
        let name = chain["origin"]
            .as_str()
            .unwrap()
            .rsplit('/')
            .next()
            .unwrap();
        for check in chain["checks"].as_array().unwrap() {
            if check["status"] == status {
                found.push(format!("{name} {}", check["name"].as_str().unwrap()));
            }
        }
    }
    found
}

/// Segments whose `change` maps the header and body, signed anew and compressed.
pub fn resealed(
    object: &[u8],
    seed: Option<u8>,
    signer: &SeedSigner,
    change: impl FnOnce(&mut Header, &mut Vec<u8>),
) -> Vec<u8> {
    let content = segment::decompress(object, 64 << 20).unwrap();
    let line_end = content.iter().position(|byte| *byte == b'\n').unwrap();
    let mut header: Header = signed::read(&content[..line_end]).unwrap();
    let mut body = content[line_end + 1..].to_vec();
    change(&mut header, &mut body);
    let line = match seed {
        Some(seed) => {
            let seed = Seed::from_bytes([seed; 32]);
            let other = SeedSigner::new(&header.origin, KeyKind::Log, &seed).unwrap();
            signed::sign(&mut header, &other).unwrap()
        }
        None => signed::sign(&mut header, signer).unwrap(),
    };
    segment::encode(&line, &[&body], 3).unwrap()
}

/// Copies a folder and all below it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
