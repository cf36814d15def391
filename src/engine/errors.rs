//! What a failed request means for the work.

use std::time::Duration;

use kube::Error;
use kube::core::Status;

use crate::core::object::RESERVED_PREFIX;
use crate::core::settle::Failure;
use crate::core::text::bounded;

/// What a failed request means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The object is not what we thought: look again, and try again at once.
    Conflict,
    /// The namespace is going or gone: there is nothing left to do.
    Gone,
    /// It cannot be done as things are: try again later, and say so.
    Blocked(Failure),
    /// An admission webhook of somebody else did not answer: what it is asked about cannot be written now, other things
    /// can. Try again soon.
    Webhook(Failure),
    /// The API server did not do it this time, as far as is known: try again soon, but not before it asks for it.
    Transient(Failure, Option<Duration>),
}

/// How many attempts in a row have to be refused before that is believed: an API server that has just started answers 403
/// to everybody until it knows the cluster's RBAC.
pub const BELIEVED: u32 = 3;

/// The longest that the API server is obeyed when it asks to be left alone.
const LONGEST_AFTER: Duration = Duration::from_secs(300);
/// How long it is left alone when it says that it has too much to do and not for how long.
const TOO_MUCH: Duration = Duration::from_secs(1);

impl Failed {
    /// How long to wait before the next try: this long, or longer if the API server asks for it.
    pub fn wait(&self, usual: Duration) -> Duration {
        match self {
            Self::Transient(_, Some(after)) => usual.max(*after),
            _ => usual,
        }
    }
}

/// The text with which the API server refuses to let a grant exceed what the operator has itself.
const ESCALATION: &str = "attempting to grant RBAC permissions not currently held";

/// How the API server tells of an admission webhook that did not answer (source: `NewInternalError` in
/// `admission/plugin/webhook/errors` of k8s.io/apiserver wraps this).
const WEBHOOK: &str = "failed calling webhook";

/// What the API server says of a kind that it does not serve (any more).
const NOT_SERVED: &str = "404 page not found";

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        judge(&error)
    }
}

/// An error with its causes, as far as it does not tell them itself: for logs, and for whoever runs a command.
///
/// kube's errors say what the API server answered twice, the second time as the code of a structure; that is left out.
pub fn in_full(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = || std::iter::successors(Some(error), |error| error.source());
    let mut text = String::new();
    for cause in causes() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text += &format!(": {cause}");
        }
    }
    for cause in causes() {
        if let Some(Error::Api(status)) = cause.downcast_ref() {
            text = text.replace(&format!(" ({status:?})"), "");
        }
    }
    text
}

/// Judges a failed request.
pub fn judge(error: &Error) -> Failed {
    let Error::Api(status) = error else {
        let failure = Failure {
            reason: Failure::UNAVAILABLE,
            message: bounded(&error.to_string(), 512),
        };
        return Failed::Transient(failure, None);
    };
    let message = bounded(&status.message, 1024);
    let causes = status.details.iter().flat_map(|d| &d.causes);
    match status.code {
        409 => Failed::Conflict,
        // A binding is refused in the name of what it binds: all that we write ourselves has the reserved prefix.
        404 if status
            .details
            .as_ref()
            .is_some_and(|d| d.kind == "rolebindings" && !d.name.starts_with(RESERVED_PREFIX)) =>
        {
            let name = status.details.iter().map(|d| d.name.as_str()).collect::<String>();
            Failed::Blocked(Failure {
                reason: "RoleNotFound",
                message: bounded(
                    &format!(
                        "the ClusterRole {name} does not exist: create it, or name another one in access.bindings"
                    ),
                    1024,
                ),
            })
        }
        403 if causes.into_iter().any(|c| c.reason == "NamespaceTerminating") => Failed::Gone,
        404 if status.reason == "NotFound" || status.message == NOT_SERVED => Failed::Gone,
        // A page of something in between, such as a load balancer without a backend: it knows of no object.
        404 => Failed::Transient(
            Failure {
                reason: "APIServerUnavailable",
                message,
            },
            None,
        ),
        403 if message.contains(ESCALATION) => Failed::Blocked(Failure {
            reason: "GrantRefused",
            message: refusal(&status.message),
        }),
        403 => Failed::Blocked(Failure {
            reason: "Forbidden",
            message,
        }),
        400 | 405 | 413 | 422 => Failed::Blocked(Failure {
            reason: "Refused",
            message,
        }),
        500 if message.contains(WEBHOOK) => Failed::Webhook(Failure {
            reason: "WebhookFailed",
            message,
        }),
        429 | 500..=599 => Failed::Transient(
            Failure {
                reason: Failure::BUSY,
                message,
            },
            after(status),
        ),
        _ => Failed::Blocked(Failure {
            reason: "Refused",
            message,
        }),
    }
}

/// How the API server says that an object is too large for its store (source: `ErrRequestTooLarge` of etcd's API, which it
/// passes on as an error of its own).
const TOO_LARGE: &str = "request is too large";

/// Whether an object was refused for what is in it, its size included, as against who writes it or when.
pub fn is_unacceptable(error: &Error) -> bool {
    let Error::Api(status) = error else { return false };
    matches!(status.code, 400 | 413 | 422) || status.code == 500 && status.message.contains(TOO_LARGE)
}

