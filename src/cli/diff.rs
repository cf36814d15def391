//! `diff`: what a change would do, before anybody applies it.

pub(super) mod model;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::cluster::{Look, read_file};
use super::output::Formatted;
use super::report::collect::finding;
use super::{Failure, Verdict, print};
use crate::api::v1alpha1::Mode;
use crate::core::control::Held;
use crate::core::plan::{Action, Plan, Step};
use crate::engine::snapshot::{Changed, Proposal, Scope, Snapshot, Unknown, objects};
use model::{Brake, Diff, NamespaceDiff, ObjectDiff, SectionDiff, Verb, Write};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file with what would be applied: SecurityBaselines, BaselineExceptions and Namespaces; `-` is standard input. May
    /// be given more than once. Other kinds are passed over.
    #[arg(short, long = "filename", value_name = "FILE", num_args = 1.., required = true)]
    files: Vec<PathBuf>,
    /// Ask the API server, by dry runs and under your own rights, whether enforcing would break what runs.
    #[arg(long, conflicts_with = "objects")]
    preflight: bool,
    /// Show only this namespace. The change is counted in all of them. May be given more than once.
    #[arg(short, long = "namespace", value_name = "NAME")]
    namespaces: Vec<String>,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    formatted: Formatted,
}

pub(super) async fn diff(args: &Args) -> Result<Verdict, Failure> {
    let mut proposals = Vec::new();
    let mut passed_over = BTreeSet::new();
    for path in &args.files {
        let found = objects(&read_file(path)?).map_err(|error| format!("{}: {error}", path.display()))?;
        for object in found {
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            match Proposal::of(object) {
                Some(proposal) => proposals.push(proposal),
                None => drop(passed_over.insert(kind)),
            }
        }
    }
    if proposals.is_empty() {
        let what = passed_over.into_iter().collect::<Vec<_>>().join(", ");
        return Err(format!(
            "the files hold no SecurityBaseline, BaselineException or Namespace with a name (but: {what})"
        )
        .into());
    }
    let (mut snapshot, source) = args.look.snapshot(Scope::All).await?;
    if let Some(unknown) = snapshot
        .unknown
        .iter()
        .find(|unknown| ["reports", "exceptions"].contains(&unknown.source))
    {
        return Err(format!("you may not {}; without that a change cannot be told", unknown.right).into());
    }
    let before = foreseen(&snapshot, false).await?;
    let changed = snapshot.propose(proposals).await;
    let after = foreseen(&snapshot, args.preflight).await?;
    let refused: Vec<String> = changed.iter().flat_map(refusals).collect();
    if !refused.is_empty() {
        return Err(format!("the change would be refused:\n  {}", refused.join("\n  ")).into());
    }
    let mut namespaces = Vec::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let effects = changed.iter().filter_map(|change| change.effects.get(name));
        let loosened: BTreeSet<&str> = effects.flat_map(|effect| effect.loosened.iter().copied()).collect();
        let one = namespace(name, before.get(name), after.get(name), &loosened);
        if !one.sections.is_empty() && (args.namespaces.is_empty() || args.namespaces.contains(name)) {
            namespaces.push(one);
        }
    }
    let concerned = |unknown: &&Unknown| {
        let mut sections = namespaces.iter().flat_map(|namespace| &namespace.sections);
        sections.any(|section| unknown.section() == Some(section.name.as_str()))
    };
    let unknown: Vec<String> = snapshot
        .unknown
        .iter()
        .filter(concerned)
        .map(|unknown| unknown.right.clone())
        .collect();
    let objects = changed.into_iter().map(object).collect();
    let diff = Diff::new(source, objects, namespaces, args.preflight, unknown);
    let text = args.formatted.text(&diff, |paint| table::text(&diff, paint))?;
    print(&text)?;
    // What was not seen would look as if it were not there.
    let doubts: Vec<String> = diff
        .unknown
        .iter()
        .map(|right| format!("you may not {right}; what this would do there is unknown"))
        .collect();
    if !doubts.is_empty() {
        return Ok(Verdict::Unknown(doubts));
    }
    Ok(Verdict::found(diff.is_something(), args.formatted.output.exit_zero))
}

fn refusals(change: &Changed) -> impl Iterator<Item = String> {
    change
        .problems
        .iter()
        .map(|problem| format!("{}/{}: {}: {}", change.kind, change.name, problem.path, problem.message))
}

