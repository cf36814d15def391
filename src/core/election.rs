//! Who leads, where several replicas of the operator run: what one of them does next about the Lease that they share.
//!
//! Nobody's clock is trusted: how long a Lease has been as it is, each replica measures by itself (as client-go does:
//! `k8s.io/client-go/tools/leaderelection`). The times in it are for people.

use std::time::Duration;

/// How long things take in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// For how long a Lease that nobody renews holds. Those who stand by wait that long before they take it over.
    pub lease: Duration,
    /// For how long the leader leads without having renewed it. Less than `lease`, so that it has stopped writing when
    /// another one begins.
    pub renew: Duration,
    /// How often the leader renews it, and the others look.
    pub retry: Duration,
}

impl Terms {
    /// What is wrong with the terms, if anything: who leads would lose what it holds, or two would lead.
    pub fn problem(&self) -> Option<&'static str> {
        if self.retry.is_zero() {
            Some("the retry period is zero: write a duration such as 2s")
        } else if self.renew <= self.retry {
            Some("the renew deadline must be longer than the retry period")
        } else if self.lease <= self.renew {
            Some("the lease duration must be longer than the renew deadline")
        } else if self.lease > Duration::from_secs(3600) {
            Some("the lease duration is at most 1h")
        } else {
            None
        }
    }
}

/// The Lease as it was read, or that there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who holds it: empty for nobody, and none where there is no Lease.
    pub holder: Option<String>,
    /// For how long it holds, as its holder says.
    pub lasts: Duration,
    /// For how long it has been as it is, by our own clock.
    pub unchanged: Duration,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is ours, or nobody's, or whoever held it is gone: write ourselves into it, or create it.
    Take,
    /// Somebody else holds it, or may do so: look again after this.
    Wait(Duration),
}

/// What a replica that does not lead does next. That there is no Lease says nothing of who leads: it may have been deleted,
/// and until its holder knows that, it leads for as long as it would have held.
pub fn step(lease: &Seen, me: &str, terms: &Terms) -> Step {
    let free = lease
        .holder
        .as_deref()
        .is_some_and(|holder| holder.is_empty() || holder == me);
    if free || lease.unchanged >= lease.lasts {
        return Step::Take;
    }
    Step::Wait(terms.retry.min(lease.lasts - lease.unchanged))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        lease: Duration::from_secs(15),
        renew: Duration::from_secs(10),
        retry: Duration::from_secs(2),
    };

    fn seen(holder: Option<&str>, unchanged: u64) -> Seen {
        Seen {
            holder: holder.map(ToOwned::to_owned),
            lasts: Duration::from_secs(15),
            unchanged: Duration::from_secs(unchanged),
        }
    }

    #[test]
    fn a_lease_is_taken_when_it_is_nobodys_ours_or_was_not_renewed_for_as_long_as_it_lasts() {
        for (holder, unchanged) in [("", 0), ("me", 0), ("other", 15)] {
            assert_eq!(step(&seen(Some(holder), unchanged), "me", &TERMS), Step::Take);
        }
    }

    #[test]
    fn a_lease_that_is_not_there_is_created_when_nobody_can_lead_any_more_by_one_that_was() {
        assert_eq!(step(&seen(None, 0), "me", &TERMS), Step::Wait(TERMS.retry));
        assert_eq!(step(&seen(None, 15), "me", &TERMS), Step::Take);
    }

    #[test]
    fn a_lease_of_somebody_else_is_waited_for_and_looked_at_again_when_it_may_run_out() {
        assert_eq!(step(&seen(Some("other"), 0), "me", &TERMS), Step::Wait(TERMS.retry));
        let soon = step(&seen(Some("other"), 14), "me", &TERMS);
        assert_eq!(soon, Step::Wait(Duration::from_secs(1)));
    }

    #[test]
    fn terms_by_which_two_could_lead_are_refused() {
        assert_eq!(TERMS.problem(), None);
        let seconds = Duration::from_secs;
        for (lease, renew, retry) in [(10, 10, 2), (15, 2, 2), (15, 10, 0), (3601, 10, 2)] {
            let terms = Terms {
                lease: seconds(lease),
                renew: seconds(renew),
                retry: seconds(retry),
            };
            assert!(terms.problem().is_some(), "{terms:?}");
        }
    }
}
