//! Who may write exceptions, by the shipped RBAC.

use kube::api::DeleteParams;

use super::*;
use crate::stage::{create, get};
use crate::support::{OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT};

/// A ServiceAccount `name` in a namespace, as which a test acts.
async fn account(plane: &ControlPlane, namespace: &str, name: &str) -> Client {
    let admin = plane.admin().await.unwrap();
    let object = json!({"metadata": {"name": name}});
    create(&admin, "ServiceAccount", Some(namespace), object).await.unwrap();
    plane.client_for_service_account(namespace, name).await.unwrap()
}

/// Binds a ClusterRole to a ServiceAccount: in its namespace, or everywhere.
async fn bind(plane: &ControlPlane, role: &str, namespace: &str, account: &str, everywhere: bool) {
    let (kind, within) = if everywhere {
        ("ClusterRoleBinding", None)
    } else {
        ("RoleBinding", Some(namespace))
    };
    let object = json!({
        "metadata": {"name": format!("{account}-bound")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    });
    create(&plane.admin().await.unwrap(), kind, within, object)
        .await
        .unwrap();
}

/// The status that an exception may be given.
fn status() -> Value {
    json!({"observedGeneration": 1, "matched": 3, "waived": [], "problems": [], "conditions": []})
}

/// Everything that changes an exception.
const ACTS: [&str; 8] = [
    "create",
    "apply",
    "patch",
    "update",
    "patch status",
    "update status",
    "delete",
    "delete all",
];

/// Does one of [`ACTS`] to the exception `there`, which is this.
async fn act(client: &Client, what: &str, there: &DynamicObject) -> kube::Result<()> {
    let exceptions = exceptions(client);
    let (post, params) = (PostParams::default(), PatchParams::default());
    let mut changed = there.clone();
    match what {
        "create" => {
            let fresh = exception(&name(), &from_now(hours(1)));
            exceptions.create(&post, &object(&fresh)).await.map(drop)
        }
        "apply" => {
            let mut applied = exception("there", &from_now(hours(1)));
            applied["spec"]["reason"] = json!("applied");
            let apply = PatchParams::apply("test").force();
            exceptions
                .patch("there", &apply, &Patch::Apply(&applied))
                .await
                .map(drop)
        }
        "patch" => {
            let patch = Patch::Merge(json!({"spec": {"reason": "patched"}}));
            exceptions.patch("there", &params, &patch).await.map(drop)
        }
        "update" => {
            changed.data["spec"]["reason"] = json!("updated");
            exceptions.replace("there", &post, &changed).await.map(drop)
        }
        "patch status" => {
            let patch = Patch::Merge(json!({"status": status()}));
            exceptions.patch_status("there", &params, &patch).await.map(drop)
        }
        "update status" => {
            changed.data["status"] = status();
            exceptions.replace_status("there", &post, &changed).await.map(drop)
        }
        "delete" => exceptions.delete("there", &DeleteParams::default()).await.map(drop),
        _ => exceptions
            .delete_collection(&DeleteParams::default(), &Default::default())
            .await
            .map(drop),
    }
}

/// Tries everything that changes an exception which is there, and answers with what was let through.
async fn attempt(client: &Client, admin: &Client) -> Vec<&'static str> {
    let mut through = Vec::new();
    for what in ACTS {
        let there = match exceptions(admin).get_opt("there").await.unwrap() {
            Some(there) => there,
            None => {
                let there = object(&exception("there", &from_now(hours(1))));
                exceptions(admin).create(&PostParams::default(), &there).await.unwrap()
            }
        };
        match act(client, what, &there).await {
            Ok(()) => through.push(what),
            Err(kube::Error::Api(status)) if status.code == 403 => {}
            Err(error) => panic!("{what} is not forbidden, but fails: {error}"),
        }
    }
    through
}

