//! Completion as kubectl asks its plugins for it: it runs a program of a name of its own with the words typed so far, and
//! reads one candidate a line, with what it means behind a tab, and last what the shell is to do beside that, as cobra has
//! it (<https://github.com/spf13/cobra/blob/main/site/content/completions/_index.md>).

use std::fmt::Write;

use clap::{Arg, Command};

/// The name of the program that kubectl asks.
pub(super) const PROGRAM: &str = "kubectl_complete-security_baseline";

/// What the shell is to do beside the candidates: names of files, or nothing.
const FILES: &str = ":0\n";
const NOTHING: &str = ":4\n";

/// The candidates for the last one of some words.
pub(super) fn candidates(mut root: Command, words: &[String]) -> String {
    root.build();
    let (last, before) = words
        .split_last()
        .map_or(("", words), |(last, before)| (last.as_str(), before));
    let mut command = &root;
    let mut awaited: Option<&Arg> = None;
    for word in before {
        if awaited.take().is_some() {
            continue;
        }
        if word.starts_with('-') {
            awaited = command.get_arguments().find(|arg| awaits(arg, word));
        } else if let Some(found) = command.find_subcommand(word) {
            command = found;
        }
    }
    let mut text = String::new();
    let mut offer = |candidate: &str, what: String| {
        if candidate.starts_with(last) {
            let what = what.lines().next().unwrap_or_default();
            // A text takes it.
            let _ = writeln!(text, "{candidate}\t{what}");
        }
    };
    let help = |arg: &Arg| arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut then = NOTHING;
    if let Some(arg) = awaited {
        for value in arg.get_possible_values() {
            let what = value.get_help().map(ToString::to_string).unwrap_or_default();
            offer(value.get_name(), what);
        }
        let names = arg.get_value_names().unwrap_or_default();
        if names.iter().any(|name| ["FILE", "DIR"].contains(&name.as_str())) {
            then = FILES;
        }
    } else if last.starts_with('-') {
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            if let Some(long) = arg.get_long() {
                offer(&format!("--{long}"), help(arg));
            }
        }
    } else {
        for found in command.get_subcommands().filter(|found| !found.is_hide_set()) {
            offer(
                found.get_name(),
                found.get_about().map(ToString::to_string).unwrap_or_default(),
            );
        }
        for value in command.get_positionals().flat_map(Arg::get_possible_values) {
            offer(value.get_name(), String::new());
        }
    }
    text + then
}

/// Whether a flag as it was typed is this one, and what comes next is its value.
fn awaits(arg: &Arg, word: &str) -> bool {
    let long = word.strip_prefix("--").is_some_and(|long| arg.get_long() == Some(long));
    let short = word
        .strip_prefix('-')
        .is_some_and(|short| arg.get_short().is_some_and(|is| short == is.to_string()));
    (long || short) && arg.get_action().takes_values()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn told(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(ToString::to_string).collect();
        let text = candidates(crate::cli::Cli::command(), &words);
        let lines = text.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        lines.collect()
    }

    #[test]
    fn commands_flags_and_values_are_completed() {
        assert_eq!(told(&["ex"]), ["explain", "exceptions", ":4"].map(str::to_owned));
        assert!(told(&[""]).contains(&"audit".to_owned()));
        assert!(
            !told(&[""]).contains(&"generate".to_owned()),
            "what is hidden is not offered"
        );
        assert_eq!(told(&["report", "--out"]), ["--output", ":4"]);
        assert_eq!(told(&["report", "--output", "s"]), ["sarif", ":4"]);
        assert_eq!(told(&["report", "-o", "j"]), ["json", "junit", ":4"]);
        assert_eq!(told(&["completion", "z"]), ["zsh", ":4"]);
    }

    #[test]
    fn a_value_that_is_a_file_is_left_to_the_shell() {
        assert_eq!(told(&["diff", "-f", ""]), [":0"]);
        assert_eq!(told(&["diff", "-f", "a.yaml", "--prefl"]), ["--preflight", ":4"]);
        assert_eq!(told(&["explain", "--namespace-of-nothing", ""]), [":4"]);
    }
}
