//! The reference: a bare HTTP client over TLS, as fast as it gets, that sends what the operator was seen to send.
//!
//! It runs as a process of its own (`--reference FILE`), as the operator does, with as many threads. It opens its
//! connections, says `ready`, and begins with the first line on its standard input.

use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::measure::usage;
use crate::policies::{DENY, POLICIES, about, opened, raced};
use crate::wire::{Call, Connection, Lines, Target};

/// What a reference process does.
#[derive(Debug, Serialize, Deserialize)]
pub enum Task {
    /// Sends groups of calls, phase after phase. The calls of a group go one after the other; each connection takes the
    /// next group.
    Write {
        /// Files of groups (see [`save`]), one for each phase.
        phases: Vec<PathBuf>,
        /// How many connections.
        connections: usize,
    },
    /// Lists kinds in pages, all kinds at the same time, and decodes every page.
    List {
        /// Paths, such as `/api/v1/namespaces`.
        paths: Vec<String>,
        /// The length of a page.
        limit: u32,
    },
    /// Repairs NetworkPolicies by a watch of its own until its standard input ends, and writes groups meanwhile.
    Repair {
        /// The creating calls, one group for each namespace.
        creations: PathBuf,
        /// What it writes meanwhile, once it is told to go, with how many connections.
        load: Option<(PathBuf, usize)>,
    },
}

/// A task, and where.
#[derive(Debug, Serialize, Deserialize)]
pub struct Job {
    /// Where.
    pub target: Target,
    /// What.
    pub task: Task,
}

/// What a reference process says at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Done {
    /// From its first request to its last reply, in seconds.
    pub seconds: f64,
    /// Requests, or objects that were listed.
    pub count: usize,
    /// When it began, in microseconds since 1970.
    pub began: i64,
    /// User and system time of the process, in seconds.
    pub cpu: f64,
}

/// Writes groups of calls to a file, one a line.
pub fn save<'a>(path: &Path, groups: impl IntoIterator<Item = &'a Vec<Call>>) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for group in groups {
        serde_json::to_writer(&mut file, group)?;
        file.write_all(b"\n")?;
    }
    Ok(file.flush()?)
}

fn load(path: &Path) -> Result<Vec<Vec<Call>>> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

/// Connections, opened.
pub async fn connections(target: &Target, count: usize) -> Result<Vec<Connection>> {
    let mut open = Vec::new();
    for _ in 0..count {
        open.push(Connection::open(target).await?);
    }
    Ok(open)
}

/// Sends all groups, each connection taking the next one; every reply is decoded. Answers with the connections and the
/// number of calls.
pub async fn write(open: Vec<Connection>, groups: Arc<Vec<Vec<Call>>>) -> Result<(Vec<Connection>, usize)> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = Vec::new();
    for mut connection in open {
        let (groups, next) = (Arc::clone(&groups), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut count = 0;
            while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                for call in group {
                    let reply = connection.send(call).await?;
                    let decoded: Value = serde_json::from_slice(&reply)?;
                    ensure!(decoded["metadata"]["uid"].is_string(), "a reply without an object");
                    count += 1;
                }
            }
            anyhow::Ok((connection, count))
        }));
    }
    let (mut open, mut total) = (Vec::new(), 0);
    for task in tasks {
        let (connection, count) = task.await??;
        open.push(connection);
        total += count;
    }
    Ok((open, total))
}

/// Runs the job in a file, and prints what came of it.
pub async fn run(file: &Path) -> Result<()> {
    let job: Job = serde_json::from_slice(&std::fs::read(file)?)?;
    let done = match job.task {
        Task::Write { phases, connections } => {
            let phases = phases
                .iter()
                .map(|path| load(path).map(Arc::new))
                .collect::<Result<Vec<_>>>()?;
            let mut open = self::connections(&job.target, connections).await?;
            let began = go()?;
            let mut count = 0;
            for groups in phases {
                let sent;
                (open, sent) = write(open, groups).await?;
                count += sent;
            }
            began.done(count)?
        }
        Task::List { paths, limit } => {
            let began = go()?;
            let mut tasks = Vec::new();
            for path in paths {
                let target = job.target.clone();
                tasks.push(tokio::spawn(async move { list(&target, &path, limit).await }));
            }
            let mut count = 0;
            for task in tasks {
                count += task.await??;
            }
            began.done(count)?
        }
        Task::Repair {
            creations,
            load: meanwhile,
        } => {
            let creations = load(&creations)?.into_iter().flatten();
            let creations = creations.map(|call| Ok((namespace(&call.uri)?.to_owned(), call)));
            let creations = creations.collect::<Result<HashMap<_, _>>>()?;
            let meanwhile = match meanwhile {
                Some((path, count)) => Some((Arc::new(load(&path)?), connections(&job.target, count).await?)),
                None => None,
            };
            let mut watch = Connection::open(&job.target).await?;
            let writes = Connection::open(&job.target).await?;
            let uri = format!(
                "{POLICIES}?watch=true&allowWatchBookmarks=true&resourceVersion={}",
                version(&mut watch).await?
            );
            let events = watch.begin(&Call::get(uri)).await?;
            let repairs = tokio::spawn(repair(events.into_body(), writes, creations));
            let began = go()?;
            let mut count = 0;
            if let Some((groups, open)) = meanwhile {
                count = write(open, groups).await?.1;
            }
            let done = began.done(count)?;
            println!("{}", serde_json::to_string(&done)?);
            tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await?;
            ensure!(!repairs.is_finished(), "the repairs ended: {:?}", repairs.await?);
            return Ok(());
        }
    };
    println!("{}", serde_json::to_string(&done)?);
    Ok(())
}

