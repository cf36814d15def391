//! What is only for a terminal: colours, and what is told while something takes long.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;

use super::{arg, written};
use crate::stage::BINARY;

/// Opening it makes it nobody's controlling terminal.
const NOCTTY: i32 = 0o400;

/// A terminal: the side that shows, and the side that programs write to.
fn terminal() -> (File, File) {
    let shows = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&shows).unwrap();
    unlockpt(&shows).unwrap();
    let name = ptsname(&shows, Vec::new()).unwrap();
    let mut options = OpenOptions::new();
    let written = options
        .read(true)
        .write(true)
        .custom_flags(NOCTTY)
        .open(name.to_str().unwrap())
        .unwrap();
    (File::from(shows), written)
}

/// What is shown until every program that writes to it has ended.
fn shown(mut shows: File) -> String {
    let mut all = Vec::new();
    let mut some = [0; 4096];
    // The end is an error on Linux.
    while let Ok(read @ 1..) = shows.read(&mut some) {
        all.extend_from_slice(&some[..read]);
    }
    String::from_utf8(all).unwrap()
}

#[test]
fn a_terminal_shows_colours_unless_somebody_wants_none() {
    let file = written(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-a"}},
        {"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": "tenants"},
         "spec": {"namespaceSelector": {}, "networkIsolation": {"defaultDeny": ["Ingress"]}}},
    ]}));
    for (unwanted, coloured) in [(None, true), (Some(""), true), (Some("1"), false)] {
        let (shows, stdout) = terminal();
        let mut command = Command::new(BINARY);
        command.args(["audit", "--objects", arg(&file)]).env_remove("NO_COLOR");
        command.envs(unwanted.map(|value| ("NO_COLOR", value)));
        let mut child = command.stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        let shown = shown(shows);
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert!(shown.contains("SB-NET-001"), "{shown}");
        assert_eq!(
            shown.contains("\u{1b}[31m"),
            coloured,
            "NO_COLOR={unwanted:?}: {shown:?}"
        );
    }
}

#[test]
fn a_terminal_is_told_what_is_done_and_that_is_gone_before_an_error_is_told() {
    let kubeconfig = written(&json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {}}]}));
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "workers: 1").unwrap();
    let audit = || {
        let mut command = Command::new(BINARY);
        command.args(["audit", "--kubeconfig", arg(&kubeconfig), "--config", arg(&config)]);
        command.stdout(Stdio::null());
        command
    };
    let (shows, stderr) = terminal();
    let mut command = audit();
    let mut child = command.stderr(stderr).spawn().unwrap();
    drop(command);
    let shown = shown(shows);
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(shown.contains("\r\u{1b}[Klisting "), "{shown:?}");
    let last = shown.rsplit("\r\u{1b}[K").next().unwrap();
    assert!(
        last.starts_with("security-baseline-operator: could not list"),
        "{shown:?}"
    );
    let piped = audit().output().unwrap();
    let said = String::from_utf8(piped.stderr).unwrap();
    assert!(
        said.starts_with("security-baseline-operator: could not list"),
        "nobody waits in front of a pipe: {said:?}"
    );
}
