//! Checks an exception in code: what the CRD's schema and rules and the shipped admission policy refuse, once more.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use crate::api::v1alpha1::{BaselineExceptionSpec, WaivedControl, Waiver};
use crate::core::object::RESERVED_PREFIX;
use crate::core::validate::{Problems, is_dns_label, is_item_name};

/// Checks a spec of an exception that was created then; `max` is how long after that it may expire.
///
/// An exception that says anything wrong waives nothing at all.
pub fn validate(spec: &BaselineExceptionSpec, created: Timestamp, max: SignedDuration) -> Problems {
    let mut problems = Problems::default();
    bounded_list("spec.namespaces", "namespace", &spec.namespaces, 64, &mut problems);
    for (i, namespace) in spec.namespaces.iter().enumerate() {
        problems.require(
            is_dns_label(namespace),
            format_args!("spec.namespaces[{i}]"),
            "write the full name of a namespace: an exception takes no patterns",
        );
    }
    problems.require(
        (1..=32).contains(&spec.waive.len()),
        "spec.waive",
        "say what is waived, in 1 to 32 entries",
    );
    for (i, waiver) in spec.waive.iter().enumerate() {
        let path = format!("spec.waive[{i}]");
        problems.require(
            !spec.waive[..i].iter().any(|before| before.control == waiver.control),
            format_args!("{path}.control"),
            "this control stands here twice: put all of its objects into one entry",
        );
        check(&path, waiver, &mut problems);
    }
    text(
        "spec.reason",
        "say why the exception is needed",
        &spec.reason,
        1024,
        &mut problems,
    );
    text(
        "spec.approver",
        "name who approved the exception",
        &spec.approver,
        253,
        &mut problems,
    );
    expiry(&spec.expires_at, created, max, &mut problems);
    problems
}

/// The moment that a text such as 2026-10-01T00:00:00Z names.
pub(super) fn time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

fn expiry(text: &str, created: Timestamp, max: SignedDuration, problems: &mut Problems) {
    let path = "spec.expiresAt";
    let Some(expires) = time(text) else {
        problems.add(path, "write a moment with its time zone, such as 2026-10-01T00:00:00Z");
        return;
    };
    problems.require(
        expires > created,
        path,
        format_args!(
            "this is not after the exception's creation ({created}): write a later moment, or delete the exception"
        ),
    );
    problems.require(
        expires.duration_since(created) <= max,
        path,
        format_args!("this is more than {max:#} after the exception's creation ({created}): write an earlier moment, or create a new exception to renew it"),
    );
}

fn check(path: &str, waiver: &Waiver, problems: &mut Problems) {
    if waiver.control == WaivedControl::PodSecurity {
        problems.require(
            waiver.level.is_some(),
            format_args!("{path}.level"),
            "podSecurity is waived by the level that enforce falls to: write privileged, baseline or restricted",
        );
        problems.require(
            waiver.objects.is_none(),
            format_args!("{path}.objects"),
            "podSecurity has no objects: write `level`, and leave objects out",
        );
        return;
    }
    problems.require(
        waiver.level.is_none(),
        format_args!("{path}.level"),
        "only podSecurity has a level: leave it out",
    );
    let Some(objects) = &waiver.objects else { return };
    let path = format!("{path}.objects");
    bounded_list(&path, "object", objects, 64, problems);
    for (i, object) in objects.iter().enumerate() {
        problems.require(
            is_object_of(waiver.control, object),
            format_args!("{path}[{i}]"),
            format_args!(
                "write an object of {} as the reports show it, kind/name; its kinds are: {}",
                waiver.control.as_str(),
                waiver.control.kinds().join(", ")
            ),
        );
    }
}

/// Whether a text is kind/name of an object that the control may create.
fn is_object_of(control: WaivedControl, object: &str) -> bool {
    let Some((kind, name)) = object.split_once('/') else {
        return false;
    };
    let Some(name) = name.strip_prefix(RESERVED_PREFIX) else {
        return false;
    };
    control.kinds().contains(&kind)
        && match control {
            WaivedControl::NetworkIsolation => {
                matches!(name, "default-deny-ingress" | "default-deny-egress")
                    || name.strip_prefix("allow-").is_some_and(is_item_name)
            }
            _ => is_item_name(name),
        }
}

fn bounded_list(path: &str, what: &str, list: &[String], most: usize, problems: &mut Problems) {
    problems.require(
        (1..=most).contains(&list.len()),
        path,
        format_args!("name at least one {what}, and at most {most}"),
    );
    for (i, item) in list.iter().enumerate() {
        problems.require(
            !list[..i].contains(item),
            format_args!("{path}[{i}]"),
            format_args!("{item:?} stands here twice: leave it out"),
        );
    }
}

fn text(path: &str, mend: &str, text: &str, most: usize, problems: &mut Problems) {
    problems.require(
        !text.trim().is_empty() && text.chars().count() <= most,
        path,
        format_args!("{mend}, in at most {most} characters"),
    );
}
