//! The operator's own kinds, taken away under a running operator and put back.

use anyhow::ensure;

use crate::oracles::{ends_well, holding, settled};
use crate::stage::{BINARY, api, delete, everything, file};
use crate::support::{ControlPlane, Stage, eventually, watch_gone};

const REPORTS: &str = "baselinereports.securitybaseline.dev";
const POLICY: &str = "security-baseline-default-deny-ingress";

#[tokio::test]
async fn when_the_kind_of_reports_is_deleted_and_put_back_every_namespace_has_its_report_again() {
    let plane = ControlPlane::start().await.unwrap();
    let _stage = Stage::on(&plane, BINARY.as_ref()).await.unwrap();
    let (set, namespaces) = holding(&plane, "nokind", &everything(), 5).await;
    settled(&plane, &set).await;

    let kinds = api(&set.admin, "CustomResourceDefinition", None);
    kinds.delete(REPORTS, &Default::default()).await.unwrap();
    watch_gone(&kinds, REPORTS, crate::stage::SOON).await.unwrap();
    // What drifts meanwhile is repaired, and nobody can be told.
    let mark = plane.audit().mark().unwrap();
    for namespace in &namespaces {
        delete(&set.admin, "NetworkPolicy", Some(namespace), POLICY).await;
    }
    for namespace in &namespaces {
        set.present("NetworkPolicy", namespace, POLICY).await;
        eventually("its report was refused", crate::stage::SOON, async || {
            let asked = plane.audit().since(mark)?;
            let refused = asked.iter().any(|request| {
                request.resource == "baselinereports"
                    && request.namespace.as_deref() == Some(namespace)
                    && request.code == 404
            });
            ensure!(refused, "nobody tried");
            Ok(())
        })
        .await
        .unwrap();
    }

    plane.install(&file("crds/baselinereports.yaml")).await.unwrap();
    for namespace in &namespaces {
        set.present("BaselineReport", namespace, "baseline").await;
    }
    ends_well(&plane, &set, &everything(), &namespaces).await;
}
