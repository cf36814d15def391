//! Values that the chart refuses, with the path of what is wrong.

use crate::helm::{Helm, RELEASE, chart, text};

/// What Helm says to these values.
async fn refused(helm: &Helm, values: &str) -> String {
    let values = helm.values(values);
    helm.refused(&["template", RELEASE, text(&chart()), "--values", text(&values)])
        .await
}

#[tokio::test]
async fn a_key_that_does_not_exist_is_refused_by_its_path() {
    let helm = Helm::offline();
    for (values, path, key) in [
        // The habits of those who come from Kyverno, cert-manager, External Secrets, Capsule and kubebuilder.
        ("crds: {install: true}", "'/crds'", "'install'"),
        ("installCRDs: true", "''", "'installCRDs'"),
        ("prometheus: {servicemonitor: {enabled: true}}", "''", "'prometheus'"),
        ("crd: {enable: true}", "''", "'crd'"),
        ("replicas: 1", "''", "'replicas'"),
        ("serviceMonitor: {enable: true}", "'/serviceMonitor'", "'enable'"),
        ("grafana: {enabled: true}", "''", "'grafana'"),
        ("image: {registry: example.com}", "'/image'", "'registry'"),
        ("resources: {request: {cpu: 1}}", "'/resources'", "'request'"),
        (
            "networkPolicy: {apiServer: {port: 443}}",
            "'/networkPolicy/apiServer'",
            "'port'",
        ),
        ("config: {wrkers: 3}", "'/config'", "'wrkers'"),
        ("config: {brake: {namespace: 1}}", "'/config/brake'", "'namespace'"),
        ("config: {clusterDns: {namespace: dns}}", "'/config'", "'clusterDns'"),
        (
            "grantableRoles: [{apiGroups: [''], resources: [pods], verbs: [get], roleNames: [x]}]",
            "'/grantableRoles/0'",
            "'roleNames'",
        ),
        ("affinity: {nodeAffinitty: {}}", "'/affinity'", "'nodeAffinitty'"),
    ] {
        let said = refused(&helm, values).await;
        let wanted = format!("at {path}: additional properties {key} not allowed");
        assert!(said.contains(&wanted), "{values}: {wanted} is not in: {said}");
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_is_refused_by_its_path() {
    let helm = Helm::offline();
    for (values, path) in [
        ("bindableClusterRoles: [view, cluster-admin]", "/bindableClusterRoles/1"),
        ("bindableClusterRoles: ['*']", "/bindableClusterRoles/0"),
        (
            "grantableRoles: [{apiGroups: [''], resources: [secrets], verbs: ['*']}]",
            "/grantableRoles/0/verbs/0",
        ),
        (
            "grantableRoles: [{apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles], verbs: [escalate]}]",
            "/grantableRoles/0/verbs/0",
        ),
        ("replicaCount: 11", "/replicaCount"),
        ("replicaCount: '1'", "/replicaCount"),
        ("image: {digest: 12ab}", "/image/digest"),
        (
            "commonLabels: {app.kubernetes.io/name: other}",
            "/commonLabels/app.kubernetes.io~1name",
        ),
        ("podLabels: {team: 'a b'}", "/podLabels/team"),
        ("serviceMonitor: {renderMode: always}", "/serviceMonitor/renderMode"),
        ("extraArgs: --verbose", "/extraArgs"),
        (
            "prometheusRule: {runbookURL: docs/runbooks}",
            "/prometheusRule/runbookURL",
        ),
        ("enabled: false", "/enabled"),
    ] {
        let said = refused(&helm, values).await;
        assert!(said.contains(&format!("at '{path}'")), "{values}: {said}");
    }
    let said = refused(&helm, "serviceAccount: {create: false}").await;
    assert!(said.contains("serviceAccount.name: name the ServiceAccount"), "{said}");
    let said = refused(&helm, "serviceMonitor: {enabled: true, renderMode: failIfMissing}").await;
    assert!(
        said.contains("serviceMonitor.enabled: this cluster knows no ServiceMonitor"),
        "{said}"
    );
}

#[tokio::test]
async fn what_the_operator_would_refuse_in_its_configuration_the_chart_refuses_before() {
    let helm = Helm::offline();
    for (config, path) in [
        ("workers: 0", "/workers"),
        ("workers: 257", "/workers"),
        ("workers: many", "/workers"),
        ("listen: nowhere", "/listen"),
        ("listen: 0.0.0.0", "/listen"),
        ("logFormat: xml", "/logFormat"),
        ("stop: 'yes'", "/stop"),
        ("toleratedPercent: 101", "/toleratedPercent"),
        ("contestedPauseSeconds: 3601", "/contestedPauseSeconds"),
        ("brake: {percent: 101}", "/brake/percent"),
        ("brake: {namespaces: -1}", "/brake/namespaces"),
        (
            "rollout: {maxNamespacesPerMinute: 0}",
            "/rollout/maxNamespacesPerMinute",
        ),
        ("rollout: {stopAtRefusedPercent: 0}", "/rollout/stopAtRefusedPercent"),
        ("excludedNamespaces: ['']", "/excludedNamespaces/0"),
        ("clusterDNS: {namespace: ''}", "/clusterDNS/namespace"),
        ("clusterDNS: {labelSelector: ''}", "/clusterDNS/labelSelector"),
        (
            "clusterDNS: {nodeLocalAddresses: [169.254.20.10/32]}",
            "/clusterDNS/nodeLocalAddresses/0",
        ),
        (
            "clusterDNS: {nodeLocalAddresses: [0.0.0.0]}",
            "/clusterDNS/nodeLocalAddresses/0",
        ),
        ("exceptions: {maxDuration: 0h}", "/exceptions/maxDuration"),
        ("exceptions: {maxDuration: -1h}", "/exceptions/maxDuration"),
        ("exceptions: {maxDuration: 8761h}", "/exceptions/maxDuration"),
        ("exceptions: {maxDuration: 8760h1m}", "/exceptions/maxDuration"),
        ("exceptions: {maxDuration: 30d}", "/exceptions/maxDuration"),
        ("exceptions: {maxDuration: 720}", "/exceptions/maxDuration"),
        ("verificationInterval: -1h", "/verificationInterval"),
        ("verificationInterval: 721h", "/verificationInterval"),
        ("verificationInterval: 6", "/verificationInterval"),
        ("exceptions: {warnBefore: -1h}", "/exceptions/warnBefore"),
        ("exceptions: {warnBefore: 1d}", "/exceptions/warnBefore"),
        ("metrics: {namespaceLabel: 1}", "/metrics/namespaceLabel"),
    ] {
        let said = refused(&helm, &format!("config: {{{config}}}")).await;
        assert!(said.contains(&format!("at '/config{path}'")), "{config}: {said}");
    }
    for config in [
        "listen: '[::]:9090'",
        "exceptions: {maxDuration: 8760h, warnBefore: 0h}",
        "exceptions: {maxDuration: 1h30m}",
        "verificationInterval: 0h",
        "verificationInterval: 720h",
        "clusterDNS: {nodeLocalAddresses: [169.254.20.10, 'fd00::a']}",
        "logFilter: 'info,security_baseline_operator=debug'",
        "excludedNamespaces: []",
    ] {
        helm.template(&format!("config: {{{config}}}")).await;
    }
}
