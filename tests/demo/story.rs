//! The story, act by act.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::{DynamicObject, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::breaks::{BREAKS, Break};
use crate::support::audit::{Mark, Request};
use crate::support::{ControlPlane, Stage, eventually, install_yaml, watch_until};
use crate::terminal::Terminal;

/// The bare namespace, in which things are broken later.
pub const BARE: &str = "shop";
pub const HAND_MADE: &str = "payments";
pub const LEGACY: &str = "legacy";
pub const SYSTEM: &str = "kube-system";

pub const LABEL: &str = "platform.example.com/tenant";
pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

pub const GRANTABLE: &str = "config/samples/grantable_developer.yaml";
pub const TENANTS: &str = "config/samples/securitybaseline_tenants.yaml";
pub const BASELINE: &str = "tenants";
/// Sets the sample, which begins in Audit and overrides the mode for one section, to Enforce.
pub const ENFORCE_ALL: &str = r#"{"spec":{"mode":"Enforce","networkIsolation":{"mode":"Enforce"}}}"#;

const SOON: Duration = Duration::from_secs(30);
/// After the last change the operator brings reports and status up to date, a second later at the latest.
const SETTLE: Duration = Duration::from_secs(3);
const REST: Duration = Duration::from_secs(5);

/// The control plane and its admin.
pub struct Cluster {
    pub plane: ControlPlane,
    pub admin: Client,
}

/// What happened before the operator came.
pub struct Before {
    hand_made: Value,
    system: Value,
    mark: Mark,
}

impl Cluster {
    pub async fn new(plane: ControlPlane) -> Result<Self> {
        let admin = plane.admin().await?;
        Ok(Self { plane, admin })
    }

    /// The API of a kind, in a namespace or of the cluster.
    pub fn api(&self, kind: &str, namespace: Option<&str>) -> Result<Api<DynamicObject>> {
        let (group, version, plural) = match kind {
            "SecurityBaseline" => ("securitybaseline.dev", "v1alpha1", "securitybaselines"),
            "BaselineException" => ("securitybaseline.dev", "v1alpha1", "baselineexceptions"),
            "BaselineReport" => ("securitybaseline.dev", "v1alpha1", "baselinereports"),
            "NetworkPolicy" => ("networking.k8s.io", "v1", "networkpolicies"),
            "ResourceQuota" => ("", "v1", "resourcequotas"),
            "Role" => ("rbac.authorization.k8s.io", "v1", "roles"),
            "ClusterRole" => ("rbac.authorization.k8s.io", "v1", "clusterroles"),
            "Pod" => ("", "v1", "pods"),
            "Namespace" => ("", "v1", "namespaces"),
            "CustomResourceDefinition" => ("apiextensions.k8s.io", "v1", "customresourcedefinitions"),
            other => anyhow::bail!("the demo knows no kind {other}"),
        };
        let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        Ok(match namespace {
            Some(namespace) => Api::namespaced_with(self.admin.clone(), namespace, &resource),
            None => Api::all_with(self.admin.clone(), &resource),
        })
    }

    pub async fn object(&self, kind: &str, namespace: Option<&str>, name: &str) -> Result<Value> {
        Ok(serde_json::to_value(self.api(kind, namespace)?.get(name).await?)?)
    }

    /// Waits until an object satisfies a predicate.
    pub async fn until(
        &self,
        kind: &str,
        namespace: Option<&str>,
        name: &str,
        what: &str,
        predicate: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let found = watch_until(&self.api(kind, namespace)?, name, what, SOON, |object| {
            serde_json::to_value(object).is_ok_and(|object| predicate(&object))
        })
        .await?;
        Ok(serde_json::to_value(found)?)
    }

    /// Shows a kubectl command and what it answers, and answers the same.
    pub async fn kubectl(&self, terminal: &Terminal, args: &[&str]) -> Result<String> {
        terminal.command(&[&["kubectl"], args].concat());
        let output = Command::new("kubectl")
            .arg("--cache-dir")
            .arg(self.plane.info().dir.join("kubectl-cache"))
            .args(args)
            .env("KUBECONFIG", self.plane.admin_kubeconfig())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .context("running kubectl")?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        terminal.output(&text);
        ensure!(output.status.success(), "kubectl {}: {}", args.join(" "), output.status);
        Ok(text)
    }

    async fn create_pod(&self, namespace: &str, name: &str, container: Value) -> kube::Result<Pod> {
        let mut container = container;
        container["name"] = json!("main");
        container["image"] = json!("registry.example.com/app:1");
        let pod = json!({"metadata": {"name": name}, "spec": {"containers": [container]}});
        let pod = serde_json::from_value(pod).map_err(kube::Error::SerdeError)?;
        Api::namespaced(self.admin.clone(), namespace)
            .create(&PostParams::default(), &pod)
            .await
    }
}

