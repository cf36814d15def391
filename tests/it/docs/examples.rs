//! What the documentation shows in YAML is accepted, or refused, as it says.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use kube::api::{Patch, PatchParams, ValidationDirective};
use security_baseline_operator::api::crds;
use security_baseline_operator::controls::REGISTRY;
use serde_json::{Value, json};

use super::page::{Fenced, Page, all};
use crate::stage::{BINARY, api, shared};

/// What a block holds, document by document.
fn documents(page: &Page, block: &Fenced, text: &str) -> Vec<Value> {
    let all: Vec<Value> =
        serde_saphyr::from_multiple(text).unwrap_or_else(|error| panic!("{}:{}: {error}", page.name, block.line));
    all.into_iter().filter(|document| !document.is_null()).collect()
}

/// A baseline with these sections.
fn baseline(sections: &Value) -> Value {
    let mut spec = sections.clone();
    if spec["namespaceSelector"].is_null() {
        spec["namespaceSelector"] = json!({"matchLabels": {"platform.example.com/tenant": "true"}});
    }
    json!({
        "apiVersion": "securitybaseline.dev/v1alpha1",
        "kind": "SecurityBaseline",
        "metadata": {"name": "example"},
        "spec": spec,
    })
}

/// What the command line makes of a baseline in the namespace `team-a`.
fn render(baseline: &Value) -> Output {
    let mut child = Command::new(BINARY)
        .args(["render", "--file", "-", "--namespace", "team-a"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(baseline.to_string().as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// Each example of sections on a page, with the block that says what becomes of it.
fn examples(page: &Page) -> Vec<(&Fenced, Value, &Fenced)> {
    let blocks = page.blocks.iter().enumerate();
    blocks
        .filter(|(_, block)| block.mark == "render")
        .map(|(place, block)| {
            let next = page
                .blocks
                .get(place + 1)
                .filter(|next| matches!(&*next.mark, "makes" | "refused"));
            let told = next.unwrap_or_else(|| {
                panic!(
                    "{}:{}: the next block does not say what it makes",
                    page.name, block.line
                )
            });
            let sections = documents(page, block, &block.text).remove(0);
            (block, baseline(&sections), told)
        })
        .collect()
}

#[test]
fn what_the_documentation_says_that_sections_make_is_what_render_prints() {
    let mut compared = 0;
    for page in all() {
        for (block, baseline, told) in examples(&page) {
            let at = format!("{}:{}", page.name, block.line);
            let output = render(&baseline);
            let (out, err) = (
                String::from_utf8(output.stdout).unwrap(),
                String::from_utf8(output.stderr).unwrap(),
            );
            compared += 1;
            if told.mark == "refused" {
                assert_eq!(output.status.code(), Some(2), "{at}: is not refused:\n{out}");
                for line in told.text.lines() {
                    assert!(err.contains(line.trim()), "{at}: {line:?} is not in\n{err}");
                }
                continue;
            }
            assert!(output.status.success(), "{at}: {err}");
            for line in told.text.lines().filter(|line| line.starts_with('#')) {
                assert!(out.contains(line), "{at}: {line:?} is not in\n{out}");
            }
            let shown = documents(&page, told, &told.text);
            let made = documents(&page, block, &out);
            let unsaid = shown.iter().find(|shown| !made.iter().any(|made| has(made, shown)));
            assert!(unsaid.is_none(), "{at}: does not make\n{}\nbut\n{out}", unsaid.unwrap());
            assert_eq!(shown.len(), made.len(), "{at}: makes\n{out}");
        }
    }
    assert!(compared >= 15, "only {compared} examples were found");
}

/// Whether an object has all that is shown of it. Lists and values are shown whole.
fn has(made: &Value, shown: &Value) -> bool {
    match (made, shown) {
        (Value::Object(made), Value::Object(shown)) => shown
            .iter()
            .all(|(key, shown)| made.get(key).is_some_and(|made| has(made, shown))),
        (made, shown) => made == shown,
    }
}

/// The texts of a page that may hold whole objects: its YAML, and what its commands are given between the lines.
fn texts(block: &Fenced) -> Vec<&str> {
    match &*block.language {
        "yaml" => vec![&block.text],
        "bash" => block
            .text
            .split("<<'YAML'\n")
            .skip(1)
            .filter_map(|rest| rest.split("\nYAML\n").next())
            .collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn the_api_server_accepts_every_baseline_and_exception_in_the_documentation() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    let tomorrow = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24)).to_string();
    let (mut accepted, mut refused) = (0, 0);
    for page in all() {
        let mut objects: Vec<(usize, Value, bool)> = examples(&page)
            .into_iter()
            .map(|(block, baseline, told)| (block.line, baseline, told.mark == "makes"))
            .collect();
        for block in page.blocks.iter().filter(|block| block.mark != "render") {
            for text in texts(block) {
                let whole = documents(&page, block, text).into_iter();
                let ours = whole.filter(|d| d["kind"] == "SecurityBaseline" || d["kind"] == "BaselineException");
                objects.extend(ours.map(|object| (block.line, object, true)));
            }
        }
        for (line, mut object, good) in objects {
            let at = format!("{}:{line}", page.name);
            let kind = object["kind"].as_str().unwrap().to_owned();
            if kind == "BaselineException" {
                // A date in a page is past some day.
                object["spec"]["expiresAt"] = json!(tomorrow);
            }
            // Not a name that another test's baseline has.
            object["metadata"]["name"] = json!("documented");
            let params = PatchParams {
                dry_run: true,
                field_validation: Some(ValidationDirective::Strict),
                ..PatchParams::apply("test").force()
            };
            let answer = api(&admin, &kind, None)
                .patch("documented", &params, &Patch::Apply(&object))
                .await;
            match (answer, good) {
                (Ok(_), true) => accepted += 1,
                (Err(kube::Error::Api(_)), false) => refused += 1,
                (Ok(_), false) => panic!("{at}: the API server takes what is said to be refused"),
                (Err(error), _) => panic!("{at}: {error}"),
            }
        }
    }
    assert!(
        accepted >= 20 && refused >= 4,
        "only {accepted} were accepted, and {refused} refused"
    );
}

/// The properties of a schema, each with those that stand beside it: a type that several fields have is one.
fn properties(schema: &Value, all: &mut BTreeSet<(String, String)>, values: &mut BTreeSet<String>) {
    let schema = schema.get("items").unwrap_or(schema);
    values.extend(
        schema["enum"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned)),
    );
    if let Some(fields) = schema["properties"].as_object() {
        let beside = fields.keys().cloned().collect::<Vec<_>>().join(",");
        for (name, field) in fields {
            all.insert((beside.clone(), name.clone()));
            properties(field, all, values);
        }
    }
}

/// Those of them that a value makes use of.
fn used(schema: &Value, value: &Value, all: &mut BTreeSet<(String, String)>) {
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| used(&schema["items"], item, all));
    }
    let (Some(fields), Some(value)) = (schema["properties"].as_object(), value.as_object()) else {
        return;
    };
    let beside = fields.keys().cloned().collect::<Vec<_>>().join(",");
    for (name, value) in value {
        all.insert((beside.clone(), name.clone()));
        used(&fields[name], value, all);
    }
}

