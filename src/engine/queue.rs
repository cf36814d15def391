//! What is to be worked on: first in, first out, each key once, in weighted lanes.
//!
//! A key is worked on by one worker at a time, whatever lane it comes from; what comes in meanwhile waits for it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::limit::Limit;

/// What is worked on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A namespace.
    Namespace(Arc<str>),
    /// A baseline.
    Baseline(Arc<str>),
    /// An exception.
    Exception(Arc<str>),
    /// The report of a namespace for other tools.
    PolicyReport(Arc<str>),
}

/// Why it is worked on. Each lane has its share of the workers, so that none waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// Something drifted, or a namespace is new.
    Repair,
    /// A baseline changed, or the operator started.
    Rollout,
    /// A namespace's report is to be written: something was repaired there, or found.
    Report,
    /// The report of a namespace of a rollout is to be written. It is protected already; others are not yet.
    Record,
    /// The status of a baseline or an exception is to be written.
    Status,
}

impl Lane {
    /// All lanes.
    pub const ALL: [Self; 5] = [Self::Repair, Self::Rollout, Self::Report, Self::Record, Self::Status];

    /// Whether it is about reports.
    const fn is_of_reports(self) -> bool {
        matches!(self, Self::Report | Self::Record)
    }

    /// How many keys of the lane are taken in one round.
    const fn weight(self) -> u32 {
        match self {
            Self::Repair => 64,
            Self::Rollout => 48,
            Self::Report => 16,
            Self::Status => 4,
            Self::Record => 1,
        }
    }

    /// The lane's name in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Repair => "repair",
            Self::Rollout => "rollout",
            Self::Report => "report",
            Self::Record => "record",
            Self::Status => "status",
        }
    }
}

/// A key that a worker has taken.
#[derive(Clone, Debug)]
pub struct Job {
    /// What is worked on.
    pub key: Key,
    /// Why.
    pub lane: Lane,
    /// Since when it waited.
    pub since: Instant,
}

/// How many repairs of a namespace come before a report of it that waits, at most: somebody who breaks things all the
/// time would else keep that from being told.
const MOST_AHEAD: u32 = 4;

/// How soon what fails is tried again while the queue is drained: there is not much time, and no sense in a storm.
const LAST_TRIES: Duration = Duration::from_secs(1);

/// How many repairs more than else are worked on at a time: they do not wait until something of a rollout is done.
const RESERVED: usize = 8;

/// How many workers it takes besides as many as may be worked on at a time: for [`RESERVED`], and for the one key of another
/// lane that is worked on however many repairs there are.
pub const SPARE: usize = RESERVED + 1;

/// How many of [`Lane::Record`] are worked on at a time while something of a rollout is worked on: the last namespaces of
/// it would else share the API server with the records of all others.
const RECORDS: usize = 1;

/// The queue.
#[derive(Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    changed: Notify,
    given_back: Notify,
}

/// What is worked on now.
struct Running {
    lane: Lane,
    since: Instant,
}

#[derive(Default)]
struct Inner {
    closed: bool,
    lanes: [VecDeque<Key>; 5],
    /// Since when a key waits in a lane.
    waiting: [HashMap<Key, Instant>; 5],
    credit: [u32; 5],
    running: HashMap<Key, Running>,
    /// How many repairs were taken while a report of the same namespace waits.
    ahead: HashMap<Key, u32>,
    /// Keys to be put back into a lane later, by time.
    later: BTreeMap<Instant, BTreeSet<(Key, Lane)>>,
    delayed: HashMap<(Key, Lane), Instant>,
    limit: Limit,
}

impl Default for Limit {
    fn default() -> Self {
        Self::new(u16::MAX)
    }
}

impl Queue {
    /// A queue of which at most so many keys are worked on at a time.
    pub fn new(most: u16) -> Self {
        let queue = Self::default();
        queue.inner.lock().limit = Limit::new(most);
        queue
    }

    /// Takes up how a request of the work went: less is worked on at a time where the API server has too much to do.
    pub fn answered(&self, well: bool, after: Duration) {
        self.inner.lock().limit.answered(well, after, Instant::now());
    }

