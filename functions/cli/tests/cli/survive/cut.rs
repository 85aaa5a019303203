//! Files that are cut off: to nothing, in the middle, by their last byte.

use super::*;

/// A kind of file, and which commands cannot do their work when one is cut off.
struct Kind {
    name: &'static str,
    /// The start of its path, the newest file of which is cut.
    prefix: &'static str,
    /// How many newer files of the kind are left alone.
    skip: usize,
    noticed_by: &'static [&'static str],
    /// It means the same without the line feed at its end.
    last_byte_spare: bool,
}

const fn kind(
    name: &'static str,
    prefix: &'static str,
    noticed_by: &'static [&'static str],
) -> Kind {
    Kind {
        name,
        prefix,
        skip: 0,
        noticed_by,
        last_byte_spare: false,
    }
}

/// All that is stored, all state, all that an operator keeps.
const KINDS: &[Kind] = &[
    // The first of all: it is published, and anchor does not read it again.
    Kind {
        skip: 4,
        ..kind(
            "published segment",
            "aws/sealed/segments/",
            &["verify", "prove", "log"],
        )
    },
    kind(
        "segment",
        "aws/sealed/segments/",
        &["verify", "anchor", "log"],
    ),
    kind(
        "genesis",
        "aws/sealed/genesis.json",
        &["verify", "seal", "anchor"],
    ),
    kind("head", "aws/state/head-", &["verify", "seal", "anchor"]),
    kind("witness state", "aws/state/witness-", &["anchor"]),
    kind("tile", "aws/sealed/tile/", &["verify", "anchor", "prove"]),
    kind("index", "aws/sealed/index/", &["verify"]),
    kind(
        "checkpoint",
        "aws/sealed/checkpoints/",
        &["verify", "anchor", "prove"],
    ),
    kind("anchor", "aws/sealed/anchors/", &["verify"]),
    Kind {
        last_byte_spare: true,
        ..kind("seed", "keys/aws.seed", &["seal", "anchor"])
    },
    Kind {
        last_byte_spare: true,
        ..kind("witness seed", "keys/azure-witness.seed", &["anchor"])
    },
    kind(
        "policy",
        "countersign.policy",
        &["verify", "seal", "anchor", "prove", "log"],
    ),
    Kind {
        last_byte_spare: true,
        ..kind(
            "settings",
            "countersign.toml",
            &["verify", "seal", "anchor", "prove", "log"],
        )
    },
];

#[test]
fn a_file_that_is_cut_off_is_named_and_nothing_wrong_is_signed() {
    let clouds = Clouds::new();
    let mut round = 0;
    let mut seal = |clouds: &Clouds| {
        round += 1;
        for cloud in CLOUDS {
            clouds.write("event.json", format!("{{\"{cloud}\":{round}}}").as_bytes());
            clouds.expect(0, &["seal", "--chain", cloud, "event.json"]);
        }
        clouds.write("event.json", format!("{{\"new\":{round}}}").as_bytes());
    };
    seal(&clouds);
    clouds.expect(0, &["anchor"]);
    for kind in KINDS {
        // Something is published, and something is not yet.
        seal(&clouds);
        clouds.expect(0, &["anchor"]);
        seal(&clouds);
        let prefix = clouds.path(kind.prefix);
        let prefix = prefix.to_str().unwrap();
        let mut of_kind = files(clouds.0.path());
        of_kind.retain(|file| {
            let path = file.to_str().unwrap();
            path.strip_prefix(prefix)
                .is_some_and(|rest| !rest.contains(".lock"))
        });
        of_kind.sort_by_key(|file| {
            (
                fs::metadata(file).unwrap().modified().unwrap(),
                file.clone(),
            )
        });
        let file = of_kind.iter().rev().nth(kind.skip).expect(kind.name);
        let whole = fs::read(file).unwrap();
        for (cut, spare) in [
            (0, false),
            (whole.len() / 2, false),
            (whole.len() - 1, kind.last_byte_spare),
        ] {
            write_over(file, &whole[..cut]);
            for command in [
                &["verify"][..],
                &["seal", "--chain", "aws", "event.json"],
                &["anchor"],
                &["prove", "--chain", "aws", "--index", "1"],
                &["log", "--chain", "aws"],
            ] {
                let output = clouds.command(command).output().unwrap();
                let notices = !spare && kind.noticed_by.contains(&command[0]);
                // What goes on all the same goes on whatever is left of the file.
                if !notices && cut > 0 && !spare {
                    continue;
                }
                let case = format!("{} cut to {cut}: {command:?}", kind.name);
                if !notices {
                    assert_eq!(output.status.code(), Some(0), "{case}: {}", stderr(&output));
                    continue;
                }
                let name = file.file_name().unwrap().to_str().unwrap();
                let said = if command == ["verify"] && output.status.code() == Some(1) {
                    stdout(&output)
                } else {
                    failed_well(&output)
                };
                assert!(
                    said.contains(name) || said.contains(kind.name),
                    "{case}: {said}"
                );
            }
        }
        // A copy is all that it takes.
        write_over(file, &whole);
        clouds.expect(0, &["seal", "--chain", "aws", "event.json"]);
        clouds.expect(0, &["anchor"]);
        clouds.verified();
    }
}

/// As somebody does who does not ask for the permissions of a sealed object.
fn write_over(file: &Path, bytes: &[u8]) {
    let permissions = fs::metadata(file).unwrap().permissions();
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
    fs::set_permissions(file, permissions).unwrap();
}
