//! Fights: somebody keeps undoing what we repair, or an admission rewrites what we write.
//!
//! Of what we *repair*, two detectors find the opponent, the quick one and the patient one. Heat: every repair of an
//! object makes it one hotter, and it cools by the factor e in a minute; 5 is a fight (source: Config Sync's fight
//! detector). And the same field repaired 3 times within 24 hours is one, which finds whoever comes every two or ten
//! minutes, to whom heat is blind. Of what we *write*, one reply that is not what we wrote is enough.
//!
//! Both kinds of contest end by one rule: 24 hours after they were last seen. Anything shorter would flap: an opponent
//! who comes every ten minutes is away for ten minutes, and one whom our own backoff holds is away for five (in which
//! heat falls from any height to next to nothing).
//!
//! While it is contested, the next repair of an object waits: 2 s, then three times as long each time (source: Argo CD's
//! self-heal), with a bound that says what is at stake, see [`Fights::next_try`]. It never gives up.

mod object;

use k8s_openapi::jiff::Timestamp;

use object::{Object, Run, again};

use super::text::bounded;

/// The most objects of one namespace that are kept in mind: as many as a report's inventory holds, so that no object
/// pushes out another one that is fought over too (it would be forgotten before its next turn, and never be found).
/// What a baseline does not ask for is never repaired, so a tenant cannot add to them.
const MOST_OBJECTS: usize = 512;

/// The most contests that are told of one namespace.
const MOST_TOLD: usize = 16;

/// The longest pauses in seconds: where the live state is weaker than wanted, where it is not, and where writing changes
/// nothing at all.
const WEAKER: i64 = 5;
const HARMLESS: i64 = 300;
const POINTLESS: i64 = 3600;

/// The fights of one namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fights {
    /// The least recently disturbed comes first.
    objects: Vec<Object>,
    /// The longest pause of what is reverted, in seconds, if it is to be shorter than it would be.
    longest: Option<i64>,
}

/// One fight, as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest {
    /// The object, as kind/name.
    pub object: String,
    /// The field that is reverted most often, the last one of several; empty for the whole object.
    pub path: String,
    /// The client that claims to have changed that field last.
    pub by: String,
    /// [`Self::REVERTED`] or [`Self::REWRITTEN`]. An object may have one contest of each.
    pub reason: &'static str,
    /// Since when it is contested.
    pub since: Timestamp,
    /// How often it was reverted, or rewritten, since then; the time that made it a contest is the first.
    pub reverts: u32,
    /// When that was seen last.
    pub last: Timestamp,
}

impl Contest {
    /// Somebody keeps undoing what we repair.
    pub const REVERTED: &str = "Reverted";
    /// The API server's replies to our writes are not what we wrote: an admission rewrites them.
    pub const REWRITTEN: &str = "Rewritten";
}

impl Fights {
    /// We repaired drift of this field: of this object, as kind/name, by this client, as it claims. Calls with one `now`
    /// tell the fields of one repair, and heat the object once.
    pub fn reverted(&mut self, object: &str, path: &str, by: &str, now: Timestamp) {
        self.cool(now);
        self.object(object).reverted(path, by, now);
    }

    /// The API server's reply to a write of ours was not what we wrote. `unchanged`: it carried the resourceVersion that
    /// was there before, so that nothing was written at all.
    pub fn rewritten(&mut self, object: &str, unchanged: bool, now: Timestamp) {
        self.cool(now);
        let object = self.object(object);
        again(&mut object.rewritten, now);
        object.unchanged = unchanged;
        object.touched = false;
    }

    /// A write of ours was answered as we wrote it: nothing rewrites the object (any more).
    pub fn accepted(&mut self, object: &str) {
        if let Some(object) = self.find(object) {
            self.objects[object].rewritten = None;
            self.objects.retain(|o| !o.is_forgotten());
        }
    }

    /// Somebody else (not a write of ours) changed the object since our last write of it was rewritten. The pause of a
    /// rewritten object holds only for the state in which the rewriting left it: else it would be a window of up to an
    /// hour that everybody may use. What they do is repaired, and told by [`Self::reverted`], as if nothing was rewritten.
    pub fn touched(&mut self, object: &str) {
        if let Some(object) = self.find(object) {
            self.objects[object].touched = true;
        }
    }

