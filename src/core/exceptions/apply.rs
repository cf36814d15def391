//! Takes what is waived out of a spec.

use std::collections::BTreeMap;

use super::{By, Waived, Waivers, join};
use crate::api::v1alpha1::{
    Access, Direction, NamedRule, NetworkIsolation, PodSecurity, SecurityBaselineSpec, WaivedControl,
};
use crate::core::object::RESERVED_PREFIX;

/// What was taken out so far, by control and object.
type Taken = BTreeMap<(WaivedControl, Option<String>), By>;

impl Waivers {
    /// The spec without what is waived, and what that is. `spec` is what holds in the namespace, all of its baselines
    /// merged.
    ///
    /// What is not named stays as it is, but for what means nothing without it: a waived direction of the network goes
    /// as a whole (each allow rule's part in it too, since an allow policy alone isolates its pods), a waived Role takes
    /// the bindings to it along (they would grant nothing, and the API server refuses to create them), and a section
    /// goes with its last item. What is named and not asked for waives nothing, and is not told.
    pub fn apply(&self, spec: &SecurityBaselineSpec) -> (SecurityBaselineSpec, Vec<Waived>) {
        let mut spec = spec.clone();
        let mut taken = Taken::new();
        let control = WaivedControl::NetworkIsolation;
        self.section(control, &mut spec.network_isolation, &mut taken, |section, taken| {
            self.network(section, taken)
        });
        let control = WaivedControl::ResourceQuotas;
        self.section(control, &mut spec.resource_quotas, &mut taken, |section, taken| {
            let quotas = &mut section.items;
            quotas.retain(|quota| self.take(control, "ResourceQuota", &quota.name, taken).is_none());
            !quotas.is_empty()
        });
        let control = WaivedControl::LimitRanges;
        self.section(control, &mut spec.limit_ranges, &mut taken, |section, taken| {
            let limits = &mut section.items;
            limits.retain(|limit| self.take(control, "LimitRange", &limit.name, taken).is_none());
            !limits.is_empty()
        });
        let control = WaivedControl::Access;
        self.section(control, &mut spec.access, &mut taken, |section, taken| {
            self.access(section, taken)
        });
        if let Some(section) = &mut spec.pod_security {
            self.pod_security(section, &mut taken);
        }
        let told = taken.into_iter().map(|((control, object), by)| Waived {
            control,
            object,
            level: (control == WaivedControl::PodSecurity)
                .then_some(self.level.as_ref())
                .flatten()
                .map(|(level, _)| *level),
            exceptions: by.exceptions.into_iter().collect(),
            expires: by.expires,
        });
        (spec, told.collect())
    }

    /// Takes the waived objects out of a section, by `objects`, which answers whether any are left; and the section
    /// itself with the last of them, or where all of it is waived.
    fn section<S>(
        &self,
        control: WaivedControl,
        section: &mut Option<S>,
        taken: &mut Taken,
        objects: impl FnOnce(&mut S, &mut Taken) -> bool,
    ) {
        let Some(asked) = section else { return };
        let before = taken.len();
        // Also where the whole control is waived: who waives a part of it, perhaps for longer, is told too.
        let left = objects(asked, taken);
        let emptied = !left && taken.len() > before;
        let whole = self.whole.get(&control);
        if let Some(by) = whole {
            join(taken, (control, None), by.clone());
        }
        if emptied || whole.is_some() {
            *section = None;
        }
    }

    /// Who waives an object.
    fn object(&self, control: WaivedControl, object: &str) -> Option<&By> {
        self.objects.get(&(control, object.to_owned()))
    }

    /// Notes an object as taken out if it is waived, and answers who waives it.
    fn take(&self, control: WaivedControl, kind: &str, item: &str, taken: &mut Taken) -> Option<&By> {
        let object = shown(kind, item);
        let by = self.object(control, &object)?;
        join(taken, (control, Some(object)), by.clone());
        Some(by)
    }

    fn network(&self, section: &mut NetworkIsolation, taken: &mut Taken) -> bool {
        let mut waived = |direction, deny| {
            let denied = section.denies(direction).then_some(deny)?;
            self.take(WaivedControl::NetworkIsolation, "NetworkPolicy", denied, taken)
        };
        let ingress = waived(Direction::Ingress, "default-deny-ingress");
        let egress = waived(Direction::Egress, "default-deny-egress");
        section.default_deny.retain(|direction| match direction {
            Direction::Ingress => ingress.is_none(),
            Direction::Egress => egress.is_none(),
        });
        if egress.is_some() {
            section.allow_dns = None;
            section.dns = None;
            section.allow_kubernetes_api = None;
        }
        section.allow.retain_mut(|rule| self.keep(rule, ingress, egress, taken));
        !section.default_deny.is_empty()
    }

    /// Takes the waived directions out of a named rule, and answers whether the rule stays.
    fn keep(&self, rule: &mut NamedRule, ingress: Option<&By>, egress: Option<&By>, taken: &mut Taken) -> bool {
        let mut gone = Vec::new();
        if let Some(by) = ingress.filter(|_| !rule.ingress.is_empty()) {
            rule.ingress.clear();
            gone.push(by);
        }
        if let Some(by) = egress.filter(|_| !rule.egress.is_empty()) {
            rule.egress.clear();
            gone.push(by);
        }
        if !rule.ingress.is_empty() || !rule.egress.is_empty() {
            gone.clear();
        }
        // A rule for all pods is part of the deny policies, and no object that could be named.
        if !rule.is_for_all_pods() {
            let object = shown("NetworkPolicy", &format!("allow-{}", rule.name));
            gone.extend(self.object(WaivedControl::NetworkIsolation, &object));
            for by in &gone {
                let key = (WaivedControl::NetworkIsolation, Some(object.clone()));
                join(taken, key, (*by).clone());
            }
        }
        gone.is_empty()
    }

    fn access(&self, section: &mut Access, taken: &mut Taken) -> bool {
        let control = WaivedControl::Access;
        section
            .roles
            .retain(|role| self.take(control, "Role", &role.name, taken).is_none());
        section.bindings.retain(|binding| {
            let object = shown("RoleBinding", &binding.name);
            let role = binding.role.as_ref().map(|role| shown("Role", role));
            let role = role.and_then(|role| self.object(control, &role));
            let gone: Vec<&By> = self.object(control, &object).into_iter().chain(role).collect();
            for by in &gone {
                join(taken, (control, Some(object.clone())), (*by).clone());
            }
            gone.is_empty()
        });
        !section.roles.is_empty() || !section.bindings.is_empty()
    }

    fn pod_security(&self, section: &mut PodSecurity, taken: &mut Taken) {
        let (Some((level, by)), Some(enforce)) = (&self.level, &mut section.enforce) else {
            return;
        };
        if *level < enforce.level {
            enforce.level = *level;
            join(taken, (WaivedControl::PodSecurity, None), by.clone());
        }
    }
}

/// An object of the operator as the reports show it.
fn shown(kind: &str, item: &str) -> String {
    format!("{kind}/{RESERVED_PREFIX}{item}")
}