/// The name of a section's page: `network-isolation` of `networkIsolation`.
fn page_of(section: &str) -> String {
    let mut page = String::from("docs/controls/");
    for letter in section.chars() {
        if letter.is_ascii_uppercase() {
            page.push('-');
        }
        page.push(letter.to_ascii_lowercase());
    }
    page + ".md"
}

#[test]
fn every_control_has_a_page_with_an_example_of_each_of_its_fields() {
    let crd = crds::all()
        .unwrap()
        .into_iter()
        .find(|crd| crd.file == "securitybaselines.yaml")
        .unwrap();
    let spec = &crd.content["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    for control in REGISTRY {
        let section = control.section();
        let page = Page::read(&page_of(section));
        let (mut all, mut values, mut shown) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        properties(&spec[section], &mut all, &mut values);
        assert!(all.len() >= 4, "{section}: the schema was not found");
        for (_, baseline, told) in examples(&page) {
            if told.mark == "makes" {
                used(&spec[section], &baseline["spec"][section], &mut shown);
            }
        }
        let unshown: Vec<_> = all
            .difference(&shown)
            .map(|(beside, field)| format!("{field} (of {beside})"))
            .collect();
        assert!(unshown.is_empty(), "{} has no example of {unshown:?}", page.name);
        let untold: Vec<_> = values.iter().filter(|value| !page.text.contains(*value)).collect();
        assert!(untold.is_empty(), "{} says nothing of {untold:?}", page.name);
    }
}

#[test]
fn every_control_page_answers_the_same_questions() {
    for control in REGISTRY {
        let page = Page::read(&page_of(control.section()));
        for anchor in [
            "what-it-makes",
            "fields",
            "what-it-breaks",
            "check-first",
            "roll-back",
            "what-is-held-and-why",
            "what-counts-as-weaker",
        ] {
            assert!(
                page.anchors.contains(anchor),
                "{} has no heading for {anchor}",
                page.name
            );
        }
    }
}
