//! `tree`: from baselines to namespaces to objects. They carry no owner references, so that nothing else can show this.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Look, Namespaces};
use super::names;
use super::output::{Output, Paint, harmless};
use super::report::collect::{self, doubts};
use super::report::model::{Report, State};
use super::{Failure, Verdict, print};
use crate::core::plan::Plan;
use crate::engine::snapshot::{Snapshot, Unknown};

/// Arguments of `tree`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Only this baseline.
    #[arg(value_parser = names::object)]
    baseline: Option<String>,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    namespaces: Namespaces,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn tree(args: &Args) -> Result<Verdict, Failure> {
    let (snapshot, source) = args.look.snapshot(args.namespaces.scope()).await?;
    let mut report = collect::report(&snapshot, source);
    let only = args.baseline.as_deref();
    if let Some(only) = only
        && !report.baselines.iter().any(|baseline| baseline.name == only)
    {
        return Err(format!("there is no SecurityBaseline {only}").into());
    }
    if let Some(only) = only {
        // What is wrong elsewhere is nothing of this baseline's.
        let holds = |namespace: &str| {
            let observed = snapshot.observe(namespace);
            observed.is_some_and(|(world, plan)| {
                let mut its = plan.baselines().iter().chain(&world.released);
                its.any(|baseline| baseline.name == only)
            })
        };
        report.namespaces.retain(|namespace| holds(&namespace.name));
        report.baselines.retain(|baseline| baseline.name == only);
        let shown: BTreeSet<_> = report.namespaces.iter().map(|namespace| &namespace.name).collect();
        let of_these = |name: &String| shown.contains(name);
        report
            .exceptions
            .retain(|exception| exception.namespaces.iter().any(of_these));
    }
    print(&grown(&snapshot, &report, args.output.paint()))?;
    Ok(Verdict::of(&report, args.output.exit_zero))
}

/// An object of a baseline in a namespace, and what is to be said of it.
type Leaves = BTreeMap<String, String>;

fn grown(snapshot: &Snapshot, report: &Report, paint: Paint) -> String {
    // By baseline, and then by namespace.
    let mut leaves: BTreeMap<String, BTreeMap<&str, Leaves>> = BTreeMap::new();
    for namespace in &report.namespaces {
        let Some((_, plan)) = snapshot.observe(&namespace.name) else {
            continue;
        };
        for (place, baseline) in plan.baselines().iter().enumerate() {
            let its = leaves.entry(baseline.name.clone()).or_default();
            its.insert(&namespace.name, objects(&plan, place, &snapshot.unknown));
        }
    }
    let mut text = String::new();
    for baseline in &report.baselines {
        let title = format!("SecurityBaseline/{}", baseline.name);
        text += &format!("{} {}\n", paint.strong(&title), paint.faint(baseline.state));
        let none = BTreeMap::new();
        let namespaces = leaves.get(&baseline.name).unwrap_or(&none);
        for (number, (name, objects)) in namespaces.iter().enumerate() {
            let last = number + 1 == namespaces.len();
            let state = report
                .namespaces
                .iter()
                .find(|n| n.name == **name)
                .map_or(State::Unknown, |n| n.state);
            let state = paint.state(state, state.as_str());
            text += &format!("{} {} {state}\n", branch(last), harmless(name));
            for (number, (object, what)) in objects.iter().enumerate() {
                let stem = if last { "   " } else { "│  " };
                let shown = if what.is_empty() {
                    paint.faint("as declared")
                } else {
                    harmless(what)
                };
                text += &format!(
                    "{stem}{} {} {shown}\n",
                    branch(number + 1 == objects.len()),
                    harmless(object)
                );
            }
        }
    }
    if text.is_empty() {
        text += "There is no SecurityBaseline.\n";
    }
    text
}

const fn branch(last: bool) -> &'static str {
    if last { "└─" } else { "├─" }
}

/// What a baseline is the owner of in a namespace. Of what could not be seen, nothing is known.
fn objects(plan: &Plan, place: usize, unknown: &[Unknown]) -> Leaves {
    const UNKNOWN: &str = "unknown";
    let doubted = |object: &str, reason: &str| unknown.iter().any(|u| doubts::doubted(u, object, reason));
    let told = |object: &str, reason: &str| {
        let reason = if doubted(object, reason) { UNKNOWN } else { reason };
        reason.to_owned()
    };
    let mut leaves = Leaves::new();
    let children = plan
        .effective
        .children
        .iter()
        .filter(|(_, askers)| askers.owner() == Some(place));
    for (id, _) in children {
        let object = id.to_string();
        let unseen = unknown.iter().any(|unknown| doubts::hides(unknown, &object));
        let what = if unseen { UNKNOWN } else { "" };
        leaves.insert(object, what.to_owned());
    }
    for (key, askers) in &plan.effective.labels {
        if askers.owner() == Some(place) {
            leaves.insert(format!("label {key}"), String::new());
        }
    }
    let of_namespace = |object: &str| object.starts_with("Namespace/");
    for section in &plan.sections {
        for held in &section.held {
            if let Some(leaf) = leaves.get_mut(&held.object) {
                *leaf = told(&held.object, held.reason);
            }
        }
        for finding in &section.findings {
            let reason = finding.kind.reason();
            if of_namespace(&finding.object) {
                let paths: BTreeSet<&str> = finding.differences.iter().map(|d| d.path.as_str()).collect();
                for (label, leaf) in leaves.iter_mut().filter(|(label, _)| label.starts_with("label ")) {
                    if paths.contains(format!("metadata.labels[{}]", &label["label ".len()..]).as_str()) {
                        reason.clone_into(leaf);
                    }
                }
            } else if let Some(leaf) = leaves.get_mut(&finding.object) {
                *leaf = told(&finding.object, reason);
            }
        }
    }
    for waived in &plan.waived {
        for (object, leaf) in leaves.iter_mut().filter(|(_, leaf)| leaf.is_empty()) {
            if waived.object.as_ref() == Some(object) {
                *leaf = format!("waived by {}", waived.exceptions.join(", "));
            }
        }
    }
    leaves
}