/// Waits until the controller manager has put the shipped roles into `view`, `edit` and `admin`.
async fn aggregated(admin: &Client) {
    for role in ["view", "edit", "admin"] {
        eventually("the roles are aggregated", Duration::from_secs(30), async || {
            let role = get(admin, "ClusterRole", None, role).await.unwrap();
            anyhow::ensure!(role["rules"].to_string().contains("baselinereports"), "not yet");
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// Waits until a right holds, which the API server learns of by watches of its own.
async fn until_may_list(client: &Client, kind: &str, namespace: Option<&str>) {
    eventually("the binding is in force", Duration::from_secs(30), async || {
        Ok(api(client, kind, namespace).list(&Default::default()).await?)
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn tenants_can_do_nothing_to_exceptions_even_if_their_role_is_bound_everywhere() {
    let plane = installed().await;
    let admin = plane.admin().await.unwrap();
    aggregated(&admin).await;
    plane.namespace("team-a", &[]).await.unwrap();
    let there = object(&exception("there", &from_now(hours(1))));
    let before = exceptions(&admin).create(&PostParams::default(), &there).await.unwrap();
    for role in ["view", "edit", "admin"] {
        let rules = get(&admin, "ClusterRole", None, role).await.unwrap()["rules"].to_string();
        assert!(!rules.contains("baselineexceptions"), "{role}: {rules}");
        for everywhere in [false, true] {
            let name = format!("{role}-{everywhere}");
            let client = account(&plane, "team-a", &name).await;
            bind(&plane, role, "team-a", &name, everywhere).await;
            until_may_list(&client, "BaselineReport", (!everywhere).then_some("team-a")).await;
            assert_eq!(attempt(&client, &admin).await, [""; 0], "{name}");
        }
    }
    // The same for the tenant as other tests know it, and for who declares baselines.
    let tenant = plane.tenant("team-a").await.unwrap();
    assert_eq!(attempt(&tenant.client, &admin).await, [""; 0]);
    let declares = account(&plane, "team-a", "declares").await;
    bind(&plane, "security-baseline:admin", "team-a", "declares", true).await;
    until_may_list(&declares, "SecurityBaseline", None).await;
    assert_eq!(attempt(&declares, &admin).await, [""; 0]);
    let after = exceptions(&admin).get("there").await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test]
async fn an_approver_writes_exceptions_but_neither_their_status_nor_baselines() {
    let plane = installed().await;
    let admin = plane.admin().await.unwrap();
    plane.namespace("approvers", &[]).await.unwrap();
    let client = account(&plane, "approvers", "jane").await;
    bind(
        &plane,
        "security-baseline:exception-approver",
        "approvers",
        "jane",
        true,
    )
    .await;
    until_may_list(&client, "BaselineException", None).await;
    let mut there = exception("there", &from_now(hours(1)));
    there["status"] = status(); // which is dropped
    let made = exceptions(&client)
        .create(&PostParams::default(), &object(&there))
        .await
        .unwrap();
    assert_eq!(made.data["status"], json!({"observedGeneration": -1}));
    let written = ["create", "apply", "patch", "update", "delete", "delete all"];
    assert_eq!(attempt(&client, &admin).await, written);
    let baseline = json!({"metadata": {"name": "mine"}, "spec": {"namespaceSelector": {}}});
    let refused = create(&client, "SecurityBaseline", None, baseline).await.unwrap_err();
    assert!(refused.to_string().contains("forbidden"), "{refused}");
}

#[tokio::test]
async fn the_operator_reads_exceptions_and_answers_on_them_and_cannot_write_what_they_say() {
    let plane = installed().await;
    let admin = plane.admin().await.unwrap();
    let (namespace, name) = (OPERATOR_NAMESPACE, OPERATOR_SERVICE_ACCOUNT);
    let operator = plane.client_for_service_account(namespace, name).await.unwrap();
    until_may_list(&operator, "BaselineException", None).await;
    assert_eq!(attempt(&operator, &admin).await, ["update status"]);
}