struct Began(std::time::Instant, i64);

impl Began {
    fn done(&self, count: usize) -> Result<Done> {
        Ok(Done {
            seconds: self.0.elapsed().as_secs_f64(),
            count,
            began: self.1,
            cpu: usage(std::process::id())?.cpu,
        })
    }
}

/// Says that it is ready, and waits for the word.
fn go() -> Result<Began> {
    println!("ready");
    std::io::stdin().lock().read_line(&mut String::new())?;
    Ok(Began(
        std::time::Instant::now(),
        jiff::Timestamp::now().as_microsecond(),
    ))
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMeta,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct PageMeta {
    #[serde(default, rename = "continue")]
    next: String,
    #[serde(rename = "resourceVersion")]
    version: String,
}

/// As little as a list can be decoded to, and still tell what changed.
#[derive(Deserialize)]
struct Item {
    metadata: ItemMeta,
}

#[derive(Deserialize)]
struct ItemMeta {
    #[serde(rename = "resourceVersion")]
    version: String,
}

async fn list(target: &Target, path: &str, limit: u32) -> Result<usize> {
    let mut connection = Connection::open(target).await?;
    let (mut count, mut next) = (0, String::new());
    loop {
        let more = if next.is_empty() {
            String::new()
        } else {
            format!("&continue={next}")
        };
        let reply = connection
            .send(&Call::get(format!("{path}?limit={limit}{more}")))
            .await?;
        let page: Page = serde_json::from_slice(&reply)?;
        count += page
            .items
            .iter()
            .filter(|item| !item.metadata.version.is_empty())
            .count();
        if page.metadata.next.is_empty() {
            return Ok(count);
        }
        next = page.metadata.next;
    }
}

/// The version of the collection of NetworkPolicies.
pub async fn version(connection: &mut Connection) -> Result<String> {
    let reply = connection.send(&Call::get(format!("{POLICIES}?limit=1"))).await?;
    Ok(serde_json::from_slice::<Page>(&reply)?.metadata.version)
}

/// The namespace in a path.
pub fn namespace(uri: &str) -> Result<&str> {
    let after = uri.split("/namespaces/").nth(1).with_context(|| uri.to_owned())?;
    Ok(after.split(['/', '?']).next().unwrap_or(after))
}

/// Undoes what happens to the deny policies: one write for each event.
async fn repair(events: Incoming, mut writes: Connection, creations: HashMap<String, Call>) -> Result<()> {
    let mut lines = Lines::new(events);
    while let Some(text) = lines.next().await? {
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            // What it wrote itself, in the first instance, it does not take apart: a stronger reference.
            if !about(line, DENY) {
                continue;
            }
            let mut event: Value = serde_json::from_slice(line)?;
            let namespace = event["object"]["metadata"]["namespace"].as_str().unwrap_or_default();
            let Some(creation) = creations.get(namespace) else {
                continue;
            };
            let call = match event["type"].as_str() {
                Some("DELETED") => creation.clone(),
                Some("MODIFIED") if opened(&event["object"]) => replacement(creation, event["object"].take())?,
                _ => continue,
            };
            // Gone or changed again meanwhile: its next event is on its way.
            let reply = match writes.send(&call).await {
                Err(error) if raced(&error) => continue,
                reply => reply?,
            };
            let _: Value = serde_json::from_slice(&reply)?;
        }
    }
    bail!("the watch ended")
}

/// The live object with the spec that is asked for, as the operator sends it.
fn replacement(creation: &Call, live: Value) -> Result<Call> {
    let mut asked: Value = serde_json::from_str(&creation.body)?;
    let (path, query) = creation.uri.split_once('?').unwrap_or((&creation.uri, ""));
    asked["metadata"]["uid"] = live["metadata"]["uid"].clone();
    asked["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    Ok(Call {
        method: "PUT".to_owned(),
        uri: format!("{path}/{DENY}?{query}"),
        body: asked.to_string(),
    })
}
