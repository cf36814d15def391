//! What the operator asked of the API server, read from the audit log: an exact count.

use std::{
    collections::HashSet,
    fs::File,
    io::{BufRead, BufReader, Seek, SeekFrom},
    path::{Path, PathBuf},
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

impl Mark {
    /// The begin of the log.
    pub const START: Self = Self(0);
}

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
    /// When the API server had answered it; of a watch, when it began.
    pub done: jiff::Timestamp,
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

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The end of the log as it is now.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn mark(&self) -> Result<Mark> {
        // Behind the last whole line: the API server may be in the middle of the next one.
        let (mut log, mut end, mut line) = (self.open(Mark(0))?, 0, Vec::new());
        loop {
            line.clear();
            let length = log.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                return Ok(Mark(end));
            }
            end += u64::try_from(length)?;
        }
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
        let mut requests = Vec::new();
        let end = self.visit(mark, |request| {
            requests.push(request);
            Ok(())
        })?;
        Ok((end, requests))
    }

    /// Shows the requests whose line was written after `mark` one by one, so that a long log need not be held, and
    /// answers the end of the log up to which they are.
    ///
    /// # Errors
    /// When the log cannot be read or understood, and those of `show`.
    pub fn visit(&self, mark: Mark, mut show: impl FnMut(Request) -> Result<()>) -> Result<Mark> {
        let mut log = self.open(mark)?;
        let (mut end, mut line) = (mark.0, String::new());
        let mut begun = HashSet::new();
        loop {
            line.clear();
            let length = log.read_line(&mut line)?;
            // The API server may be in the middle of the next one.
            if !line.ends_with('\n') {
                return Ok(Mark(end));
            }
            end += u64::try_from(length)?;
            let event: Event = serde_json::from_str(&line).with_context(|| format!("audit line {line}"))?;
            let counts = match event.stage.as_str() {
                "ResponseStarted" => event.verb == "watch" && begun.insert(event.audit_id.clone()),
                // The end of a watch is not its beginning, but one that was refused may have no other line.
                "ResponseComplete" | "Panic" => {
                    event.verb != "watch" || (event.code() >= 400 && begun.insert(event.audit_id.clone()))
                }
                _ => false,
            };
            if counts {
                show(event.into())?;
            }
        }
    }

    /// The requests since `mark` that ask for a change of a stored object.
    ///
    /// # Errors
    /// As [`since`](Self::since).
    pub fn writes_since(&self, mark: Mark) -> Result<Vec<Request>> {
        Ok(self.since(mark)?.into_iter().filter(Request::is_write).collect())
    }

    fn open(&self, from: Mark) -> Result<BufReader<File>> {
        let mut file = File::open(&self.path).with_context(|| self.path.display().to_string())?;
        file.seek(SeekFrom::Start(from.0))?;
        Ok(BufReader::new(file))
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
    stage_timestamp: jiff::Timestamp,
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
            done: event.stage_timestamp,
        }
    }
}
