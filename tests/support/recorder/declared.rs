//! What specs declare, read as a person reads them: it asks none of the operator's code.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::State;

/// The prefix of the names that are the operator's.
const PREFIX: &str = "security-baseline-";

const POD_SECURITY: &str = "pod-security.kubernetes.io/";

/// The least that some specs of one baseline declare together: what has to hold while one takes the place of the other.
#[derive(Clone, Debug, Default)]
pub struct Declared {
    /// The default-deny policies, with the direction that each denies.
    deny: BTreeMap<String, String>,
    /// The least Pod Security level, and the versions that may be, by label.
    levels: BTreeMap<String, usize>,
    versions: BTreeMap<String, BTreeSet<String>>,
    /// For each quota the amounts that may be, as the API server spells them.
    quotas: BTreeMap<String, BTreeMap<String, BTreeSet<String>>>,
    /// For each role the rules that may be.
    roles: BTreeMap<String, Vec<Value>>,
    /// For each binding what it may bind, in the order of the specs, and to whom. `{namespace}` stands for the name.
    bindings: BTreeMap<String, (Vec<String>, BTreeSet<String>)>,
}

impl Declared {
    /// The least that these specs declare, which are enforced one after the other. Amounts and rules are compared as
    /// text: state them as the API server spells them.
    pub fn least(specs: &[Value]) -> Self {
        let mut least = Self::default();
        for (at, spec) in specs.iter().enumerate() {
            least.deny(at == 0, spec);
            least.pod_security(at == 0, spec);
            least.quotas(at == 0, spec);
            for role in list(&spec["access"]["roles"]) {
                least.roles.entry(named(role)).or_default().push(role["rules"].clone());
            }
            for binding in list(&spec["access"]["bindings"]) {
                let bound = match (&binding["role"], &binding["clusterRole"]) {
                    (Value::String(role), _) => format!("Role/{PREFIX}{role}"),
                    (_, role) => format!("ClusterRole/{}", text(role)),
                };
                let (may_bind, subjects) = least.bindings.entry(named(binding)).or_default();
                if may_bind.last() != Some(&bound) {
                    may_bind.push(bound);
                }
                subjects.extend(list(&binding["subjects"]).map(subject));
            }
        }
        least
    }

    /// A direction counts if every spec denies it.
    fn deny(&mut self, first: bool, spec: &Value) {
        let directions: Vec<String> = list(&spec["networkIsolation"]["defaultDeny"]).map(text).collect();
        if first {
            let policy = |direction: &String| {
                (
                    format!("{PREFIX}default-deny-{}", direction.to_lowercase()),
                    direction.clone(),
                )
            };
            self.deny = directions.iter().map(policy).collect();
        }
        self.deny.retain(|_, direction| directions.contains(direction));
    }

    fn pod_security(&mut self, first: bool, spec: &Value) {
        let mut levels = BTreeMap::new();
        for mode in ["enforce", "audit", "warn"] {
            let declared = &spec["podSecurity"][mode];
            if let Some(level) = rank(&declared["level"]) {
                levels.insert(format!("{POD_SECURITY}{mode}"), level);
                let versions = self
                    .versions
                    .entry(format!("{POD_SECURITY}{mode}-version"))
                    .or_default();
                versions.insert(declared["version"].as_str().unwrap_or("latest").to_owned());
            }
        }
        if first {
            self.levels.clone_from(&levels);
        }
        self.levels.retain(|label, least| {
            let level = levels.get(label).copied();
            *least = level.map_or(*least, |level| level.min(*least));
            level.is_some()
        });
    }

    /// A quota counts if every spec has it.
    fn quotas(&mut self, first: bool, spec: &Value) {
        let items: BTreeMap<String, &Value> = list(&spec["resourceQuotas"]["items"])
            .map(|item| (named(item), &item["hard"]))
            .collect();
        if first {
            self.quotas = items.keys().map(|name| (name.clone(), BTreeMap::new())).collect();
        }
        self.quotas.retain(|name, _| items.contains_key(name));
        for (name, amounts) in &mut self.quotas {
            for (resource, amount) in items[name].as_object().into_iter().flatten() {
                amounts.entry(resource.clone()).or_default().insert(text(amount));
            }
        }
    }

