//! Crashes at the writes of these reports: the operator is killed just before the API server sees one, and just after it was
//! done. (The same for all that protects: `faults::crashes`.)

use std::path::Path;

use serde_json::{Value, json};

use super::crds::{Kind, OPEN_REPORT, POLICY_REPORT};
use super::{NAME, two};
use crate::faults::crashes::granted_for_reports;
use crate::oracles::settled;
use crate::stage::{BINARY, Set, delete, grant, unbraked};
use crate::support::proxy::{Fault, Matching, Proxy, Rule, When};
use crate::support::{ControlPlane, Stage};

const SIDES: [When; 2] = [When::Before, When::After];

/// What is killed, and what looks at it.
struct Killed {
    set: Set,
    plane: ControlPlane,
    stage: Stage,
    proxy: Proxy,
    kind: Kind,
    /// The operator is killed at a write in the first two. The last one is not disturbed.
    namespaces: Vec<String>,
}

impl Killed {
    async fn new(kind: Kind) -> Self {
        let plane = ControlPlane::start().await.unwrap();
        kind.install(&plane).await;
        let (stage, proxy) = Stage::behind_proxy(&plane, Path::new(BINARY), unbraked).await.unwrap();
        grant(&plane).await;
        let set = Set::new(&plane, "polrkilled").await;
        let namespaces = set.namespaces(&plane, SIDES.len() + 1).await;
        Self {
            set,
            plane,
            stage,
            proxy,
            kind,
            namespaces,
        }
    }

    /// Holds this write of a report, on another side in each of two namespaces.
    fn hold(&self, verb: &str) -> Vec<Rule> {
        let matching = |namespace: &str| Matching::of(verb, self.kind.plural()).named(NAME).within(namespace);
        let pairs = self.namespaces.iter().zip(SIDES);
        pairs
            .map(|(namespace, when)| self.proxy.disturb(matching(namespace), Fault::Hold(when)))
            .collect()
    }

    /// Once all of these are held: kills the operator, and starts it again with nothing in its way.
    async fn kill_and_restart(&mut self, rules: Vec<Rule>) {
        for rule in rules {
            rule.hit(1).await.unwrap();
        }
        self.stage.operator.kill().unwrap();
        self.proxy.forget();
        self.stage.restart(&self.plane).await.unwrap();
    }

    /// Waits until every namespace has a report with so many results of this kind, all of them the same.
    async fn told(&self, outcome: &str, count: usize) -> Value {
        let mut all = Vec::new();
        for namespace in &self.namespaces {
            let kind = self.kind.kind;
            let tells = |r: &Value| r["summary"][outcome] == json!(count);
            let report = self.set.object_until(kind, namespace, NAME, outcome, tells).await;
            assert_eq!(report["results"].as_array().unwrap().len(), count, "{report}");
            all.push(report["summary"].clone());
        }
        settled(&self.plane, &self.set).await;
        assert!(all.iter().all(|summary| *summary == all[0]), "{all:?}");
        all.remove(0)
    }
}

async fn killed_at_every_write(kind: Kind) {
    let mut killed = Killed::new(kind).await;
    let rules = killed.hold("create");
    killed.set.baseline(two("Audit")).await;
    killed.kill_and_restart(rules).await;
    let audited = killed.told("fail", 2).await;

    let rules = killed.hold("update");
    killed.set.baseline(two("Enforce")).await;
    killed.kill_and_restart(rules).await;
    assert_ne!(killed.told("pass", 2).await, audited);

    let rules = killed.hold("delete");
    delete(&killed.set.admin, "SecurityBaseline", None, &killed.set.name).await;
    killed.kill_and_restart(rules).await;
    for namespace in &killed.namespaces {
        killed.set.gone(kind.kind, namespace, NAME).await;
    }
    settled(&killed.plane, &killed.set).await;

    // As many kinds of writes of this group as the shipped rights allow were held, on both sides.
    let group = kind.group();
    let held = killed
        .proxy
        .disturbed()
        .into_iter()
        .filter(|(kind, _)| kind.group == group);
    let granted = granted_for_reports().into_iter().filter(|kind| kind.group == group);
    let both: Vec<_> = granted
        .flat_map(|kind| SIDES.map(|when| (kind.clone(), when)))
        .collect();
    assert_eq!(held.collect::<Vec<_>>(), both);
}

#[tokio::test]
async fn an_operator_that_is_killed_before_or_after_any_write_of_a_report_ends_where_it_would_have_without() {
    tokio::join!(killed_at_every_write(POLICY_REPORT), killed_at_every_write(OPEN_REPORT));
}
