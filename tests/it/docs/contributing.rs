//! CONTRIBUTING.md leads through the real files.

use super::page::{Page, code};

#[test]
fn what_contributing_names_in_a_file_is_in_that_file() {
    let page = Page::read("CONTRIBUTING.md");
    let mut looked = 0;
    // A row is about the files that it links to; the words in backticks beside them stand in one of these.
    for line in page
        .text
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("]("))
    {
        let links = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let mut text = String::new();
        for link in links {
            let (path, _) = page.target(link).unwrap();
            if path.is_dir() {
                text += &path.display().to_string();
            } else {
                text += &std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            }
        }
        let Some((_, said)) = line.trim_start_matches("| ").split_once(" | ") else {
            continue;
        };
        for word in code(said) {
            looked += 1;
            assert!(
                text.contains(&word),
                "CONTRIBUTING.md names {word}, which is not in the file:\n{line}"
            );
        }
    }
    assert!(looked >= 20, "only {looked} names were found");
}