fn object(change: Changed) -> ObjectDiff {
    ObjectDiff {
        brake: change.count.map(|count| Brake {
            waits: change.waits.is_some(),
            namespaces: count.namespaces,
            affected: count.affected,
            loosens: count.loosened,
            newly_enforces: count.enforced,
            tightens: count.tightened,
            message: change.waits,
        }),
        change: match (change.same, change.new) {
            (true, _) => "none",
            (_, true) => "create",
            _ => "change",
        },
        kind: change.kind,
        name: change.name,
    }
}

/// The plans of all namespaces that something holds.
async fn foreseen(snapshot: &Snapshot, look: bool) -> Result<BTreeMap<String, Plan>, Failure> {
    let mut plans = BTreeMap::new();
    for name in snapshot.namespaces() {
        let foreseen = snapshot.foresee(&name, look).await;
        let foreseen = foreseen.map_err(|error| format!("what runs in {name} could not be looked at: {error}"))?;
        if let Some((_, plan)) = foreseen {
            plans.insert(name, plan);
        }
    }
    Ok(plans)
}

/// What becomes different in a namespace.
fn namespace(name: &str, before: Option<&Plan>, after: Option<&Plan>, loosened: &BTreeSet<&str>) -> NamespaceDiff {
    let mut sections: BTreeMap<&str, SectionDiff> = BTreeMap::new();
    fn of<'a, 'b>(sections: &'b mut BTreeMap<&'a str, SectionDiff>, section: &'a str) -> &'b mut SectionDiff {
        sections.entry(section).or_insert_with(|| SectionDiff::of(section))
    }
    let known = |action: &Action| before.is_some_and(|plan| plan.actions.iter().any(|known| same(known, action)));
    for action in after
        .iter()
        .flat_map(|plan| &plan.actions)
        .filter(|action| !known(action))
    {
        of(&mut sections, action.section).writes.push(write(action, after));
    }
    for section in loosened {
        of(&mut sections, section).loosens = true;
    }
    for section in after.iter().flat_map(|plan| &plan.sections) {
        let was = before.and_then(|plan| plan.sections.iter().find(|s| s.section == section.section));
        let news = |held: &&Held| was.is_none_or(|was| !was.held.contains(held));
        let held: Vec<_> = section
            .held
            .iter()
            .filter(news)
            .map(|held| finding(Some(section.section), held.reason, &held.object, &held.message))
            .collect();
        let told = section.findings.iter().filter(|found| found.mode == Mode::Audit);
        let told = told
            .filter(|found| was.is_none_or(|was| !was.findings.contains(found)))
            .count();
        let mode = was.filter(|was| was.mode != section.mode).map(|was| was.mode);
        if held.is_empty() && told == 0 && mode.is_none() {
            continue;
        }
        let one = of(&mut sections, section.section);
        one.held = held;
        one.audits = told;
        one.mode = mode.map(|was| format!("{was:?} to {:?}", section.mode));
    }
    let held = |plan: Option<&Plan>| plan.is_some_and(|plan| !plan.baselines().is_empty());
    NamespaceDiff {
        name: name.to_owned(),
        joins: held(after) && !held(before),
        leaves: held(before) && !held(after),
        sections: sections.into_values().collect(),
    }
}

/// Whether two actions do the same.
fn same(a: &Action, b: &Action) -> bool {
    a.object == b.object
        && match (&a.step, &b.step) {
            (Step::Create(a), Step::Create(b)) => a == b,
            (Step::Replace { child: a, .. }, Step::Replace { child: b, .. })
            | (Step::Recreate { child: a, .. }, Step::Recreate { child: b, .. }) => a == b,
            (Step::Delete { id: a, .. }, Step::Delete { id: b, .. }) => a == b,
            (Step::Label(a), Step::Label(b)) => a == b,
            _ => false,
        }
}

fn write(action: &Action, plan: Option<&Plan>) -> Write {
    let sections = plan.iter().flat_map(|plan| &plan.sections);
    let findings = sections
        .filter(|s| s.section == action.section)
        .flat_map(|s| &s.findings);
    let its = findings.filter(|finding| finding.object == action.object);
    let fields = its.flat_map(|finding| &finding.differences);
    let fields = fields
        .filter(|difference| !difference.path.is_empty())
        .map(|difference| model::Change {
            path: difference.path.clone(),
            from: difference.found.clone(),
            to: difference.expected.clone(),
        });
    Write {
        verb: match &action.step {
            Step::Create(_) => Verb::Create,
            Step::Replace { .. } => Verb::Replace,
            Step::Recreate { .. } => Verb::Recreate,
            Step::Delete { .. } => Verb::Delete,
            Step::Label(_) => Verb::Label,
        },
        object: action.object.clone(),
        fields: fields.collect(),
    }
}
