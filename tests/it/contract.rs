//! What the parts of this repository owe each other. No cluster is needed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use security_baseline_operator::controls::{REGISTRY, kinds};
use serde_json::Value;

use crate::exceptions::SAMPLE as EXCEPTION_SAMPLE;
use crate::stage::file;

/// The documents of a YAML file.
fn documents(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn strings(value: &Value) -> BTreeSet<&str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The rules of all Roles and ClusterRoles that are shipped, and where each stands.
fn shipped_rules(documents: &[Value]) -> Vec<(String, &Value)> {
    documents
        .iter()
        .filter(|d| d["kind"] == "ClusterRole" || d["kind"] == "Role")
        .flat_map(|role| {
            let name = role["metadata"]["name"].as_str().unwrap().to_owned();
            let rules = role["rules"].as_array().into_iter().flatten();
            rules.map(move |rule| (name.clone(), rule))
        })
        .collect()
}

#[test]
fn the_operator_may_do_what_its_controls_need_everywhere() {
    let documents = documents("config/install.yaml");
    let bound = documents
        .iter()
        .filter(|d| d["kind"] == "ClusterRoleBinding")
        .filter(|b| b["subjects"][0]["name"] == "security-baseline-operator")
        .any(|b| b["roleRef"]["name"] == "security-baseline-operator");
    assert!(bound, "nobody binds the operator to its ClusterRole");
    let rules = shipped_rules(&documents);
    for kind in kinds() {
        let granted: BTreeSet<&str> = rules
            .iter()
            .filter(|(role, _)| role == "security-baseline-operator")
            .filter(|(_, rule)| strings(&rule["apiGroups"]).contains(kind.group))
            .filter(|(_, rule)| strings(&rule["resources"]).contains(kind.plural))
            .filter(|(_, rule)| rule["resourceNames"].is_null())
            .flat_map(|(_, rule)| strings(&rule["verbs"]))
            .collect();
        for verb in ["get", "list", "watch", "create", "update", "delete"] {
            assert!(granted.contains(verb), "the operator may not {verb} {}", kind.plural);
        }
    }
}

#[test]
fn what_is_shipped_grants_no_wildcard_no_secrets_and_no_way_around_rbac() {
    let documents = documents("config/install.yaml");
    let rules = shipped_rules(&documents);
    assert!(rules.len() > 10, "the rules were not found: {}", rules.len());
    for (role, rule) in rules {
        for field in ["apiGroups", "resources", "resourceNames", "verbs", "nonResourceURLs"] {
            for text in strings(&rule[field]) {
                assert!(!text.contains('*'), "{role} has a wildcard: {rule}");
            }
        }
        let resources = strings(&rule["resources"]);
        assert!(!resources.contains("secrets"), "{role} reaches Secrets: {rule}");
        assert!(
            !resources.contains("serviceaccounts/token"),
            "{role} reaches tokens: {rule}"
        );
        let verbs = strings(&rule["verbs"]);
        assert!(!verbs.contains("escalate"), "{role} may escalate: {rule}");
        assert!(!verbs.contains("impersonate"), "{role} may impersonate: {rule}");
        if verbs.contains("bind") {
            let named = strings(&rule["resourceNames"]);
            assert!(!named.is_empty(), "{role} may bind every role: {rule}");
            assert!(!named.contains("cluster-admin"), "{role} may bind cluster-admin");
        }
    }
}

#[test]
fn nothing_that_is_shipped_may_be_handed_out_by_a_baseline() {
    for document in documents("config/install.yaml") {
        let label = &document["metadata"]["labels"]["securitybaseline.dev/aggregate-to-grantable"];
        assert!(label.is_null(), "{} is grantable", document["metadata"]["name"]);
    }
}

#[test]
fn every_section_has_a_sample_and_one_sample_has_them_all() {
    let listed = documents("config/samples/kustomization.yaml");
    let files = strings(&listed[0]["resources"]);
    let specs: Vec<(String, Value)> = files
        .iter()
        .flat_map(|name| documents(&format!("config/samples/{name}")))
        .filter(|d| d["kind"] == "SecurityBaseline")
        .map(|d| (d["metadata"]["name"].as_str().unwrap().to_owned(), d["spec"].clone()))
        .collect();
    for control in REGISTRY {
        let section = control.section();
        let alone = specs.iter().any(|(_, spec)| {
            let others = REGISTRY.iter().filter(|c| c.section() != section);
            !spec[section].is_null() && others.into_iter().all(|c| spec[c.section()].is_null())
        });
        assert!(alone, "no sample is about {section} alone");
    }
    let whole = specs
        .iter()
        .any(|(_, spec)| REGISTRY.iter().all(|c| !spec[c.section()].is_null()));
    assert!(whole, "no sample has every section");
    for (name, spec) in &specs {
        let modes = REGISTRY.iter().map(|c| &spec[c.section()]["mode"]);
        let careful = spec["mode"] == "Audit" && modes.into_iter().all(|m| m.is_null() || m == "Audit");
        assert!(careful, "the sample {name} does not begin in Audit");
    }
    // A file that is not listed is applied by nobody, and so by no test. (The exception's has a test of its own.)
    let here = std::fs::read_dir(file("config/samples")).unwrap();
    for name in here.map(|entry| entry.unwrap().file_name().into_string().unwrap()) {
        assert!(
            name == "kustomization.yaml" || files.contains(&*name) || name == EXCEPTION_SAMPLE,
            "{name} is not listed"
        );
    }
}

#[test]
fn install_yaml_is_what_kustomize_builds() {
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(file("config/default"))
        .output()
        .expect("kubectl is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let built = String::from_utf8(output.stdout).unwrap();
    let shipped = std::fs::read_to_string(file("config/install.yaml")).unwrap();
    let mut lines = shipped.lines();
    let header: Vec<&str> = lines.by_ref().take(2).collect();
    assert!(header.iter().all(|line| line.starts_with('#')), "{header:?}");
    assert!(
        lines.eq(built.lines()),
        "config/install.yaml is stale: run `make generate-manifests`"
    );
}

#[test]
fn the_crds_are_generated_from_the_types() {
    for crd in security_baseline_operator::api::crds::all().unwrap() {
        let written = documents(&format!("crds/{}", crd.file));
        assert_eq!(
            written,
            [crd.content],
            "crds/{} is stale: run `make generate`",
            crd.file
        );
    }
}

/// The files with code in a folder and the folders in it.
pub fn sources(folder: PathBuf) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_documentation_knows_every_configuration_key() {
    let page = std::fs::read_to_string(file("docs/configuration.md")).unwrap();
    let shipped = documents("config/manager/config.yaml");
    for key in shipped[0].as_object().unwrap().keys() {
        assert!(
            page.contains(&format!("| `{key}` |")),
            "docs/configuration.md does not explain the key {key}"
        );
    }
}

/// What stands in quotes in the code like a reason, and is none: words of Kubernetes' API and of our own,
/// and what only the command line says (docs/reference/findings.md explains that).
const NO_REASONS: [&str; 70] = [
    "Accept",
    "Always",
    "Apply",
    "BaselineException",
    "BaselineReport",
    "BestEffort",
    "ClusterRole",
    "ConfigMap",
    "Container",
    "Corefile",
    "CrossNamespacePodAffinity",
    "CustomResourceDefinition",
    "DNS",
    "DoesNotExist",
    "Egress",
    "Ei",
    "EndpointSlice",
    "Established",
    "Event",
    "Exists",
    "Failed",
    "Failure",
    "False",
    "GEN",
    "Gi",
    "Group",
    "In",
    "Ingress",
    "Ki",
    "LIM",
    "LimitRange",
    "List",
    "Mi",
    "NET",
    "Namespace",
    "NamespaceTerminating",
    "NetworkPolicy",
    "NotBestEffort",
    "NotFound",
    "NotIn",
    "NotTerminating",
    "Orphaned",
    "PSS",
    "PersistentVolumeClaim",
    "Pi",
    "Pod",
    "PolicyReport",
    "PriorityClass",
    "QTA",
    "RBA",
    "Repair",
    "Report",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "SCTP",
    "SecurityBaseline",
    "Service",
    "SpecWarning",
    "Status",
    "Succeeded",
    "TCP",
    "Terminating",
    "Text",
    "Ti",
    "True",
    "UDP",
    "User",
    "VolumeAttributesClass",
    "Warning",
];

/// The words in quotes that look like a reason, alone or before a colon, in what is no test.
fn quoted_words(code: &str) -> impl Iterator<Item = &str> {
    let code = code.split("#[cfg(test)]\nmod").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let quoted = lines.flat_map(|line| line.split('"').skip(1).step_by(2));
    let words = quoted.map(|text| text.split(": ").next().unwrap_or_default());
    words.filter(|word| {
        let letters = word.bytes().all(|b| b.is_ascii_alphabetic());
        letters && word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase())
    })
}

#[test]
fn the_troubleshooting_page_explains_every_reason_that_the_operator_gives() {
    let page = std::fs::read_to_string(file("docs/troubleshooting.md")).unwrap();
    let mut words = BTreeSet::new();
    for folder in ["src/core", "src/controls", "src/engine"] {
        for path in sources(file(folder)) {
            let name = path.to_string_lossy().into_owned();
            if !name.contains("/tests/") && !name.ends_with("tests.rs") && !name.ends_with("testing.rs") {
                let code = std::fs::read_to_string(path).unwrap();
                words.extend(quoted_words(&code).map(str::to_owned));
            }
        }
    }
    // Of each kind one, to see that they are found: a condition's, a finding's, one of what is blocked, a warning's.
    for reason in [
        "CleanupBlocked",
        "Rewritten",
        "Surplus",
        "GrantRefused",
        "WeakenedInPart",
        "NotVisible",
    ] {
        assert!(words.contains(reason), "{reason} was not found");
    }
    for word in NO_REASONS {
        assert!(
            words.contains(word),
            "{word} is in the code no more: take it off the list"
        );
    }
    let reasons = words.iter().filter(|word| !NO_REASONS.contains(&word.as_str()));
    let untold: Vec<_> = reasons
        .filter(|reason| !page.contains(&format!("`{reason}`")))
        .collect();
    assert!(untold.is_empty(), "docs/troubleshooting.md does not explain {untold:?}");
}

#[test]
fn nothing_that_is_shipped_lets_tenants_write_what_decides() {
    for document in documents("config/install.yaml")
        .iter()
        .filter(|d| d["kind"] == "ClusterRole")
    {
        let labels = document["metadata"]["labels"].as_object().into_iter().flatten();
        let mut aggregated = labels.filter(|(key, _)| key.starts_with("rbac.authorization.k8s.io/aggregate-to-"));
        if aggregated.next().is_none() {
            continue;
        }
        let name = &document["metadata"]["name"];
        for rule in document["rules"].as_array().into_iter().flatten() {
            assert_eq!(
                strings(&rule["apiGroups"]),
                ["securitybaseline.dev"].into(),
                "{name}: {rule}"
            );
            let resources = strings(&rule["resources"]);
            assert_eq!(
                resources,
                ["baselinereports"].into(),
                "{name} reaches more than reports: {rule}"
            );
            let reads = ["get", "list", "watch"].into();
            assert!(
                strings(&rule["verbs"]).is_subset(&reads),
                "{name} may write reports: {rule}"
            );
        }
    }
}
