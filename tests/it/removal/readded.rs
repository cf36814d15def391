//! What was taken out of a spec, and is put back.

use serde_json::json;

use crate::oracles::{assert_same_end, converged, end, ends_well, forget_edits, holding, settled};
use crate::stage::{everything, shared};

const SECTIONS: [&str; 5] = [
    "networkIsolation",
    "resourceQuotas",
    "limitRanges",
    "podSecurity",
    "access",
];

#[tokio::test]
async fn a_section_that_is_taken_out_and_put_back_ends_as_one_that_was_never_gone() {
    let (plane, _) = shared().await;
    let (fresh, its) = holding(plane, "fresh", &everything(), 1).await;
    let fresh = forget_edits(&end(&fresh, &its[0]).await);
    assert_eq!(fresh["report"]["drift"], json!({"total": 0, "repaired": 0}), "{fresh}");
    let (set, namespaces) = holding(plane, "readded", &everything(), 1).await;
    // One at a time, and all at once.
    for gone in SECTIONS.chunks(1).chain([&SECTIONS[..4]]) {
        let mut without = everything();
        without
            .as_object_mut()
            .unwrap()
            .retain(|key, _| !gone.contains(&&**key));
        set.baseline(without.clone()).await;
        converged(&set, &without, &namespaces).await;
        set.baseline(everything()).await;
        converged(&set, &everything(), &namespaces).await;
        settled(plane, &set).await;
        let end = forget_edits(&end(&set, &namespaces[0]).await);
        assert_same_end(&format!("{gone:?} of {}", namespaces[0]), &end, &fresh);
    }
    ends_well(plane, &set, &everything(), &namespaces).await;
}
