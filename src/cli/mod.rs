//! The command line.

mod act;
mod audit;
mod check;
mod cluster;
mod complete;
mod diff;
mod events;
mod exceptions;
mod explain;
mod generate;
mod names;
mod output;
mod render;
mod report;
mod run;
mod tree;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::engine::errors::in_full;

/// Holds every selected namespace of a Kubernetes cluster at the security posture that a SecurityBaseline declares.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the operator.
    Run {
        /// The configuration file. Without it every key has its default.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        #[command(flatten)]
        election: run::Election,
    },
    /// Print the custom resource definitions.
    Crds {
        /// Write JSON schemas of the kinds into this folder instead, for editors and linters.
        #[arg(long, value_name = "DIR")]
        json_schemas: Option<PathBuf>,
    },
    /// Check whether this cluster, and the operator's ServiceAccount, can do it.
    Check(check::Args),
    /// Say what departs from the baselines now.
    Audit(audit::Args),
    /// Say what a change would do: in which namespaces, to which objects, and whether it would wait to be confirmed.
    Diff(diff::Args),
    /// Explain one namespace: what holds, which baseline says so, what is blocked, and what to do.
    Explain(explain::Args),
    /// Show the baselines, their namespaces and their objects.
    Tree(tree::Args),
    /// Show what the operator told, as Kubernetes events.
    Events(events::Args),
    /// Show what is waived, by whom, and for how long.
    Exceptions(exceptions::Args),
    /// Confirm a change of a baseline that waits.
    Confirm(act::Confirm),
    /// Have a baseline let go of namespaces that lost the labels that selected them.
    Release(act::Release),
    /// Suspend a baseline: nothing is written for it, and what it enforced stays.
    Suspend(act::Suspend),
    /// Have a suspended baseline go on.
    Resume(act::Suspend),
    /// Report the posture of the cluster: for a terminal, as data, for a pipeline, or as a page.
    Report(report::Args),
    /// Print the very objects that Enforce would create in a namespace, without a cluster.
    Render(render::Args),
    /// Print a script that completes commands in a shell. (kubectl's own completion asks a program
    /// kubectl_complete-security_baseline on the PATH, which this program is under that name.)
    Completion {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Write the generated files into a checkout: crds/ and docs/reference/.
    #[command(hide = true)]
    Generate {
        /// The checkout.
        #[arg(long, value_name = "DIR", default_value = ".")]
        root: PathBuf,
    },
}

/// What a command found.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Clean,
    /// Something.
    Findings,
    /// It cannot be told, for these reasons.
    Unknown(Vec<String>),
}

impl Verdict {
    /// What a report amounts to. What is unknown is no matter of taste: `--exit-zero` does not change it.
    fn of(report: &report::model::Report, exit_zero: bool) -> Self {
        let doubts = report.doubts();
        if !doubts.is_empty() {
            return Self::Unknown(doubts);
        }
        Self::found(report.has_findings(), exit_zero)
    }

    /// Whether something was found.
    fn found(found: bool, exit_zero: bool) -> Self {
        if found && !exit_zero {
            Self::Findings
        } else {
            Self::Clean
        }
    }
}

/// What a command fails with: a sentence for a person.
type Failure = Box<dyn std::error::Error>;

/// What a command answers that finds nothing.
type Done = Result<(), Failure>;

/// Where kubectl finds a plugin of this name, and how it is called then.
const PLUGIN: (&str, &str) = ("kubectl-security_baseline", "kubectl security-baseline");

/// Runs the command that the arguments name. It exits with 0 where all is well, 1 where something is found, 2 where
/// something went wrong.
pub fn main() -> ExitCode {
    let name = called();
    if stem().as_deref() == Some(complete::PROGRAM) {
        let words: Vec<String> = std::env::args().skip(1).collect();
        // A shell shows nothing of an error while somebody types.
        let _ = print(&complete::candidates(Cli::command(), &words));
        return ExitCode::SUCCESS;
    }
    let matches = Cli::command().bin_name(name).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let verdict = run_command(cli.command);
    // What others wrote may be in it.
    let tell = |what: &dyn std::fmt::Display| {
        let lines: Vec<String> = what.to_string().lines().map(output::harmless).collect();
        eprintln!("{name}: {}", lines.join("\n"));
    };
    match verdict {
        Ok(Verdict::Clean) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(1),
        Ok(Verdict::Unknown(why)) => {
            why.iter().for_each(|why| tell(why));
            ExitCode::from(2)
        }
        Err(error) => {
            tell(&in_full(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

/// What the program is called: as a plugin, by what its user types.
fn called() -> &'static str {
    if stem().as_deref() == Some(PLUGIN.0) {
        PLUGIN.1
    } else {
        "security-baseline-operator"
    }
}

/// The name of the program's file.
fn stem() -> Option<String> {
    let path = PathBuf::from(std::env::args_os().next()?);
    Some(path.file_stem()?.to_str()?.to_owned())
}

fn run_command(command: Command) -> Result<Verdict, Failure> {
    let clean = |()| Verdict::Clean;
    match command {
        Command::Run { config, election } => run::run(config, &election).map(clean),
        Command::Crds { json_schemas: None } => generate::print_crds().map(clean),
        Command::Crds {
            json_schemas: Some(folder),
        } => generate::write_json_schemas(&folder).map(clean),
        Command::Render(args) => render::render(&args).map(clean),
        Command::Generate { root } => generate::generate(&root).map(clean),
        Command::Completion { shell } => complete(shell).map(clean),
        Command::Check(args) => wait_for(check::check(&args)),
        Command::Tree(args) => wait_for(tree::tree(&args)),
        Command::Events(args) => wait_for(events::events(&args)),
        Command::Exceptions(args) => wait_for(exceptions::exceptions(&args)),
        Command::Confirm(args) => wait_for(act::confirm(&args)),
        Command::Release(args) => wait_for(act::release(&args)),
        Command::Suspend(args) => wait_for(act::suspend(&args, true)),
        Command::Resume(args) => wait_for(act::suspend(&args, false)),
        Command::Report(args) => wait_for(report::report(&args)),
        Command::Audit(args) => wait_for(audit::audit(&args)),
        Command::Diff(args) => wait_for(diff::diff(&args)),
        Command::Explain(args) => wait_for(explain::explain(&args)),
    }
}

/// Prints a script that completes the commands of the program, by the name of its file.
fn complete(shell: clap_complete::Shell) -> Done {
    let name = if called() == PLUGIN.1 { PLUGIN.0 } else { called() };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), name, &mut script);
    print(&String::from_utf8(script)?)
}

/// Runs a command that talks to a cluster.
fn wait_for(command: impl Future<Output = Result<Verdict, Failure>>) -> Result<Verdict, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(command)
}

/// Prints a text. Who reads only its beginning (`| head`) has what they want.
fn print(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
