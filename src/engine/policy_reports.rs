//! Reports for other tools: a PolicyReport or Report in each namespace, made from what its BaselineReport tells.
//!
//! Nothing of it is there where a cluster has no such kind: two watches of the kinds' definitions tell whether it does,
//! without asking again and again. Where it does, one watch tells what is there under our name, so that a restart writes
//! nothing and what somebody takes away comes back. A report is written by a job of its own, after the BaselineReport and
//! beside it: it may be slow, or be refused, and delays neither that nor any repair.

mod forms;
mod known;
mod made;
mod write;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::forms::{FORMS, Form};
use self::known::Known;
use self::made::{made, meaning};
use super::Context;
use super::facts::meta;
use super::index::Last;
use super::queue::{Key, Lane};
use super::watch::{Progress, Shown, Sink};
use crate::api::v1alpha1::BaselineReportStatus;

pub use self::forms::definitions;
pub use self::write::attend;

/// How long a start waits for what is there of such reports. Nothing that protects may wait for it for long: what comes
/// later is taken up later.
const START: Duration = Duration::from_secs(5);

/// How soon what somebody else did to a report is put right: once a second at the most.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of reports for other tools.
pub struct PolicyReports {
    /// Which forms the cluster has, as [`FORMS`] has them.
    served: Mutex<[bool; FORMS.len()]>,
    /// The form that is to be written, if any.
    form: watch::Sender<Option<&'static Form>>,
    /// The same once it was listed what is there of it: before that, nothing is written.
    listed: watch::Sender<Option<&'static Form>>,
    /// How its watch is, and that watch's name.
    watch: Mutex<Option<(&'static str, Arc<Progress>)>>,
    known: Mutex<Known>,
}

impl Default for PolicyReports {
    fn default() -> Self {
        Self {
            served: Mutex::default(),
            form: watch::Sender::new(None),
            listed: watch::Sender::new(None),
            watch: Mutex::default(),
            known: Mutex::default(),
        }
    }
}

impl PolicyReports {
    /// Takes up whether the cluster has a form.
    fn serves(&self, form: &Form, serves: bool) {
        let mut served = self.served.lock();
        for (known, serving) in FORMS.iter().zip(served.iter_mut()) {
            if known == form {
                *serving = serves;
            }
        }
        let chosen = FORMS
            .iter()
            .zip(*served)
            .find_map(|(form, serving)| serving.then_some(form));
        self.form.send_if_modified(|now| {
            let news = *now != chosen;
            *now = chosen;
            news
        });
    }

    /// The forms that the cluster has and that are not written.
    fn others(&self, form: &Form) -> Vec<&'static Form> {
        let served = *self.served.lock();
        let others = FORMS.iter().zip(served);
        others
            .filter_map(|(other, serving)| (serving && other != form).then_some(other))
            .collect()
    }

    /// The form that is written, once it is known what is there of it.
    fn ready(&self) -> Option<&'static Form> {
        *self.listed.borrow()
    }

    /// The watches of all forms by their names, and how that of the form that is written is.
    pub fn watches(&self) -> impl Iterator<Item = (&'static str, Option<Arc<Progress>>)> {
        let watch = self.watch.lock().clone();
        FORMS.iter().map(move |form| {
            let name = form.watched().name;
            let its = watch.as_ref().filter(|(written, _)| *written == name);
            (name, its.map(|(_, progress)| progress.clone()))
        })
    }

    fn forget_all(&self) {
        *self.watch.lock() = None;
        self.listed.send_replace(None);
        *self.known.lock() = Known::default();
    }
}

/// Keeps reports for as long as the operator runs. At a start it waits until it is known what is there, if that does not
/// take long: what is there as it should be is not written again.
pub async fn start(context: &Arc<Context>, tasks: &mut JoinSet<String>) {
    let progress = Arc::<Progress>::default();
    let (mut form, mut ready) = {
        let reports = &context.policy_reports;
        (reports.form.subscribe(), reports.listed.subscribe())
    };
    let is_there = form.borrow_and_update().is_some();
    tasks.spawn(keep_all(context.clone(), progress.clone()));
    if is_there {
        let refused = async {
            if progress.listed_or_refused().await {
                std::future::pending::<()>().await;
            }
        };
        let listed = async {
            tokio::select! {
                _ = ready.wait_for(Option::is_some) => {}
                () = refused => {}
                _ = form.changed() => {}
            }
        };
        if tokio::time::timeout(START, listed).await.is_err() {
            tracing::warn!("what is there of policy reports could not be listed so far; they come later");
        }
    }
}

