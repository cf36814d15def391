//! `audit`: what departs from the baselines now.

use super::cluster::{Look, Namespaces};
use super::output::Formatted;
use super::report::{collect, table};
use super::{Failure, Verdict, print};

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    namespaces: Namespaces,
    #[command(flatten)]
    formatted: Formatted,
}

pub(super) async fn audit(args: &Args) -> Result<Verdict, Failure> {
    let (snapshot, source) = args.look.snapshot(args.namespaces.scope()).await?;
    let report = collect::report(&snapshot, source);
    let text = args.formatted.text(&report, |paint| table::findings(&report, paint))?;
    print(&text)?;
    Ok(Verdict::of(&report, args.formatted.output.exit_zero))
}
