//! The emulator of Lambda that comes with cargo-lambda: it takes invocations over
//! Lambda's own API, and hands them to functions over the API of runtimes.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::functions::{Program, free_port, post};
use crate::stand_in;

/// An emulator that runs, and ends with this.
pub struct Lambda {
    program: Program,
    port: u16,
}

impl Lambda {
    /// Starts one, whose log stands in `folder`; none, said on stderr, where
    /// `scripts/services` did not install it.
    pub fn start(folder: &Path) -> Option<Self> {
        let binary = stand_in("STANDIN_CARGO_LAMBDA")?;
        let port = free_port();
        let mut command = Command::new(binary);
        // It starts no function itself, yet asks for a package.
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        command.args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"]);
        command.args(["--manifest-path", manifest, "--color", "never"]);
        command.args(["--invoke-address", "127.0.0.1", "--invoke-port"]);
        command.arg(port.to_string());
        let program = Program::run(command, folder);
        Some(Self {
            program: program.listening(port),
            port,
        })
    }

    /// What a function of that name has in its environment.
    pub fn variables(&self, name: &str) -> Vec<(&'static str, String)> {
        let api = format!("http://127.0.0.1:{}/.rt/{name}", self.port);
        vec![
            ("AWS_LAMBDA_RUNTIME_API", api),
            ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128".to_owned()),
        ]
    }

    /// Invokes a function and waits for it.
    ///
    /// # Errors
    /// What the function said as it failed.
    pub fn invoke(&self, name: &str, event: &[u8]) -> Result<Value, String> {
        let path = format!("/2015-03-31/functions/{name}/invocations");
        let headers = [("content-type", "application/json")];
        let answer = post(self.port, &path, &headers, event)
            .unwrap_or_else(|| panic!("the emulator is gone: {}", self.program.text()));
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        match (answer.status, value["errorMessage"].as_str()) {
            (200, None) => Ok(value),
            (_, Some(message)) => Err(message.to_owned()),
            _ => Err(String::from_utf8_lossy(&answer.body).into_owned()),
        }
    }
}
