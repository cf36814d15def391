//! What is printed for programs is what those programs read.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{Ran, arg, run, written};
use crate::stage::file;

/// What a tenant may write where it is shown.
pub const HOSTILE: &str = "</script><img src=x onerror=alert(1)>&\"'\u{1b}[31m{{data}}";

/// A cluster of two namespaces and what may be found in it, hostile texts among it.
pub fn cluster() -> Value {
    let namespace = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "uid": name,
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"tenant": "yes", "pod-security.kubernetes.io/enforce": "privileged"},
        "managedFields": [{"manager": HOSTILE, "operation": "Update", "apiVersion": "v1", "time": "2026-01-02T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {"f:pod-security.kubernetes.io/enforce": {}}}}}]}})
    };
    let report = json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "BaselineReport", "metadata": {"name": "baseline", "namespace": "team-a", "uid": "r", "resourceVersion": "5"},
        "status": {"conditions": [], "drift": {"total": 2, "repaired": 1, "records": [
            {"control": "networkIsolation", "object": "NetworkPolicy/security-baseline-default-deny-ingress", "path": "spec.ingress[0]", "expected": "", "found": HOSTILE,
             "seen": "2026-01-03T00:00:00Z", "repaired": "2026-01-03T00:00:01Z", "claimedBy": HOSTILE},
            {"control": "podSecurity", "object": "Namespace/team-a", "path": "metadata.labels[x]", "expected": "a", "found": "b", "seen": "2026-01-02T00:00:00Z", "claimedBy": "kubectl-edit"}]}}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        namespace("team-a"), namespace("team-b"), report,
        {"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": "tenants", "uid": "t", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
         "spec": {"namespaceSelector": {"matchLabels": {"tenant": "yes"}}, "mode": "Audit", "podSecurity": {"enforce": {"level": "restricted"}},
            "networkIsolation": {"defaultDeny": ["Ingress"]}, "resourceQuotas": {"items": [{"name": "a", "hard": {"pods": 5}}]}}},
        {"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline", "metadata": {"name": "broken", "uid": "b", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
         "spec": {"namespaceSelector": {}, "podSecurity": {"enforce": {"level": HOSTILE}}}},
        {"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "BaselineException", "metadata": {"name": "legacy", "uid": "e", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
         "spec": {"namespaces": ["team-b"], "reason": HOSTILE, "approver": "a", "expiresAt": "2026-01-15T00:00:00Z", "waive": [{"control": "networkIsolation"}]}},
        {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "open", "namespace": "team-b", "uid": "o", "resourceVersion": "9"},
         "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}},
    ]})
}

async fn report(format: &str) -> Ran {
    let file = written(&cluster());
    let ran = run(
        Path::new("/dev/null"),
        &["report", "--output", format, "--objects", arg(&file)],
    )
    .await;
    assert_eq!(ran.code, 1, "{}", ran.err);
    ran
}

/// The schema of what is printed as data.
pub fn schema() -> Value {
    serde_json::from_str(&std::fs::read_to_string(file("docs/reference/report.schema.json")).unwrap()).unwrap()
}

