//! What merged sections mean in a namespace: worked out once, where it is the same in every namespace.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::Merged;
use crate::core::control::{Control, Rendered};
use crate::core::world::{ClusterFacts, NamespaceFacts};

/// What was worked out, by section, and in view of which facts. It follows from the rest of what it belongs to, and so
/// counts for nothing where two are compared.
#[derive(Default)]
pub struct Renderings(Mutex<BTreeMap<&'static str, Known>>);

type Known = (Arc<ClusterFacts>, Arc<Rendered>);

impl Merged {
    /// What a section means in a namespace.
    pub fn rendered(
        &self,
        control: &dyn Control,
        namespace: &NamespaceFacts,
        cluster: &Arc<ClusterFacts>,
    ) -> Arc<Rendered> {
        let render = || Arc::new(control.render(&self.spec, namespace, cluster));
        if control.is_templated(&self.spec) {
            return render();
        }
        let mut known = self.renderings.0.lock().unwrap_or_else(PoisonError::into_inner);
        match known.get(control.section()) {
            Some((seen, rendered)) if Arc::ptr_eq(seen, cluster) => Arc::clone(rendered),
            _ => {
                let rendered = render();
                known.insert(control.section(), (Arc::clone(cluster), Arc::clone(&rendered)));
                rendered
            }
        }
    }
}

impl Clone for Renderings {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Renderings {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for Renderings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}
