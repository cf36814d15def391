//! The acts about what a platform team has to trust: that nothing that runs is broken, that baselines add up, that a fight
//! is named, that an exception ends, and that a deletion costs nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::story::{BARE, BASELINE, ENFORCE, LEGACY, Story, spell, text};

const EXCEPTION: &str = "legacy-agent";
/// How long the demo's exception lasts: until the acts that follow are through.
const LASTS: SignedDuration = SignedDuration::from_secs(20);

const SECOND: &str = "finance";
const OPPONENT: &str = "meddling-controller";
const DENY: &str = "security-baseline-default-deny-ingress";

impl Story<'_> {
    /// What would break is held, and an exception lets it go, for a while.
    pub async fn exception(&self) -> Result<Timestamp> {
        let Self { terminal, cluster, .. } = self;
        let report = self
            .report(LEGACY, "names the pod", |r| !text(&blocked(r)["message"]).is_empty())
            .await?;
        terminal.gap();
        terminal.say(&format!("What {LEGACY}'s report says is held:"));
        terminal.output(text(&blocked(&report)["message"]));
        terminal.gap();
        terminal.claim(
            blocked(&report)["reason"] == "ViolatingPods" && text(&blocked(&report)["message"]).contains("agent"),
            &format!("in {LEGACY} the pod that restricted would refuse is named, and Pod Security alone waits"),
        )?;

        // Whole seconds, as the API server keeps them.
        let ends = Timestamp::from_second(Timestamp::now().checked_add(LASTS)?.as_second())?;
        let exception = json!({
            "apiVersion": "securitybaseline.dev/v1alpha1",
            "kind": "BaselineException",
            "metadata": {"name": EXCEPTION},
            "spec": {
                "namespaces": [LEGACY],
                "waive": [{"control": "podSecurity", "level": "privileged"}],
                "reason": "the old agent needs the host until it is replaced",
                "approver": "security@example.com",
                "expiresAt": ends.to_string(),
            },
        });
        let api = cluster.api("BaselineException", None)?;
        let params = PatchParams::apply("demo");
        api.patch(EXCEPTION, &params, &Patch::Apply(&exception)).await?;
        cluster
            .until("SecurityBaseline", None, BASELINE, "holds in three namespaces", |sb| {
                sb["status"]["namespaces"]["compliant"] == 3
            })
            .await?;
        cluster.kubectl(terminal, &["get", "baselineexceptions"]).await?;
        let labels = cluster.object("Namespace", None, LEGACY).await?;
        terminal.claim(
            labels["metadata"]["labels"][ENFORCE] == "privileged",
            &format!(
                "with an exception of {} s, {LEGACY} is held to privileged, and to all the rest",
                LASTS.as_secs()
            ),
        )?;
        Ok(ends)
    }

    /// Two baselines on one namespace.
    pub async fn merged(&self) -> Result<()> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("8  A second baseline for shop");
        terminal.say(
            "It asks for a smaller quota and for less Pod Security, and has a role of the same name with other rules.",
        );
        let second = json!({
            "apiVersion": "securitybaseline.dev/v1alpha1",
            "kind": "SecurityBaseline",
            "metadata": {"name": SECOND},
            "spec": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": BARE}},
                "mode": "Enforce",
                "resourceQuotas": {"items": [{"name": "compute", "hard": {"pods": 5}}]},
                "podSecurity": {"enforce": {"level": "baseline"}},
                "access": {"roles": [{"name": "developer", "rules": [
                    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]},
                ]}]},
            },
        });
        let api = cluster.api("SecurityBaseline", None)?;
        api.patch(SECOND, &PatchParams::apply("demo"), &Patch::Apply(&second))
            .await?;
        let report = self
            .report(BARE, "tells of both", |r| r["status"]["conflicts"].is_array())
            .await?;
        let mut rows = vec![["VALUE", "", "FROM", "ASKED FOR LESS"].map(str::to_owned).to_vec()];
        let values = report["status"]["controls"].as_array().into_iter().flatten();
        for value in values.flat_map(|c| c["effective"].as_array().into_iter().flatten()) {
            let less = value["askedLess"].as_array().into_iter().flatten();
            let less: Vec<String> = less
                .map(|l| format!("{}: {}", text(&l["baseline"]), text(&l["value"])))
                .collect();
            if !less.is_empty() {
                let column = |field: &str| text(&value[field]).to_owned();
                rows.push(vec![
                    column("field"),
                    column("value"),
                    column("baseline"),
                    less.join(", "),
                ]);
            }
        }
        terminal.table(&rows);
        terminal.gap();
        let has = |row: [&str; 3]| rows.iter().any(|r| r[..3] == row.map(str::to_owned));
        terminal.claim(
            has(["compute/pods", "5", SECOND]) && has(["enforce", "restricted", BASELINE]),
            "the smaller quota and the stricter level hold, each with the name of who asked for it",
        )?;
        let conflict = &report["status"]["conflicts"][0];
        terminal.output(text(&conflict["message"]));
        let names = [BASELINE, SECOND]
            .iter()
            .all(|name| text(&conflict["message"]).contains(name));
        terminal.claim(names, "the conflict over the role names both; the older one's holds")?;
        let quota = cluster
            .object("ResourceQuota", Some(BARE), "security-baseline-compute")
            .await?;
        terminal.claim(
            quota["spec"]["hard"]["pods"] == "5",
            "the live quota has the smaller amount",
        )?;
        cluster
            .kubectl(terminal, &["delete", "securitybaseline", SECOND])
            .await?;
        Ok(())
    }

    /// Somebody undoes every repair.
    pub async fn fight(&self) -> Result<()> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("9  A fight");
        terminal.say(&format!(
            "{OPPONENT} opens the deny policy of {BARE} again whenever it is repaired."
        ));
        let policies = cluster.api("NetworkPolicy", Some(BARE))?;
        let open = json!({"spec": {"ingress": [{}]}});
        let params = PatchParams {
            field_manager: Some(OPPONENT.to_owned()),
            ..PatchParams::default()
        };
        let reports = cluster.api("BaselineReport", Some(BARE))?;
        let began = Instant::now();
        let report = loop {
            policies.patch(DENY, &params, &Patch::Merge(&open)).await?;
            // As a controller would: it waits until it sees that it was undone, or for its next round.
            let _ = tokio::time::timeout(
                Duration::from_secs(1),
                cluster.until("NetworkPolicy", Some(BARE), DENY, "is repaired", |p| {
                    p["spec"]["ingress"] != json!([{}])
                }),
            )
            .await;
            let report = serde_json::to_value(reports.get("baseline").await?)?;
            if report["status"]["contested"].is_array() {
                break report;
            }
            anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "the fight was not found");
        };
        let contest = &report["status"]["contested"][0];
        terminal.claim(
            contest["by"] == OPPONENT,
            &format!(
                "contested after {}, and {OPPONENT} is named, as it calls itself",
                spell(began.elapsed())
            ),
        )?;
        cluster
            .until("NetworkPolicy", Some(BARE), DENY, "is whole at the end", |p| {
                p["spec"]["ingress"] != json!([{}])
            })
            .await?;
        terminal.claim(true, "the last word is the baseline's")
    }

    /// The exception ends by itself.
    pub async fn expired(&self, ends: Timestamp) -> Result<()> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("10  The exception ends");
        let level = |object: &Value| object["metadata"]["labels"][ENFORCE] == "restricted";
        let left = ends.duration_since(Timestamp::now());
        if left.is_positive() {
            terminal.say(&format!("In {:.0} s.", left.as_secs_f64()));
        }
        cluster
            .until("Namespace", None, LEGACY, "is restricted again", level)
            .await
            .context("after the exception ended")?;
        let late = Timestamp::now().duration_since(ends);
        // Somebody else's acts may have taken longer than it lasted.
        let when = if left.is_positive() {
            format!("{} after it ended", spell(Duration::try_from(late).unwrap_or_default()))
        } else {
            "when it ended".to_owned()
        };
        terminal.claim(true, &format!("{LEGACY} is at restricted again, {when}, by a timer"))?;
        let pods = cluster.object("Pod", Some(LEGACY), "agent").await?;
        terminal.claim(
            pods["metadata"]["deletionTimestamp"].is_null(),
            "the pod that runs is left running, and could not be made anew",
        )
    }

    /// The baseline is deleted, as by a Git prune.
    pub async fn deletion(&self) -> Result<()> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("11  Somebody deletes the baseline");
        let kinds = "networkpolicies,resourcequotas,limitranges,roles,rolebindings";
        let list = ["get", kinds, "--namespace", BARE, "--output=name"];
        let before = cluster.kubectl(terminal, &list).await?;
        cluster
            .kubectl(terminal, &["delete", "securitybaseline", BASELINE])
            .await?;
        self.report(BARE, "says that nobody holds it any more", |r| {
            let inventory = r["status"]["inventory"].as_array();
            inventory.is_some_and(|all| !all.is_empty() && all.iter().all(|entry| entry["orphaned"] == true))
        })
        .await?;
        let after = cluster.kubectl(terminal, &list).await?;
        terminal.claim(before == after, "every object stays; the report calls them orphaned")?;
        let level = cluster.object("Namespace", None, BARE).await?;
        terminal.claim(
            level["metadata"]["labels"][ENFORCE] == "restricted",
            "and so does the Pod Security level",
        )
    }
}

/// What stands in the way of Pod Security.
fn blocked(report: &Value) -> &Value {
    let controls = report["status"]["controls"].as_array();
    let section = controls.into_iter().flatten().find(|c| c["name"] == "podSecurity");
    section.map_or(&Value::Null, |section| &section["blocked"][0])
}
