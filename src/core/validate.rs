//! Checks a spec in code: what the CRD's schema and CEL rules refuse at admission, once more, and what they cannot see.
//!
//! Nothing that fails here is ever applied: the baseline is `Stalled` and what it held before keeps holding.

use std::fmt::Display;
use std::net::IpAddr;

use ipnet::IpNet;

use super::control::Registry;
use super::quantity::Milli;
use super::text::bounded;
use crate::api::v1alpha1::{FieldProblem, LabelSelector, ResourceList, SecurityBaselineSpec, SelectorOperator};

/// What is wrong with a spec, field by field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<FieldProblem>);

impl Problems {
    /// Notes a problem with the field at `path`. The message tells the mend.
    pub fn add(&mut self, path: impl Display, message: impl Display) {
        self.0.push(FieldProblem {
            path: bounded(&path.to_string(), 512),
            message: bounded(&message.to_string(), 1024),
        });
    }

    /// Notes the problem unless `good`.
    pub fn require(&mut self, good: bool, path: impl Display, message: impl Display) {
        if !good {
            self.add(path, message);
        }
    }

    /// Notes every name that stands more than once in a list of named items.
    pub fn unique<'a>(&mut self, path: &str, names: impl IntoIterator<Item = &'a str>) {
        let mut seen = std::collections::BTreeSet::new();
        for (i, name) in names.into_iter().enumerate() {
            self.require(
                seen.insert(name),
                format_args!("{path}[{i}].name"),
                format_args!("{name:?} stands here twice: names are unique"),
            );
        }
    }

    /// Checks the name of an item, which becomes part of an object's name.
    pub fn item_name(&mut self, path: impl Display, name: &str) {
        self.require(
            is_item_name(name),
            path,
            "a name has at most 39 lower-case letters, digits and '-', and begins and ends with a letter or digit",
        );
    }

    /// Checks a label selector.
    pub fn selector(&mut self, path: &str, selector: &LabelSelector) {
        for (key, value) in &selector.match_labels {
            self.require(is_label_key(key), format_args!("{path}.matchLabels"), BAD_KEY);
            self.require(
                is_label_value(value),
                format_args!("{path}.matchLabels[{key}]"),
                BAD_VALUE,
            );
        }
        for (i, requirement) in selector.match_expressions.iter().enumerate() {
            let path = format!("{path}.matchExpressions[{i}]");
            self.require(is_label_key(&requirement.key), format_args!("{path}.key"), BAD_KEY);
            for value in &requirement.values {
                self.require(is_label_value(value), format_args!("{path}.values"), BAD_VALUE);
            }
            let needs_values = matches!(requirement.operator, SelectorOperator::In | SelectorOperator::NotIn);
            self.require(
                needs_values != requirement.values.is_empty(),
                format_args!("{path}.values"),
                "operators In and NotIn need at least one of `values`; Exists and DoesNotExist take none",
            );
        }
    }

    /// Checks the amounts of a resource list.
    pub fn quantities(&mut self, path: &str, list: &ResourceList) {
        for (name, quantity) in list {
            match Milli::try_from(quantity) {
                Ok(amount) => self.require(
                    amount.0 >= 0,
                    format_args!("{path}[{name}]"),
                    "an amount is zero or more",
                ),
                Err(error) => self.add(format_args!("{path}[{name}]"), error),
            }
        }
    }

    /// Checks a range of addresses, as strictly as Kubernetes does since 1.36
    /// (source: `parseCIDR` of its validation): one spelling, and no bits beyond the length.
    pub fn cidr(&mut self, path: impl Display, cidr: &str) -> Option<IpNet> {
        let Some(net) = parse_cidr(cidr) else {
            self.add(
                path,
                "write a range of addresses in CIDR notation, such as 192.0.2.0/24",
            );
            return None;
        };
        if net.addr() != net.network() {
            let message = format!("{net} is part of a range: write {}, or a longer prefix", net.trunc());
            self.add(path, message);
            return None;
        }
        Some(net)
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The problems, at most as many as a status holds.
    pub fn into_vec(mut self) -> Vec<FieldProblem> {
        self.0.truncate(16);
        self.0
    }
}

