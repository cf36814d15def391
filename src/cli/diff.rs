//! `diff`: what a change would do, before anybody applies it.

pub(super) mod model;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use super::cluster::{Look, Progress, read_objects};
use super::names;
use super::output::{Formatted, harmless};
use super::report::collect::finding;
use super::{Failure, Verdict, called, print};
use crate::api::v1alpha1::Mode;
use crate::core::control::Held;
use crate::core::plan::{Action, Plan, Step};
use crate::engine::errors::in_full;
use crate::engine::snapshot::{Changed, Foreseen, Loosening, NoProposal, Proposal, Scope, Snapshot, Unknown};
use model::{Brake, Diff, NamespaceDiff, ObjectDiff, SectionDiff, Verb, Write};

/// Arguments of `diff`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A file, or a folder of files, with what would be applied: SecurityBaselines, BaselineExceptions and Namespaces; `-` is
    /// standard input. May be given more than once. Other kinds are passed over.
    #[arg(short, long = "filename", value_name = "FILE", num_args = 1.., required_unless_present = "deleted")]
    files: Vec<PathBuf>,
    /// A file, or a folder of files, with what would be deleted: those of its objects that no --filename states. So it may be
    /// all that was applied before. May be given more than once.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    deleted: Vec<PathBuf>,
    /// Ask the API server, by dry runs and under your own rights, whether enforcing would break what runs.
    #[arg(long, conflicts_with = "objects")]
    preflight: bool,
    /// Show only this namespace. The change is counted in all of them. May be given more than once.
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = names::namespace)]
    namespaces: Vec<String>,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    formatted: Formatted,
}

pub(super) async fn diff(args: &Args) -> Result<Verdict, Failure> {
    let proposals = proposals(args)?;
    let (mut snapshot, source) = args.look.snapshot(Scope::All).await?;
    if let Some(unknown) = snapshot
        .unknown
        .iter()
        .find(|unknown| ["reports", "exceptions"].contains(&unknown.source))
    {
        return Err(format!("you may not {}; without that a change cannot be told", unknown.right).into());
    }
    let before = foreseen(&snapshot, false).await?;
    let changed = snapshot.propose(proposals);
    let after = foreseen(&snapshot, args.preflight).await?;
    let refused: Vec<String> = changed.iter().flat_map(refusals).collect();
    if !refused.is_empty() {
        return Err(format!("the change would be refused:\n  {}", refused.join("\n  ")).into());
    }
    let mut loosening = Loosening::new(&snapshot);
    let nothing = Foreseen::default();
    let mut namespaces = Vec::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let [was, is] = [&before, &after].map(|all| all.get(name).unwrap_or(&nothing));
        let loosened = if snapshot.exists(name) {
            loosening.of(name, was, is)
        } else {
            // Nothing is loosened where nothing is any more.
            BTreeSet::new()
        };
        let one = namespace(name, was, is, &loosened);
        if one.is_something() {
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
    let diff = Diff::new(source, objects, namespaces, args.preflight, unknown).only(&args.namespaces);
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

/// What the files say is applied and deleted.
fn proposals(args: &Args) -> Result<Vec<Proposal>, Failure> {
    let mut proposals = Vec::new();
    let mut passed_over: BTreeMap<String, usize> = BTreeMap::new();
    let mut malformed = Vec::new();
    for (file, object) in read_objects(&args.files)? {
        let shown = format!("{}: {}", file.display(), shown(&object));
        match Proposal::of(object) {
            Ok(proposal) => proposals.push(proposal),
            Err(NoProposal::OtherKind(kind)) => *passed_over.entry(kind).or_default() += 1,
            Err(NoProposal::Malformed(message)) => malformed.push(format!("{shown}: {message}")),
        }
    }
    for (file, object) in read_objects(&args.deleted)? {
        let shown = format!("{}: {}", file.display(), shown(&object));
        match Proposal::to_delete(object) {
            Ok(proposal) => proposals.push(proposal),
            Err(NoProposal::OtherKind(kind)) => *passed_over.entry(kind).or_default() += 1,
            // A change that mends it must pass.
            Err(NoProposal::Malformed(message)) => note(&format!(
                "{shown} was never taken by an API server, and cannot be deleted: {message}"
            )),
        }
    }
    if !malformed.is_empty() {
        return Err(format!(
            "not understood, and refused by the API server:\n  {}",
            malformed.join("\n  ")
        )
        .into());
    }
    let kinds: Vec<String> = passed_over
        .iter()
        .map(|(kind, number)| format!("{number} {kind}"))
        .collect();
    let kinds = kinds.join(", ");
    if proposals.is_empty() {
        let but = if kinds.is_empty() {
            kinds
        } else {
            format!(" (but: {kinds})")
        };
        return Err(format!("the files hold no SecurityBaseline, BaselineException or Namespace{but}").into());
    }
    if !kinds.is_empty() {
        note(&format!("passed over, as nothing to the operator: {kinds}"));
    }
    Ok(proposals)
}

/// Tells something beside the answer.
fn note(text: &str) {
    eprintln!("{}: {}", called(), harmless(text));
}

/// An object by its kind and name, as far as it has them.
fn shown(object: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match &object["metadata"]["name"] {
        Value::Null => text(&object["kind"]),
        name => format!("{}/{}", text(&object["kind"]), text(name)),
    }
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
        change: match (change.same, change.deleted, change.new) {
            (true, ..) => "none",
            (_, true, _) => "delete",
            (_, _, true) => "create",
            _ => "change",
        },
        kind: change.kind,
        name: change.name,
    }
}

/// What is foreseen of all namespaces that something holds.
async fn foreseen(snapshot: &Snapshot, look: bool) -> Result<BTreeMap<String, Foreseen>, Failure> {
    let progress = Progress::new();
    let mut all = BTreeMap::new();
    let names = snapshot.namespaces();
    let count = names.len();
    for (place, name) in names.into_iter().enumerate() {
        if look {
            progress.tell(&format!("looking at what runs in namespaces: {} of {count}", place + 1));
        }
        let foreseen = snapshot.foresee(&name, look).await;
        let foreseen =
            foreseen.map_err(|error| format!("what runs in {name} could not be looked at: {}", in_full(&error)))?;
        if let Some(foreseen) = foreseen {
            all.insert(name, foreseen);
        }
    }
    Ok(all)
}

/// What becomes different in a namespace.
fn namespace(name: &str, was: &Foreseen, is: &Foreseen, loosened: &BTreeSet<&str>) -> NamespaceDiff {
    let (before, after) = (&was.plan, &is.plan);
    let mut sections: BTreeMap<&str, SectionDiff> = BTreeMap::new();
    fn of<'a, 'b>(sections: &'b mut BTreeMap<&'a str, SectionDiff>, section: &'a str) -> &'b mut SectionDiff {
        sections.entry(section).or_insert_with(|| SectionDiff::of(section))
    }
    let known = |action: &Action| before.actions.iter().any(|known| same(known, action));
    for action in after.actions.iter().filter(|action| !known(action)) {
        of(&mut sections, action.section).writes.push(write(action, after));
    }
    for section in loosened {
        of(&mut sections, section).loosens = true;
    }
    for section in &after.sections {
        let was = before.sections.iter().find(|s| s.section == section.section);
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
    let held = |plan: &Plan| !plan.baselines().is_empty();
    NamespaceDiff {
        name: name.to_owned(),
        joins: held(after) && !held(before),
        leaves: held(before) && !held(after),
        deselected: !is.deselected.is_subset(&was.deselected),
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

fn write(action: &Action, plan: &Plan) -> Write {
    let sections = plan.sections.iter();
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
