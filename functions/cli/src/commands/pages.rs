//! `completions` and `man`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::args::Cli;
use crate::ui::{Failure, Out, Outcome, Status};

/// Prints completions.
///
/// # Errors
/// When stdout fails.
pub fn completions(shell: Shell) -> Outcome {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "countersign", &mut bytes);
    print(&bytes)
}

/// Prints the manual page, of one command or of all.
///
/// # Errors
/// When there is no such command, or stdout fails.
pub fn man(name: Option<&str>) -> Outcome {
    let mut command = Cli::command();
    command.build();
    let page = match name {
        None => command,
        Some(name) => {
            let found = command.find_subcommand(name).ok_or_else(|| {
                Failure::undone(format_args!(
                    "there is no command `{name}`: countersign --help lists them"
                ))
            })?;
            found.clone()
        }
    };
    let mut bytes = Vec::new();
    clap_mangen::Man::new(page)
        .render(&mut bytes)
        .map_err(|error| Failure::undone(format_args!("no manual page: {error}")))?;
    print(&bytes)
}

fn print(bytes: &[u8]) -> Outcome {
    let mut out = Out::new();
    out.bytes(bytes);
    out.finish()?;
    Ok(Status::Well)
}
