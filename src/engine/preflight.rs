//! Looking at what runs in a namespace before something is newly enforced there.

use std::sync::Arc;

use http::Request;
use kube::core::request::Request as Resource;
use serde_json::{Value, json};

use super::Context;
use super::apply::label_body;
use super::errors::{Failed, judge};
use super::work::in_time;
use crate::core::control::{Held, Preflight};
use crate::core::object::FIELD_MANAGER;
use crate::core::plan::Check;
use crate::core::text::bounded;
use crate::core::usage::{Above, above};
use crate::core::world::{Checked, World};

/// The most pods that are read of a namespace, and how many at a time.
const MOST_PODS: usize = 5_000;
const PAGE: usize = 500;

/// The reason of what is held because it cannot be looked at.
const FORBIDDEN: &str = "PreflightForbidden";

const WAY_OUT: &str = "mend it, waive it with a BaselineException, or set spec.preflight to Ignore in the baseline; it is looked at again every 5 minutes, and when the baseline is changed or its annotation securitybaseline.dev/resume-rollout is";

/// Takes all looks that a plan asks for. What the operator may not look at is held, if that is to be believed.
///
/// # Errors
/// That of a request. Nothing is enforced then: what could not be looked at is not known to be harmless.
pub async fn look(
    context: &Arc<Context>,
    world: &World,
    checks: &[Check],
    believed: bool,
) -> kube::Result<Vec<(&'static str, Checked)>> {
    let mut looks = Vec::new();
    for check in checks {
        let looked = match check.preflight {
            Preflight::PodSecurity => pod_security(context, world, check).await,
            Preflight::Usage => usage(context, world, check).await,
        };
        let before = world.preflight.get(check.section).map(|checked| &checked.held);
        let known = before.is_some_and(|held| held.iter().any(|held| held.reason == FORBIDDEN));
        let held = match looked {
            Ok(held) => held,
            Err(error) => match judge(&error) {
                Failed::Blocked(failure) if believed || known => vec![untold(world, check, &failure.message)],
                // Other sections do not wait for it.
                Failed::Webhook(failure) => vec![untold(world, check, &failure.message)],
                _ => return Err(error),
            },
        };
        let checked = Checked {
            what: check.what,
            at: context.clock.now(),
            held,
        };
        looks.push((check.section, checked));
    }
    Ok(looks)
}

/// What is not known to be harmless, since the operator may not look at it, or somebody's webhook is in the way.
fn untold(world: &World, check: &Check, message: &str) -> Held {
    Held {
        object: format!("Namespace/{}", world.namespace.name),
        id: None,
        reason: FORBIDDEN,
        message: format!(
            "whether {} would break what runs cannot be told: {}; grant the operator that right (or mend what refuses it), or set spec.preflight to Ignore in the baseline",
            check.section,
            bounded(message, 400),
        ),
    }
}

/// Asks the API server, by a dry run, which pods the labels would make violators of.
async fn pod_security(context: &Context, world: &World, check: &Check) -> kube::Result<Vec<Held>> {
    let Some(labels) = &check.labels else {
        return Ok(Vec::new());
    };
    let name = &world.namespace.name;
    let body = serde_json::to_vec(&label_body(world, labels)).map_err(kube::Error::SerdeError)?;
    let request = Request::patch(format!(
        "/api/v1/namespaces/{name}?dryRun=All&force=true&fieldManager={FIELD_MANAGER}"
    ))
    .header("Content-Type", "application/apply-patch+yaml")
    .header("Accept", "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1")
    .body(kube::client::Body::from(body))
    .map_err(kube::Error::HttpError)?;
    // Warnings are in the reply's headers, which the typed client drops.
    let reply = in_time(context.client.send(request)).await?;
    let status = reply.status();
    let warnings: Vec<String> = reply
        .headers()
        .get_all("Warning")
        .iter()
        .filter_map(|value| warning(value.to_str().ok()?))
        .collect();
    if !status.is_success() {
        let body = reply.into_body().collect_bytes().await.unwrap_or_default();
        let unsaid = || {
            let message = format!("the dry run of the labels answered {status}");
            kube::core::Status::failure(&message, "").with_code(status.as_u16())
        };
        let refused: kube::core::Status = serde_json::from_slice(&body).unwrap_or_else(|_| unsaid());
        return Err(kube::Error::Api(refused.boxed()));
    }
    Ok(violations(name, &warnings).into_iter().collect())
}

