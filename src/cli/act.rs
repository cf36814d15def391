//! `confirm`, `release`, `suspend` and `resume`: what a person decides about a baseline.

mod outcome;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal, Write};

use serde_json::json;

use super::cluster::Connect;
use super::names;
use super::output::harmless;
use super::{Failure, Verdict, print};
use crate::api::v1alpha1::{SecurityBaseline, SecurityBaselineSpec};
use crate::core::brake::CONFIRM;
use crate::core::select::matches;
use crate::engine::ask::{self, Seen};
use crate::engine::client::Connection;
use crate::engine::errors::in_full;

/// Arguments of `confirm`.
#[derive(Debug, clap::Args)]
pub(super) struct Confirm {
    /// The baseline.
    #[arg(value_parser = names::object)]
    baseline: String,
    /// Confirm without being asked.
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    connect: Connect,
}

/// Arguments of `release`.
#[derive(Debug, clap::Args)]
pub(super) struct Release {
    /// The baseline.
    #[arg(value_parser = names::object)]
    baseline: String,
    /// The namespaces that it is to let go.
    #[arg(required = true, value_parser = names::namespace)]
    namespaces: Vec<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Arguments of `suspend` and `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Suspend {
    /// The baseline.
    #[arg(value_parser = names::object)]
    baseline: String,
    #[command(flatten)]
    connect: Connect,
}

/// A baseline by its name, with an error that says what to do.
async fn read(connection: &Connection, name: &str) -> Result<SecurityBaseline, Failure> {
    ask::baseline(&connection.client, name)
        .await
        .map_err(|error| told(&error, name))
}

fn told(error: &kube::Error, name: &str) -> Failure {
    match error {
        kube::Error::Api(status) if status.code == 404 => {
            format!("there is no SecurityBaseline {name}; `kubectl get securitybaselines` lists them").into()
        }
        kube::Error::Api(status) if status.code == 403 => {
            format!("{}; the ClusterRole security-baseline:admin allows it", status.message).into()
        }
        error => in_full(error).into(),
    }
}

/// How often what only the operator's own status came before is tried again.
const TRIES: usize = 5;

/// Writes what was decided on a spec as it was read: if somebody changed that since, it is refused. Answers the baseline as
/// it is then.
async fn write(
    connection: &Connection,
    baseline: &SecurityBaseline,
    patch: serde_json::Value,
) -> Result<SecurityBaseline, Failure> {
    let name = baseline.metadata.name.as_deref().unwrap_or_default();
    let mut current = baseline.clone();
    for _ in 0..TRIES {
        match ask::merge_into(&connection.client, &current, patch.clone()).await {
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            done => return done.map_err(|error| told(&error, name)),
        }
        current = read(connection, name).await?;
        let same = |b: &SecurityBaseline| (b.metadata.uid.clone(), b.metadata.generation);
        if same(&current) != same(baseline) {
            break;
        }
    }
    Err(format!("SecurityBaseline {name} was changed meanwhile; look at it and try again").into())
}

/// The token that confirms a change, out of the message that asks for it.
fn token(message: &str) -> Option<&str> {
    let (_, rest) = message.rsplit_once(&format!("{CONFIRM}="))?;
    let token = rest.split_whitespace().next()?;
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!token.is_empty() && token.chars().all(sound)).then_some(token)
}

pub(super) async fn confirm(args: &Confirm) -> Result<Verdict, Failure> {
    let connection = args.connect.connect().await?;
    let name = &args.baseline;
    let baseline = read(&connection, name).await?;
    let status = baseline.status.as_ref();
    if status.is_none_or(|status| Some(status.observed_generation) != baseline.metadata.generation) {
        return Err(format!("the operator has not looked at the present spec of {name} yet; try again").into());
    }
    let stalled = status.and_then(outcome::stalled);
    let Some(waits) = stalled.filter(|stalled| stalled.reason == outcome::WAITS) else {
        print(&format!("{name} waits for nothing.\n"))?;
        return Ok(Verdict::Clean);
    };
    let Some(token) = token(&waits.message) else {
        return Err(format!("{name} waits, and cannot be confirmed: {}", waits.message).into());
    };
    let (told, _) = waits.message.split_once(" To go on:").unwrap_or((&waits.message, ""));
    print(&(harmless(&format!("{name}: {told}")) + "\n"))?;
    if !args.yes && !asked("Confirm this change?")? {
        return Err("nothing was confirmed".into());
    }
    write(
        &connection,
        &baseline,
        json!({"metadata": {"annotations": {CONFIRM: token}}}),
    )
    .await?;
    print(&format!("{name} is confirmed, for this change and no other.\n"))?;
    Ok(Verdict::Clean)
}

/// Asks a person at a terminal.
fn asked(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err("there is nobody to ask: standard input is no terminal; say --yes".into());
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

pub(super) async fn release(args: &Release) -> Result<Verdict, Failure> {
    let connection = args.connect.connect().await?;
    let baseline = read(&connection, &args.baseline).await?;
    let mut released: BTreeSet<String> = baseline.spec.released_namespaces.iter().cloned().collect();
    let mut text = String::new();
    for name in &args.namespaces {
        let found = ask::object(&connection.client, ("", "Namespace", "namespaces"), None, name).await;
        match found.map_err(|error| told(&error, name))? {
            Seen::Absent => return Err(format!("there is no namespace {name}").into()),
            Seen::There(object) => {
                let labels: BTreeMap<String, String> =
                    serde_json::from_value(object["metadata"]["labels"].clone()).unwrap_or_default();
                if matches(&baseline.spec.namespace_selector, &labels) {
                    text += &format!(
                        "{name} still has the labels that {} selects by: it stays held until they are gone.\n",
                        args.baseline
                    );
                }
            }
            Seen::Hidden(_) => {}
        }
        released.insert(name.clone());
    }
    outcome::warn_of_others(&baseline, "releasedNamespaces");
    let patch = json!({"spec": {"releasedNamespaces": released}});
    let written = write(&connection, &baseline, patch).await?;
    print(&text)?;
    let names = args.namespaces.join(", ");
    let stated = |spec: &SecurityBaselineSpec| released.iter().all(|name| spec.released_namespaces.contains(name));
    let holds = format!("lets go: {names}. What was created there stays, or goes, by its deletionPolicy");
    let not_yet = format!("does not let go yet: {names}");
    outcome::told(&connection, &written, "releasedNamespaces", stated, [&holds, &not_yet]).await
}

pub(super) async fn suspend(args: &Suspend, suspend: bool) -> Result<Verdict, Failure> {
    let connection = args.connect.connect().await?;
    let name = &args.baseline;
    let baseline = read(&connection, name).await?;
    outcome::warn_of_others(&baseline, "suspend");
    // Also where it is written already: it may be what waits.
    let already = baseline.spec.suspend == suspend;
    let written = if already {
        baseline
    } else {
        write(&connection, &baseline, json!({"spec": {"suspend": suspend}})).await?
    };
    let texts = match (already, suspend) {
        (true, true) => ["is suspended already", "is not suspended yet"],
        (true, false) => ["is not suspended", "does not go on yet"],
        (false, true) => [
            "is suspended: nothing is written for it; what it enforced stays in place",
            "is not suspended yet: what it enforced is enforced on",
        ],
        (false, false) => ["goes on", "does not go on yet"],
    };
    outcome::told(&connection, &written, "suspend", |spec| spec.suspend == suspend, texts).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_what_the_message_names() {
        let message = "the change loosens 3 controls and waits. To go on: kubectl annotate --overwrite securitybaseline a securitybaseline.dev/confirm=0123456789abcdef-3";
        assert_eq!(token(message), Some("0123456789abcdef-3"));
        assert_eq!(token("securitybaseline.dev/confirm=a;b"), None);
        assert_eq!(token("something else"), None);
    }
}
