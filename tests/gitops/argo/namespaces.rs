//! Namespaces that Argo CD manages too, and what it sees of what the operator puts there.

use serde_json::{Value, json};

use crate::argo::{Argo, PATIENCE, warns};
use crate::labels::{ENFORCE, History};
use crate::stage::{LABEL, Set, api, condition, get, own_as_shipped};
use crate::support::recorder::Recorder;
use crate::support::{ControlPlane, Stage, watch_until};

struct Play {
    plane: ControlPlane,
    _stage: Stage,
    argo: Argo,
    recorder: Recorder,
    set: Set,
    namespace: String,
    /// The level that is to be enforced in it.
    level: &'static str,
}

/// A baseline, and a namespace that is not there yet.
async fn play(prefix: &str) -> Play {
    let (plane, stage) = own_as_shipped().await;
    let argo = Argo::start(&plane).await;
    argo.project(&json!({})).await;
    let recorder = Recorder::start(&plane).await.unwrap();
    let set = Set::new(&plane, prefix).await;
    let namespace = format!("{}-a", set.name);
    set.baseline(json!({"mode": "Enforce", "podSecurity": {"enforce": {"level": "baseline"}}}))
        .await;
    Play {
        plane,
        _stage: stage,
        argo,
        recorder,
        set,
        namespace,
        level: "baseline",
    }
}

