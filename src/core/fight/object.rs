//! What is kept in mind of one object, and of one contest over it.

use k8s_openapi::jiff::{SignedDuration, Timestamp};

use super::Contest;
use crate::core::text::bounded;

/// The most fields of one object that are kept in mind: twice what is told of one repair, so that what one repair
/// tells cannot push out what the one before it told.
const MOST_FIELDS: usize = 16;

/// The heat that is a fight.
const HOT: f64 = 5.0;

/// How often one field is repaired within [`DAY`] when it is a fight.
const OFTEN: usize = 3;

/// How long a field's repairs are counted together, and how long ago a contest was last seen when it ends.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What is kept in mind of one object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Object {
    pub(super) name: String,
    heat: f64,
    /// The least recently repaired comes first.
    fields: Vec<Field>,
    repaired: Option<Timestamp>,
    pub(super) reverted: Option<Run>,
    pub(super) rewritten: Option<Run>,
    /// Whether our last write changed nothing.
    pub(super) unchanged: bool,
    /// Whether somebody else wrote since our last write was rewritten.
    pub(super) touched: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Field {
    path: String,
    by: String,
    reverts: u32,
    /// When it was repaired, the last [`OFTEN`] times.
    times: Vec<Timestamp>,
}

impl Object {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            ..Self::default()
        }
    }

    pub(super) fn reverted(&mut self, path: &str, by: &str, now: Timestamp) {
        let path = bounded(path, 256);
        let known = self.fields.iter().position(|f| f.path == path);
        let mut field = known.map(|at| self.fields.remove(at)).unwrap_or_default();
        // One repair names no field twice: with a clock that stands still, this is another one.
        let another = self.repaired != Some(now) || field.times.last() == Some(&now);
        field.path = path;
        field.by = bounded(by, 128);
        field.reverts = field.reverts.saturating_add(1);
        field.times.push(now);
        if field.times.len() > OFTEN {
            field.times.remove(0);
        }
        let often = field.times.len() == OFTEN && !is_over(field.times[0], now);
        if self.fields.len() >= MOST_FIELDS {
            self.fields.remove(0);
        }
        self.fields.push(field);
        if another {
            let seconds = self.repaired.map_or(0.0, |last| now.duration_since(last).as_secs_f64());
            self.heat = self.heat * (-seconds.max(0.0) / 60.0).exp() + 1.0;
            self.repaired = Some(now);
        }
        let found = self.reverted.is_none() && (often || self.heat >= HOT);
        if found || (another && self.reverted.is_some()) {
            again(&mut self.reverted, now);
        }
    }

    pub(super) fn restore(&mut self, contest: &Contest) {
        let run = Some(Run {
            since: contest.since,
            last: contest.last,
            times: contest.reverts,
        });
        if contest.reason == Contest::REWRITTEN {
            self.rewritten = run;
            // What happened to it meanwhile nobody saw: the pause is for the state that the rewriting left it in.
            self.touched = true;
            return;
        }
        self.reverted = run;
        self.repaired = Some(contest.last);
        self.fields = vec![Field {
            path: bounded(&contest.path, 256),
            by: bounded(&contest.by, 128),
            reverts: contest.reverts,
            times: Vec::new(),
        }];
    }

    pub(super) fn contests(&self, now: Timestamp) -> impl Iterator<Item = Contest> {
        let told = |run: &Option<Run>, reason, path: &str, by: &str| {
            let run = run.as_ref().filter(|run| run.lasts(now))?;
            Some(Contest {
                object: self.name.clone(),
                path: path.to_owned(),
                by: by.to_owned(),
                reason,
                since: run.since,
                reverts: run.times,
                last: run.last,
            })
        };
        let field = self.fields.iter().max_by_key(|field| field.reverts);
        let (path, by) = field.map_or(("", "unknown"), |f| (&f.path, &f.by));
        [
            told(&self.reverted, Contest::REVERTED, path, by),
            told(&self.rewritten, Contest::REWRITTEN, "", "unknown"),
        ]
        .into_iter()
        .flatten()
    }

    pub(super) fn cool(&mut self, now: Timestamp) {
        if self.repaired.is_some_and(|last| is_over(last, now)) {
            (self.heat, self.repaired, self.reverted) = (0.0, None, None);
            self.fields.clear();
        }
        self.rewritten.take_if(|run| !run.lasts(now));
    }

    pub(super) fn is_forgotten(&self) -> bool {
        self.repaired.is_none() && self.rewritten.is_none()
    }
}

/// A contest's course.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    since: Timestamp,
    last: Timestamp,
    times: u32,
}

impl Run {
    pub(super) fn lasts(&self, now: Timestamp) -> bool {
        !is_over(self.last, now)
    }

    /// When it ends, if it is not seen again.
    pub(super) fn end(&self) -> Timestamp {
        later(self.last, DAY)
    }

    /// When the pause after the last time is over; `longest` is in seconds.
    pub(super) fn due(&self, longest: i64, jitter: f64, now: Timestamp) -> Timestamp {
        if self.last > now {
            return now;
        }
        let full = 3_i64.saturating_pow(self.times.saturating_sub(1)).saturating_mul(2);
        let off = if (0.0..=1.0).contains(&jitter) {
            jitter / 5.0
        } else {
            0.0
        };
        later(
            self.last,
            SignedDuration::from_secs(full.min(longest)).mul_f64(1.0 - off),
        )
    }
}

/// Once more.
pub(super) fn again(run: &mut Option<Run>, now: Timestamp) {
    let run = run.get_or_insert(Run {
        since: now,
        last: now,
        times: 0,
    });
    run.last = now;
    run.times = run.times.saturating_add(1);
}

fn is_over(last: Timestamp, now: Timestamp) -> bool {
    now.duration_since(last) >= DAY
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