/// The first act: namespaces as real people leave them. It comes before the operator does.
pub async fn namespaces(terminal: &Terminal, cluster: &Cluster) -> Result<Before> {
    terminal.heading("1  Namespaces as people leave them");
    cluster.plane.namespace(BARE, &[(LABEL, "true")]).await?;
    cluster.plane.namespace(HAND_MADE, &[(LABEL, "true")]).await?;
    cluster
        .plane
        .namespace(LEGACY, &[(LABEL, "true"), (ENFORCE, "privileged")])
        .await?;
    let namespaces: Api<Namespace> = Api::all(cluster.admin.clone());
    let label = json!({"metadata": {"labels": {LABEL: "true"}}});
    let params = kube::api::PatchParams::default();
    namespaces
        .patch(SYSTEM, &params, &kube::api::Patch::Merge(label))
        .await?;

    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "allow-web"},
        "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 8080}]}]},
    });
    let policies = cluster.api("NetworkPolicy", Some(HAND_MADE))?;
    let hand_made = policies
        .create(&PostParams::default(), &serde_json::from_value(policy)?)
        .await?;

    // A namespace takes pods once it has its ServiceAccount.
    let privileged = json!({"securityContext": {"privileged": true}});
    eventually("the legacy pod is created", SOON, async || {
        Ok(cluster.create_pod(LEGACY, "agent", privileged.clone()).await?)
    })
    .await?;

    let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
    terminal.table(&[
        row([BARE, "nothing in it"]),
        row([HAND_MADE, "a NetworkPolicy that somebody made by hand, allow-web"]),
        row([LEGACY, "a privileged pod, and the label that permits it"]),
        row([SYSTEM, "labelled as a tenant, by mistake or by malice"]),
    ]);
    Ok(Before {
        hand_made: serde_json::to_value(hand_made)?,
        system: cluster.object("Namespace", None, SYSTEM).await?,
        mark: if cluster.plane.is_ours() {
            cluster.plane.audit().mark()?
        } else {
            Mark::START
        },
    })
}

/// The second act: the operator is installed.
pub async fn install(terminal: &Terminal, cluster: &Cluster, binary: &Path) -> Result<Stage> {
    terminal.heading("2  The operator, as it is shipped");
    let shown = install_yaml();
    let name = shown.file_name().unwrap_or_default().to_string_lossy();
    let (stage, why) = if cluster.plane.is_ours() {
        let stage = Stage::on(&cluster.plane, binary).await?;
        (stage, "as it is. There is no node to run its Deployment, so")
    } else {
        let manifests = std::fs::read_to_string(&shown)?.replace("replicas: 1\n", "replicas: 0\n");
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), &manifests)?;
        cluster.plane.install(file.path()).await?;
        let stage = Stage::of(&cluster.plane, binary, &manifests, |_| {}).await?;
        (stage, "with no replica, since no image is published. So")
    };
    terminal.say(&format!(
        "config/{name} is installed {why} the operator runs here as a process, with the Deployment's arguments and \
         configuration, and with the token of its own ServiceAccount: it may do what the shipped RBAC lets it, and no \
         more."
    ));
    Ok(stage)
}

/// What the rest of the story needs.
pub struct Story<'a> {
    pub terminal: &'a Terminal,
    pub cluster: &'a Cluster,
    pub stage: &'a Stage,
    pub before: Before,
}