    /// Puts a key into a lane, unless it waits there already.
    pub fn push(&self, key: Key, lane: Lane) {
        self.inner.lock().push(key, lane, Instant::now());
        self.changed.notify_one();
    }

    /// Puts a key into a lane after a while. If it is to be put there already, the earlier time counts.
    pub fn push_after(&self, key: Key, lane: Lane, after: Duration) {
        let mut inner = self.inner.lock();
        // What other tools read waits for the next start: it can be made anew at any time.
        let waits = matches!(key, Key::PolicyReport(_));
        if inner.closed && (waits || !lane.is_of_reports()) {
            return;
        }
        let after = if inner.closed { after.min(LAST_TRIES) } else { after };
        let due = Instant::now() + after;
        let entry = (key, lane);
        match inner.delayed.get(&entry).copied() {
            Some(earlier) if earlier <= due => return,
            Some(later) => inner.take_back(later, &entry),
            None => {}
        }
        inner.delayed.insert(entry.clone(), due);
        inner.later.entry(due).or_default().insert(entry);
        drop(inner);
        self.changed.notify_one();
    }

    /// Takes the next key, waiting for one.
    pub async fn next(&self) -> Job {
        loop {
            // Registered before looking: what is pushed in between wakes us.
            let changed = self.changed.notified();
            let due = {
                let mut inner = self.inner.lock();
                let now = Instant::now();
                inner.put_back(now);
                if let Some(job) = inner.take(now) {
                    if inner.has_work() {
                        self.changed.notify_one();
                    }
                    return job;
                }
                inner.later.keys().next().copied()
            };
            match due {
                Some(due) => {
                    tokio::select! {
                        () = changed => {}
                        () = tokio::time::sleep_until(due) => {}
                    }
                }
                None => changed.await,
            }
        }
    }

    /// Gives a key back that was taken.
    pub fn done(&self, job: &Job) {
        self.inner.lock().running.remove(&job.key);
        self.changed.notify_one();
        self.given_back.notify_one();
    }

    /// Gives out no more keys but those of reports, which are what is known of the work so far, and waits until they and
    /// all that were taken are done.
    pub async fn drain(&self) {
        self.inner.lock().close();
        self.changed.notify_one();
        loop {
            let given_back = self.given_back.notified();
            let idle = {
                let inner = self.inner.lock();
                inner.running.is_empty() && !inner.has_work() && inner.later.is_empty()
            };
            if idle {
                return;
            }
            given_back.await;
        }
    }

    /// How many keys wait in a lane.
    pub fn depth(&self, lane: Lane) -> usize {
        self.inner.lock().lanes[lane as usize].len()
    }

    /// For how long the first key of a lane has been waiting.
    pub fn oldest(&self, lane: Lane) -> Duration {
        let inner = self.inner.lock();
        let first = inner.lanes[lane as usize].front();
        let since = first.and_then(|key| inner.waiting[lane as usize].get(key));
        since.map(Instant::elapsed).unwrap_or_default()
    }

    /// For how long the longest-running job has been running.
    pub fn longest_running(&self) -> Duration {
        let now = Instant::now();
        self.inner
            .lock()
            .running
            .values()
            .map(|running| now.duration_since(running.since))
            .max()
            .unwrap_or_default()
    }
}

impl Inner {
    /// Whether something waits that may be given out.
    fn has_work(&self) -> bool {
        let given_out = Lane::ALL
            .into_iter()
            .filter(|lane| !self.closed || lane.is_of_reports());
        given_out.into_iter().any(|lane| !self.lanes[lane as usize].is_empty())
    }

    fn push(&mut self, key: Key, lane: Lane, since: Instant) {
        let waiting = &mut self.waiting[lane as usize];
        if !waiting.contains_key(&key) {
            waiting.insert(key.clone(), since);
            self.lanes[lane as usize].push_back(key);
        }
    }

    fn close(&mut self) {
        self.closed = true;
        let waiting: Vec<_> = self.later.values().flatten().cloned().collect();
        let now = Instant::now();
        for (key, lane) in waiting {
            self.push(key, lane, now);
        }
        self.later.clear();
        self.delayed.clear();
    }

