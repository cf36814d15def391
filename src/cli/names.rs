//! Names on the command line. They become part of a request's path, where another text may mean anything.

use crate::core::validate::{DNS_LABEL, DNS_SUBDOMAIN, is_dns_label, is_dns_subdomain};

/// The name of a namespace.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    named(text, is_dns_label, DNS_LABEL)
}

/// The name of an object of any other kind.
pub(super) fn object(text: &str) -> Result<String, String> {
    named(text, is_dns_subdomain, DNS_SUBDOMAIN)
}

fn named(text: &str, good: fn(&str) -> bool, such: &str) -> Result<String, String> {
    good(text)
        .then(|| text.to_owned())
        .ok_or_else(|| format!("it is no name: {such}"))
}