/// The text of a warning header: a code, an agent, and a quoted text (RFC 7234).
fn warning(header: &str) -> Option<String> {
    let quoted = header.splitn(3, ' ').nth(2)?.trim();
    let text = quoted.strip_prefix('"')?.strip_suffix('"')?;
    Some(text.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// What the API server's warnings say of pods that would violate the new level: a headline, a line for each kind of
/// violation, and, where not all pods were looked at, how many were.
fn violations(namespace: &str, warnings: &[String]) -> Option<Held> {
    let headline = warnings
        .iter()
        .position(|w| w.starts_with("existing pods in namespace"))?;
    let partly = warnings.iter().find(|w| w.contains("only checked against the first"));
    let lines: Vec<&str> = warnings[headline + 1..]
        .iter()
        .filter(|w| Some(*w) != partly)
        .map(String::as_str)
        .collect();
    let pods: usize = lines.iter().map(|line| pods_in(line)).sum();
    let checked = partly.map_or_else(|| "all pods were checked".to_owned(), |partly| bounded(partly, 200));
    Some(Held {
        object: format!("Namespace/{namespace}"),
        id: None,
        reason: "ViolatingPods",
        message: format!(
            "{} the level that would be enforced, and could not be made anew ({checked}): {}; {WAY_OUT}",
            if pods == 1 {
                "1 pod violates".to_owned()
            } else {
                format!("{pods} pods violate")
            },
            bounded(&lines.join("; "), 400),
        ),
    })
}

/// How many pods a line of a warning is about: `name: why`, or `name (and 2 other pods): why`.
fn pods_in(line: &str) -> usize {
    let more = line
        .split_once("(and ")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<usize>().ok());
    1 + more.unwrap_or_default()
}

/// Adds up what the namespace's pods use, and compares it with the quotas that would be created.
async fn usage(context: &Context, world: &World, check: &Check) -> kube::Result<Vec<Held>> {
    let mut pods: Vec<Value> = Vec::new();
    let mut next = None;
    loop {
        let mut params = kube::api::ListParams::default().limit(PAGE as u32);
        params.continue_token = next;
        let resource = Resource::new(format!("/api/v1/namespaces/{}/pods", world.namespace.name));
        let request = resource.list(&params).map_err(kube::Error::BuildRequest)?;
        let mut page: Value = in_time(context.client.request(request)).await?;
        if let Value::Array(items) = page["items"].take() {
            pods.extend(items.into_iter().map(trimmed));
        }
        next = page["metadata"]["continue"]
            .as_str()
            .filter(|c| !c.is_empty())
            .map(ToOwned::to_owned);
        if next.is_none() || pods.len() >= MOST_PODS {
            break;
        }
    }
    let partly = next
        .map(|_| format!(" (of the first {} pods alone)", pods.len()))
        .unwrap_or_default();
    let mut held = Vec::new();
    for child in &check.children {
        let found = above(&child.fields["spec"], &pods);
        if found.is_empty() {
            continue;
        }
        let told: Vec<String> = found
            .iter()
            .map(|Above { resource, used, hard }| format!("{resource} {used} is used, {hard} would be allowed"))
            .collect();
        held.push(Held::child(
            child.id.clone(),
            "QuotaBelowUsage",
            format!(
                "{}{partly}: no pod could be made anew; {WAY_OUT}",
                bounded(&told.join("; "), 600)
            ),
        ));
    }
    Ok(held)
}

/// Of a pod, what counts: not its environment, nor its status beyond the phase.
fn trimmed(mut pod: Value) -> Value {
    let mut spec = pod["spec"].take();
    for containers in ["containers", "initContainers"] {
        for container in spec[containers].as_array_mut().into_iter().flatten() {
            *container =
                json!({"resources": container["resources"].take(), "restartPolicy": container["restartPolicy"].take()});
        }
    }
    if let Some(spec) = spec.as_object_mut() {
        spec.retain(|key, _| {
            [
                "containers",
                "initContainers",
                "overhead",
                "resources",
                "activeDeadlineSeconds",
                "priorityClassName",
                "affinity",
            ]
            .contains(&key.as_str())
        });
    }
    json!({"spec": spec, "status": {"phase": pod["status"]["phase"].take()}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_warnings_name_the_violating_pods_and_how_many_were_checked() {
        let warnings = [
            r#"existing pods in namespace "team-a" violate the new PodSecurity enforce level "restricted:latest""#,
            r#"new PodSecurity enforce level only checked against the first 3000 of 5000 existing pods"#,
            "web-1 (and 2 other pods): allowPrivilegeEscalation != false, unrestricted capabilities",
            "job: hostNetwork",
        ]
        .map(ToOwned::to_owned);
        let held = violations("team-a", &warnings).unwrap();
        assert_eq!(
            (held.object.as_str(), held.reason),
            ("Namespace/team-a", "ViolatingPods")
        );
        for told in [
            "4 pods",
            "first 3000 of 5000",
            "web-1 (and 2 other pods)",
            "job: hostNetwork",
            "preflight",
        ] {
            assert!(held.message.contains(told), "{told}: {}", held.message);
        }
        assert_eq!(violations("team-a", &["something else".to_owned()]), None);
    }

    #[test]
    fn a_warning_header_is_unquoted() {
        let header = r#"299 - "existing pods in namespace \"a\" violate""#;
        assert_eq!(warning(header).unwrap(), r#"existing pods in namespace "a" violate"#);
        assert_eq!(warning("299"), None);
    }
}
