//! A page of the documentation, taken apart as GitHub shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use crate::stage::file;

/// A page.
#[derive(Default)]
pub struct Page {
    /// Where it is.
    pub path: PathBuf,
    /// The same from the repository's folder on, such as `docs/drift.md`.
    pub name: String,
    /// What it says.
    pub text: String,
    /// What a link may lead to in it.
    pub anchors: BTreeSet<String>,
    /// What stands in backticks in it.
    pub words: BTreeSet<String>,
    /// Where its links lead.
    pub links: Vec<String>,
    /// Its blocks of code.
    pub blocks: Vec<Fenced>,
    /// Its tables.
    pub tables: Vec<Table>,
}

/// A block of code between fences.
pub struct Fenced {
    /// The comment in the line before it, such as `render`.
    pub mark: String,
    /// The language that it names.
    pub language: String,
    /// What stands in it.
    pub text: String,
    /// The line of the page that it begins at.
    pub line: usize,
}

/// A table. Code in its cells keeps its backticks; of a link only the text is left.
#[derive(Default)]
pub struct Table {
    /// The heading that it stands under.
    pub heading: String,
    /// The first row.
    pub header: Vec<String>,
    /// The other ones.
    pub rows: Vec<Vec<String>>,
}

impl Page {
    /// Reads a page by its path in this repository.
    pub fn read(name: &str) -> Self {
        let path = file(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut page = Self {
            path,
            name: name.to_owned(),
            ..Self::default()
        };
        page.take_apart(&text);
        page.text = text;
        page
    }

    fn take_apart(&mut self, text: &str) {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let (mut mark, mut heading, mut written) = (String::new(), String::new(), String::new());
        let mut table = Table::default();
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::InlineHtml(html) => self.anchors.extend(ids(&html)),
                Event::Html(html) => {
                    self.anchors.extend(ids(&html));
                    let comment = html.trim().strip_prefix("<!--").and_then(|c| c.strip_suffix("-->"));
                    mark = comment.unwrap_or_default().trim().to_owned();
                }
                Event::Start(Tag::CodeBlock(kind)) => {
                    let language = match kind {
                        CodeBlockKind::Fenced(language) => language.to_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    self.blocks.push(Fenced {
                        mark: std::mem::take(&mut mark),
                        language,
                        text: String::new(),
                        line: text[..range.start].lines().count() + 1,
                    });
                    written.clear();
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some(block) = self.blocks.last_mut() {
                        block.text = std::mem::take(&mut written);
                    }
                }
                Event::Start(Tag::Heading { .. }) => written.clear(),
                Event::End(TagEnd::Heading(_)) => {
                    heading = written.replace('`', "");
                    let slug = slug(&heading);
                    let before = seen.entry(slug.clone()).or_default();
                    self.anchors.insert(match *before {
                        0 => slug,
                        times => format!("{slug}-{times}"),
                    });
                    *before += 1;
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    self.links.push(dest_url.to_string());
                }
                Event::Start(Tag::Table(_)) => {
                    table.heading.clone_from(&heading);
                }
                Event::Start(Tag::TableRow) => table.rows.push(Vec::new()),
                Event::Start(Tag::TableCell | Tag::Paragraph) => {
                    written.clear();
                    mark.clear();
                }
                Event::End(TagEnd::TableCell) => {
                    let row = table.rows.last_mut().unwrap_or(&mut table.header);
                    row.push(written.trim().to_owned());
                }
                Event::End(TagEnd::Table) => self.tables.push(std::mem::take(&mut table)),
                Event::Text(text) => written.push_str(&text),
                Event::Code(code) => {
                    self.words.insert(code.to_string());
                    written.push('`');
                    written.push_str(&code);
                    written.push('`');
                }
                Event::SoftBreak => written.push(' '),
                _ => {}
            }
        }
    }

    /// The tables whose first column has this title.
    pub fn tables_of<'a>(&'a self, first: &'a str) -> impl Iterator<Item = &'a Table> {
        self.tables
            .iter()
            .filter(move |t| t.header.first().is_some_and(|h| h == first))
    }

    /// The path of what a link leads to, in this repository or not; none where that is no file of anybody's.
    pub fn target(&self, link: &str) -> Option<(PathBuf, String)> {
        if link.contains("://") || link.starts_with("mailto:") {
            return None;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let path = if path.is_empty() {
            self.path.clone()
        } else {
            tidy(&folder.join(path))
        };
        Some((path, anchor.to_owned()))
    }
}

/// All pages: of the first folder, and of docs.
pub fn all() -> Vec<Page> {
    let mut names: Vec<String> = Vec::new();
    for name in std::fs::read_dir(file(".")).unwrap() {
        names.push(name.unwrap().file_name().into_string().unwrap());
    }
    let mut folders = vec!["docs".to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(file(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                folders.push(name);
            } else {
                names.push(name);
            }
        }
    }
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    names.iter().map(|name| Page::read(name)).collect()
}

/// The words in backticks of a cell.
pub fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// A path without `..` in its middle.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => {
                tidy.pop();
            }
            std::path::Component::CurDir => {}
            part => tidy.push(part),
        }
    }
    tidy
}

/// What GitHub makes of a heading.
fn slug(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// The `id`s in a piece of HTML.
fn ids(html: &str) -> impl Iterator<Item = String> {
    html.split("id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
}

#[test]
fn a_page_is_taken_apart_as_github_shows_it() {
    let mut page = Page::default();
    page.take_apart(
        "# A `b`: c, d_e?\n\n<a id=\"x\"></a>[one](two.md#three)\n\n## Twice\n\n## Twice\n\n| A | B |\n|---|---|\n| `c`, [d](e) | f |\n\n<!-- mark -->\n```yaml\na: 1\n```\ntext <!-- no --> more\n\n```\nplain\n```\n",
    );
    let anchors: Vec<_> = page.anchors.iter().map(String::as_str).collect();
    assert_eq!(anchors, ["a-b-c-d_e", "twice", "twice-1", "x"]);
    assert_eq!(page.links, ["two.md#three", "e"]);
    let table = &page.tables[0];
    assert_eq!(
        (&*table.heading, &*table.header),
        ("Twice", &["A".to_owned(), "B".to_owned()][..])
    );
    assert_eq!(table.rows, [["`c`, d".to_owned(), "f".to_owned()]]);
    let blocks: Vec<_> = page
        .blocks
        .iter()
        .map(|b| (&*b.mark, &*b.language, &*b.text, b.line))
        .collect();
    assert_eq!(blocks, [("mark", "yaml", "a: 1\n", 14), ("", "", "plain\n", 19)]);
}
