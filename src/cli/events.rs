//! `events`: what the operator told, as it comes.

use serde_json::Value;

use super::cluster::Connect;
use super::names;
use super::output::{Output, Table, harmless};
use super::{Failure, Verdict, print};
use crate::core::codes::Severity;
use crate::engine::ask;

/// Arguments of `events`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go on, and print what comes.
    #[arg(short, long)]
    watch: bool,
    /// Only of this namespace. (What is about baselines is in `default`.)
    #[arg(short, long, value_name = "NAME", value_parser = names::namespace)]
    namespace: Option<String>,
    /// All namespaces. That is the default; it is here because kubectl has it.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    #[command(flatten)]
    connect: Connect,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn events(args: &Args) -> Result<Verdict, Failure> {
    let connection = args.connect.connect().await?;
    let namespace = args.namespace.as_deref();
    let paint = args.output.paint();
    if args.watch {
        let mut failed = None;
        let each = |events| {
            failed = print(&lines(events)).err();
            failed.is_none()
        };
        ask::watch_events(&connection.client, namespace, each).await?;
        return failed.map_or(Ok(Verdict::Clean), Err);
    }
    let mut events = ask::events(&connection.client, namespace).await?;
    events.sort_by_key(seen_last);
    let mut table = Table::new(&["SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"], paint);
    for event in &events {
        let cells = cells(event);
        table.row(cells.iter().map(String::as_str));
        if cells[1] == "Warning" {
            table.paint(1, |text| paint.severity(Severity::Warning, text));
        }
    }
    let text = if table.is_empty() {
        "The operator told nothing lately.\n".to_owned()
    } else {
        table.text("")
    };
    print(&text)?;
    Ok(Verdict::Clean)
}

/// When an event was seen last.
fn seen_last(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    [
        &event["series"]["lastObservedTime"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ]
    .into_iter()
    .map(text)
    .find(|text| !text.is_empty())
    .unwrap_or_default()
}

/// Events as lines, those that were seen first before the others.
fn lines(mut events: Vec<Value>) -> String {
    events.sort_by_key(seen_last);
    events.iter().map(line).collect()
}

/// An event as a line. Whoever may write events may write anything into any of its fields.
fn line(event: &Value) -> String {
    harmless(&cells(event).join("  ")) + "\n"
}

fn cells(event: &Value) -> [String; 5] {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let about = &event["involvedObject"];
    let place = match about["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/"),
        None => String::new(),
    };
    let object = format!("{}/{place}{}", text(&about["kind"]), text(&about["name"]));
    let at = seen_last(event)
        .chars()
        .take("2026-01-01T00:00:00".len())
        .collect::<String>();
    [
        at,
        text(&event["type"]),
        text(&event["reason"]),
        object,
        text(&event["message"]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_seen_first_comes_first_whatever_its_name() {
        let event = |name: &str, time: &str| json!({"reason": name, "eventTime": time});
        let later = event("A", "2026-01-01T00:00:02.000000Z");
        let text = lines(vec![later, event("B", "2026-01-01T00:00:01.000000Z")]);
        assert!(text.find('B').unwrap() < text.find('A').unwrap(), "{text}");
    }

    #[test]
    fn no_field_of_an_event_does_anything_on_a_terminal() {
        let hostile = "a\x1b[2J\nb";
        let event = json!({"type": hostile, "reason": hostile, "message": hostile, "eventTime": hostile,
            "involvedObject": {"kind": hostile, "namespace": hostile, "name": hostile}});
        let line = line(&event);
        assert!(
            !line.contains('\x1b') && line.find('\n') == Some(line.len() - 1),
            "{line:?}"
        );
        assert_eq!(line.matches("\u{fffd}[2J").count(), 7, "{line:?}");
    }
}