impl Story<'_> {
    pub async fn tell(&self) -> Result<()> {
        let began = Instant::now();
        self.audit().await?;
        let ends = self.enforce().await?;
        let repairs = self.breaks().await?;
        self.answers().await?;
        self.left_alone().await?;
        self.merged().await?;
        self.fight().await?;
        self.expired(ends).await?;
        self.deletion().await?;
        let slowest = repairs.iter().max().copied().unwrap_or_default();
        self.terminal.heading("Seen");
        self.terminal.say(&format!(
            "Every line with a ✓ was seen, in {:.0} s all together; the slowest repair took {}.",
            began.elapsed().as_secs_f64(),
            spell(slowest)
        ));
        Ok(())
    }

    /// The third act: Audit finds, and writes nothing.
    async fn audit(&self) -> Result<()> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("3  Audit: what departs from the baseline");
        terminal.say(
            "The sample baseline: no traffic but DNS, the own namespace and the ingress namespace; a quota and default \
             limits; Pod Security level restricted; a Role for developers.",
        );
        let (grantable, tenants) = (format!("--filename={GRANTABLE}"), format!("--filename={TENANTS}"));
        // First what may be granted: Kubernetes takes a moment to add it up.
        cluster
            .kubectl(terminal, &["apply", "--server-side", &grantable])
            .await?;
        cluster
            .until(
                "ClusterRole",
                None,
                "security-baseline:grantable",
                "has the rules",
                |role| role["rules"].as_array().is_some_and(|rules| !rules.is_empty()),
            )
            .await?;
        cluster.kubectl(terminal, &["apply", "--server-side", &tenants]).await?;
        cluster
            .until(
                "SecurityBaseline",
                None,
                BASELINE,
                "has audited three namespaces",
                |sb| {
                    sb["status"]["observedGeneration"] == sb["metadata"]["generation"]
                        && sb["status"]["namespaces"]["selected"] == 3
                        && sb["status"]["namespaces"]["drifted"] == 3
                },
            )
            .await?;
        cluster.kubectl(terminal, &["get", "securitybaselines"]).await?;
        let finds = |r: &Value| {
            let controls = r["status"]["controls"].as_array();
            controls.is_some_and(|c| c.len() == 5 && c.iter().all(|c| c["state"] == "Drifted"))
        };
        for namespace in [BARE, HAND_MADE] {
            self.report(namespace, "finds something in each section", finds).await?;
        }
        let report = self.report(LEGACY, "finds something in each section", finds).await?;
        cluster
            .kubectl(terminal, &["get", "baselinereports", "--all-namespaces"])
            .await?;
        terminal.gap();
        terminal.say(&format!("The findings in {LEGACY}'s report:"));
        terminal.table(&findings(&report));
        terminal.gap();
        let privileged = "declared restricted, found privileged";
        terminal.claim(
            findings(&report).iter().flatten().any(|cell| cell.contains(privileged)),
            &format!("the label that lets everything into {LEGACY} is found"),
        )?;
        if cluster.plane.is_ours() {
            let written: Vec<Request> = self.writes()?.into_iter().filter(|w| !is_report(w)).collect();
            terminal.claim(
                written.is_empty(),
                "the operator wrote reports and status, and nothing else (the API server's audit log)",
            )?;
        }

        terminal.gap();
        terminal.say("What would `restricted` do to the pods that run? Kubernetes itself can tell, without doing it:");
        let label = format!("{ENFORCE}=restricted");
        let args = ["label", "--dry-run=server", "--overwrite", "namespace", LEGACY, &label];
        let told = cluster.kubectl(terminal, &args).await?;
        ensure!(told.contains("agent"), "the API server did not name the pod: {told}");
        Ok(())
    }

    /// The fourth act: Enforce.
    async fn enforce(&self) -> Result<Timestamp> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("4  Enforce");
        let patch = format!("--patch={ENFORCE_ALL}");
        cluster
            .kubectl(
                terminal,
                &["patch", "securitybaseline", BASELINE, "--type=merge", &patch],
            )
            .await?;
        let began = Instant::now();
        cluster
            .until("SecurityBaseline", None, BASELINE, "holds in two namespaces", |sb| {
                sb["status"]["observedGeneration"] == sb["metadata"]["generation"]
                    && sb["status"]["namespaces"]["compliant"] == 2
                    && sb["status"]["namespaces"]["blocked"] == 1
            })
            .await?;
        terminal.claim(
            true,
            &format!(
                "2 of 3 namespaces are in the declared state, says the status after {}",
                spell(began.elapsed())
            ),
        )?;
        let kinds = "networkpolicies,resourcequotas,limitranges,roles,rolebindings";
        let listed = cluster
            .kubectl(terminal, &["get", kinds, "--namespace", BARE, "--output=name"])
            .await?;
        let named = |name: &str| {
            listed
                .lines()
                .any(|line| line.ends_with(&format!("/security-baseline-{name}")))
        };
        let names = [
            "default-deny-ingress",
            "default-deny-egress",
            "compute",
            "defaults",
            "developer",
            "developers",
            "viewers",
        ];
        terminal.claim(
            names.into_iter().all(named),
            &format!("{} objects in {BARE}, all of one prefix", names.len()),
        )?;

        let refused = cluster
            .create_pod(BARE, "root", json!({"securityContext": {"privileged": true}}))
            .await;
        let refused = matches!(&refused, Err(kube::Error::Api(status)) if status.code == 403 && status.message.contains("PodSecurity"));
        terminal.claim(refused, &format!("a privileged pod is refused in {BARE}"))?;
        let modest = json!({
            "securityContext": {
                "runAsNonRoot": true,
                "allowPrivilegeEscalation": false,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        });
        let admitted = eventually("a modest pod is admitted", SOON, async || {
            Ok(cluster.create_pod(BARE, "web", modest.clone()).await?)
        })
        .await?;
        let limit = &serde_json::to_value(&admitted)?["spec"]["containers"][0]["resources"]["limits"]["memory"];
        terminal.claim(
            *limit == "256Mi",
            "a modest pod is admitted, and gets the limits that it did not state",
        )?;
        let pods: Api<Pod> = Api::namespaced(cluster.admin.clone(), LEGACY);
        terminal.claim(
            pods.get("agent").await?.metadata.deletion_timestamp.is_none(),
            &format!("the privileged pod in {LEGACY} is still there: nothing that runs is taken down"),
        )?;
        self.exception().await
    }

    /// The fifth act: things are broken, and are whole again.
    async fn breaks(&self) -> Result<Vec<Duration>> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("5  Somebody breaks things in shop");
        terminal.say(
            "As cluster admin, under the names of other clients. The time runs from the API server's acknowledgement \
             of the change until the demo's own watch shows the declared state again.",
        );
        terminal.gap();
        let mut repairs = Vec::new();
        for broken in &BREAKS {
            let namespace = (broken.kind != "Namespace").then_some(BARE);
            let took = broken.measured(&cluster.api(broken.kind, namespace)?).await?;
            terminal.claim(true, &format!("{:<50} back after {:>7}", broken.title, spell(took)))?;
            repairs.push(took);
        }
        Ok(repairs)
    }

    /// The sixth act: what the operator has to say about it.
    async fn answers(&self) -> Result<()> {
        let Self { terminal, cluster, .. } = self;
        terminal.heading("6  What it tells afterwards");
        let all = i64::try_from(BREAKS.len())?;
        let report = self
            .report(BARE, "tells every break", |r| r["status"]["drift"]["repaired"] == all)
            .await?;
        cluster
            .until("SecurityBaseline", None, BASELINE, "all is well again", |sb| {
                sb["status"]["namespaces"]["compliant"] == 3
            })
            .await?;
        cluster.kubectl(terminal, &["get", "sb"]).await?;
        cluster.kubectl(terminal, &["get", "br", "--namespace", BARE]).await?;
        terminal.gap();
        terminal.say("The report's ledger, newest first. Who did it is what the client itself claims:");
        terminal.table(&ledger(&report));
        terminal.gap();
        for broken in &BREAKS {
            ensure!(in_ledger(&report, broken), "the ledger does not tell: {}", broken.title);
        }
        terminal.claim(true, "the ledger names each object, field and claimed client")?;

        let columns = "--output=custom-columns=REASON:.reason,NOTE:.message";
        let of_reports = [
            "get",
            "events",
            "--namespace",
            BARE,
            "--field-selector=reason=DriftRepaired",
            columns,
        ];
        let events = cluster.kubectl(terminal, &of_reports).await?;
        ensure!(events.contains("DriftRepaired"), "there is no event of a repair");
        let of_baselines = [
            "get",
            "events",
            "--field-selector=involvedObject.kind=SecurityBaseline",
            columns,
        ];
        let events = cluster.kubectl(terminal, &of_baselines).await?;
        ensure!(events.contains("Enforced"), "there is no event of the enforcement");

        terminal.gap();
        terminal.say("Some of its metrics:");
        let metrics = self.stage.operator.metrics().await?;
        let interesting = [
            "security_baseline_drift_repaired_total",
            "security_baseline_repair_seconds_sum",
            "security_baseline_repair_seconds_count",
            "security_baseline_false_alarms_total",
            "security_baseline_namespaces",
        ];
        let lines: Vec<&str> = metrics
            .lines()
            .filter(|line| interesting.iter().any(|name| line.starts_with(name)) && !line.ends_with(" 0"))
            .collect();
        terminal.output(&lines.join("\n"));
        let repaired: i64 = lines
            .iter()
            .filter(|line| line.starts_with(interesting[0]))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<i64>().ok())
            .sum();
        terminal.gap();
        terminal.claim(
            repaired == all,
            &format!("{all} repairs are counted, and no false alarm"),
        )?;
        ensure!(
            !lines.iter().any(|line| line.starts_with(interesting[3])),
            "a repair changed nothing"
        );
        Ok(())
    }

    /// The last act: what did not happen.
    async fn left_alone(&self) -> Result<()> {
        let Self {
            terminal,
            cluster,
            before,
            ..
        } = self;
        terminal.heading("7  What it left alone");
        let policy = cluster.object("NetworkPolicy", Some(HAND_MADE), "allow-web").await?;
        terminal.claim(
            policy == before.hand_made,
            &format!("allow-web in {HAND_MADE} is as it was made"),
        )?;
        let system = cluster.object("Namespace", None, SYSTEM).await?;
        terminal.claim(
            system["metadata"]["resourceVersion"] == before.system["metadata"]["resourceVersion"],
            &format!("{SYSTEM} was not touched, although its label asks for it"),
        )?;
        if !cluster.plane.is_ours() {
            terminal.say(
                "What the operator sends at rest is counted in the API server's audit log, which is not read here.",
            );
            return Ok(());
        }
        let mut there = self.writes()?;
        there.retain(|w| w.namespace.as_deref() == Some(SYSTEM) || w.name.as_deref() == Some(SYSTEM));
        terminal.claim(there.is_empty(), &format!("nothing in {SYSTEM} was written to"))?;
        tokio::time::sleep(SETTLE).await;
        let mark = cluster.plane.audit().mark()?;
        tokio::time::sleep(REST).await;
        let requests = cluster.plane.audit().since(mark)?;
        let busy = requests.iter().filter(|r| r.verb != "watch").count();
        terminal.claim(
            busy == 0,
            &format!(
                "at rest, the operator sent nothing in {} s: its watches tell it all",
                REST.as_secs()
            ),
        )
    }

    pub async fn report(&self, namespace: &str, what: &str, predicate: impl Fn(&Value) -> bool) -> Result<Value> {
        self.cluster
            .until("BaselineReport", Some(namespace), "baseline", what, predicate)
            .await
    }

    /// What the operator has written so far.
    fn writes(&self) -> Result<Vec<Request>> {
        self.cluster.plane.audit().writes_since(self.before.mark)
    }
}

