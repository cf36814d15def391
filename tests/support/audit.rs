//! What the operator asked of the API server, read from the audit log: an exact count.

use std::{
    collections::HashSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

/// The audit log of a control plane. It holds the requests of the operator's ServiceAccount, and no others.
///
/// The API server writes a request's line when the request is done, which may be an instant after its client has the
/// reply: await the lines that must come with [`eventually`](super::eventually).
#[derive(Clone, Debug)]
pub struct Log {
    path: PathBuf,
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u64);

/// One request, counted once however many lines it has: a watch when it began, any other when it was done.
#[derive(Clone, Debug)]
pub struct Request {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group, empty for the core group.
    pub group: String,
    /// The plural resource name, empty for a path that is no resource, such as `/version`.
    pub resource: String,
    /// Such as `status`.
    pub subresource: Option<String>,
    /// The namespace, for a namespaced resource.
    pub namespace: Option<String>,
    /// The object's name, if the request named one.
    pub name: Option<String>,
    /// The HTTP status code of the reply.
    pub code: u16,
    /// The client's `User-Agent`.
    pub user_agent: String,
    /// Path and query.
    pub uri: String,
    /// What was sent, as the API server understood it.
    pub body: Option<Value>,
    /// When the API server received it.
    pub at: jiff::Timestamp,
}

impl Request {
    /// Whether it asks for a change of a stored object: reviews and dry runs do not.
    pub fn is_write(&self) -> bool {
        changes(&self.verb, &self.group) && !self.dry_run()
    }

    /// Whether nothing was to be stored.
    pub fn dry_run(&self) -> bool {
        self.uri.contains("dryRun=All")
    }
}

/// Whether a verb asks for a change, or tries one out. Reviews do not, though they are created.
pub(super) fn changes(verb: &str, group: &str) -> bool {
    matches!(verb, "create" | "update" | "patch" | "delete" | "deletecollection")
        && !matches!(group, "authorization.k8s.io" | "authentication.k8s.io")
}

impl Log {
    /// The log in this file.
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// The end of the log as it is now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn mark(&self) -> Result<Mark> {
        Ok(Mark(self.read(0)?.0))
    }

    /// The requests whose line was written after `mark`, in the order of the log.
    ///
    /// # Errors
    /// When the log cannot be read or understood.
    pub fn since(&self, mark: Mark) -> Result<Vec<Request>> {
        Ok(self.more(mark)?.1)
    }

    /// The same, and the end of the log up to which they are.
    ///
    /// # Errors
    /// As [`since`](Self::since).
    pub fn more(&self, mark: Mark) -> Result<(Mark, Vec<Request>)> {
        let (end, text) = self.read(mark.0)?;
        let mut begun = HashSet::new();
        let mut requests = Vec::new();
        for line in text.lines() {
            let event: Event = serde_json::from_str(line).with_context(|| format!("audit line {line}"))?;
            let counts = match event.stage.as_str() {
                "ResponseStarted" => event.verb == "watch" && begun.insert(event.audit_id.clone()),
                // The end of a watch is not its beginning, but one that was refused may have no other line.
                "ResponseComplete" | "Panic" => {
                    event.verb != "watch" || (event.code() >= 400 && begun.insert(event.audit_id.clone()))
                }
                _ => false,
            };
            if counts {
                requests.push(event.into());
            }
        }
        Ok((Mark(end), requests))
    }

    /// The requests since `mark` that ask for a change of a stored object.
    ///
    /// # Errors
    /// As [`since`](Self::since).
    pub fn writes_since(&self, mark: Mark) -> Result<Vec<Request>> {
        Ok(self.since(mark)?.into_iter().filter(Request::is_write).collect())
    }

    /// The whole lines from `begin` on, and where they end. The API server may be in the middle of the next one.
    fn read(&self, begin: u64) -> Result<(u64, String)> {
        let mut file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        file.seek(SeekFrom::Start(begin))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        Ok((begin + u64::try_from(whole)?, String::from_utf8(bytes)?))
    }
}

/// An `audit.k8s.io/v1` Event.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: String,
    verb: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    response_status: Option<ResponseStatus>,
    request_object: Option<Value>,
    request_received_timestamp: jiff::Timestamp,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

impl Event {
    fn code(&self) -> u16 {
        self.response_status.as_ref().map_or(0, |status| status.code)
    }
}

impl From<Event> for Request {
    fn from(event: Event) -> Self {
        Self {
            code: event.code(),
            verb: event.verb,
            group: event.object_ref.api_group,
            resource: event.object_ref.resource,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            user_agent: event.user_agent,
            uri: event.request_uri,
            body: event.request_object,
            at: event.request_received_timestamp,
        }
    }
}
