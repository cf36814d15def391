//! What a client asks of the API server, as far as a request's method, path and query tell.

use std::fmt;

use hyper::{Method, Uri, body::Bytes};
use serde_json::Value;

use super::super::audit::{Request, changes};

/// One request, in the words of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What is asked for.
    pub kind: Kind,
    /// The namespace, for something in one.
    pub namespace: Option<String>,
    /// The object's name, be it in the path or, where it is created, in the body.
    pub name: Option<String>,
    /// The query, such as `limit=100&continue=...`; empty where there is none.
    pub query: String,
}

/// A kind of request: what is done to which resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The plural resource name, such as `roles`.
    pub resource: String,
    /// Its API group; empty for the core group.
    pub group: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
    /// Whether nothing is to be stored.
    pub dry_run: bool,
}

impl Kind {
    /// Whether it asks for a change, or tries one out.
    pub fn is_write(&self) -> bool {
        changes(&self.verb, &self.group)
    }
}

impl From<&Request> for Kind {
    fn from(request: &Request) -> Self {
        Self {
            verb: request.verb.clone(),
            resource: request.resource.clone(),
            group: request.group.clone(),
            subresource: request.subresource.clone().unwrap_or_default(),
            dry_run: request.dry_run(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if self.dry_run {
            f.write_str(" (dry run)")?;
        }
        Ok(())
    }
}

impl Asked {
    /// What a request asks for.
    pub fn of(method: &Method, uri: &Uri, body: &Bytes) -> Self {
        let query = uri.query().unwrap_or_default();
        let has = |wanted: &[&str]| query.split('&').any(|pair| wanted.contains(&pair));
        let segments: Vec<&str> = uri.path().split('/').filter(|segment| !segment.is_empty()).collect();
        let (group, rest) = match segments.as_slice() {
            ["api", _, rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            // Such as /version: no resource.
            _ => ("", [].as_slice()),
        };
        let (namespace, rest) = match rest {
            // A Namespace's own subresources stand where a resource in it would.
            ["namespaces", _, "status" | "finalize"] => (None, rest),
            ["namespaces", namespace, inner @ ..] if !inner.is_empty() => (Some(*namespace), inner),
            _ => (None, rest),
        };
        let (resource, name) = (rest.first().copied().unwrap_or_default(), rest.get(1).copied());
        let verb = match *method {
            Method::GET if has(&["watch=true", "watch=1"]) => "watch",
            Method::GET if name.is_some() => "get",
            Method::GET => "list",
            Method::POST => "create",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE if name.is_some() => "delete",
            Method::DELETE => "deletecollection",
            _ => "",
        };
        let subresource = rest.get(2).copied().unwrap_or_default();
        Self {
            kind: Kind {
                verb: verb.to_owned(),
                resource: resource.to_owned(),
                group: group.to_owned(),
                subresource: subresource.to_owned(),
                dry_run: has(&["dryRun=All"]),
            },
            namespace: namespace.map(ToOwned::to_owned),
            name: name.map(ToOwned::to_owned).or_else(|| named(body)),
            query: query.to_owned(),
        }
    }
}

/// The name that a body states for the object that it creates.
fn named(body: &Bytes) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(body["metadata"]["name"].as_str()?.to_owned())
}

/// Which requests are meant: those that are as told in every part that is told.
#[derive(Clone, Debug, Default)]
pub struct Matching {
    verb: String,
    resource: String,
    subresource: String,
    dry_run: bool,
    namespace: Option<String>,
    name: Option<String>,
    query: Option<String>,
    /// What decides instead of all that.
    such: Option<fn(&Asked) -> bool>,
}

impl Matching {
    /// Requests of which this holds.
    pub fn such(holds: fn(&Asked) -> bool) -> Self {
        Self {
            such: Some(holds),
            ..Self::default()
        }
    }

    /// Requests of this verb for this resource, whatever its API group. For the resource itself, and not a subresource
    /// of it; no dry runs.
    pub fn of(verb: &str, resource: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            resource: resource.to_owned(),
            ..Self::default()
        }
    }

    /// Of this subresource instead.
    #[must_use]
    pub fn subresource(mut self, subresource: &str) -> Self {
        subresource.clone_into(&mut self.subresource);
        self
    }

    /// Dry runs instead.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Only in this namespace.
    #[must_use]
    pub fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only about the object of this name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only with this text in the query, such as `continue=`.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Whether a request is meant.
    pub fn fits(&self, asked: &Asked) -> bool {
        if let Some(holds) = self.such {
            return holds(asked);
        }
        let (kind, told) = (&asked.kind, |told: &Option<String>, is: &Option<String>| {
            told.is_none() || told == is
        });
        kind.verb == self.verb
            && kind.resource == self.resource
            && kind.subresource == self.subresource
            && kind.dry_run == self.dry_run
            && told(&self.namespace, &asked.namespace)
            && told(&self.name, &asked.name)
            && self.query.as_ref().is_none_or(|part| asked.query.contains(part))
    }
}