fn is_report(write: &Request) -> bool {
    write.resource == "baselinereports"
        || write.resource == "events"
        || (write.resource == "securitybaselines" && write.subresource.as_deref() == Some("status"))
}

/// The findings of a report, as a table.
fn findings(report: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![["SECTION", "REASON", "WHAT"].map(str::to_owned).to_vec()];
    for control in report["status"]["controls"].as_array().into_iter().flatten() {
        for finding in control["findings"].as_array().into_iter().flatten() {
            let object = text(&finding["object"]).replace("/security-baseline-", "/…");
            // Labels are of the namespace that the report is in.
            let object = if object.starts_with("Namespace/") {
                String::new()
            } else {
                format!("{object}: ")
            };
            let message = text(&finding["message"])
                .replace("metadata.labels", "")
                .replace("pod-security.kubernetes.io/", "");
            rows.push(vec![
                text(&control["name"]).to_owned(),
                text(&finding["reason"]).to_owned(),
                format!("{object}{message}"),
            ]);
        }
    }
    rows
}

/// The ledger of a report, as a table.
fn ledger(report: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["SEEN", "OBJECT", "FIELD", "CLAIMED BY", "FOUND"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for record in records(report) {
        let seen = text(&record["seen"]);
        let path = text(&record["path"])
            .replace("metadata.labels", "")
            .replace("pod-security.kubernetes.io/", "");
        rows.push(vec![
            seen.get(11..19).unwrap_or(seen).to_owned(),
            text(&record["object"]).replace("/security-baseline-", "/…"),
            if path.is_empty() {
                "(all of it)".to_owned()
            } else {
                path
            },
            text(&record["claimedBy"]).to_owned(),
            match text(&record["found"]) {
                "" => "absent".to_owned(),
                found => found.to_owned(),
            },
        ]);
    }
    rows
}

fn records(report: &Value) -> impl Iterator<Item = &Value> {
    report["status"]["drift"]["records"].as_array().into_iter().flatten()
}

fn in_ledger(report: &Value, broken: &Break) -> bool {
    // A deletion leaves no claim, neither of an object nor of a label.
    let claimed = if broken.manager.is_empty() || broken.kind == "Namespace" {
        "unknown"
    } else {
        broken.manager
    };
    records(report).any(|record| {
        let path = text(&record["path"]);
        record["object"] == format!("{}/{}", broken.kind, broken.object)
            && (path == broken.path || (!broken.path.is_empty() && path.starts_with(broken.path)))
            && record["claimedBy"] == claimed
            && record["repaired"].is_string()
    })
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn spell(duration: Duration) -> String {
    match duration.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        seconds => format!("{seconds:.1} s"),
    }
}
