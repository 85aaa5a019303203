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
    talk::listen();
    let ended = match args::Cli::try_parse() {
        Ok(cli) => commands::run(cli),
        Err(error) => ui::usage(&error),
    };
    match ended {
        Ok(status) => status.into(),
        Err(failure) => {
            ui::say(format_args!("countersign: {}", failure.message));
            failure.status.into()
        }
    }
}
