//! What the command line survives on local folders: kills, full disks, folders
//! that cannot be written, files that are cut off.

mod cut;
mod disk;
mod kill;

use std::collections::BTreeMap;

use countersign_core::policy::Policy;
use countersign_core::segment::{self, Segment};

use super::*;

impl Clouds {
    /// The command that seals these files.
    fn seal(&self, cloud: &str, files: &[String]) -> Command {
        let mut command = self.command(&["seal", "--chain", cloud]);
        command.args(files);
        command
    }

    /// A chain's record lines by leaf index, as its segments hold them.
    fn records(&self, cloud: &str) -> BTreeMap<u64, String> {
        let policy = Policy::parse(&fs::read(self.path("countersign.policy")).unwrap()).unwrap();
        let key = policy.log(&format!("audit.example.org/{cloud}")).unwrap();
        let mut records = BTreeMap::new();
        for file in files(&self.path(format!("{cloud}/sealed/segments"))) {
            let segment = Segment::open(&fs::read(file).unwrap(), key).unwrap();
            let lines = segment::lines(segment.body());
            let lines = lines.map(|line| String::from_utf8(line.to_vec()).unwrap());
            records.extend((segment.header.start + 1..).zip(lines));
        }
        records
    }

    /// Asserts that all is verified and nothing is in it twice.
    fn verified(&self) {
        let output = self.expect(0, &["verify", "--format", "json"]);
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["result"], "verified");
        for chain in report["chains"].as_array().unwrap() {
            assert_eq!(chain["duplicates"], 0, "{chain}");
        }
    }
}

/// The files below a folder, sorted by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// A process that failed as it should: it says why, and did not panic.
fn failed_well(output: &Output) -> String {
    let said = stderr(output);
    let status = output.status.code();
    assert!(matches!(status, Some(1 | 2)), "{status:?}: {said}");
    assert!(said.contains("countersign: "), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}
