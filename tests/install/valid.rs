//! What the chart renders is valid, by Helm's linter and by the API server's own schemas; those of the Prometheus operator's
//! kinds are in the CRDs that it publishes.

use crate::helm::{Helm, chart, text};
use crate::schemas::Schemas;
use crate::stage::file;
use crate::support::{ControlPlane, install_yaml, published};

/// Every value changed from its default, but for those that leave something out.
const EVERYTHING: &str = r#"
crds: {keep: false}
image: {repository: registry.example.com/sbo, digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
nameOverride: posture
commonLabels: {team: platform}
config: {listen: "0.0.0.0:9090", logFormat: text, clusterDNS: {namespace: openshift-dns}, exceptions: {maxDuration: 168h}}
serviceAccount: {name: posture-operator, annotations: {example.com/owner: platform}}
rbac: {aggregateToView: false, aggregateToEdit: false, aggregateToAdmin: false}
bindableClusterRoles: [view, edit]
grantableRoles: [{apiGroups: [apps], resources: [deployments], verbs: [get, list]}]
resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 512Mi}}
deploymentAnnotations: {example.com/restart: "no"}
podAnnotations: {example.com/scrape: "yes"}
podLabels: {sidecar: none}
nodeSelector: {disktype: ssd}
tolerations: [{key: node-role.kubernetes.io/control-plane, operator: Exists, effect: NoSchedule}]
affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: kubernetes.io/hostname}}]}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: topology.kubernetes.io/zone, whenUnsatisfiable: ScheduleAnyway}]
priorityClassName: system-cluster-critical
extraArgs: []
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy.example.com:3128"}]
extraVolumes: [{name: ca, configMap: {name: ca}}]
extraVolumeMounts: [{name: ca, mountPath: /etc/ssl/certs, readOnly: true}]
podDisruptionBudget: {enabled: true, minAvailable: 50%}
admission: {podSecurityLabels: true}
networkPolicy: {enabled: true, metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}], apiServer: {cidrs: [10.0.0.1/32], ports: [6443]}}
serviceMonitor: {enabled: true, renderMode: alwaysRender, additionalLabels: {release: prometheus}, interval: 30s, scrapeTimeout: 20s, relabelings: [{targetLabel: zone, replacement: a}], metricRelabelings: [{action: labeldrop, regex: instance}]}
prometheusRule: {enabled: true, renderMode: alwaysRender, additionalLabels: {release: prometheus}, runbookURL: "https://wiki.example.org/runbooks/"}
grafanaDashboard: {enabled: true, annotations: {grafana_folder: Security}}
extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-extra"}, data: {a: b}}
- |
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: {{ .Release.Name }}-text}
"#;

/// Everything left out that can be.
const LITTLE: &str = r"
crds: {enabled: false}
replicaCount: 0
serviceAccount: {create: false, name: given}
rbac: {create: false}
admission: {enabled: false}
bindableClusterRoles: []
resources: {requests: null, limits: null}
podSecurityContext: null
securityContext: null
nodeSelector: null
";

#[tokio::test]
async fn whatever_the_values_the_chart_passes_helms_linter_and_the_api_servers_schemas() {
    let plane = ControlPlane::start().await.unwrap();
    plane.install(&install_yaml()).await.unwrap();
    for kind in ["servicemonitors", "prometheusrules"] {
        let crd = format!("example/prometheus-operator-crd/monitoring.coreos.com_{kind}.yaml");
        let module = "github.com/prometheus-operator/prometheus-operator";
        let file = published("prometheus-operator", module, &crd).unwrap();
        plane.install(&file).await.unwrap();
    }
    let schemas = Schemas::of(&plane).await;
    let helm = Helm::offline();
    for values in [
        "",
        EVERYTHING,
        LITTLE,
        "bindableClusterRoles: []",
        "podDisruptionBudget: {enabled: true}",
    ] {
        let file = helm.values(values);
        let said = helm
            .run(&["lint", "--strict", text(&chart()), "--values", text(&file)])
            .await;
        assert!(said.contains("0 chart(s) failed"), "{said}");
        let manifests = helm.template(values).await;
        schemas.check(&manifests).await.unwrap();
    }
    // It would have noticed: a misspelt field, also within one of our own kinds, and a wrong type.
    let manifests = helm.template(EVERYTHING).await;
    for (right, wrong) in [
        ("replicas: 1", "replcas: 1"),
        ("containerPort: 9090", "containerPort: ninety"),
        ("failurePolicy: Fail", "failurePolicies: Fail"),
        ("  endpoints:", "  endpointz:"),
        ("      severity: critical", "      severity: 1"),
    ] {
        assert!(manifests.contains(right), "{right}");
        schemas.check(&manifests.replace(right, wrong)).await.unwrap_err();
    }
}

#[tokio::test]
async fn the_json_schemas_for_editors_take_the_samples_and_refuse_what_is_misspelt() {
    let schemas = Schemas::of_our_kinds().await;
    for sample in ["securitybaseline_tenants", "baselineexception_egress"] {
        let sample = std::fs::read_to_string(file(&format!("config/samples/{sample}.yaml"))).unwrap();
        schemas.check(&sample).await.unwrap();
        schemas
            .check(&sample.replace("spec:\n", "spec:\n  sepc: {}\n"))
            .await
            .unwrap_err();
        schemas
            .check(&sample.replace("  name: t", "  nmae: t").replace("spec:", "sepc:"))
            .await
            .unwrap_err();
    }
}

