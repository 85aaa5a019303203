//! The arguments.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// The audit log that no single administrator can rewrite.
///
/// Seals log records of AWS, Azure and Google Cloud into append-only chains. The
/// clouds countersign each other's chains, so that rewriting history takes all
/// of them at once.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    arg_required_else_help = true,
    after_help = "Exit status: 0 all well (verified); 1 a check failed; 2 it could not be done.\n\
        stdout is data, stderr is talk.\n\n\
        See it at work: countersign demo"
)]
pub struct Cli {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    /// Settings file; relative paths in it start from its folder
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "COUNTERSIGN_CONFIG",
        hide_env_values = true,
        default_value = countersign_service::config::DEFAULT_FILE
    )]
    pub config: PathBuf,
    /// Policy file: the pinned keys and the quorum, instead of the settings' own
    #[arg(long, global = true, value_name = "FILE")]
    pub policy: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Begin every new chain of the settings: keys, genesis, policy
    #[command(after_help = "Examples:\n  \
        countersign init\n  \
        countersign init --config prod/countersign.toml\n  \
        countersign init --succeeds audit.example.org/aws    a closed chain goes on in a new one\n\n\
        Give the policy file to your auditors by a way that no cloud administrator controls.")]
    Init(Init),
    /// Seal logs into a chain
    #[command(after_help = "Examples:\n  \
        countersign seal --chain aws 2026/11/*.json.gz\n  \
        gcloud logging read --format json | countersign seal --chain gcp -\n\n\
        Takes CloudTrail files, {\"records\":[…]}, LogEntry JSON, arrays and NDJSON, gzip or not.\n\
        Prints a line for each delivery with the leaf indexes of its records, for `prove`.\n\
        A delivery that was sealed already is recognized by its content.")]
    Seal(Seal),
    /// Publish every chain and countersign those of the other clouds, once
    #[command(after_help = "Examples:\n  \
        countersign anchor\n\n\
        Run it every 5 minutes. Exit status 1: a chain contradicts what was witnessed of it.")]
    Anchor,
    /// Re-check everything against the policy
    #[command(after_help = "Examples:\n  \
        countersign verify\n  \
        countersign verify --format html --output report.html\n  \
        countersign verify --chain aws --format json --output report.json\n  \
        countersign verify --chain aws --since 120000\n  \
        countersign verify --at 2026-11-24T21:00:00Z\n\n\
        Needs read access and the policy, no keys. Exit status: 0 verified; 1 failed: the\n\
        evidence contradicts; 2 incomplete: something needed could not be read.")]
    Verify(Verify),
    /// Prove that a record stands in a chain, for somebody who has no access to it
    #[command(after_help = "Examples:\n  \
        countersign prove --chain aws --index 112 -o proof.json\n  \
        countersign prove --chain aws --event event.json -o proof.json\n\n\
        `seal` and `log --format json` print indexes.")]
    Prove(Prove),
    /// Check a proof offline: needs the policy only
    #[command(after_help = "Examples:\n  \
        countersign check proof.json --policy countersign.aws.policy\n\n\
        Exit status: 0 the record stands in the chain and a quorum countersigned it; 1 the file\n\
        proves nothing; 2 it cannot be read.")]
    Check(Check),
    /// Print the canonical form of JSON lines from stdin
    #[command(after_help = "Examples:\n  \
        countersign canonicalize < events.ndjson > canonical.ndjson\n\n\
        A line whose meaning canonicalization would change (such as an integer that no double\n\
        holds) gives `line N: reason` on stderr instead, and exit status 1.")]
    Canonicalize,
    /// Show one timeline over all clouds
    #[command(after_help = "Examples:\n  \
        countersign log --since 2026-11-23T13:00:00Z\n  \
        countersign log --chain aws --format json | jq .record.event.eventName\n\n\
        Sorted by each record's own time (else by when it was sealed). Signatures of segments\n\
        are checked; whether anything is missing is for `verify` to say.")]
    Log(Log),
    /// Say what is not yet protected, per chain and cloud, in words
    #[command(after_help = "Examples:\n  \
        countersign doctor\n\n\
        Looks at the settings, at the stores' own settings and at how far the chains are\n\
        countersigned; each remark says what mends it. Whether the history holds is for `verify`\n\
        to say. Needs read access and the policy, no keys. Exit status: 0 nothing is open; 1\n\
        something is; 2 something could not be read.")]
    Doctor,
    /// Watch three clouds being sealed, countersigned, tampered with and caught
    #[command(after_help = "Examples:\n  \
        countersign demo\n  \
        countersign demo --dir demo\n  \
        scripts/demo --stores emulators\n\n\
        Everything stays on this machine. The folder is kept, so that you can tamper further.\n\
        With --stores emulators the stores are those of the three clouds, on local servers that\n\
        stand in for them; a countersign built with --features emulators has it.")]
    Demo(Demo),
    /// Print shell completions
    #[command(after_help = "Examples:\n  \
        countersign completions bash > ~/.local/share/bash-completion/completions/countersign\n  \
        countersign completions zsh > ~/.zfunc/_countersign")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "Examples:\n  \
        countersign man > countersign.1\n  \
        countersign man verify | man -l -")]
    Man {
        /// Of this command
        command: Option<String>,
    },
}

/// `init`
#[derive(Debug, Args)]
pub struct Init {
    /// The chain of this origin is closed; the one new chain goes on from its head
    #[arg(long, value_name = "ORIGIN")]
    pub succeeds: Option<String>,
}

/// `seal`
#[derive(Debug, Args)]
pub struct Seal {
    /// Name of the chain in the settings
    #[arg(long, value_name = "NAME")]
    pub chain: String,
    /// Files; `-` (or none, when something is piped in) for stdin
    pub files: Vec<PathBuf>,
}

/// `verify`
#[derive(Debug, Args)]
pub struct Verify {
    /// Only this chain
    #[arg(long, value_name = "NAME")]
    pub chain: Option<String>,
    /// Resume from a size that you trust; without ROOT, if its checkpoint has a quorum
    #[arg(long, value_name = "SIZE[:ROOT]")]
    pub since: Option<String>,
    /// Judge ages as if it were this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Write the report there instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Mail the report as well
    #[arg(long)]
    pub mail: bool,
}

/// Forms of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
    /// For browsers and printers: one file with pictures, which loads nothing
    Html,
}

/// `prove`
#[derive(Debug, Args)]
pub struct Prove {
    /// Name of the chain in the settings (NAME/0 for a shard)
    #[arg(long, value_name = "NAME")]
    pub chain: String,
    #[command(flatten)]
    pub leaf: Leaf,
    /// Write the proof there instead of stdout
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// What is to be proven.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Leaf {
    /// Leaf index of the record
    #[arg(long, value_name = "N")]
    pub index: Option<u64>,
    /// A file that holds the event (`-` for stdin); the chain is searched for it
    #[arg(long, value_name = "FILE")]
    pub event: Option<PathBuf>,
}

/// `check`
#[derive(Debug, Args)]
pub struct Check {
    /// The proof file (`-` for stdin)
    pub proof: PathBuf,
}

/// `log`
#[derive(Debug, Args)]
pub struct Log {
    /// Only records from this time on (RFC 3339)
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only this chain
    #[arg(long, value_name = "NAME")]
    pub chain: Option<String>,
    /// Form of the timeline
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub format: LogFormat,
}

/// Forms of a timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Aligned columns
    Text,
    /// One object a line
    Json,
    /// OCSF events, one a line
    Ocsf,
    /// OpenTelemetry log records
    Otlp,
}

/// `demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Play in this folder, which must be new or empty
    #[arg(long, value_name = "FOLDER")]
    pub dir: Option<PathBuf>,
    /// What the clouds are played by
    #[arg(long, value_enum, default_value_t = DemoStores::Folders)]
    pub stores: DemoStores,
    /// Seal the real logs of this folder too: cloudtrail.ndjson, azure.ndjson,
    /// gcp_audit.ndjson. With emulators, those of ../shared/data where it is there
    #[arg(long, value_name = "FOLDER")]
    pub logs: Option<PathBuf>,
}

/// What the clouds of a demonstration are played by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DemoStores {
    /// Local folders
    Folders,
    /// The local servers that `scripts/services up` starts
    Emulators,
}
