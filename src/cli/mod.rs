//! The command line.

mod generate;
mod render;
mod run;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Print the very objects that Enforce would create in a namespace, without a cluster.
    Render(render::Args),
    /// Write the generated files into a checkout: crds/ and docs/reference/.
    #[command(hide = true)]
    Generate {
        /// The checkout.
        #[arg(long, value_name = "DIR", default_value = ".")]
        root: PathBuf,
    },
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run { config, election } => run::run(config, &election),
        Command::Crds { json_schemas: None } => generate::print_crds(),
        Command::Crds {
            json_schemas: Some(folder),
        } => generate::write_json_schemas(&folder),
        Command::Render(args) => render::render(&args),
        Command::Generate { root } => generate::generate(&root),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("security-baseline-operator: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What a command answers when it fails: a sentence for a person.
type Done = Result<(), Box<dyn std::error::Error>>;

/// Prints a text. Who reads only its beginning (`| head`) has what they want.
fn print(text: &str) -> Done {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}
