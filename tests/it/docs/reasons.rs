//! Reasons and codes: each of the code is explained, and each that is explained is one. (That every reason of the code
//! stands on the page is checked in contract.rs.)

use std::collections::BTreeSet;
use std::path::PathBuf;

use security_baseline_operator::api::v1alpha1::ConditionType;
use security_baseline_operator::core::codes::REASONS;

use super::page::{Page, all, code};
use crate::contract::sources;
use crate::stage::file;

const PAGE: &str = "docs/troubleshooting.md";

#[test]
fn every_finding_has_a_row_with_its_number_among_the_reasons() {
    let page = Page::read(PAGE);
    for reason in REASONS {
        let rows = page.tables_of("Reason").flat_map(|table| &table.rows);
        let mut of_it = rows.filter(|row| code(&row[0]).iter().any(|word| word == reason.reason));
        let number = format!("{:03}", reason.number);
        assert!(
            of_it.any(|row| row
                .iter()
                .any(|cell| cell.split(|c: char| !c.is_ascii_digit()).any(|n| n == number))),
            "{PAGE} does not explain {} with its number {number}",
            reason.reason
        );
    }
}

/// The code of these folders, without its tests.
fn code_of(folders: &[&str]) -> String {
    let paths = folders.iter().flat_map(|folder| sources(file(folder)));
    let code = paths.filter(|path| !path.strip_prefix(file("")).unwrap().to_string_lossy().contains("test"));
    code.map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

/// All that is text in a folder and the folders in it.
fn texts(folder: PathBuf) -> String {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| match path.is_dir() {
        true => texts(path),
        false => std::fs::read_to_string(path).unwrap_or_default(),
    };
    entries.map(read).collect()
}

#[test]
fn every_reason_that_is_explained_is_one_that_the_code_gives() {
    let text = code_of(&["src/core", "src/controls", "src/engine", "src/cli"]);
    let page = Page::read(PAGE);
    let explained: BTreeSet<String> = page
        .tables_of("Reason")
        .flat_map(|table| &table.rows)
        .flat_map(|row| code(&row[0]))
        .collect();
    assert!(explained.len() > 50, "the tables were not found: {explained:?}");
    let unknown: Vec<_> = explained
        .iter()
        .filter(|reason| !text.contains(&format!("\"{reason}\"")) && !text.contains(&format!("\"{reason}: ")))
        .collect();
    assert!(unknown.is_empty(), "{PAGE} explains what nothing says: {unknown:?}");
}

#[test]
fn every_code_that_the_documentation_names_is_a_findings() {
    let known: BTreeSet<String> = REASONS
        .iter()
        .flat_map(|reason| reason.codes())
        .map(|(_, code)| code)
        .collect();
    let mut named = 0;
    for page in all() {
        for (start, _) in page.text.match_indices("SB-") {
            let end = page.text[start..].find(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            let found = &page.text[start..end.map_or(page.text.len(), |end| start + end)];
            // `SB-` alone is how codes begin.
            if found.len() > 3 {
                named += 1;
                assert!(known.contains(found), "{}: no finding has the code {found}", page.name);
            }
        }
    }
    assert!(named > 100, "only {named} codes were found");
}

#[test]
fn every_condition_is_in_the_table_of_conditions() {
    let page = Page::read("docs/concepts.md");
    let told: BTreeSet<String> = page
        .tables_of("Condition")
        .flat_map(|table| &table.rows)
        .flat_map(|row| code(&row[0]))
        .collect();
    let known: BTreeSet<String> = ConditionType::ALL.iter().map(|c| c.as_str().to_owned()).collect();
    assert_eq!(told, known);
}

#[test]
fn every_name_in_the_documentation_is_one_that_the_code_or_what_is_shipped_knows() {
    let text = code_of(&["src"]) + &texts(file("config"));
    let known: BTreeSet<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let mut looked = 0;
    // What was decided may name what was left out.
    for page in all().into_iter().filter(|page| !page.name.starts_with("docs/adr/")) {
        for word in &page.words {
            // Reasons, conditions, kinds and values: `Weakened`, not `weakened`, `GET` or `A b`.
            let mut letters = word.chars();
            let is_name = letters.next().is_some_and(|c| c.is_ascii_uppercase())
                && letters.next().is_some_and(|c| c.is_ascii_lowercase())
                && letters.all(|c| c.is_ascii_alphabetic());
            if is_name {
                looked += 1;
                assert!(
                    known.contains(&**word),
                    "{}: nothing in src or config is called {word}",
                    page.name
                );
            }
        }
    }
    assert!(looked > 150, "only {looked} words were found");
}
