//! The bad baselines and exceptions in `tests/fixtures`, which the unit tests read too, at the API server itself.

use std::path::PathBuf;

use kube::api::{DynamicObject, PostParams};
use serde_json::json;

use crate::exceptions::{from_now, hours};
use crate::stage::{Set, api, condition, delete, file, shared};

/// Mistakes that take more than a schema can tell: the API server takes them, and the operator refuses them.
const ONLY_BY_THE_OPERATOR: [&str; 9] = [
    "access-cluster-role-name",
    "limit-default-above-max",
    "limit-key",
    "limit-ratio",
    "network-cidr-bits",
    "network-except",
    "network-port-dashes",
    "quota-fraction",
    "quota-scope-of-another-resource",
];

/// A file: its name, the field that it is refused for, and the object.
fn bad(path: PathBuf) -> (String, String, DynamicObject) {
    let text = std::fs::read_to_string(&path).unwrap();
    let field = text.lines().next().unwrap().strip_prefix("# refused: ").unwrap();
    // An exception that is good but for its mistake expires in a week.
    let object = serde_saphyr::from_str(&text.replace("in 168h", &from_now(hours(168)))).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    (name.to_owned(), field.to_owned(), object)
}

/// The files of a folder of `tests/fixtures`.
fn all(folder: &str) -> Vec<(String, String, DynamicObject)> {
    let entries = std::fs::read_dir(file("tests/fixtures").join(folder)).unwrap();
    entries.map(|entry| bad(entry.unwrap().path())).collect()
}

#[tokio::test]
async fn every_bad_file_is_refused_by_the_api_server_by_a_message_that_names_the_field() {
    let (plane, _) = shared().await;
    let admin = plane.admin().await.unwrap();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let mut wrong = Vec::new();
    for (folder, kind, least) in [
        ("bad", "SecurityBaseline", 75),
        ("bad-exceptions", "BaselineException", 20),
    ] {
        let files = all(folder);
        assert!(files.len() >= least, "{} files in {folder}", files.len());
        for (name, field, object) in files {
            assert_eq!(object.types.as_ref().unwrap().kind, kind, "{name}");
            let taken = ONLY_BY_THE_OPERATOR.contains(&name.as_str());
            match api(&admin, kind, None).create(&dry, &object).await {
                Err(kube::Error::Api(status)) if status.code == 422 && !taken => {
                    let causes = status.details.as_ref().map(|d| d.causes.as_slice()).unwrap_or_default();
                    if !causes.iter().any(|cause| cause.field.contains(&field)) {
                        wrong.push(format!("{name}, {field}: {}", status.message));
                    }
                }
                Err(error) => wrong.push(format!("{name}: {error}")),
                Ok(_) if taken => {}
                Ok(_) => wrong.push(format!("{name}: accepted")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_bad_file_that_the_api_server_takes_is_refused_by_the_operator_which_names_the_field() {
    let (plane, _) = shared().await;
    let set = Set::new(plane, "taken").await;
    let files = all("bad").into_iter();
    let taken: Vec<_> = files
        .filter(|(name, ..)| ONLY_BY_THE_OPERATOR.contains(&name.as_str()))
        .collect();
    assert_eq!(taken.len(), ONLY_BY_THE_OPERATOR.len());
    for (file, field, mut object) in taken {
        let name = format!("{}-{file}", set.name);
        object.metadata.name = Some(name.clone());
        object.data["spec"]["mode"] = json!("Enforce");
        let baselines = api(&set.admin, "SecurityBaseline", None);
        baselines.create(&PostParams::default(), &object).await.unwrap();
        let refused = set.until_named(&name, "Stalled", "True").await;
        assert_eq!(condition(&refused, "Stalled")["reason"], "InvalidSpec", "{file}");
        assert_eq!(condition(&refused, "Ready")["status"], "False", "{file}");
        let problems = refused["status"]["problems"].as_array().unwrap();
        let [problem] = &problems[..] else {
            panic!("{file}: {problems:?}")
        };
        let path = problem["path"].as_str().unwrap();
        assert!(path.contains(&field), "{file}: {path}");
        assert!(refused["status"].get("applied").is_none(), "{file}");
        delete(&set.admin, "SecurityBaseline", None, &name).await;
    }
}
