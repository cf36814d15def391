//! What the demo looks like: short lines, few marks, and colour only where somebody sees it.

use std::io::IsTerminal;

use anyhow::{Result, ensure};

/// No line is longer.
const WIDTH: usize = 100;
const INDENT: &str = "  ";

const BOLD: &str = "1";
const DIM: &str = "2";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";

/// Where the demo writes.
pub struct Terminal {
    colour: bool,
}

impl Terminal {
    /// Standard output; in colour if it is a terminal and `NO_COLOR` is unset.
    pub fn new() -> Self {
        Self {
            colour: std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour && !text.is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// The title of all.
    pub fn title(&self, text: &str) {
        println!("\n{}\n", self.paint(BOLD, text));
    }

    /// The title of an act.
    pub fn heading(&self, text: &str) {
        let rule = "─".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
        println!(
            "\n{} {} {}",
            self.paint(DIM, "──"),
            self.paint(BOLD, text),
            self.paint(DIM, &rule)
        );
    }

    /// An empty line.
    pub fn gap(&self) {
        println!();
    }

    /// A remark, wrapped.
    pub fn say(&self, text: &str) {
        for line in wrapped(text, WIDTH - INDENT.len(), "") {
            println!("{INDENT}{line}");
        }
    }

    /// A command that is run, as a user would write it.
    pub fn command(&self, args: &[&str]) {
        let mut lines = vec!["$".to_owned()];
        for arg in args {
            let arg = if arg.contains(['{', '"', ' ', '*', '\\']) {
                format!("'{arg}'")
            } else {
                (*arg).to_owned()
            };
            if let Some(line) = lines.last_mut()
                && line.chars().count() + arg.chars().count() + INDENT.len() + 3 > WIDTH
            {
                line.push_str(" \\");
                lines.push(INDENT.repeat(2));
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(if line.ends_with(' ') { "" } else { " " });
                line.push_str(&arg);
            }
        }
        println!();
        for line in lines {
            println!("{INDENT}{}", self.paint(CYAN, &line));
        }
    }

    /// What a command answered: indented, and wrapped where it is too wide.
    pub fn output(&self, text: &str) {
        for line in text.lines() {
            for line in wrapped(line, WIDTH - INDENT.len(), "    ") {
                println!("{INDENT}{line}");
            }
        }
    }

    /// Text as it is.
    pub fn raw(&self, text: &str) {
        println!("{text}");
    }

    /// Columns of text, the last of them cut where it is too wide. The first row is the header.
    pub fn table(&self, rows: &[Vec<String>]) {
        let mut widths: Vec<usize> = Vec::new();
        for row in rows {
            widths.resize(widths.len().max(row.len()), 0);
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            println!("{INDENT}{}", cut(cells.join("  ").trim_end(), WIDTH - INDENT.len()));
        }
    }

    /// Something that the demo claims.
    ///
    /// # Errors
    /// When it was not seen.
    pub fn claim(&self, seen: bool, what: &str) -> Result<()> {
        ensure!(seen, "not seen: {what}");
        println!("{INDENT}{} {what}", self.paint(GREEN, "✓"));
        Ok(())
    }

    /// Something that went wrong.
    pub fn failure(&self, what: &str) {
        println!("\n{INDENT}{} {what}", self.paint(RED, "✗"));
    }
}

/// The lines of a line that is too long, broken between words; further ones begin with `indent`.
fn wrapped(text: &str, width: usize, indent: &str) -> Vec<String> {
    let text = text.trim_end();
    if text.chars().count() <= width {
        return vec![text.to_owned()];
    }
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        if let Some(line) = lines.last_mut() {
            let fits = line.chars().count() + 1 + word.chars().count() <= width;
            if line.is_empty() || fits {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(word);
                continue;
            }
        }
        lines.push(format!("{indent}{word}"));
    }
    lines
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width - 1).collect();
    short.push('…');
    short
}
