//! The operator's binary as a process of its own.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT, eventually, http_get, logs, plane::ControlPlane};

/// How to run the operator.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The executable; in an integration test `env!("CARGO_BIN_EXE_security-baseline-operator")`.
    pub binary: PathBuf,
    /// What follows `run` on its command line.
    pub args: Vec<String>,
    /// Environment variables beside those of this process.
    pub env: Vec<(String, String)>,
    /// The port on which `args` tell it to serve `/metrics` and `/readyz`, from [`free_port`](super::free_port).
    pub port: u16,
    /// The identity to run as, if not its own ServiceAccount, which must exist.
    pub kubeconfig: Option<PathBuf>,
}

impl OperatorOptions {
    /// Its own ServiceAccount, no arguments, and this port.
    pub fn new(binary: impl Into<PathBuf>, port: u16) -> Self {
        Self {
            binary: binary.into(),
            args: Vec::new(),
            env: Vec::new(),
            port,
            kubeconfig: None,
        }
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

/// A running operator. Dropped, it is killed; if the drop is part of a panic, its log is kept.
pub struct Operator {
    child: Child,
    /// Kills it when this process is gone and could not.
    watchdog: Child,
    port: u16,
    /// Holds its log.
    dir: TempDir,
}

impl Operator {
    /// Runs the operator against a control plane, as its own ServiceAccount.
    ///
    /// # Errors
    /// When there is no such ServiceAccount (see [`ControlPlane::install`]) or no such executable.
    pub async fn spawn(plane: &ControlPlane, options: OperatorOptions) -> Result<Self> {
        let kubeconfig = match options.kubeconfig {
            Some(kubeconfig) => kubeconfig,
            None => {
                plane
                    .kubeconfig_for_service_account(OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT)
                    .await?
            }
        };
        let dir = tempfile::Builder::new().prefix("operator-").tempdir()?;
        let log = File::create(dir.path().join("operator.log"))?;
        let child = Command::new(&options.binary)
            .arg("run")
            .args(&options.args)
            .envs(options.env)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C, or the end of the terminal, is for this process; the watchdog then ends the operator.
            .process_group(0)
            .spawn()
            .with_context(|| format!("running {}", options.binary.display()))?;
        let watchdog = watchdog(child.id())?;
        Ok(Self {
            child,
            watchdog,
            port: options.port,
            dir,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The port of its `/metrics` and `/readyz`.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has written to stdout and stderr so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.dir.path().join("operator.log"))?)
    }

    /// Lets it go on after this process, for as long as another process runs. Answers where its log is; that directory
    /// and `remove` are removed after its end.
    ///
    /// # Errors
    /// When `sh` cannot be run.
    pub fn keep(mut self, with: u32, remove: &Path) -> Result<PathBuf> {
        // It watches from now on; then the one that would kill the operator as soon as this process is gone may end.
        Command::new("sh")
            .arg("-c")
            .arg("while kill -0 $0 2>/dev/null; do sleep 1; done; kill $1 2>/dev/null; rm -rf -- \"$2\" \"$3\"")
            .args([with.to_string(), self.pid().to_string()])
            .args([self.dir.path(), remove])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("running sh")?;
        self.watchdog.kill()?;
        self.watchdog.wait()?;
        self.dir.disable_cleanup(true);
        let log = self.dir.path().join("operator.log");
        // Its drop would kill it.
        std::mem::forget(self);
        Ok(log)
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Its metrics, in the text format of Prometheus.
    ///
    /// # Errors
    /// When it does not serve them.
    pub async fn metrics(&self) -> Result<String> {
        let (code, body) = http_get(self.port, "/metrics").await?;
        ensure!(code == 200, "/metrics answers {code}: {body}");
        Ok(body)
    }

    /// Waits until its `/readyz` answers 200.
    ///
    /// # Errors
    /// When it does not within `timeout`, or the operator ends: the error holds its log.
    pub async fn ready(&mut self, timeout: Duration) -> Result<()> {
        let port = self.port;
        let ended = eventually("the operator is ready", timeout, async || {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            let (code, body) = http_get(port, "/readyz").await?;
            ensure!(code == 200, "/readyz answers {code}: {body}");
            Ok(None)
        })
        .await;
        match ended {
            Ok(None) => Ok(()),
            Ok(Some(status)) => bail!("the operator has ended ({status}); its log:\n{}", self.log()?),
            Err(error) => Err(error.context(format!("the operator's log:\n{}", self.log()?))),
        }
    }

    /// Sends it a signal, such as `Signal::STOP` and `Signal::CONT`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the operator has ended ({status})");
        }
        // Its process id is still its own: it has not been waited for.
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Ends it as a crash does (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end (SIGTERM), and answers with how it did.
    ///
    /// # Errors
    /// When it has ended before, or has not ended after `timeout`.
    pub async fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let child = &mut self.child;
        eventually("the operator ends after SIGTERM", timeout, async || {
            child.try_wait()?.context("it still runs")
        })
        .await
    }
}

/// A process that kills another one as soon as this one is gone, however it went: its standard input then ends.
fn watchdog(pid: u32) -> Result<Child> {
    Command::new("sh")
        .args(["-c", "cat >/dev/null; kill -9 $0 2>/dev/null", &pid.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .context("running sh")
}

impl Drop for Operator {
    fn drop(&mut self) {
        // They may have ended already; there is nobody to tell about any other error. The watchdog goes first: the
        // process id is the operator's own until it is waited for.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.kill();
        if std::thread::panicking() {
            logs::keep(self.dir.path(), "operator");
        }
    }
}
