//! The reference as a process.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::reference::{Done, Job, Task};
use crate::wire::Target;

/// A reference process that has opened its connections. Dropped, it is killed.
pub struct Process {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
    _dir: TempDir,
}

impl Process {
    /// Starts it, and waits until it is ready.
    pub async fn start(target: &Target, task: Task) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("bench-job-").tempdir()?;
        let path: PathBuf = dir.path().join("job.json");
        let job = Job {
            target: target.clone(),
            task,
        };
        std::fs::write(&path, serde_json::to_vec(&job)?)?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--reference")
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let mut process = Self {
            _child: child,
            stdin,
            stdout,
            _dir: dir,
        };
        let line = process.line().await?;
        ensure!(line == "ready", "the reference says {line}");
        Ok(process)
    }

    /// Has it begin.
    pub async fn go(&mut self) -> Result<()> {
        Ok(self.stdin.write_all(b"go\n").await?)
    }

    /// Waits for what it has done.
    pub async fn done(&mut self) -> Result<Done> {
        Ok(serde_json::from_str(&self.line().await?)?)
    }

    async fn line(&mut self) -> Result<String> {
        self.stdout.next_line().await?.context("the reference has ended")
    }
}