    /// Work that begins now is what was to be done later: it says itself when it is to be done again. An earlier time
    /// that was set before would cut the pause short that it asks for.
    fn forget_later(&mut self, key: &Key) {
        for lane in [Lane::Repair, Lane::Rollout] {
            let entry = (key.clone(), lane);
            if let Some(due) = self.delayed.remove(&entry) {
                self.take_back(due, &entry);
            }
        }
    }

    fn take_back(&mut self, due: Instant, entry: &(Key, Lane)) {
        if let Some(keys) = self.later.get_mut(&due) {
            keys.remove(entry);
            if keys.is_empty() {
                self.later.remove(&due);
            }
        }
    }

    fn put_back(&mut self, now: Instant) {
        while let Some(entry) = self.later.first_entry() {
            if *entry.key() > now {
                break;
            }
            let (due, keys) = entry.remove_entry();
            for (key, lane) in keys {
                self.delayed.remove(&(key.clone(), lane));
                self.push(key, lane, due);
            }
        }
    }

    /// The lane that a key is taken from, where it is to be taken from this one: a report that waits has its turn after a
    /// few repairs.
    fn instead_of(&mut self, lane: Lane, key: &Key) -> Lane {
        match lane {
            Lane::Repair if self.waiting[Lane::Report as usize].contains_key(key) => {
                let ahead = self.ahead.entry(key.clone()).or_default();
                *ahead += 1;
                if *ahead <= MOST_AHEAD {
                    return Lane::Repair;
                }
            }
            Lane::Report => {}
            other => return other,
        }
        self.ahead.remove(key);
        Lane::Report
    }

    /// Whether at least so many keys of a lane are worked on now.
    fn runs(&self, lane: Lane, least: usize) -> bool {
        let running = self.running.values().filter(|running| running.lane == lane);
        running.take(least).count() == least
    }

    /// Where in a lane the key is that may be taken next, whatever the lane's credit.
    fn first(&self, lane: Lane) -> Option<usize> {
        let full = self.limit.allows();
        let repairs = self.running.values().filter(|running| running.lane == Lane::Repair);
        let has_room = match lane {
            Lane::Repair => repairs.count() < full + RESERVED && self.running.len() < full + SPARE,
            _ => self.running.len() < full || repairs.count() == self.running.len(),
        };
        if !has_room || (self.closed && !lane.is_of_reports()) {
            return None;
        }
        let keys = &self.lanes[lane as usize];
        let at = keys.iter().position(|key| !self.running.contains_key(key))?;
        let waits = lane == Lane::Record && self.runs(Lane::Rollout, 1) && self.runs(lane, RECORDS);
        (!waits).then_some(at)
    }

    fn take(&mut self, now: Instant) -> Option<Job> {
        // Two rounds: when no lane with work that may be taken has credit left, all get theirs anew. (Who asks in
        // vain, since as much is worked on as may be, changes nothing: else the first lane would have all turns.)
        for _ in 0..2 {
            let mut spent = false;
            for lane in Lane::ALL {
                let i = lane as usize;
                let Some(at) = self.first(lane) else { continue };
                let Some(key) = self.lanes[i].get(at).cloned() else {
                    continue;
                };
                if self.credit[i] == 0 {
                    spent = true;
                    continue;
                }
                self.credit[i] -= 1;
                let instead = Some(self.instead_of(lane, &key)).filter(|instead| *instead != lane);
                let there = instead.and_then(|lane| {
                    let at = self.lanes[lane as usize].iter().position(|waits| *waits == key)?;
                    Some((lane, at))
                });
                let (lane, at) = there.unwrap_or((lane, at));
                self.lanes[lane as usize].remove(at);
                let since = self.waiting[lane as usize].remove(&key).unwrap_or(now);
                self.running.insert(key.clone(), Running { lane, since: now });
                if matches!(lane, Lane::Repair | Lane::Rollout) {
                    self.forget_later(&key);
                }
                return Some(Job { key, lane, since });
            }
            if !spent {
                return None;
            }
            self.credit = Lane::ALL.map(Lane::weight);
        }
        None
    }
}

#[cfg(test)]
mod tests;
