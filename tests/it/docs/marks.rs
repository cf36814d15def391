//! Every block of commands says who runs it, or why nobody does; and every block ends where it seems to.

use super::page::all;
use crate::stage::file;

/// The marks of what is run, and who runs it.
const RUN: [(&str, &str); 7] = [
    ("run", "tests/it/docs.rs"),
    ("run: patched", "tests/it/docs/upgrade.rs"),
    ("run where the kind is", "tests/it/policy_reports.rs"),
    ("run where the kind is openreports.io", "tests/it/policy_reports.rs"),
    ("run: helm", "tests/install/docs.rs"),
    ("run: gitops", "tests/gitops/docs.rs"),
    ("run: alerts", "tests/alerts/alarm.rs"),
];

/// Whether a mark says by whom a block is run, or why it is not.
fn is_known(mark: &str) -> bool {
    RUN.iter().any(|(known, _)| mark == *known) || mark.starts_with("not run: ")
}

#[test]
fn every_block_of_commands_is_run_or_says_why_it_is_not() {
    let unmarked: Vec<_> = all()
        .iter()
        .flat_map(|page| page.blocks.iter().map(move |block| (page, block)))
        .filter(|(_, block)| matches!(&*block.language, "bash" | "console" | "sh" | "shell"))
        .filter(|(_, block)| !is_known(&block.mark))
        .map(|(page, block)| format!("{}:{}: {:?}", page.name, block.line, block.mark))
        .collect();
    assert!(
        unmarked.is_empty(),
        "write <!-- run --> before these blocks, or <!-- not run: WHY -->:\n{}",
        unmarked.join("\n")
    );
    for (mark, test) in RUN {
        let text = std::fs::read_to_string(file(test)).unwrap();
        assert!(text.contains(&format!("<!-- {mark} -->")), "{test} runs no {mark}");
    }
}

#[test]
fn a_mark_says_who_or_why() {
    for mark in ["run", "run: helm", "not run: it takes hours"] {
        assert!(is_known(mark), "{mark}");
    }
    for mark in ["", "run: somewhere", "not run", "not run:", "render"] {
        assert!(!is_known(mark), "{mark}");
    }
}

#[test]
fn no_block_swallows_what_comes_after_it() {
    let open: Vec<_> = all()
        .iter()
        .flat_map(|page| page.blocks.iter().map(move |block| (page, block)))
        .filter(|(_, block)| block.text.lines().any(|line| line.trim_start().starts_with("```")))
        .map(|(page, block)| format!("{}:{}", page.name, block.line))
        .collect();
    assert!(
        open.is_empty(),
        "these blocks do not end where they seem to; put nothing behind the fence that ends one:\n{}",
        open.join("\n")
    );
}
