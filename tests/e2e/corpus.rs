//! What the fuzzers found, and what they began with, once more.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use countersign_tests::targets::ALL;

#[test]
fn no_input_of_the_corpus_breaks_what_must_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut broken = Vec::new();
    for (name, target) in ALL {
        let folder = corpus.join(name);
        let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut replayed = 0;
        for entry in entries {
            let path = entry.unwrap().path();
            let input = fs::read(&path).unwrap();
            // The panic itself says on stderr what does not hold.
            if catch_unwind(|| target(&input)).is_err() {
                broken.push(format!("{name}/{}", path.file_name().unwrap().display()));
            }
            replayed += 1;
        }
        assert!(replayed > 0, "{} is empty", folder.display());
    }
    assert!(broken.is_empty(), "tests/corpus: {broken:?}");
    // A folder that no target reads would be replayed by nobody.
    let known = |name: &str| ALL.iter().any(|(target, _)| *target == name);
    for entry in fs::read_dir(&corpus).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(known(&name), "tests/corpus/{name} belongs to no target");
    }
}