impl Play {
    /// The Namespace as it stands in Git, with a label that is weaker than the baseline.
    fn in_git(&self) -> String {
        let labels = json!({LABEL: self.set.name, ENFORCE: "privileged"});
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}})
            .to_string()
    }

    /// Waits until the baseline tells of a fight. Argo CD waits between its heals.
    async fn contested(&self) -> Value {
        let baselines = api(&self.set.admin, "SecurityBaseline", None);
        let found = watch_until(&baselines, &self.set.name, "tells of a fight", PATIENCE, |object| {
            condition(&serde_json::to_value(object).unwrap(), "Contested")["status"] == "True"
        });
        serde_json::to_value(found.await.unwrap()).unwrap()
    }

    async fn held(&self) {
        self.set.until_enforced(1).await;
        self.set
            .labels_until(&self.namespace, "are as declared", |l| l[ENFORCE] == self.level)
            .await;
        crate::oracles::settled(&self.plane, &self.set).await;
    }

    /// The level that was enforced in the namespace from write to write since a version.
    async fn levels(&self, since: u64) -> History {
        History::of(&self.recorder, &self.namespace, ENFORCE, since).await
    }

    /// Has Argo CD look again and again, and sees that nobody writes to the namespace.
    async fn at_rest(&self) {
        let since = self.recorder.version().await.unwrap();
        for _ in 0..4 {
            self.argo.refresh("tenants").await;
        }
        assert_eq!(self.levels(since).await.values(), Vec::<&str>::new());
        let live = get(&self.set.admin, "Namespace", None, &self.namespace).await.unwrap();
        assert_eq!(live["metadata"]["labels"][ENFORCE], self.level);
    }

    /// An object of the namespace, as it stands in Git.
    fn something(&self, name: &str) -> (&'static str, String) {
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": self.namespace}});
        ("something.yaml", object.to_string())
    }

    /// Has something else synced, and sees that the level is never another one meanwhile.
    async fn holds_through_a_sync(&self, files: &[(&'static str, String)]) {
        let since = self.recorder.version().await.unwrap();
        self.argo.commit(&[files, &[self.something("other")][..]].concat());
        self.argo.refresh("tenants").await;
        self.set.present("ConfigMap", &self.namespace, "other").await;
        self.argo.until_synced("tenants").await;
        let levels = self.levels(since).await;
        let levels = levels.values();
        assert!(levels.iter().all(|level| *level == self.level), "{levels:?}");
    }
}

#[tokio::test]
async fn with_ignored_differences_that_a_sync_respects_a_weaker_label_in_git_is_never_written_again() {
    let play = play("ignores").await;
    let documented = crate::docs::yaml_after("<!-- argo: namespaces -->");
    play.argo.commit(&[("namespace.yaml", play.in_git())]);
    play.argo.application("tenants", &documented["spec"]).await;
    play.held().await;
    play.argo.until_synced("tenants").await;
    play.at_rest().await;
    play.holds_through_a_sync(&[("namespace.yaml", play.in_git())]).await;
}

#[tokio::test]
async fn the_same_level_in_git_or_a_stricter_one_is_left_by_both_without_anything_being_ignored() {
    for level in ["baseline", "restricted"] {
        let mut play = play("agrees").await;
        play.level = level;
        let git = play.in_git().replace("privileged", level);
        play.argo.commit(&[("namespace.yaml", git.clone())]);
        play.argo.application("tenants", &json!({})).await;
        play.held().await;
        play.argo.until_synced("tenants").await;
        play.at_rest().await;
        play.holds_through_a_sync(&[("namespace.yaml", git)]).await;
    }
}

#[tokio::test]
async fn without_them_self_heal_writes_the_weaker_label_again_and_again_and_the_fight_is_told() {
    let play = play("heals").await;
    play.argo.commit(&[("namespace.yaml", play.in_git())]);
    play.argo.application("tenants", &json!({})).await;
    let begun = std::time::Instant::now();
    let told = play.contested().await;
    let message = condition(&told, "Contested")["message"].as_str().unwrap();
    assert!(
        message.contains(&play.namespace) && message.contains("argocd"),
        "{message}"
    );
    let since = play.recorder.version().await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    let levels = play.levels(since).await;
    println!("told after {:?}; then in 30 s: {:?}", begun.elapsed(), levels.values());
    // Argo CD waits longer from heal to heal: it is no storm.
    assert!(levels.weak_times("privileged") <= 6, "{:?}", levels.values());
    // Git says nothing of the label any more: the fight is over, and the operator's holds.
    let mut quiet: Value = serde_saphyr::from_str(&play.in_git()).unwrap();
    quiet["metadata"]["labels"].as_object_mut().unwrap().remove(ENFORCE);
    play.argo.commit(&[("namespace.yaml", quiet.to_string())]);
    play.argo.refresh("tenants").await;
    play.argo.until_synced("tenants").await;
    play.held().await;
    play.at_rest().await;
}

#[tokio::test]
async fn where_lower_labels_are_refused_self_heal_never_weakens_a_level_and_the_application_says_why() {
    let play = play("refused").await;
    let agreeing = play.in_git().replace("privileged", "baseline");
    play.argo.commit(&[("namespace.yaml", agreeing)]);
    // What was refused is tried again a few times with growing pauses; `refresh` has that take what is newest in Git.
    let retry = json!({"syncPolicy": {"retry": {"limit": -1, "refresh": true, "backoff": {"duration": "5s", "maxDuration": "10s"}}}});
    play.argo.application("tenants", &retry).await;
    play.held().await;
    play.argo.until_synced("tenants").await;
    play.plane.refuse_lower_labels(&play.namespace).await.unwrap();
    let since = play.recorder.version().await.unwrap();
    // Something else of the same commit is synced all the same.
    play.argo
        .commit(&[("namespace.yaml", play.in_git()), play.something("other")]);
    play.argo.refresh("tenants").await;
    let failed = play
        .argo
        .until("tenants", "says that it was refused", |a| {
            let resources = &a["status"]["operationState"]["syncResult"]["resources"];
            let said = |r: &Value| {
                r["message"]
                    .as_str()
                    .is_some_and(|m| m.contains("a security baseline enforces"))
            };
            resources.as_array().is_some_and(|all| all.iter().any(said))
        })
        .await;
    println!("{}", failed["status"]["operationState"]["syncResult"]["resources"]);
    play.set.present("ConfigMap", &play.namespace, "other").await;
    play.at_rest().await;
    assert_eq!(play.levels(since).await.values(), Vec::<&str>::new());
    // Mended in Git, it is synced.
    let mut quiet: Value = serde_saphyr::from_str(&play.in_git()).unwrap();
    quiet["metadata"]["labels"].as_object_mut().unwrap().remove(ENFORCE);
    play.argo
        .commit(&[("namespace.yaml", quiet.to_string()), play.something("other")]);
    play.argo.refresh("tenants").await;
    play.argo.until_synced("tenants").await;
    play.held().await;
    play.at_rest().await;
}

#[tokio::test]
async fn managed_namespace_metadata_is_left_alone_where_it_says_nothing_of_pod_security() {
    let play = play("managed").await;
    play.argo.commit(&[play.something("some")]);
    let labels = json!({LABEL: play.set.name});
    play.argo
        .application(
            "tenants",
            &json!({
                "destination": {"namespace": play.namespace},
                "syncPolicy": {"syncOptions": ["CreateNamespace=true"], "managedNamespaceMetadata": {"labels": labels}},
            }),
        )
        .await;
    play.held().await;
    play.argo.until_synced("tenants").await;
    play.at_rest().await;
    // Argo CD applies that metadata at every sync, with force.
    play.holds_through_a_sync(&[]).await;
}

#[tokio::test]
async fn what_the_operator_creates_is_told_as_orphaned_unless_the_project_ignores_its_one_prefix() {
    let play = play("orphans").await;
    let labels = json!({LABEL: play.set.name});
    let namespace =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": play.namespace, "labels": labels}});
    play.argo
        .commit(&[("namespace.yaml", namespace.to_string()), play.something("some")]);
    play.argo.project(&json!({"orphanedResources": {"warn": true}})).await;
    play.argo
        .application("tenants", &json!({"destination": {"namespace": play.namespace}}))
        .await;
    play.set
        .baseline(json!({"mode": "Enforce", "networkIsolation": {"defaultDeny": ["Ingress"]}, "access": {"bindings": [{"name": "viewers", "clusterRole": "view", "subjects": [{"kind": "Group", "name": "g"}]}]}}))
        .await;
    play.set.until_enforced(1).await;
    play.argo
        .until("tenants", "warns of orphans", |a| warns(a, "OrphanedResourceWarning"))
        .await;
    let documented = crate::docs::yaml_after("<!-- argo: orphans -->");
    play.argo.project(&documented["spec"]).await;
    play.argo.refresh("tenants").await;
    play.argo
        .until("tenants", "warns of nothing", |a| !warns(a, "OrphanedResourceWarning"))
        .await;
}
