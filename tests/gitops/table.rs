//! Tables of a document, which say what the programs say.

/// The rows of the table that follows a mark in a document, without its head.
pub fn rows(text: &str, mark: &str) -> Vec<Vec<String>> {
    let after = text.split_once(mark).unwrap_or_else(|| panic!("there is no {mark}")).1;
    let table = after.lines().skip_while(|line| !line.starts_with('|'));
    let rows = table.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|line| {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    })
    .collect()
}

/// Rows as they are written in a document.
pub fn written(rows: &[Vec<String>]) -> String {
    rows.iter().map(|row| format!("| {} |\n", row.join(" | "))).collect()
}

#[test]
fn the_rows_of_the_marked_table_are_read() {
    let text = "| a |\n|---|\n| no |\n\n<!-- mark -->\n\n| a | b |\n|---|---|\n| 1 | `2` |\n| 3 | 4 |\n\n| 5 |\n";
    assert_eq!(rows(text, "<!-- mark -->"), [["1", "`2`"], ["3", "4"]]);
    assert_eq!(written(&rows(text, "<!-- mark -->")), "| 1 | `2` |\n| 3 | 4 |\n");
}
