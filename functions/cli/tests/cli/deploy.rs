//! `scripts/deploy` over the stand-ins for the clouds, with a Terraform that plays
//! the one step which needs a real cloud: making what the settings name.

use std::os::unix::fs::PermissionsExt;

use countersign_store::emulators::Emulators;

use super::clouds::Over;
use super::*;

/// Plans have two stages; which one was applied is remembered. What it is called
/// with is written down.
const TERRAFORM: &str = r#"#!/usr/bin/env bash
set -euo pipefail
folder=${1#-chdir=}
shift
echo "$*" >>"$folder/calls"
case $1 in
    init) ;;
    plan)
        stage=1
        for argument in "$@"; do
            case $argument in
                packages=*) stage=2 ;;
                -out=*) out=${argument#-out=} ;;
            esac
        done
        echo "the plan of stage $stage"
        (($(cat "$folder/applied" 2>/dev/null || echo 0) < stage)) || exit 0
        echo "$stage" >"$out"
        exit 2
        ;;
    show) echo "{\"variables\":{\"lock_mode\":{\"value\":\"$(cat "$folder/lock")\"}}}" ;;
    apply) cp -- "${@: -1}" "$folder/applied" ;;
    output)
        case ${@: -1} in
            settings) cat "$folder/wanted.toml" ;;
            functions) echo '["aws-seal","azure-seal"]' ;;
            chains) echo '["aws","azure","gcp"]' ;;
            not_protected) echo '["no alarms, \"as said\"", "two, and more"]' ;;
        esac
        ;;
esac
"#;

struct Deploying {
    folder: TempDir,
}

impl Deploying {
    fn new(lock: &str) -> Option<Self> {
        let over = Over::new()?;
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let mut settings = fs::read_to_string(over.clouds.path("countersign.toml")).unwrap();
        let name = &over.name;
        for (cloud, key) in [
            ("aws", format!("awssecret:{name}-witness")),
            ("azure", format!("keyvault:vault/{name}-witness")),
            (
                "gcp",
                format!("gcpsecret:projects/emulators/secrets/{name}-witness"),
            ),
        ] {
            settings = settings.replace(&format!("file:{cloud}-witness.seed"), &key);
        }
        write("main.tf", "");
        write("wanted.toml", &settings);
        write("lock", lock);
        for program in ["aws-seal", "azure-seal"] {
            write(program, program);
        }
        fs::create_dir(folder.path().join("bin")).unwrap();
        write("bin/terraform", TERRAFORM);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path().join("bin/terraform"), mode).unwrap();
        Some(Self { folder })
    }

    fn run(&self, arguments: &[&str], stdin: &str) -> (Option<i32>, String) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut command = Command::new(root.join("scripts/deploy"));
        let path = std::env::var("PATH").unwrap();
        let bin = self.folder.path().join("bin");
        command
            .args(["--cli", env!("CARGO_BIN_EXE_countersign")])
            .arg("--programs")
            .args([self.folder.path(), self.folder.path()])
            .args(arguments)
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("SOURCE_DATE_EPOCH", "1764000000");
        command.envs(Emulators::from_environment().unwrap().variables());
        let output = run_with(command, stdin.as_bytes());
        (output.status.code(), stdout(&output) + &stderr(&output))
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.folder.path().join(name)).ok()
    }
}

#[test]
fn a_deployment_goes_through_and_again_changes_nothing() {
    let Some(deploying) = Deploying::new("governance") else {
        return;
    };
    let (status, said) = deploying.run(&["--plan"], "");
    assert_eq!(
        (status, deploying.read("applied")),
        (Some(0), None),
        "{said}"
    );
    let (status, said) = deploying.run(&[], "no\n");
    assert_eq!(
        (status, deploying.read("applied")),
        (Some(2), None),
        "{said}"
    );
    assert!(said.contains("not applied"), "{said}");

    let (status, said) = deploying.run(&[], "yes\nyes\n");
    assert_eq!(status, Some(0), "{said}");
    let place = |part: &str| {
        said.find(part)
            .unwrap_or_else(|| panic!("no `{part}` in {said}"))
    };
    // Each plan is shown before it is applied.
    let order = [
        "the plan of stage 1",
        "applying",
        "keys, genesis, policy",
        "the plan of stage 2",
        "VERIFIED",
        "For your auditors",
        "two, and more",
        "deployed",
    ];
    assert!(order.map(place).is_sorted(), "{said}");
    assert!(said.contains("3 clouds witness each other"), "{said}");
    assert!(
        deploying
            .read("packages/SHA256SUMS")
            .unwrap()
            .contains("aws-seal.zip")
    );
    let policy = deploying.read("countersign.policy").unwrap();
    let sums = || fs::read(deploying.folder.path().join("packages/aws-seal.zip")).unwrap();
    let packed = sums();

    let (status, again) = deploying.run(&["--yes"], "");
    assert_eq!(status, Some(0), "{again}");
    assert_eq!(again.matches("nothing to change").count(), 2, "{again}");
    assert!(again.contains("all chains have begun"), "{again}");
    assert_eq!(deploying.read("countersign.policy").unwrap(), policy);
    assert_eq!(sums(), packed);
}

#[test]
fn nothing_is_locked_for_good_unless_that_is_typed() {
    let Some(deploying) = Deploying::new("compliance") else {
        return;
    };
    for answer in ["", "yes\n"] {
        let (status, said) = deploying.run(&["--yes"], answer);
        assert_eq!(
            (status, deploying.read("applied")),
            (Some(2), None),
            "{said}"
        );
        assert!(said.contains("cannot be undone"), "{said}");
    }
}
