//! A spec that shrinks before its rollout is over: what was written of the larger one goes everywhere, also where no
//! report had told of it yet.

use kube::api::ListParams;
use serde_json::{Value, json};

use crate::oracles::ends_well;
use crate::stage::{SOON, Set, api, own};
use crate::support::eventually;

const NAMESPACES: usize = 80;

fn spec(open: bool) -> Value {
    let mut spec = json!({
        "mode": "Enforce",
        "limitRanges": {"items": [{"name": "defaults", "limits": [{"type": "Container", "default": {"cpu": 1}}]}]},
        "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "auditors"}]}]},
    });
    if open {
        let guests =
            json!({"name": "guests", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "guests"}]});
        spec["access"]["bindings"].as_array_mut().unwrap().insert(0, guests);
    }
    spec
}

async fn guests(set: &Set) -> usize {
    let bindings = api(&set.admin, "RoleBinding", None)
        .list(&ListParams::default())
        .await
        .unwrap();
    let of_guests = |b: &&kube::api::DynamicObject| b.metadata.name.as_deref() == Some("security-baseline-guests");
    bindings.items.iter().filter(of_guests).count()
}

#[tokio::test]
async fn a_grant_that_is_taken_out_in_the_middle_of_its_rollout_goes_everywhere_also_after_a_crash() {
    let (plane, mut stage) = own().await;
    let set = Set::new(&plane, "shrinking").await;
    let namespaces = set.namespaces(&plane, NAMESPACES).await;
    for crash in [false, true] {
        set.baseline(spec(true)).await;
        eventually("some have the grant", SOON, async || {
            anyhow::ensure!(guests(&set).await >= 8, "not yet");
            Ok(())
        })
        .await
        .unwrap();
        if crash {
            stage.operator.kill().unwrap();
        }
        set.baseline(spec(false)).await;
        if crash {
            stage.restart(&plane).await.unwrap();
        }
        set.until_enforced(i64::try_from(NAMESPACES).unwrap()).await;
        assert_eq!(guests(&set).await, 0, "after a crash: {crash}");
    }
    ends_well(&plane, &set, &spec(false), &namespaces).await;
}
