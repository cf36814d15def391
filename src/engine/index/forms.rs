//! What the digests of children stand for.

use std::collections::HashMap;

use crate::core::object::{Child, Digest};

/// The most that are kept at a time, a few kilobytes each, and as many again that were not asked for lately. A fleet shares a
/// few dozen; what each namespace has for itself goes soon.
pub(super) const MOST: usize = 64;

/// Children by their digests, as far as they were asked for lately.
#[derive(Default)]
pub(super) struct Forms {
    lately: HashMap<Digest, Child>,
    before: HashMap<Digest, Child>,
}

impl Forms {
    /// Keeps what the digest of a child that is asked for stands for.
    pub(super) fn keep(&mut self, child: &Child) {
        let digest = child.digest();
        if self.lately.contains_key(&digest) {
            return;
        }
        if self.lately.len() >= MOST {
            self.before = std::mem::take(&mut self.lately);
        }
        let known = self.before.remove(&digest);
        self.lately.insert(digest, known.unwrap_or_else(|| child.clone()));
    }

    /// What a digest stands for, if that is known. What is there somewhere stays known, also when it is asked for no longer.
    pub(super) fn get(&mut self, digest: &Digest) -> Option<Child> {
        if let Some(known) = self.before.get(digest).cloned() {
            self.keep(&known);
        }
        self.lately.get(digest).cloned()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::kind_named;

    #[test]
    fn what_is_asked_for_all_the_time_stays_however_much_else_comes() {
        let quota = |pods: usize| {
            let fields = json!({"spec": {"hard": {"pods": pods.to_string()}}});
            Child::new(
                kind_named("ResourceQuota").unwrap(),
                "resource-quotas",
                "compute",
                fields,
            )
        };
        let (mut forms, shared) = (Forms::default(), quota(0));
        for pods in 1..10 * MOST {
            forms.keep(&shared);
            forms.keep(&quota(pods));
            assert!(forms.lately.len() + forms.before.len() <= 2 * MOST);
        }
        assert_eq!(forms.get(&shared.digest()), Some(shared.clone()));
        // Something else is asked for now, and it is still there in the namespaces that have not had their turn.
        for pods in 1..10 * MOST {
            assert_eq!(forms.get(&shared.digest()), Some(shared.clone()));
            forms.keep(&quota(pods));
        }
        assert_eq!(forms.get(&quota(10 * MOST - 1).digest()), Some(quota(10 * MOST - 1)));
        assert_eq!(forms.get(&quota(1).digest()), None);
    }
}
