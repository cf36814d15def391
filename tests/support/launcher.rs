//! The launcher (`tests/controlplane`) as a process that is told what to do, line by line.
//!
//! Everything here blocks and belongs to no async runtime, because the plane that tests share outlives the runtime of
//! the test that happened to start it.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::OnceLock,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, de::DeserializeOwned};

/// One of the processes of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Where the API server keeps its objects.
    Etcd,
    /// `kube-apiserver`.
    ApiServer,
    /// `kube-controller-manager`.
    ControllerManager,
}

impl Component {
    /// All of them, in the order of their start.
    pub const ALL: [Self; 3] = [Self::Etcd, Self::ApiServer, Self::ControllerManager];

    /// The name of the executable, as the launcher takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Etcd => "etcd",
            Self::ApiServer => "kube-apiserver",
            Self::ControllerManager => "kube-controller-manager",
        }
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where everything of a control plane is, as the launcher says once it works.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// The launcher's own process id.
    pub pid: u32,
    /// The plane's directory, removed with it.
    pub dir: PathBuf,
    /// Where the API server serves, such as `https://127.0.0.1:12345`.
    pub url: String,
    /// A kubeconfig of a user in `system:masters`.
    pub admin_kubeconfig: PathBuf,
    /// The certificate authority of the API server.
    pub ca_file: PathBuf,
    /// The audit log, which holds the operator's requests alone.
    pub audit_log: PathBuf,
    /// How long the start took, in milliseconds.
    pub start_millis: u64,
}

/// What the launcher answers a command with.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    pids: BTreeMap<String, u32>,
}

/// Whether a control plane ends with the process that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// It does, however that process ends.
    Ours,
    /// It does when it is dropped or interrupted, but it can be kept (see [`Launcher::keep`]).
    Detachable,
}

/// A running launcher. Dropped, it ends everything and waits until nothing is left.
pub(super) struct Launcher {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    /// The plane's directory, once it is known.
    dir: Option<PathBuf>,
    lifetime: Lifetime,
    kept: bool,
}

impl Launcher {
    /// Starts a control plane and waits until it works, which takes seconds; the very first time on a machine, it is
    /// built before, which takes minutes and is reported on stderr.
    pub(super) fn start(lifetime: Lifetime) -> Result<(Self, Info)> {
        let paths = built()?;
        let mut command = Command::new(&paths.launcher);
        command
            .arg("up")
            .arg("--assets")
            .arg(&paths.assets)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        match lifetime {
            // Whoever waits for all of this process's output, as a pipe does, then also waits for the clean-up after it.
            Lifetime::Ours => command.stderr(Stdio::inherit()),
            // What is kept must not hold a pipe open, nor end with the terminal's Ctrl-C.
            Lifetime::Detachable => command.arg("--detach").stderr(Stdio::null()).process_group(0),
        };
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {}", paths.launcher.display()))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("the launcher has no stdout")?);
        let mut launcher = Self {
            child,
            stdin,
            stdout,
            dir: None,
            lifetime,
            kept: false,
        };
        let info: Info = launcher.answer().context("the control plane did not start")?;
        launcher.dir = Some(info.dir.clone());
        Ok((launcher, info))
    }

    /// Has a command about a component carried out.
    pub(super) fn tell(&mut self, command: &str, component: Component) -> Result<()> {
        self.ask(&format!("{command} {component}")).map(drop)
    }

    /// The process ids of the components that run.
    pub(super) fn pids(&mut self) -> Result<BTreeMap<String, u32>> {
        Ok(self.ask("pids")?.pids)
    }

    /// Lets the control plane go on after this process: until the launcher gets a SIGTERM.
    pub(super) fn keep(&mut self) {
        debug_assert_eq!(self.lifetime, Lifetime::Detachable);
        self.kept = true;
    }

    fn ask(&mut self, line: &str) -> Result<Answer> {
        let stdin = self.stdin.as_mut().context("the launcher has no stdin")?;
        writeln!(stdin, "{line}")
            .and_then(|()| stdin.flush())
            .with_context(|| format!("telling the launcher to {line}"))?;
        self.answer().with_context(|| line.to_owned())
    }

    /// Reads one answer, which is an error if it says so.
    fn answer<T: DeserializeOwned>(&mut self) -> Result<T> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the launcher has ended without an answer");
        let value: serde_json::Value =
            serde_json::from_str(&line).with_context(|| format!("the launcher said {line:?}"))?;
        if value["ok"] != true {
            bail!("{}", value["error"].as_str().unwrap_or("the launcher gives no reason"));
        }
        Ok(serde_json::from_value(value)?)
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // The end of its stdin ends it, or a signal where it was told not to mind that. Nothing can be done about an
        // error here.
        drop(self.stdin.take());
        if self.lifetime == Lifetime::Detachable {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let _ = self.child.wait();
        // It removes its directory itself, unless it was killed.
        if let Some(dir) = &self.dir {
            let _ = fs::remove_dir_all(dir);
        }
    }
}

/// What `build.sh` made ready.
struct Built {
    launcher: PathBuf,
    assets: PathBuf,
}

/// Runs `build.sh`, once in this process.
fn built() -> Result<&'static Built> {
    static BUILT: OnceLock<Result<Built, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow!("{error}"))
}

fn build() -> Result<Built> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/controlplane/build.sh");
    let output = Command::new("bash")
        .arg(&script)
        .stderr(Stdio::inherit())
        .output()
        .context("running bash")?;
    ensure!(output.status.success(), "{} failed, see its output", script.display());
    let stdout = String::from_utf8(output.stdout)?;
    let path = |key: &str| {
        let line = stdout
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(PathBuf::from)
            .with_context(|| format!("{} did not say its {key}", script.display()))
    };
    Ok(Built {
        launcher: path("launcher")?,
        assets: path("assets")?,
    })
}
