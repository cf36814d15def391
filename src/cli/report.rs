//! `report`: the posture of a cluster, in the format that somebody needs.

pub mod collect;
mod html;
mod junit;
pub mod model;
mod sarif;
pub mod table;

use clap::ValueEnum;
use model::DOCS;

use super::cluster::{Look, Namespaces};
use super::output::{Output, data};
use super::{Failure, Verdict, print};

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    namespaces: Namespaces,
    /// The format.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    format: Format,
    /// Where you have the folder `docs/` served: the links of findings lead there.
    #[arg(long, value_name = "URL", default_value = DOCS, help_heading = "Output")]
    docs_url: String,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal.
    Table,
    /// The documented schema, as JSON.
    Json,
    /// The same as YAML.
    Yaml,
    /// JUnit XML: a suite for each namespace, a case for each control.
    Junit,
    /// SARIF 2.1.0, for what shows findings of code.
    Sarif,
    /// One file to look at in a browser, offline.
    Html,
}

pub(super) async fn report(args: &Args) -> Result<Verdict, Failure> {
    let (snapshot, source) = args.look.snapshot(args.namespaces.scope()).await?;
    let mut report = collect::report(&snapshot, source);
    report.explained_at(&args.docs_url);
    let text = match args.format {
        Format::Table => table::overview(&report, args.output.paint()),
        Format::Json => data(&report, false)?,
        Format::Yaml => data(&report, true)?,
        Format::Junit => junit::text(&report),
        Format::Sarif => data(&sarif::log(&report, &args.docs_url), false)?,
        Format::Html => html::page(&report)?,
    };
    print(&text)?;
    Ok(Verdict::of(&report, args.output.exit_zero))
}