    /// What is wrong with a state of an object, if it ever was right.
    pub(super) fn wrong(&self, state: &State) -> Option<String> {
        let (name, object) = (state.name.as_str(), state.object.as_ref());
        match state.kind.as_str() {
            "NetworkPolicy" => {
                let direction = self.deny.get(name)?;
                let Some(object) = object else {
                    return Some("gone".to_owned());
                };
                denies(direction, &object["spec"]).err()
            }
            "Namespace" => self.labels(&object?["metadata"]["labels"]).err(),
            "ResourceQuota" => {
                let amounts = self.quotas.get(name)?;
                let Some(object) = object else {
                    return Some("gone".to_owned());
                };
                let hard = &object["spec"]["hard"];
                let wrong = amounts
                    .iter()
                    .find(|(resource, may)| !may.contains(&text(&hard[resource.as_str()])));
                wrong.map(|(resource, _)| format!("{resource} is {}", hard[resource.as_str()]))
            }
            "Role" => {
                let (may, rules) = (self.roles.get(name)?, &object?["rules"]);
                (!may.contains(rules) && list(rules).next().is_some()).then(|| format!("the rules are {rules}"))
            }
            _ => None,
        }
    }

    fn labels(&self, labels: &Value) -> Result<(), String> {
        for (label, least) in &self.levels {
            if rank(&labels[label]).is_none_or(|level| level < *least) {
                return Err(format!("{label} is {}", labels[label]));
            }
        }
        let may_be = |(label, may): (&String, &BTreeSet<String>)| {
            !self.levels.contains_key(label.trim_end_matches("-version")) || may.contains(&text(&labels[label]))
        };
        match self.versions.iter().find(|version| !may_be(*version)) {
            Some((label, _)) => Err(format!("{label} is {}", labels[label])),
            None => Ok(()),
        }
    }

    /// What is wrong with a binding that there is; `bound` is how far the specs' order has come for it.
    pub(super) fn grants(&self, state: &State, bound: &mut usize) -> Option<String> {
        let object = state.object.as_ref()?;
        let Some((may_bind, subjects)) = self.bindings.get(&state.name) else {
            return state
                .name
                .starts_with(PREFIX)
                .then(|| "a binding that nobody declares".to_owned());
        };
        let there = format!(
            "{}/{}",
            text(&object["roleRef"]["kind"]),
            text(&object["roleRef"]["name"])
        );
        let Some(at) = may_bind.iter().skip(*bound).position(|may| *may == there) else {
            return Some(format!("it binds {there}"));
        };
        *bound += at;
        let may = |it: &Value| {
            subjects
                .iter()
                .any(|s| s.replace("{namespace}", &state.namespace) == subject(it))
        };
        let other = list(&object["subjects"]).find(|subject| !may(subject));
        other.map(|subject| format!("it grants to {subject}"))
    }
}

/// Whether a policy denies all traffic in a direction but for what it names.
fn denies(direction: &str, spec: &Value) -> Result<(), String> {
    if spec["podSelector"]
        .as_object()
        .is_none_or(|selector| !selector.is_empty())
    {
        return Err(format!("it is for {} only", spec["podSelector"]));
    }
    if !list(&spec["policyTypes"]).any(|types| types == direction) {
        return Err(format!("it is of the types {}", spec["policyTypes"]));
    }
    let (rules, peers) = match direction {
        "Ingress" => (&spec["ingress"], "from"),
        _ => (&spec["egress"], "to"),
    };
    let open = |peer: &Value| {
        let everywhere = matches!(peer["ipBlock"]["cidr"].as_str(), Some("0.0.0.0/0" | "::/0"));
        let namespaces = peer["namespaceSelector"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty);
        everywhere || namespaces && peer["podSelector"].is_null()
    };
    let opens = |rule: &&Value| {
        list(&rule["ports"]).next().is_none() && (list(&rule[peers]).next().is_none() || list(&rule[peers]).any(open))
    };
    match list(rules).find(opens) {
        Some(rule) => Err(format!("it has the rule {rule}")),
        None => Ok(()),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text without its quotes, and anything else as JSON.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn named(item: &Value) -> String {
    format!("{PREFIX}{}", text(&item["name"]))
}

fn subject(subject: &Value) -> String {
    format!("{}/{}", text(&subject["kind"]), text(&subject["name"]))
}

/// The Pod Security levels count up with what they forbid.
fn rank(level: &Value) -> Option<usize> {
    ["privileged", "baseline", "restricted"]
        .iter()
        .position(|known| level == known)
}
