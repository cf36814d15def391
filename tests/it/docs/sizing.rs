//! The figures in docs/sizing.md are those that were measured, and those of what is shipped.

use serde_json::Value;

use super::page::{Page, Table};
use crate::stage::file;

/// A file of YAML that holds one document.
fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&std::fs::read_to_string(file(path)).unwrap()).unwrap()
}

/// How much memory was measured at rest with so many namespaces, as the page has it.
fn measured<'a>(performance: &'a Page, namespaces: &str) -> &'a str {
    let row_of = |table: &'a Table| {
        let row = table
            .rows
            .iter()
            .find(|row| row[0].starts_with("memory at rest after convergence"))?;
        let column = table.header.iter().position(|title| title == namespaces)?;
        Some(&*row[column])
    };
    performance.tables.iter().find_map(row_of).unwrap()
}

/// An amount such as `64Mi` in megabytes.
fn megabytes(amount: &str) -> f64 {
    amount.strip_suffix("Mi").unwrap().parse::<f64>().unwrap() * 1.048_576
}

#[test]
fn what_is_suggested_was_measured_and_is_what_is_shipped() {
    let (sizing, performance) = (Page::read("docs/sizing.md"), Page::read("docs/performance.md"));
    let deployment = yaml("config/manager/deployment.yaml");
    let shipped = &deployment["spec"]["template"]["spec"]["containers"][0]["resources"];
    let pace = yaml("config/manager/config.yaml")["rollout"]["maxNamespacesPerMinute"]
        .as_u64()
        .unwrap();
    let table = sizing.tables_of("Namespaces").next().unwrap();
    assert_eq!(table.rows.len(), 3);
    for row in &table.rows {
        let [namespaces, memory, request, limit, rollout] = row.as_slice() else {
            panic!("{row:?}");
        };
        let count: u64 = namespaces.replace(',', "").parse().unwrap();
        assert_eq!(*memory, format!("{} MB", measured(&performance, namespaces)), "{row:?}");
        let memory: f64 = memory.trim_end_matches(" MB").parse().unwrap();
        assert!(megabytes(request) > memory * 1.2, "{row:?}: the request leaves no room");
        assert!(megabytes(limit) > memory * 3.0, "{row:?}: the limit leaves no room");
        assert_eq!(limit, &shipped["limits"]["memory"], "{row:?}");
        if count < 10_000 {
            assert_eq!(request, &shipped["requests"]["memory"], "{row:?}");
        }
        assert_eq!(*rollout, format!("{} min", count.div_ceil(pace)), "{row:?}");
    }
}