    /// When the object is to be repaired next, which is later than `now`; `None`: at once. The pause is counted from the
    /// last repair: 2 s, 6 s, 18 s and so on, up to
    ///
    /// - 5 s where the live state is `weaker` than wanted: a longer pause is a window that an opponent could open at will;
    /// - 300 s where it is not, and where our writes are rewritten. (Writing once more would close no window there, so it
    ///   does not matter whether what the rewriting leaves is weaker; what somebody else then does to it: see
    ///   [`Self::touched`].)
    /// - 3600 s where our last write was answered with nothing changed: one comparison that is wrong about all objects of
    ///   a large cluster must become quiet.
    ///
    /// `jitter`, from 0 to 1, takes up to a fifth off, so that what began together does not stay together. A clock that
    /// was set back ends the pause.
    pub fn next_try(&self, object: &str, weaker: bool, jitter: f64, now: Timestamp) -> Option<Timestamp> {
        let object = &self.objects[self.find(object)?];
        let due = |run: &Option<Run>, longest| Some(run.as_ref()?.due(longest, jitter, now));
        let longest = if weaker { WEAKER } else { HARMLESS };
        let reverted = due(
            &object.reverted,
            self.longest.map_or(longest, |stated| stated.min(longest)),
        );
        let rewritten = due(&object.rewritten, if object.unchanged { POINTLESS } else { HARMLESS });
        reverted
            .max(rewritten.filter(|_| !object.touched))
            .filter(|due| *due > now)
    }

    /// Has repairs of what is reverted pause for no longer than this, in seconds.
    pub fn pause_at_most(&mut self, seconds: u32) {
        self.longest = Some(seconds.into());
    }

    /// What is contested now, sorted by object. Of more than 16, those that have been longest.
    pub fn contested(&self, now: Timestamp) -> Vec<Contest> {
        let mut all: Vec<Contest> = self.objects.iter().flat_map(|o| o.contests(now)).collect();
        all.sort_by(|a, b| (a.since, &a.object, a.reason).cmp(&(b.since, &b.object, b.reason)));
        all.truncate(MOST_TOLD);
        all.sort_by(|a, b| (&a.object, a.reason).cmp(&(&b.object, b.reason)));
        all
    }

    /// When a contest next ends by itself, and [`Self::contested`] has another answer.
    pub fn cools_at(&self, now: Timestamp) -> Option<Timestamp> {
        let runs = self.objects.iter().flat_map(|o| [&o.reverted, &o.rewritten]);
        runs.flatten().filter(|run| run.lasts(now)).map(Run::end).min()
    }

    /// Takes up the contests of the last report, so that a restart neither forgets nor hides them. (Whether a rewritten
    /// write changed nothing, the next reply tells again.)
    pub fn restore(contests: impl IntoIterator<Item = Contest>) -> Self {
        let mut contests: Vec<Contest> = contests.into_iter().collect();
        contests.sort_by_key(|contest| contest.last);
        let mut fights = Self::default();
        for contest in contests {
            fights.object(&contest.object).restore(&contest);
        }
        fights
    }

    /// Forgets what is over.
    fn cool(&mut self, now: Timestamp) {
        self.objects.iter_mut().for_each(|object| object.cool(now));
        self.objects.retain(|object| !object.is_forgotten());
    }

    fn find(&self, object: &str) -> Option<usize> {
        let name = shown(object);
        self.objects.iter().position(|o| o.name == name)
    }

    /// The object, as the most recently disturbed one.
    fn object(&mut self, object: &str) -> &mut Object {
        let known = self.find(object).map(|at| self.objects.remove(at));
        if self.objects.len() >= MOST_OBJECTS {
            self.objects.remove(0);
        }
        self.objects.push(known.unwrap_or_else(|| Object::new(shown(object))));
        let last = self.objects.len() - 1;
        &mut self.objects[last]
    }
}

/// An object's name as it is kept, and as a report shows it: kind/name.
fn shown(object: &str) -> String {
    bounded(object, 317)
}

#[cfg(test)]
mod tests;