pub fn valid(schema: &Value, instance: &Value) {
    let validator = jsonschema::validator_for(schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|e| format!("{}: {e}", e.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

/// That nothing is printed which its schema does not tell of.
pub fn closed(mut schema: Value) -> Value {
    fn close(schema: &mut Value) {
        if let Some(keywords) = schema.as_object_mut() {
            if keywords.contains_key("properties") {
                keywords.insert("additionalProperties".to_owned(), json!(false));
            }
            keywords.values_mut().for_each(close);
        } else if let Some(items) = schema.as_array_mut() {
            items.iter_mut().for_each(close);
        }
    }
    close(&mut schema);
    schema
}

#[tokio::test]
async fn json_and_yaml_are_the_documented_schema_and_say_the_same() {
    let json = report("json").await.json();
    valid(&closed(schema()), &json);
    let yaml: Value = serde_saphyr::from_str(&report("yaml").await.out).unwrap();
    let untimed = |mut value: Value| {
        value["generatedAt"] = Value::Null;
        value["source"]["files"] = Value::Null;
        value
    };
    assert_eq!(untimed(yaml), untimed(json.clone()));
    let (before, after) = (
        written(&cluster()),
        written(
            &json!({"apiVersion": "securitybaseline.dev/v1alpha1", "kind": "SecurityBaseline",
        "metadata": {"name": "tenants"}, "spec": {"namespaceSelector": {}, "mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}}}),
        ),
    );
    let diff = run(
        Path::new("/dev/null"),
        &["diff", "-f", arg(&after), "--objects", arg(&before), "-o", "json"],
    )
    .await;
    assert_eq!(diff.code, 1, "{}", diff.err);
    valid(&closed(schema()), &diff.json());
    // And the schema refuses what is none of it.
    assert!(!jsonschema::is_valid(&schema(), &json!({"kind": "PostureReport"})));
}

/// OASIS's schema, as serde-sarif carries it.
fn sarif_schema() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(file("Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut packages = metadata["packages"].as_array().unwrap().iter();
    let package = packages.find(|package| package["name"] == "serde-sarif").unwrap();
    let manifest = PathBuf::from(package["manifest_path"].as_str().unwrap());
    let schema = std::fs::read_to_string(manifest.with_file_name("src").join("schema.json")).unwrap();
    let mut schema: Value = serde_json::from_str(&schema).unwrap();
    // A bracket too many in a pattern, which only lenient engines take; nothing here states a language.
    for part in ["run", "toolComponent"] {
        let language = &mut schema["definitions"][part]["properties"]["language"];
        language.as_object_mut().unwrap().remove("pattern");
    }
    assert!(
        schema["title"].as_str().unwrap().contains("2.1.0"),
        "{}",
        schema["title"]
    );
    schema
}

#[tokio::test]
async fn the_links_of_findings_lead_to_where_the_documentation_is_said_to_be() {
    let file = written(&cluster());
    let at = async |format| {
        let args = [
            "report",
            "-o",
            format,
            "--objects",
            arg(&file),
            "--docs-url",
            "https://docs.example.net/sb/",
        ];
        run(Path::new("/dev/null"), &args).await.json()
    };
    let page = "https://docs.example.net/sb/reference/findings.md#sb-";
    let led = |links: Vec<Value>| {
        assert!(links.len() > 5, "{links:?}");
        for link in links {
            assert!(link.as_str().unwrap().starts_with(page), "{link}");
        }
    };
    let helps = |list: &Value| {
        list.as_array()
            .unwrap()
            .iter()
            .map(|f| f["help"].clone())
            .collect::<Vec<_>>()
    };
    let told = at("json").await;
    let namespaces = told["namespaces"].as_array().unwrap().iter();
    let controls = namespaces.clone().flat_map(|n| n["controls"].as_array().unwrap());
    let others = ["baselines", "exceptions"].map(|of| told[of].as_array().unwrap());
    let with_findings = namespaces.chain(controls).chain(others.into_iter().flatten());
    led(with_findings.flat_map(|of| helps(&of["findings"])).collect());
    let rules = at("sarif").await["runs"][0]["tool"]["driver"]["rules"].clone();
    led(rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["helpUri"].clone())
        .collect());
}

#[tokio::test]
async fn sarif_is_valid_and_every_result_has_a_rule_and_a_place() {
    let text = report("sarif").await.out;
    let log: Value = serde_json::from_str(&text).unwrap();
    valid(&sarif_schema(), &log);
    let read: serde_sarif::sarif::Sarif = serde_json::from_str(&text).unwrap();
    let run = &read.runs[0];
    let rules = run.tool.driver.rules.as_ref().unwrap();
    let results = run.results.as_ref().unwrap();
    assert!(results.len() > 5, "{}", results.len());
    let mut fingerprints = std::collections::BTreeSet::new();
    for result in results {
        let index = usize::try_from(result.rule_index.unwrap()).unwrap();
        assert_eq!(Some(&rules[index].id), result.rule_id.as_ref());
        let help = rules[index].help_uri.as_ref().unwrap();
        assert!(help.ends_with(&rules[index].id.to_lowercase()), "{help}");
        let place = &result.locations.as_ref().unwrap()[0];
        let uri = place
            .physical_location
            .as_ref()
            .unwrap()
            .artifact_location
            .as_ref()
            .unwrap()
            .uri
            .clone()
            .unwrap();
        assert!(
            uri.starts_with("namespaces/team-") || uri.starts_with("cluster/"),
            "{uri}"
        );
        fingerprints.insert(result.partial_fingerprints.as_ref().unwrap()["finding/v1"].clone());
    }
    assert_eq!(fingerprints.len(), results.len(), "each is told from every other");
    let again: Value = serde_json::from_str(&report("sarif").await.out).unwrap();
    assert_eq!(
        again["runs"][0]["results"], log["runs"][0]["results"],
        "and is the same next time"
    );
}

#[tokio::test]
async fn junit_is_read_by_what_reads_it() {
    let text = report("junit").await.out;
    let read = quick_junit::Report::deserialize_from_str(&text).unwrap();
    let suites: Vec<&str> = read.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(suites, ["SecurityBaselines", "BaselineExceptions", "team-a", "team-b"]);
    let failed = |case: &&quick_junit::TestCase| matches!(case.status, quick_junit::TestCaseStatus::NonSuccess { .. });
    let cases = |suite: usize| {
        let cases = read.test_suites[suite].test_cases.iter();
        cases.filter(failed).map(|case| case.name.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(
        (cases(0), cases(2)),
        (
            vec!["broken"],
            vec!["podSecurity", "networkIsolation", "resourceQuotas"]
        )
    );
    assert_eq!(
        read.failures,
        read.test_suites.iter().map(|suite| suite.failures).sum::<usize>()
    );
    assert!(text.contains("&lt;/script&gt;") && !text.contains('\u{1b}'));
}

#[tokio::test]
async fn the_table_does_nothing_on_a_terminal_whatever_a_tenant_wrote() {
    let text = report("table").await.out;
    assert!(
        text.contains("team-a") && text.contains("SB-GEN-120") && !text.contains('\u{1b}'),
        "{text}"
    );
}
