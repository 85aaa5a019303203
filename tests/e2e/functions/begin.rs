//! A program that cannot begin says why, once, in the form of its platform.

use countersign_tests::CLOUDS;
use countersign_tests::functions::{Program, built};

#[test]
fn a_program_without_settings_says_so_once() {
    for cloud in CLOUDS {
        for job in ["seal", "anchor", "verify"] {
            let name = format!("{cloud}-{job}");
            let folder = tempfile::tempdir().unwrap();
            let mut program = Program::start(&built(&name), folder.path(), &[]);
            assert_eq!(program.ended().code(), Some(1), "{name}");
            let lines = program.lines();
            let [line] = &lines[..] else {
                panic!("{name}: {lines:?}")
            };
            let level = line.get("level").or_else(|| line.get("severity"));
            assert_eq!(level.unwrap(), "ERROR", "{line}");
            let said = line["message"].as_str().unwrap();
            for says in ["countersign.toml", "COUNTERSIGN_CONFIG"] {
                assert!(said.contains(says), "{name}: {said}");
            }
        }
    }
}
