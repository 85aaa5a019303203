//! Tests of what a process has once: its environment, and what it sets up first.

use std::process::Command;

/// Runs one test of this crate in a process of its own, as `set_up` gives it an
/// environment.
///
/// # Panics
///
/// With all that it printed, where it does not pass.
pub(crate) async fn passes_alone(test: &str, set_up: impl FnOnce(&mut Command)) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]);
    set_up(&mut child);
    let output = tokio::task::spawn_blocking(move || child.output().unwrap());
    let output = output.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}
