//! `audit`: what departs from the baselines now.

use super::cluster::{Look, Namespaces};
use super::output::{Format, Output};
use super::report::{collect, table};
use super::{Failure, Verdict, output, print};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    namespaces: Namespaces,
    /// How to print it.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    format: Format,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn audit(args: &Args) -> Result<Verdict, Failure> {
    let (snapshot, source) = args.look.snapshot(args.namespaces.scope()).await?;
    let report = collect::report(&snapshot, source);
    let text = match args.format {
        Format::Table => table::findings(&report, args.output.paint()),
        Format::Json => output::data(&report, false)?,
        Format::Yaml => output::data(&report, true)?,
    };
    print(&text)?;
    Ok(Verdict::of(&report, args.output.exit_zero))
}
