//! What the Terraform modules let whom do: their policies as they are applied, by
//! Terraform itself, over providers that do nothing. Each test skips, saying so,
//! where there is no Terraform or there are no such providers.

mod aws;
mod diagram;
mod iam;
#[cfg(feature = "emulators")]
mod live;

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// What Terraform made.
#[derive(Clone, Debug)]
struct State(Value);

impl State {
    /// A folder of `infra`, applied with these values.
    fn applied(folder: &str, values: &[&str]) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let state = tempfile::NamedTempFile::new().unwrap();
        let mut command = Command::new(root.join("scripts/infra"));
        command.arg("apply").arg(folder).arg(state.path());
        let output = command.args(values).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        let failed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}{failed}");
        let json = std::fs::read(state.path()).unwrap();
        if json.is_empty() {
            assert!(told.contains("skipped:"), "{told}{failed}");
            eprint!("{told}");
            return None;
        }
        Some(Self(serde_json::from_slice(&json).unwrap()))
    }

    /// The values of the resource at that address.
    #[track_caller]
    fn of(&self, address: &str) -> &Value {
        self.resources()
            .find(|resource| resource["address"] == address)
            .map(|resource| &resource["values"])
            .unwrap_or_else(|| panic!("there is no {address}"))
    }

    fn resources(&self) -> impl Iterator<Item = &Value> {
        let resources = &self.0["values"]["root_module"]["resources"];
        resources.as_array().unwrap().iter()
    }

    #[track_caller]
    fn text(&self, address: &str, member: &str) -> &str {
        let value = &self.of(address)[member];
        value
            .as_str()
            .unwrap_or_else(|| panic!("{member} of {address} is {value}"))
    }

    #[cfg(feature = "emulators")]
    fn output(&self, name: &str) -> &Value {
        &self.0["values"]["outputs"][name]["value"]
    }
}

/// The AWS module with all that it can have, applied once.
fn aws_module() -> Option<&'static State> {
    static APPLIED: OnceLock<Option<State>> = OnceLock::new();
    let applied = APPLIED.get_or_init(|| {
        let package = r#"packages={seal="tests/package.zip",anchor="tests/package.zip",verify="tests/package.zip"}"#;
        State::applied(
            "modules/aws",
            &[
                r#"trail={bucket="trail",kms_key_arn="arn:aws:kms:r:1:key/trail"}"#,
                "chains={app={retention_days=30},aws={retention_days=365}}",
                "seal_chain=aws",
                package,
                "report=true",
                "mail_password_secret=smtp",
                r#"auditors=["arn:aws:iam::4:role/auditor"]"#,
                r#"trusted={azure={tenant_id="tenant",audience="api://countersign",anchor_principal_id="anchors",verify_principal_id="verifies"},gcp={anchor_service_account_id="11",verify_service_account_id="22"}}"#,
                r#"reach={azure={tenant_id="tenant",client_id="client"}}"#,
            ],
        )
    });
    applied.as_ref()
}
