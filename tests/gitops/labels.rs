//! What a label of a namespace was, from write to write.

use std::time::Duration;

use crate::support::recorder::Recorder;

/// The label that Pod Security admission enforces by.
pub const ENFORCE: &str = "pod-security.kubernetes.io/enforce";

/// The longest pause before a weaker label is repaired, which docs/gitops.md tells, and as much again for a busy machine.
const LONGEST: Duration = Duration::from_secs(5 + 5);

/// A label of a namespace, after each write to it since a resourceVersion.
pub struct History(Vec<(String, std::time::Instant)>);

impl History {
    /// What it was (`none` where the label is not there).
    pub async fn of(recorder: &Recorder, namespace: &str, label: &str, since: u64) -> Self {
        recorder.caught_up().await.unwrap();
        let its =
            |s: &crate::support::recorder::State| s.kind == "Namespace" && s.name == namespace && s.version > since;
        let states = recorder.states().into_iter().filter(its);
        Self(
            states
                .map(|s| {
                    let value = s.object.unwrap()["metadata"]["labels"][label].clone();
                    (value.as_str().unwrap_or("none").to_owned(), s.seen)
                })
                .collect(),
        )
    }

    /// Just the values.
    pub fn values(&self) -> Vec<&str> {
        self.0.iter().map(|(value, _)| value.as_str()).collect()
    }

    /// How often the label was written as it should not be, after it was as it should; asserts that no such time was
    /// longer than is documented.
    pub fn weak_times(&self, weaker: &str) -> usize {
        let mut times = Vec::new();
        let mut began = None;
        for (value, seen) in &self.0 {
            match (value == weaker, began) {
                (true, None) => began = Some(*seen),
                (false, Some(since)) => {
                    times.push(seen.duration_since(since));
                    began = None;
                }
                _ => {}
            }
        }
        println!("{weaker} {} times, for {times:?}", times.len());
        assert!(times.iter().all(|time| *time < LONGEST), "{times:?}");
        times.len() + usize::from(began.is_some())
    }
}
