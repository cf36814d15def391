//! Pod Security Standards, as labels on the namespace
//! (<https://kubernetes.io/docs/concepts/security/pod-security-admission/>).

use crate::api::v1alpha1::{Mode, PodSecurityLevel, PodSecurityStandard, SecurityBaselineSpec};
use crate::core::control::{Control, LabelRule, Preflight, Rendered};
use crate::core::object::ChildKind;
use crate::core::validate::Problems;
use crate::core::world::{ClusterFacts, NamespaceFacts};

/// The section `podSecurity`.
pub struct PodSecurityLabels;

/// The prefix of the labels that the API server's admission reads.
pub const PREFIX: &str = "pod-security.kubernetes.io/";
const LEVELS: [PodSecurityLevel; 3] = [
    PodSecurityLevel::Privileged,
    PodSecurityLevel::Baseline,
    PodSecurityLevel::Restricted,
];

impl Control for PodSecurityLabels {
    fn section(&self) -> &'static str {
        "podSecurity"
    }

    fn kinds(&self) -> &'static [&'static ChildKind] {
        &[]
    }

    fn mode(&self, spec: &SecurityBaselineSpec) -> Option<Mode> {
        Some(spec.pod_security.as_ref()?.mode.unwrap_or(spec.mode))
    }

    fn copy(&self, from: &SecurityBaselineSpec, to: &mut SecurityBaselineSpec) {
        to.pod_security.clone_from(&from.pod_security);
        // The mode of the section itself: the other spec may have another one for all.
        if let Some(section) = &mut to.pod_security {
            section.mode = Some(section.mode.unwrap_or(from.mode));
        }
    }

    fn validate(&self, spec: &SecurityBaselineSpec, problems: &mut Problems) {
        if spec.pod_security.is_none() {
            return;
        }
        problems.require(
            standards(spec).next().is_some(),
            "spec.podSecurity",
            "an empty section does nothing: give it enforce, audit or warn, or leave podSecurity out",
        );
        for (mode, standard) in standards(spec) {
            problems.require(
                is_version(version(standard)),
                format_args!("spec.podSecurity.{mode}.version"),
                "write latest or a version of Kubernetes such as v1.36",
            );
        }
    }

    fn preflight(&self) -> Option<Preflight> {
        Some(Preflight::PodSecurity)
    }

    fn render(&self, spec: &SecurityBaselineSpec, _: &NamespaceFacts, _: &ClusterFacts) -> Rendered {
        let mut rendered = Rendered::default();
        for (mode, standard) in standards(spec) {
            rendered.labels.push(LabelRule {
                key: format!("{PREFIX}{mode}"),
                value: standard.level.as_str().to_owned(),
                stricter: LEVELS
                    .into_iter()
                    .filter(|l| *l > standard.level)
                    .map(|l| l.as_str().to_owned())
                    .collect(),
            });
            // The version is ours in any case: `restricted` at v1.0 asks for nothing that matters today.
            rendered.labels.push(LabelRule {
                key: format!("{PREFIX}{mode}-version"),
                value: version(standard).to_owned(),
                stricter: Vec::new(),
            });
        }
        rendered
    }
}

fn standards(spec: &SecurityBaselineSpec) -> impl Iterator<Item = (&'static str, &PodSecurityStandard)> {
    spec.pod_security.iter().flat_map(|section| {
        [
            ("enforce", &section.enforce),
            ("audit", &section.audit),
            ("warn", &section.warn),
        ]
        .into_iter()
        .filter_map(|(mode, standard)| Some((mode, standard.as_ref()?)))
    })
}

fn version(standard: &PodSecurityStandard) -> &str {
    standard.version.as_deref().unwrap_or("latest")
}

fn is_version(text: &str) -> bool {
    let minor = |minor: &str| {
        (1..=3).contains(&minor.len())
            && minor.bytes().all(|b| b.is_ascii_digit())
            && (minor == "0" || !minor.starts_with('0'))
    };
    text == "latest" || text.strip_prefix("v1.").is_some_and(minor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::core::world::testing::{namespace, with_spec};

    #[test]
    fn each_mode_becomes_a_level_and_a_version_and_leaves_stricter_levels_alone() {
        let baseline = with_spec(
            "b",
            1,
            json!({"namespaceSelector": {}, "podSecurity": {"enforce": {"level": "baseline", "version": "v1.36"}, "warn": {"level": "restricted"}}}),
        );
        let rendered = PodSecurityLabels.render(&baseline.spec, &namespace(), &ClusterFacts::default());
        let shown: Vec<_> = rendered
            .labels
            .iter()
            .map(|l| (l.key.as_str(), l.value.as_str(), l.stricter.join(",")))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "pod-security.kubernetes.io/enforce",
                    "baseline",
                    "restricted".to_owned()
                ),
                ("pod-security.kubernetes.io/enforce-version", "v1.36", String::new()),
                ("pod-security.kubernetes.io/warn", "restricted", String::new()),
                ("pod-security.kubernetes.io/warn-version", "latest", String::new()),
            ]
        );
    }

    #[test]
    fn a_version_is_latest_or_one_of_kubernetes() {
        for (text, good) in [
            ("latest", true),
            ("v1.36", true),
            ("v1.0", true),
            ("1.36", false),
            ("v1.036", false),
            ("v2.1", false),
            ("v1.", false),
            ("v1.1000", false),
            ("v1.36.1", false),
        ] {
            assert_eq!(is_version(text), good, "{text}");
        }
    }
}
