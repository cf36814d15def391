//! A report as one file for a browser: nothing is fetched, and the same data that `--output json` prints is in it.

use super::model::Report;
use crate::cli::Failure;
use crate::controls::REGISTRY;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// The report as a page.
pub fn page(report: &Report) -> Result<String, Failure> {
    let sections: Vec<&str> = REGISTRY.iter().map(|control| control.section()).collect();
    let data = embedded(&serde_json::to_string(report)?);
    let sections = embedded(&serde_json::to_string(&sections)?);
    // In one pass: what was put in is not looked through for a further place, whoever wrote it.
    let mut page = String::with_capacity(PAGE.len() + STYLE.len() + SCRIPT.len() + data.len());
    for part in PAGE.split("{{") {
        let Some((name, rest)) = part.split_once("}}") else {
            page += part;
            continue;
        };
        page += match name {
            "style" => STYLE,
            "script" => SCRIPT,
            "data" => &data,
            _ => &sections,
        };
        page += rest;
    }
    Ok(page)
}

/// JSON as it may stand in a script element: nothing in it can end the element, or begin a comment.
fn embedded(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_cannot_leave_its_place() {
        let hostile = serde_json::to_string("</script><!--<script>&").unwrap();
        let text = embedded(&hostile);
        assert!(!text.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "</script><!--<script>&");
    }

    #[test]
    fn the_page_fetches_nothing() {
        for part in [PAGE, STYLE, SCRIPT] {
            for way in [
                "http:",
                "https:",
                "src=",
                "@import",
                "url(",
                "fetch(",
                "XMLHttpRequest",
                "innerHTML",
            ] {
                assert!(!part.contains(way), "{way}");
            }
        }
    }
}
