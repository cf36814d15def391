//! What /proc and the audit log tell.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;

use crate::support::audit::{Log, Mark, Request};
use crate::wire::Call;

/// How often the audit log is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// The kernel counts CPU time in hundredths of a second, on every architecture that Rust and Kubernetes share.
const TICKS: f64 = 100.0;

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// What is resident, in MB (2^20).
    pub resident: f64,
    /// The most that was ever resident, in MB.
    pub highest: f64,
    /// User and system time, in seconds.
    pub cpu: f64,
}

/// What a process has used so far.
pub fn usage(pid: u32) -> Result<Usage> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<f64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .context("no such field")?;
        let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes / 1024.0)
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the command in brackets, in which there may be anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).context("a short stat")?.parse()?) };
    Ok(Usage {
        resident: field("VmRSS:")?,
        highest: field("VmHWM:")?,
        cpu: (ticks(11)? + ticks(12)?) / TICKS,
    })
}

/// Requests, counted.
#[derive(Default)]
pub struct Tally {
    /// All but watches.
    pub requests: usize,
    /// Those that ask for a change of a stored object.
    pub writes: usize,
    /// Those that were refused.
    pub refused: usize,
    /// Lists.
    pub lists: usize,
    /// Successful writes of labels and children, by when each was answered.
    pub children: Vec<Timestamp>,
    /// When the last report was written.
    pub last_report: Option<Timestamp>,
    /// When the first request came.
    pub first: Option<Timestamp>,
    /// Requests by verb and resource.
    pub by: BTreeMap<String, usize>,
    /// What was written, but for events.
    objects: HashSet<String>,
    reported: HashSet<String>,
}

impl Tally {
    /// Counts a request.
    pub fn add(&mut self, request: &Request) {
        *self
            .by
            .entry(format!("{} {}", request.verb, request.resource))
            .or_default() += 1;
        if request.verb == "watch" {
            return;
        }
        self.first.get_or_insert(request.at);
        self.requests += 1;
        self.lists += usize::from(request.verb == "list");
        if !request.is_write() {
            return;
        }
        self.writes += 1;
        if !(200..300).contains(&request.code) {
            self.refused += 1;
            return;
        }
        match request.resource.as_str() {
            "events" => return,
            "baselinereports" => {
                self.last_report = self.last_report.max(Some(request.done));
                self.reported.extend(request.namespace.clone());
            }
            _ if is_child(request) => self.children.push(request.done),
            _ => {}
        }
        self.objects.insert(object(request));
    }

    /// How many different objects were written; events are told, and not held.
    pub fn objects(&self) -> usize {
        self.objects.len()
    }

    /// How many namespaces' reports were written.
    pub fn reported(&self) -> usize {
        self.reported.len()
    }

    /// When the last label or child was written.
    pub fn last_child(&self) -> Result<Timestamp> {
        self.children.iter().max().copied().context("no child was written")
    }
}

/// Whether it is about labels of a namespace, or an object that a control asks for.
pub fn is_child(request: &Request) -> bool {
    matches!(
        request.resource.as_str(),
        "namespaces" | "networkpolicies" | "resourcequotas" | "limitranges" | "roles" | "rolebindings"
    )
}

fn object(request: &Request) -> String {
    let named = || Some(request.body.as_ref()?["metadata"]["name"].as_str()?.to_owned());
    let name = request.name.clone().or_else(named).unwrap_or_default();
    let namespace = request.namespace.as_deref().unwrap_or_default();
    format!("{}/{namespace}/{name}", request.resource)
}

/// Seconds between two instants of the API server's and this program's clock, which are one.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

/// Counts what comes into the log until `done`, and then until nothing has come for a while.
pub async fn follow(
    log: &Log,
    from: Mark,
    quiet: Duration,
    patience: Duration,
    done: impl Fn(&Tally) -> bool,
) -> Result<Tally> {
    let (mut tally, mut mark) = (Tally::default(), from);
    let (begin, mut last) = (Instant::now(), Instant::now());
    loop {
        let before = tally.requests;
        mark = log.visit(mark, |request| {
            tally.add(&request);
            Ok(())
        })?;
        if tally.requests != before {
            last = Instant::now();
        }
        if done(&tally) && last.elapsed() >= quiet {
            return Ok(tally);
        }
        ensure!(begin.elapsed() < patience, "not within {patience:?}: {:?}", tally.by);
        tokio::time::sleep(LOOK).await;
    }
}

/// What was written, as calls that write the same again: a group for each namespace, in the order in which they were
/// begun, and in each the writes in their order. Only the first write of an object counts.
#[derive(Default)]
pub struct Recording {
    /// Of labels and children.
    pub children: Vec<Vec<Call>>,
    /// Of reports.
    pub reports: Vec<Vec<Call>>,
}

/// Reads it out of the audit log.
pub fn recording(log: &Log, from: Mark) -> Result<Recording> {
    let mut recording = Recording::default();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut seen = HashSet::new();
    log.visit(from, |request| {
        let report = request.resource == "baselinereports";
        let good = request.is_write() && (200..300).contains(&request.code);
        if !good || !(report || is_child(&request)) || !seen.insert(object(&request)) {
            return Ok(());
        }
        let namespace = request.namespace.clone().or(request.name.clone()).unwrap_or_default();
        if report {
            recording.reports.push(vec![call(&request)]);
            return Ok(());
        }
        let place = *places.entry(namespace).or_insert(recording.children.len());
        if place == recording.children.len() {
            recording.children.push(Vec::new());
        }
        if let Some(group) = recording.children.get_mut(place) {
            group.push(call(&request));
        }
        Ok(())
    })?;
    Ok(recording)
}

fn call(request: &Request) -> Call {
    let method = match request.verb.as_str() {
        "create" => "POST",
        "update" => "PUT",
        "patch" => "PATCH",
        _ => "DELETE",
    };
    Call {
        method: method.to_owned(),
        uri: request.uri.clone(),
        body: request.body.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

impl Recording {
    /// The calls that are in one of two recordings and not in the other.
    pub fn difference(&self, other: &Self) -> usize {
        let all = |of: &Self| -> HashSet<Call> { of.children.iter().chain(&of.reports).flatten().cloned().collect() };
        all(self).symmetric_difference(&all(other)).count()
    }
}
