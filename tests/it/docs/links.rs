//! Links lead somewhere, and every page is found.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::page::{Page, all};
use super::{INDEX, in_reading_order};
use crate::stage::file;

#[test]
fn every_link_in_the_documentation_leads_to_a_file_and_to_a_place_in_it() {
    let pages = all();
    let mut dead = Vec::new();
    let mut followed = 0;
    for page in &pages {
        for link in &page.links {
            let Some((path, anchor)) = page.target(link) else {
                continue;
            };
            followed += 1;
            let there = match (path.exists(), &*anchor) {
                (false, _) => false,
                (true, "") => true,
                (true, anchor) => pages
                    .iter()
                    .any(|other| other.path == path && other.anchors.contains(anchor)),
            };
            if !there {
                dead.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(followed > 200, "only {followed} links were found");
    assert!(dead.is_empty(), "lead nowhere:\n{}", dead.join("\n"));
}

#[test]
fn every_page_can_be_reached_from_the_index() {
    let pages = all();
    let mut reached: BTreeSet<PathBuf> = [file(INDEX)].into();
    loop {
        let before = reached.len();
        for page in pages
            .iter()
            .filter(|page| reached.contains(&page.path))
            .collect::<Vec<_>>()
        {
            reached.extend(
                page.links
                    .iter()
                    .filter_map(|link| page.target(link))
                    .map(|(path, _)| path),
            );
        }
        if reached.len() == before {
            break;
        }
    }
    // A link to a folder leads to all that is in it.
    let found = |page: &&Page| page.path.ancestors().any(|path| reached.contains(path));
    let lost: Vec<_> = pages
        .iter()
        .filter(|page| !found(page))
        .map(|page| &page.name)
        .collect();
    assert!(lost.is_empty(), "{INDEX} leads nobody to {lost:?}");
}

#[test]
fn the_index_has_every_page_of_its_folder_and_every_page_whose_commands_are_run() {
    let order: BTreeSet<String> = in_reading_order().into_iter().map(|page| page.name).collect();
    let missing: Vec<_> = all()
        .into_iter()
        .filter(|page| {
            let of_the_folder = page.name.starts_with("docs/") && page.name.matches('/').count() == 1;
            let is_run = page.blocks.iter().any(|block| block.mark == "run");
            (of_the_folder && page.name != INDEX) || is_run
        })
        .filter(|page| !order.contains(&page.name))
        .map(|page| page.name)
        .collect();
    assert!(
        missing.is_empty(),
        "{INDEX} does not say when to read {missing:?}: link them there"
    );
}