/// Follows which form the cluster has.
async fn keep_all(context: Arc<Context>, mut progress: Arc<Progress>) -> String {
    let mut form = context.policy_reports.form.subscribe();
    loop {
        let now = *form.borrow_and_update();
        *context.policy_reports.watch.lock() = now.map(|form| (form.watched().name, progress.clone()));
        let keeps = async {
            match now {
                Some(form) => keep(&context, form, progress).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = form.changed() => if changed.is_err() {
                return "what follows the kinds of policy reports".to_owned();
            },
            () = keeps => return "the watch of policy reports".to_owned(),
        }
        // It is not overdue: it is over.
        if let Some(form) = now {
            let _ = context.metrics.verified.remove_label_values(&[form.watched().name]);
        }
        context.policy_reports.forget_all();
        progress = Arc::default();
    }
}

/// Watches what is there of one form, and has written what is not; to return is an error.
async fn keep(context: &Arc<Context>, form: &'static Form, progress: Arc<Progress>) {
    let begin = async {
        progress.listed().await;
        tracing::info!(kind = form.kind, group = form.group, "policy reports are written");
        context.policy_reports.listed.send_replace(Some(form));
        if context.index.lock().is_synced() {
            // The kind came while the operator runs. (At a start every namespace is looked at in any case.)
            let reported = context.index.lock().reported(|_| true);
            for namespace in reported {
                context.queue.push(Key::PolicyReport(namespace), Lane::Record);
            }
        }
        context.leadership.acquired().await;
        for other in context.policy_reports.others(form) {
            write::clear(context, other).await;
        }
    };
    let watched = super::watch::watch(context.clone(), form.watched(), Arc::new(Kept), progress.clone());
    tokio::select! {
        () = watched => {}
        () = async { begin.await; std::future::pending().await } => {}
    }
}

/// Has a namespace's report for other tools written, where it is to say something else than what is there; `owner` is the
/// UID of the BaselineReport that says this.
pub fn follow(context: &Context, namespace: &Arc<str>, lane: Lane, owner: &str, status: &BaselineReportStatus) {
    let Some(form) = context.policy_reports.ready() else {
        return;
    };
    let wanted = made(form, namespace, owner, status).as_ref().map(meaning);
    if context.policy_reports.known.lock().differs(namespace, wanted) {
        context.queue.push(Key::PolicyReport(namespace.clone()), lane);
    }
}

/// Takes up what is there of a form.
struct Kept;

impl Kept {
    fn look_at(context: &Context, namespace: &str) {
        let index = context.index.lock();
        if index.is_synced() && index.report(namespace).is_some() {
            drop(index);
            let key = Key::PolicyReport(namespace.into());
            context.queue.push_after(key, Lane::Report, PAUSE);
        }
    }
}

impl Sink for Kept {
    fn knows(&self, context: &Context, namespace: &str, _: &str, version: &str) -> bool {
        context.policy_reports.known.lock().is_of(namespace, version)
    }

    fn applied(&self, context: &Context, object: Value) {
        let namespace = meta(&object, "namespace");
        // Where there is no report of ours, what stands under its name is none of our business.
        if context.index.lock().report(namespace).is_none() {
            return;
        }
        let (version, means) = (meta(&object, "resourceVersion"), meaning(&object));
        let news = context.policy_reports.known.lock().seen(namespace, version, means);
        // What the first list shows is looked at with its namespace.
        if news && context.policy_reports.ready().is_some() {
            Self::look_at(context, namespace);
        }
    }

    fn deleted(&self, context: &Context, namespace: &str, _: &str, last: Last<'_>) {
        if context.policy_reports.known.lock().gone(namespace, last.version) {
            Self::look_at(context, namespace);
        }
    }

    fn listed_anew(&self, context: &Context) {
        context.policy_reports.known.lock().listed_anew();
    }

    fn unshown(&self, context: &Context, shown: &Shown) -> Vec<(String, String)> {
        let unshown = |namespace: &str| !shown.has(namespace, forms::NAME);
        let reported = context.index.lock().reported(unshown);
        let known = context.policy_reports.known.lock();
        let gone = reported.iter().filter(|namespace| known.has(namespace));
        gone.map(|namespace| (namespace.to_string(), forms::NAME.to_owned()))
            .collect()
    }
}