#[tokio::test]
async fn every_value_reaches_what_it_is_about() {
    let text = Helm::offline().template(EVERYTHING).await;
    let all = crate::objects::objects(&text);
    let pod = &all["Deployment security-baseline-system/posture"]["spec"]["template"];
    let spec = &pod["spec"];
    let container = &spec["containers"][0];
    assert_eq!(
        container["image"],
        "registry.example.com/sbo@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    );
    assert_eq!(container["ports"][0]["containerPort"], 9090);
    assert_eq!(container["env"][2]["name"], "HTTPS_PROXY");
    assert_eq!(spec["serviceAccountName"], "posture-operator");
    assert_eq!(
        spec["nodeSelector"],
        serde_json::json!({"kubernetes.io/os": "linux", "disktype": "ssd"})
    );
    for key in [
        "imagePullSecrets",
        "tolerations",
        "affinity",
        "topologySpreadConstraints",
        "priorityClassName",
    ] {
        assert!(!spec[key].is_null(), "{key}");
    }
    assert_eq!(spec["volumes"][1]["name"], "ca");
    assert_eq!(container["volumeMounts"][1]["mountPath"], "/etc/ssl/certs");
    let deployment = &all["Deployment security-baseline-system/posture"]["metadata"];
    assert_eq!(deployment["annotations"]["example.com/restart"], "no");
    let scraped = &all["ServiceMonitor security-baseline-system/posture"]["spec"]["endpoints"][0];
    for (key, value) in [
        ("interval", serde_json::json!("30s")),
        ("scrapeTimeout", "20s".into()),
        (
            "relabelings",
            serde_json::json!([{"targetLabel": "zone", "replacement": "a"}]),
        ),
        (
            "metricRelabelings",
            serde_json::json!([{"action": "labeldrop", "regex": "instance"}]),
        ),
    ] {
        assert_eq!(scraped[key], value, "{key}");
    }
    let dashboard = &all["ConfigMap security-baseline-system/security-baseline-dashboard"]["metadata"];
    assert_eq!(dashboard["annotations"]["grafana_folder"], "Security");
    let labels = &pod["metadata"]["labels"];
    assert_eq!(
        (&labels["team"], &labels["sidecar"]),
        (&"platform".into(), &"none".into())
    );
    assert_eq!(pod["metadata"]["annotations"]["example.com/scrape"], "yes");
    // The DNS Role is where DNS is; the exceptions' limit is the operator's own; the policy knows the ServiceAccount.
    assert!(all.contains_key("Role openshift-dns/security-baseline:operator-dns"));
    let labels = &all["ValidatingAdmissionPolicy /security-baseline-pod-security-labels"]["spec"]["matchConditions"][0];
    assert_eq!(
        labels["expression"],
        "request.userInfo.username != 'system:serviceaccount:security-baseline-system:posture-operator'"
    );
    let limit = &all["ValidatingAdmissionPolicy /security-baseline-exception-expiry"]["spec"]["variables"][0];
    assert_eq!(limit["expression"], "duration('168h')");
    assert!(text.contains("'system:serviceaccount:security-baseline-system:posture-operator'"));
    let reports = &all["ClusterRole /security-baseline:view-reports"]["metadata"]["labels"];
    assert!(!reports.to_string().contains("aggregate-to"), "{reports}");
    let policy = &all["NetworkPolicy security-baseline-system/posture"]["spec"];
    assert_eq!(policy["egress"][1]["to"][0]["ipBlock"]["cidr"], "10.0.0.1/32");
    assert_eq!(policy["ingress"][0]["from"].as_array().unwrap().len(), 1);
    assert!(all["PodDisruptionBudget security-baseline-system/posture"]["spec"]["maxUnavailable"].is_null());
    for (key, object) in &all {
        if !key.contains("-extra") && !key.contains("-text") {
            assert_eq!(object["metadata"]["labels"]["team"], "platform", "{key}");
        }
        if object["kind"] == "CustomResourceDefinition" {
            assert!(object["metadata"]["annotations"]["helm.sh/resource-policy"].is_null());
        }
    }
    let rules = all["PrometheusRule security-baseline-system/posture"]["spec"].to_string();
    assert!(
        rules.contains("https://wiki.example.org/runbooks/SecurityBaselineAbsent.md") && !rules.contains("example.com")
    );
    assert!(all.contains_key("ConfigMap /security-baseline-operator-extra"));
    assert!(all.contains_key("ConfigMap /security-baseline-operator-text"));
}

#[tokio::test]
async fn a_changed_configuration_restarts_the_pods_and_the_emergency_stop_does_not() {
    let helm = Helm::offline();
    let mut sums = Vec::new();
    for values in ["", "config: {stop: true}", "config: {workers: 3}"] {
        let all = crate::objects::objects(&helm.template(values).await);
        let deployment = &all["Deployment security-baseline-system/security-baseline-operator"];
        sums.push(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"].clone());
        if values.contains("stop") {
            // docs/emergency-stop.md edits this line.
            let map = &all["ConfigMap security-baseline-system/security-baseline-operator"];
            assert!(map["data"]["config.yaml"].as_str().unwrap().contains("\nstop: true"));
        }
    }
    assert_eq!(sums[0], sums[1]);
    assert_ne!(sums[0], sums[2]);
}
