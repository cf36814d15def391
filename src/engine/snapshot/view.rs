//! How things stand in a snapshot: baselines, exceptions and namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Snapshot;
use crate::api::v1alpha1::{BaselineExceptionStatus, BaselineReportStatus, SecurityBaselineStatus};
use crate::core::codes;
use crate::core::exceptions::Exception;
use crate::core::gate;
use crate::core::plan::Plan;
use crate::core::settle::{Attempt, Failure, Settled, settle};
use crate::core::validate::Problems;
use crate::core::world::{Baseline, World};
use crate::engine::exceptions;
use crate::engine::index::BaselineEntry;

/// A baseline as it stands.
pub struct BaselineView {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// What holds, if anything does.
    pub accepted: Option<Arc<Baseline>>,
    /// What is wrong with its present spec.
    pub problems: Problems,
    /// What its present spec waits for.
    pub waits: Option<String>,
    /// Whether what holds only audits, until its owner confirms more.
    pub provisional: bool,
    /// What the operator said of it last.
    pub status: SecurityBaselineStatus,
}

/// An exception as it stands.
pub struct ExceptionView {
    /// Its name.
    pub name: String,
    /// What it says, if it is sound.
    pub accepted: Option<Arc<Exception>>,
    /// How it stands, by what is there now.
    pub status: BaselineExceptionStatus,
}

/// A namespace as it stands.
pub struct NamespaceView {
    /// All that its plan was made from.
    pub world: World,
    /// What the operator does, or would do, there.
    pub plan: Plan,
    /// What its report says, or would say.
    pub settled: Settled,
}

impl Snapshot {
    /// The baselines, by name.
    pub fn baselines(&self) -> Vec<BaselineView> {
        let index = self.context.index.lock();
        let view = |(name, entry): (&Arc<str>, &BaselineEntry)| BaselineView {
            name: name.to_string(),
            uid: entry.uid.clone(),
            accepted: entry.accepted.clone(),
            problems: entry.problems.clone(),
            waits: entry.waits.clone(),
            provisional: entry.provisional,
            status: entry.status.clone(),
        };
        index.baselines().map(view).collect()
    }

    /// The exceptions, by name, as they stand once every namespace was looked at.
    pub fn exceptions(&self) -> Vec<ExceptionView> {
        let now = self.context.clock.now();
        let index = self.context.index.lock();
        let names: Vec<Arc<str>> = index.exceptions().map(|(name, _)| name.clone()).collect();
        let view = |name: Arc<str>| {
            let entry = index.exception(&name)?;
            Some(ExceptionView {
                name: name.to_string(),
                accepted: entry.accepted.clone(),
                status: exceptions::status_of(&index, &name, self.context.config.exceptions.warn_before, now)?,
            })
        };
        names.into_iter().filter_map(view).collect()
    }

    /// A namespace as it stands; `None` where nothing holds it.
    pub fn view(&self, namespace: &str) -> Option<NamespaceView> {
        let (world, plan) = self.observe(namespace)?;
        let mut attempt = Attempt::default();
        attempt.failures = self.reports.get(namespace).map(failures).unwrap_or_default();
        let mut index = self.context.index.lock();
        let settled = settle(&world, &plan, &attempt, gate::judge(index.fleet()));
        let _ = index.waived(&world, &plan, &attempt);
        let _ = index.settled(namespace, &settled);
        Some(NamespaceView { world, plan, settled })
    }
}

/// What the operator could not write, as its report tells it.
fn failures(told: &BaselineReportStatus) -> BTreeMap<String, Failure> {
    let blocked = told.controls.iter().flat_map(|control| &control.blocked);
    blocked
        .filter_map(|note| {
            let reason = codes::FAILURES.iter().find(|reason| **reason == note.reason)?;
            let failure = Failure {
                reason,
                message: note.message.clone(),
            };
            Some((note.object.clone(), failure))
        })
        .collect()
}
