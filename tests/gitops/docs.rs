//! What docs/gitops.md shows is so: its YAML is what the tests use, or what the API server takes.

use serde_json::Value;

use crate::stage::file;

/// The page.
fn page() -> String {
    std::fs::read_to_string(file("docs/gitops.md")).unwrap()
}

/// The documents of the YAML block that follows a mark.
fn documents_after(mark: &str) -> Vec<Value> {
    let page = page();
    let after = page.split_once(mark).unwrap_or_else(|| panic!("there is no {mark}")).1;
    let block = after
        .trim_start()
        .strip_prefix("```yaml\n")
        .unwrap_or_else(|| panic!("no YAML follows {mark}"));
    serde_saphyr::from_multiple(block.split("```").next().unwrap()).unwrap()
}

/// The one document of the YAML block that follows a mark in docs/gitops.md.
pub fn yaml_after(mark: &str) -> Value {
    let mut documents = documents_after(mark);
    assert_eq!(documents.len(), 1, "{mark}");
    documents.remove(0)
}
