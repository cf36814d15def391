//! The worked example of docs/merging.md is what the code makes of its baselines.

use std::sync::Arc;

use jiff::Timestamp;
use security_baseline_operator::controls::REGISTRY;
use security_baseline_operator::core::merge::merge;
use security_baseline_operator::core::validate::validate;
use security_baseline_operator::core::world::Baseline;
use serde_json::Value;

use super::page::Page;

/// The baselines of the example, the oldest first.
fn baselines(page: &Page) -> Vec<Arc<Baseline>> {
    let block = page.blocks.iter().find(|block| block.mark == "merge").unwrap();
    let documents: Vec<Value> = serde_saphyr::from_multiple(&block.text).unwrap();
    let baseline = |(age, document): (usize, &Value)| {
        let spec = serde_json::from_value(document["spec"].clone()).unwrap();
        let problems = validate(REGISTRY, &spec).into_vec();
        assert!(problems.is_empty(), "{problems:?}");
        let created = Timestamp::from_second(age as i64).unwrap();
        Arc::new(Baseline {
            name: document["metadata"]["name"].as_str().unwrap().to_owned(),
            uid: age.to_string(),
            created,
            generation: 1,
            since: created,
            spec,
            frozen: None,
            replaced: None,
            leaving: false,
        })
    };
    documents.iter().enumerate().map(baseline).collect()
}

#[test]
fn the_worked_example_of_merging_is_what_the_baselines_mean_together() {
    let page = Page::read("docs/merging.md");
    let mut baselines = baselines(&page);
    assert!(baselines.len() >= 3);
    // Their order means nothing.
    baselines.reverse();
    let effective = merge(REGISTRY, &baselines);
    let name = |place: usize| effective.baselines[place].name.clone();
    let mut values = Vec::new();
    for control in REGISTRY {
        for value in effective.enforced.values.get(control.section()).into_iter().flatten() {
            let less = value.less.iter().map(|(by, less)| format!("{} `{less}`", name(*by)));
            values.push([
                format!("`{}`", control.section()),
                format!("`{}`", value.field),
                format!("`{}`", value.value),
                name(value.by),
                less.collect::<Vec<_>>().join(", "),
            ]);
        }
    }
    let conflicts = effective.enforced.conflicts.iter().map(|conflict| {
        [
            format!("`{}`", conflict.object),
            name(conflict.holds),
            name(conflict.yields),
            conflict.message.clone(),
        ]
    });
    let shown = |first: &str| page.tables_of(first).next().unwrap().rows.clone();
    assert_eq!(shown("Section"), values, "what holds");
    assert_eq!(shown("At odds"), conflicts.collect::<Vec<_>>(), "the conflicts");
}