/// How long the API server asks to be left alone.
fn after(status: &Status) -> Option<Duration> {
    let asked = status.details.as_ref().map_or(0, |d| d.retry_after_seconds);
    match (asked, status.code) {
        (0, 429) => Some(TOO_MUCH),
        (0, _) => None,
        (seconds, _) => Some(Duration::from_secs(seconds.into()).min(LONGEST_AFTER)),
    }
}

/// Says of a refused grant what an administrator has to add: the rules behind the API server's sentence.
fn refusal(message: &str) -> String {
    let rules = message
        .split_once(ESCALATION)
        .map_or(message, |(_, rules)| rules.trim_start_matches(':').trim());
    // The way out comes after them, however many there are.
    let rules = bounded(&rules.split_whitespace().collect::<Vec<_>>().join(" "), 640);
    bounded(
        &format!(
            "the operator may not hand this out, since it does not have it: {rules}. An administrator grants it with a ClusterRole labelled securitybaseline.dev/aggregate-to-grantable: \"true\", or for a ClusterRole that is bound with its name in the ClusterRole security-baseline-operator:bind"
        ),
        1024,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(code: u16, message: &str) -> Failed {
        judged_with(code, "", message)
    }

    fn judged_with(code: u16, reason: &str, message: &str) -> Failed {
        judge(&Error::Api(Box::new(Status {
            code,
            reason: reason.into(),
            message: message.into(),
            ..Status::default()
        })))
    }

    /// How long an answer makes the next try wait, at the least.
    fn asked(code: u16, seconds: u32) -> Option<u64> {
        let status = json!({"code": code, "details": {"retryAfterSeconds": seconds}});
        match judge(&Error::Api(serde_json::from_value(status).unwrap())) {
            Failed::Transient(_, after) => after.map(|after| after.as_secs()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_api_server_is_left_alone_for_as_long_as_it_asks_up_to_a_bound() {
        assert_eq!(asked(429, 7), Some(7));
        assert_eq!(asked(503, 30), Some(30));
        assert_eq!(asked(500, 0), None);
        assert_eq!(asked(429, 100_000), Some(300));
        // Overload is answered without a body that says for how long.
        let Failed::Transient(_, after) = judged(429, "Too many requests, please try again later.") else {
            panic!()
        };
        assert_eq!(after, Some(Duration::from_secs(1)));
        let wait = |after| {
            let failure = Failure {
                reason: Failure::BUSY,
                message: String::new(),
            };
            Failed::Transient(failure, after).wait(Duration::from_secs(5)).as_secs()
        };
        assert_eq!((wait(None), wait(Some(Duration::from_secs(2)))), (5, 5));
        assert_eq!(wait(Some(Duration::from_secs(60))), 60);
        assert_eq!(Failed::Conflict.wait(Duration::from_secs(5)).as_secs(), 5);
    }

    #[test]
    fn an_answer_that_does_not_come_is_tried_again() {
        let error = Error::Service("the API server did not answer in time".into());
        assert!(matches!(judge(&error), Failed::Transient(f, None) if f.reason == Failure::UNAVAILABLE));
    }

    #[test]
    fn a_refused_grant_names_the_missing_rule() {
        let message = "roles.rbac.authorization.k8s.io \"x\" is forbidden: user \"system:serviceaccount:a:b\" (groups=[]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"apps\"], Resources:[\"deployments\"], Verbs:[\"patch\"]}";
        let Failed::Blocked(failure) = judged(403, message) else {
            panic!()
        };
        assert_eq!(failure.reason, "GrantRefused");
        assert!(
            failure
                .message
                .contains("{APIGroups:[\"apps\"], Resources:[\"deployments\"], Verbs:[\"patch\"]}")
        );
        assert!(!failure.message.contains("serviceaccount") && !failure.message.contains(char::REPLACEMENT_CHARACTER));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again_soon() {
        assert_eq!(judged(409, ""), Failed::Conflict);
        assert_eq!(judged_with(404, "NotFound", ""), Failed::Gone);
        for code in [429, 500, 503, 504] {
            assert!(matches!(judged(code, ""), Failed::Transient(..)), "{code}");
        }
        for code in [400, 403, 422] {
            assert!(matches!(judged(code, ""), Failed::Blocked(_)), "{code}");
        }
    }

    #[test]
    fn only_the_api_server_itself_knows_that_something_is_not_there() {
        assert_eq!(judged(404, NOT_SERVED), Failed::Gone);
        let page = "<html><body>default backend - 404</body></html>";
        // This is what kube makes of what is no Status.
        let failed = judged_with(404, "Failed to parse error data", page);
        assert!(matches!(failed, Failed::Transient(..)), "{failed:?}");
    }

    #[test]
    fn an_error_is_told_with_its_causes_once_and_without_the_code_of_what_was_answered() {
        let status = Status {
            code: 403,
            reason: "Forbidden".into(),
            message: "leases is forbidden".into(),
            ..Status::default()
        };
        let failed = Error::Api(Box::new(status));
        assert_eq!(in_full(&failed), "ApiError: leases is forbidden: Forbidden");
        let within = kube::runtime::watcher::Error::InitialListFailed(failed);
        assert_eq!(
            in_full(&within),
            "failed to perform initial object list: ApiError: leases is forbidden: Forbidden"
        );
        let refused = std::io::Error::other("connection refused");
        let failed = Error::Service(Box::new(refused));
        assert_eq!(in_full(&failed), "ServiceError: connection refused");
    }
}
