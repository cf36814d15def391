//! What is known of the reports that are there: 16 bytes for each namespace, beside the hash that it is found by.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

use crate::core::object::Digest;

/// What is known of the report of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    /// What it means: the first half of the digest is enough to tell one from the next.
    meaning: u64,
    /// Its resourceVersion.
    version: u64,
}

/// What is known of all reports of one form.
#[derive(Default)]
pub struct Known {
    /// By a hash of the namespace's name, which nobody outside can work out: the names are the index's.
    entries: HashMap<u64, Entry>,
    hasher: RandomState,
}

/// The meaning of what nothing is known of.
const UNKNOWN: u64 = 0;

/// A resourceVersion as a number; one that is none is older than all, so that it is looked at.
fn number(version: &str) -> u64 {
    version.parse().unwrap_or_default()
}

impl Known {
    fn key(&self, namespace: &str) -> u64 {
        self.hasher.hash_one(namespace)
    }

    fn get(&self, namespace: &str) -> Option<&Entry> {
        self.entries.get(&self.key(namespace))
    }

    /// Whether there is one.
    pub fn has(&self, namespace: &str) -> bool {
        self.get(namespace).is_some()
    }

    /// Whether what is there is of this very version.
    pub fn is_of(&self, namespace: &str, version: &str) -> bool {
        self.get(namespace)
            .is_some_and(|entry| entry.version != 0 && entry.version == number(version))
    }

    /// Whether what is there means something else than what is to be there.
    pub fn differs(&self, namespace: &str, wanted: Option<Digest>) -> bool {
        self.get(namespace).map(|entry| entry.meaning) != wanted.map(|wanted| wanted.short())
    }

    /// The resourceVersion of what is there.
    pub fn version(&self, namespace: &str) -> Option<String> {
        let entry = self.get(namespace)?;
        (entry.version != 0).then(|| entry.version.to_string())
    }

    /// Takes up one as it is. Answers whether that is news: somebody else wrote it, or it is from before a restart.
    pub fn seen(&mut self, namespace: &str, version: &str, meaning: Digest) -> bool {
        let (key, version) = (self.key(namespace), number(version));
        if self.entries.get(&key).is_some_and(|entry| version < entry.version) {
            return false;
        }
        let now = Entry {
            meaning: meaning.short(),
            version,
        };
        let before = self.entries.insert(key, now);
        before.is_none_or(|before| before.meaning != now.meaning)
    }

    /// Notes what is about to be written, so that its echo, which may come before the answer, is no news.
    pub fn writes(&mut self, namespace: &str, meaning: Digest) {
        let key = self.key(namespace);
        let entry = self.entries.entry(key).or_insert(Entry {
            meaning: UNKNOWN,
            version: 0,
        });
        entry.meaning = meaning.short();
    }

    /// Notes that nothing is known of what is there: it was not written, or somebody else wrote it meanwhile.
    pub fn in_doubt(&mut self, namespace: &str) {
        let key = self.key(namespace);
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.meaning = UNKNOWN;
        }
    }

    /// Forgets one. Answers whether it was known.
    pub fn forget(&mut self, namespace: &str) -> bool {
        let key = self.key(namespace);
        self.entries.remove(&key).is_some()
    }

    /// Takes up that one is gone, as of this version. Answers whether that is news.
    pub fn gone(&mut self, namespace: &str, version: Option<&str>) -> bool {
        let newer = |entry: &Entry| version.is_some_and(|version| number(version) < entry.version);
        if self.get(namespace).is_some_and(newer) {
            return false;
        }
        self.forget(namespace)
    }

    /// Takes up that all are listed anew: what the list shows is what is, also if its versions are older.
    pub fn listed_anew(&mut self) {
        for entry in self.entries.values_mut() {
            entry.version = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_of_what_was_written_is_no_news_whether_it_comes_before_the_answer_or_after() {
        let (ours, theirs) = (Digest::of(&"ours"), Digest::of(&"theirs"));
        let mut known = Known::default();
        known.writes("a", ours);
        assert!(!known.seen("a", "7", ours), "the echo comes first");
        assert!(!known.seen("a", "7", ours), "then the answer");
        assert!(known.is_of("a", "7") && !known.differs("a", Some(ours)));
        assert!(!known.seen("a", "6", theirs), "older than what is known");
        assert!(known.seen("a", "8", theirs), "somebody else's");
        assert!(known.differs("a", Some(ours)) && !known.is_of("a", "7"));
        assert!(!known.differs("b", None) && known.differs("b", Some(ours)));
    }

    #[test]
    fn what_is_gone_is_forgotten_unless_it_was_written_anew_since() {
        let mut known = Known::default();
        known.seen("a", "8", Digest::of(&"a"));
        assert!(!known.gone("a", Some("7")) && known.has("a"));
        assert!(known.gone("a", Some("9")) && !known.has("a"));
        assert!(!known.gone("a", Some("9")), "our own deletion is no news");
    }

    #[test]
    fn what_could_not_be_written_is_written_again_and_an_older_list_counts() {
        let mut known = Known::default();
        let meaning = Digest::of(&"a");
        known.seen("a", "8", meaning);
        known.writes("a", Digest::of(&"b"));
        known.in_doubt("a");
        assert!(known.differs("a", Some(Digest::of(&"b"))) && known.differs("a", Some(meaning)));
        known.listed_anew();
        assert_eq!(known.version("a"), None);
        assert!(known.seen("a", "3", meaning), "an etcd that was restored from a copy");
        assert_eq!(known.version("a").as_deref(), Some("3"));
    }

    #[test]
    fn sixteen_bytes_are_kept_of_each() {
        assert_eq!(size_of::<Entry>(), 16);
    }
}
