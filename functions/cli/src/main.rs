//! The command line of countersign: the jobs of `countersign-service` on the
//! stores of a settings file, and what auditors need without one.
//!
//! stdout is data, stderr is talk. Exit status: 0 all well, 1 a check failed,
//! 2 it could not be done.

mod args;
mod commands;
mod talk;
mod ui;
mod view;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = args::Cli::parse();
    talk::listen();
    let ended = match commands::run(cli) {
        Ok(status) => status,
        Err(failure) => {
            ui::say(format_args!("countersign: {}", failure.message));
            failure.status
        }
    };
    ended.into()
}
