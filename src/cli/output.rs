//! How commands print: tables, colours, and what is no text.

use std::io::IsTerminal;

use clap::ValueEnum;
use serde::Serialize;

use super::Failure;
use super::report::model::State;
use crate::core::codes::Severity;

/// How commands print.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Output")]
pub(super) struct Output {
    /// Whether to use colours. `auto`: on a terminal, unless NO_COLOR is set.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    color: When,
    /// Exit with 0 also where something is found (it is 1 else; 2 is an error).
    #[arg(long)]
    pub(super) exit_zero: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Auto,
    Always,
    Never,
}

impl Output {
    /// The colours to use.
    pub(super) fn paint(&self) -> Paint {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Paint(match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !unwanted && std::io::stdout().is_terminal(),
        })
    }
}

/// A format of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    Table,
    /// The documented schema, as JSON.
    Json,
    /// The same as YAML.
    Yaml,
}

/// How commands print that can print data too.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Formatted {
    /// How to print it.
    #[arg(
        short = 'o',
        long = "output",
        value_name = "FORMAT",
        default_value = "table",
        help_heading = "Output"
    )]
    format: Format,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Formatted {
    /// A value as it is to be printed: as a table, or as data.
    pub(super) fn text(&self, value: &impl Serialize, table: impl FnOnce(Paint) -> String) -> Result<String, Failure> {
        match self.format {
            Format::Table => Ok(table(self.output.paint())),
            Format::Json => data(value, false),
            Format::Yaml => data(value, true),
        }
    }
}

/// A value as JSON or YAML.
pub(super) fn data(value: &impl Serialize, yaml: bool) -> Result<String, Failure> {
    Ok(if yaml {
        serde_saphyr::to_string(value)?
    } else {
        serde_json::to_string_pretty(value)? + "\n"
    })
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

impl Paint {
    /// A painted text. Colours are all that it does on a terminal.
    fn with(self, code: &str, text: &str) -> String {
        let text = harmless(text);
        if self.0 && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text
        }
    }

    /// A text that stands out.
    pub(super) fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    /// A text that does not.
    pub(super) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }

    /// A text by how much it matters.
    pub(super) fn severity(self, severity: Severity, text: &str) -> String {
        self.with(
            match severity {
                Severity::Error => "31",
                Severity::Warning => "33",
                Severity::Note => "36",
            },
            text,
        )
    }

    /// A text by how something stands.
    pub(super) fn state(self, state: State, text: &str) -> String {
        self.with(
            match state {
                State::Compliant => "32",
                State::NotSelected => "2",
                State::Pending => "36",
                State::Weakened | State::Unknown => "33",
                State::Drifted | State::Conflict | State::Blocked => "31",
            },
            text,
        )
    }
}

/// A table: its columns are as wide as what is in them, and the last one is as long as it likes.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Vec<(String, String)>>,
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str], paint: Paint) -> Self {
        let cell = |text: &&str| ((*text).to_owned(), paint.faint(text));
        Self {
            rows: vec![headings.iter().map(cell).collect()],
        }
    }

    /// Adds a row of plain texts.
    pub(super) fn row<'a>(&mut self, cells: impl IntoIterator<Item = &'a str>) {
        let cells = cells.into_iter().map(harmless);
        self.rows.push(cells.map(|text| (text.clone(), text)).collect());
    }

    /// Paints a cell of the last row.
    pub(super) fn paint(&mut self, column: usize, paint: impl Fn(&str) -> String) {
        if let Some((text, shown)) = self.rows.last_mut().and_then(|row| row.get_mut(column)) {
            *shown = paint(text);
        }
    }

    /// Whether there is nothing but headings.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    /// The table as text, each line behind an indent.
    pub(super) fn text(&self, indent: &str) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(text, _)| text.chars().count()).max().unwrap_or_default()
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut out = String::new();
        for row in &self.rows {
            let mut line = indent.to_owned();
            for (column, (text, shown)) in row.iter().enumerate() {
                line += shown;
                if column + 1 < row.len() {
                    line += &" ".repeat(widths[column] - text.chars().count() + 2);
                }
            }
            out += line.trim_end();
            out.push('\n');
        }
        out
    }
}

/// A text without what would do something on a terminal: part of what is shown was written by tenants.
pub(super) fn harmless(text: &str) -> String {
    // What turns the direction of writing around makes a line say something else than it does.
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let shown = |c: char| if c.is_control() || turns(c) { '\u{fffd}' } else { c };
    text.chars().map(shown).collect()
}

/// Where something is: a few places by name, more of them by their number.
pub(super) fn listed(places: &[&str]) -> String {
    /// The most that are named.
    const MOST: usize = 3;
    let first = places.iter().take(MOST).copied().collect::<Vec<_>>().join(", ");
    if places.len() > MOST {
        format!("{} namespaces: {first}, …", places.len())
    } else {
        first
    }
}

/// So many things, in words.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_by_what_is_seen() {
        let mut table = Table::new(&["A", "B"], Paint(false));
        table.row(["long cell", "x"]);
        table.paint(0, |text| Paint(true).strong(text));
        assert_eq!(table.text(""), "A          B\n\x1b[1mlong cell\x1b[0m  x\n");
    }

    #[test]
    fn what_a_tenant_wrote_does_nothing_on_a_terminal() {
        assert_eq!(harmless("a\x1b[31mb\nc\u{202e}d"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
        assert_eq!(Paint(false).strong("a\x1b[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(Paint(true).strong("\x1b"), "\x1b[1m\u{fffd}\x1b[0m");
    }
}