const BAD_KEY: &str =
    "a label key is an optional DNS prefix and a slash, then at most 63 letters, digits, '-', '_' or '.'";
const BAD_VALUE: &str = "a label value has at most 63 letters, digits, '-', '_' or '.'";

/// The largest spec, in bytes of JSON: with its copy in `status.applied` the object stays well under the 1.5 MiB that
/// etcd takes in one request (and with a second copy, of what was enforced before, too).
const MOST_BYTES: usize = 384 * 1024;

/// The most names of released namespaces, as in the CRD.
const MOST_RELEASED: usize = 1024;

/// Checks a whole spec.
pub fn validate(registry: Registry, spec: &SecurityBaselineSpec) -> Problems {
    let mut problems = Problems::default();
    let size = serde_json::to_vec(spec).map_or(usize::MAX, |json| json.len());
    problems.require(
        size <= MOST_BYTES,
        "spec",
        format_args!("the spec has {size} bytes, and a copy of it goes into the status: keep it under {MOST_BYTES}, or split it into several baselines"),
    );
    problems.selector("spec.namespaceSelector", &spec.namespace_selector);
    for (i, pattern) in spec.excluded_namespaces.iter().enumerate() {
        let good = !pattern.is_empty()
            && pattern.len() <= 63
            && pattern
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'*')
            && !pattern.starts_with('-')
            && !pattern.ends_with('-');
        problems.require(
            good,
            format_args!("spec.excludedNamespaces[{i}]"),
            "write a namespace's name, in which `*` stands for any characters",
        );
    }
    for (i, name) in spec.released_namespaces.iter().enumerate() {
        problems.require(
            is_dns_label(name),
            format_args!("spec.releasedNamespaces[{i}]"),
            "write the whole name of one namespace: there are no patterns here, so that nobody is let go by accident",
        );
    }
    problems.require(
        spec.released_namespaces.len() <= MOST_RELEASED,
        "spec.releasedNamespaces",
        format_args!("at most {MOST_RELEASED} names: remove those of namespaces that were let go already"),
    );
    problems.require(
        spec.rollout
            .as_ref()
            .is_none_or(|r| (1..=1_000_000).contains(&r.max_namespaces_per_minute)),
        "spec.rollout.maxNamespacesPerMinute",
        "write a number from 1 to 1000000: to write nothing, use suspend",
    );
    for control in registry {
        control.validate(spec, &mut problems);
    }
    problems
}

/// Reads a range of addresses; a leading zero or an IPv4 address in IPv6's clothes makes it none.
fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let length: u8 = length.parse().ok().filter(|n: &u8| n.to_string() == length)?;
    let mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    IpNet::new(address, length).ok().filter(|_| !mapped)
}

/// What a DNS label looks like, for a person who wrote another text.
pub const DNS_LABEL: &str =
    "write at most 63 lower-case letters, digits and '-', with a letter or digit at the beginning and the end";
/// The same of a DNS subdomain.
pub const DNS_SUBDOMAIN: &str = "write lower-case letters, digits, '-' and '.', with a letter or digit at the beginning and the end, and at most 253 in all";

/// Whether a text is a DNS label (RFC 1123).
pub fn is_dns_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text may be the name of an item: short enough to stand behind `security-baseline-allow-`.
pub fn is_item_name(text: &str) -> bool {
    text.len() <= 39 && is_dns_label(text)
}

/// Whether a text is a DNS subdomain (RFC 1123).
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_label)
}

/// Whether a text is a qualified name: what a label key and a resource name are.
pub fn is_label_key(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(p, n)| (Some(p), n));
    prefix.is_none_or(is_dns_subdomain) && !name.is_empty() && is_label_value(name)
}

/// Whether a text is a label's value.
pub fn is_label_value(text: &str) -> bool {
    let alphanumeric = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    text.len() <= 63
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && alphanumeric(text.as_bytes().first())
        && alphanumeric(text.as_bytes().last())
}

#[cfg(test)]
mod tests;
