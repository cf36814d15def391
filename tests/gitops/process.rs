//! Programs that run beside the operator for as long as a test does.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A program that runs. Dropped, it is killed.
pub struct Process {
    /// A shell that kills it as soon as its standard input ends: also when this process is gone, however it went.
    shell: Child,
    log: PathBuf,
}

impl Process {
    /// Starts one in a folder, where its log is too, under this name.
    pub fn start(folder: &Path, name: &str, program: &Path, args: &[&str], env: &[(&str, &OsStr)]) -> Self {
        let log = folder.join(format!("{name}.log"));
        let out = File::create(&log).unwrap();
        let shell = Command::new("sh")
            .args(["-c", "\"$@\" </dev/null & cat >/dev/null; kill -9 $!; wait", "sh"])
            .arg(program)
            .args(args)
            .envs(env.iter().copied())
            .env("TMPDIR", folder)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        Self { shell, log }
    }

    /// What it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its end is what the shell waits for.
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

/// Runs a program to its end in a folder, and answers what it printed.
pub fn run(folder: &Path, program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", args.join(" "));
    output.stdout
}

/// Where the source of a Go module is, at the version at which a tool's go.mod names it or one of the same versions.
pub fn module(tool: &str, path: &str, versioned_as: &str) -> PathBuf {
    let folder = crate::stage::file("tests/tools").join(tool);
    let version = String::from_utf8(run(&folder, "go", &["list", "-m", "-f", "{{.Version}}", versioned_as])).unwrap();
    let module = format!("{path}@{}", version.trim());
    let known = run(&folder, "go", &["mod", "download", "-json", &module]);
    let known: serde_json::Value = serde_json::from_slice(&known).unwrap();
    PathBuf::from(known["Dir"].as_str().unwrap())
}
