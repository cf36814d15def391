//! Where commands look: a cluster, by a kubeconfig as kubectl has it, or files.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::Failure;
use super::names;
use super::report::model::Source;
use crate::engine::client::{Connection, Way, connect};
use crate::engine::clock::SystemClock;
use crate::engine::config::Config;
use crate::engine::snapshot::{Scope, Snapshot, config_of, objects};

/// How to reach a cluster.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub(super) struct Connect {
    /// The kubeconfig; else the environment's (KUBECONFIG, ~/.kube/config), else a pod's own.
    #[arg(long, value_name = "FILE")]
    pub(super) kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context.
    #[arg(long, value_name = "NAME")]
    pub(super) context: Option<String>,
    /// Whom to impersonate, such as system:serviceaccount:NAMESPACE:NAME: what they may not read is unknown.
    #[arg(long = "as", value_name = "USER")]
    user: Option<String>,
    /// A group to impersonate. May be given more than once.
    #[arg(long = "as-group", value_name = "GROUP", requires = "user")]
    groups: Vec<String>,
    /// The namespace that the operator runs in, where its configuration is read from.
    #[arg(long, value_name = "NAME", default_value = "security-baseline-system", value_parser = names::namespace)]
    pub(super) operator_namespace: String,
    /// The name of the operator's ConfigMap and Deployment there (the chart's nameOverride).
    #[arg(long, value_name = "NAME", default_value = "security-baseline-operator", value_parser = names::object)]
    pub(super) operator_name: String,
}

impl Connect {
    /// Connects.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let way = Way {
            kubeconfig: self.kubeconfig.as_deref(),
            context: self.context.as_deref(),
            user: self.user.as_deref(),
            groups: &self.groups,
        };
        Ok(connect(way).await?)
    }

    /// The operator's configuration, and where it is from.
    pub(super) async fn config(&self, connection: &Connection) -> Result<(Config, String), Failure> {
        Ok(config_of(&connection.client, &self.operator_namespace, &self.operator_name).await?)
    }
}

/// What is looked at.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Look {
    #[command(flatten)]
    pub(super) connect: Connect,
    /// Look at the objects in this file, or in the files of this folder, instead of a cluster: what `kubectl get … --output
    /// yaml` prints; `-` is standard input. May be given more than once.
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(super) objects: Vec<PathBuf>,
    /// The operator's configuration; else the one in the cluster, else the one that is shipped.
    #[arg(long, value_name = "FILE", help_heading = "Cluster")]
    pub(super) config: Option<PathBuf>,
}

/// Which namespaces are looked at.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Namespaces {
    /// Only this namespace. May be given more than once.
    #[arg(short, long = "namespace", value_name = "NAME", value_parser = names::namespace, help_heading = "Cluster")]
    names: Vec<String>,
    /// All namespaces. That is the default; it is here because kubectl has it.
    #[arg(short = 'A', long, conflicts_with = "names", help_heading = "Cluster")]
    all_namespaces: bool,
}

impl Namespaces {
    /// As the engine takes it.
    pub(super) fn scope(&self) -> Scope {
        if self.names.is_empty() {
            Scope::All
        } else {
            Scope::Only(self.names.iter().cloned().collect())
        }
    }
}

impl Look {
    /// Takes a snapshot.
    pub(super) async fn snapshot(&self, scope: Scope) -> Result<(Snapshot, Source), Failure> {
        let stated = match &self.config {
            Some(path) => {
                let mut config = Config::load(path)?;
                self.connect.operator_namespace.clone_into(&mut config.own_namespace);
                Some((config, path.display().to_string()))
            }
            None => None,
        };
        let namespaces = match &scope {
            Scope::All => Vec::new(),
            Scope::Only(names) => names.iter().cloned().collect(),
        };
        let clock = Arc::new(SystemClock);
        if !self.objects.is_empty() {
            let all = read_objects(&self.objects)?;
            let all = all.into_iter().map(|(_, object)| object).collect();
            let (config, configuration) = match stated {
                Some(stated) => stated,
                None => {
                    let mut config = Config::default();
                    self.connect.operator_namespace.clone_into(&mut config.own_namespace);
                    (config, "defaults".to_owned())
                }
            };
            let snapshot = Snapshot::of(all, config, clock, scope).await?;
            let files = self.objects.iter().map(|path| path.display().to_string()).collect();
            let source = Source {
                files,
                configuration,
                namespaces,
                ..Source::default()
            };
            return Ok((snapshot, source));
        }
        let connection = self.connect.connect().await?;
        let (config, configuration) = match stated {
            Some(stated) => stated,
            None => self.connect.config(&connection).await?,
        };
        let progress = Progress::new();
        let tell = |what: &str| progress.tell(&format!("listing {what}"));
        let snapshot = Snapshot::read(connection.client, config, clock, scope, tell).await?;
        if !snapshot.installed {
            return Err("the cluster has no SecurityBaselines: install the CRDs first, with the chart or the kustomization of the operator (docs/install.md)".into());
        }
        let source = Source {
            server: Some(connection.server),
            context: connection.context,
            files: Vec::new(),
            configuration,
            namespaces,
        };
        Ok((snapshot, source))
    }

    /// Takes a snapshot of one namespace, which has to exist.
    pub(super) async fn one(&self, namespace: &str) -> Result<(Snapshot, Source), Failure> {
        let scope = Scope::Only(BTreeSet::from([namespace.to_owned()]));
        let (snapshot, source) = self.snapshot(scope).await?;
        if !snapshot.exists(namespace) {
            return Err(format!("there is no namespace {namespace}").into());
        }
        Ok((snapshot, source))
    }
}

/// The objects in files, and in the files of folders, each with its file; not in folders within these, as kubectl has it.
pub(super) fn read_objects(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Value)>, Failure> {
    let mut all = Vec::new();
    for path in paths {
        for path in files_of(path).map_err(|error| format!("{}: {error}", path.display()))? {
            let text = read_file(&path)?;
            let objects = objects(&text).map_err(|error| format!("{}: {error}", path.display()))?;
            all.extend(objects.into_iter().map(|object| (path.clone(), object)));
        }
    }
    Ok(all)
}

/// A file itself; of a folder, the files in it that hold objects by their names, in order.
fn files_of(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<std::io::Result<Vec<PathBuf>>>()?;
    files.retain(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        file.is_file() && extension.is_some_and(|extension| ["json", "yaml", "yml"].contains(&extension))
    });
    files.sort();
    Ok(files)
}

/// Reads a file, or standard input where its name is `-`.
pub(super) fn read_file(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    Ok(std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?)
}

/// Tells on a terminal what is being done; where standard error is none, nobody waits in front of it.
pub(super) struct Progress {
    shown: bool,
}

impl Progress {
    /// A line that comes and goes.
    pub(super) fn new() -> Self {
        Self {
            shown: std::io::stderr().is_terminal(),
        }
    }

    /// Tells what is being done.
    pub(super) fn tell(&self, what: &str) {
        self.show(&format!("{what} ..."));
    }

    fn show(&self, line: &str) {
        if self.shown {
            let mut err = std::io::stderr().lock();
            // Who does not see it misses nothing.
            let _ = write!(err, "\r\x1b[K{line}").and_then(|()| err.flush());
        }
    }
}

/// Takes the line away, also where what was being done failed: what is told next begins a line.
impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}
