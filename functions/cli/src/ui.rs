//! What the commands share in talking to people and programs.

use std::fmt::{self, Display};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, StdoutLock, Write};
use std::process::ExitCode;
use std::time::Duration;

use anstyle::Style;
use countersign_service::printable;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How a command ended, as its exit status says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// All well.
    Well,
    /// A check failed.
    Failed,
    /// It could not be done.
    Undone,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> Self {
        match status {
            Status::Well => Self::SUCCESS,
            Status::Failed => Self::from(1),
            Status::Undone => Self::from(2),
        }
    }
}

/// Why a command stopped: what happened, what to do next.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub status: Status,
    /// For stderr.
    pub message: String,
}

/// How a command ends.
pub type Outcome = Result<Status, Failure>;

impl Failure {
    /// It could not be done.
    pub fn undone(message: impl Display) -> Self {
        Self {
            status: Status::Undone,
            message: message.to_string(),
        }
    }

    /// A check failed.
    pub fn failed(message: impl Display) -> Self {
        Self {
            status: Status::Failed,
            message: message.to_string(),
        }
    }
}

/// A line on stderr. Nobody may be listening, and that is no error.
pub fn say(line: fmt::Arguments<'_>) {
    // File names and stored values get into messages.
    let line = printable(&line.to_string());
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Help that was asked for, on stdout, or what is wrong with the arguments.
///
/// # Errors
/// When help could not be written, though somebody reads.
pub fn usage(error: &clap::Error) -> Outcome {
    match error.print() {
        Err(io) if !error.use_stderr() && io.kind() != ErrorKind::BrokenPipe => Err(unwritten(&io)),
        _ if error.use_stderr() => Ok(Status::Undone),
        _ => Ok(Status::Well),
    }
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::undone(format_args!("stdout cannot be written: {error}"))
}

/// Buffered stdout. When its reader goes away (`| head`), what follows is
/// dropped; other errors show in [`Out::finish`].
pub struct Out {
    writer: BufWriter<StdoutLock<'static>>,
    error: Option<io::Error>,
}

impl Out {
    /// Takes stdout.
    pub fn new() -> Self {
        Self {
            writer: BufWriter::with_capacity(256 << 10, io::stdout().lock()),
            error: None,
        }
    }

    /// Writes bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        if self.is_open() {
            self.error = self.writer.write_all(bytes).err();
        }
    }

    /// Writes a line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        if self.is_open() {
            self.error = writeln!(self.writer, "{line}").err();
        }
    }

    /// Lets the reader have what was written so far.
    pub fn flush(&mut self) {
        if self.is_open() {
            self.error = self.writer.flush().err();
        }
    }

    /// Whether somebody still reads.
    pub fn is_open(&self) -> bool {
        self.error.is_none()
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When stdout could not be written, though somebody reads.
    pub fn finish(mut self) -> Result<(), Failure> {
        self.flush();
        match self.error {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritten(&error)),
            _ => Ok(()),
        }
    }
}

/// Whether stdout takes colour: a terminal, and nobody said no.
pub fn stdout_takes_colour() -> bool {
    let said_no = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    io::stdout().is_terminal() && !said_no && !dumb
}

/// A text in a style, or plain.
pub fn styled(text: &str, style: Style, colour: bool) -> String {
    if colour {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// A counter on stderr; hidden unless that is a terminal.
pub fn counter(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}: {human_pos} ({elapsed})") {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// A bar of bytes on stderr; hidden unless that is a terminal. Its length grows.
pub fn byte_bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(10));
    let template = "{msg} {wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}

/// `1 file`, `2 files`.
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
