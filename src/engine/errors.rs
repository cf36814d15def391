//! What a failed request means for the work.

use kube::Error;

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
    /// The API server did not do it this time: try again soon.
    Transient(Failure),
}

/// The text with which the API server refuses to let a grant exceed what the operator has itself.
const ESCALATION: &str = "attempting to grant RBAC permissions not currently held";

/// What the API server says of a kind that it does not serve (any more).
const NOT_SERVED: &str = "404 page not found";

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        judge(&error)
    }
}

/// Judges a failed request.
pub fn judge(error: &Error) -> Failed {
    let Error::Api(status) = error else {
        return Failed::Transient(Failure {
            reason: "APIServerUnavailable",
            message: bounded(&error.to_string(), 512),
        });
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
        404 => Failed::Transient(Failure {
            reason: "APIServerUnavailable",
            message,
        }),
        403 if message.contains(ESCALATION) => Failed::Blocked(Failure {
            reason: "GrantRefused",
            message: refusal(&message),
        }),
        403 => Failed::Blocked(Failure {
            reason: "Forbidden",
            message,
        }),
        400 | 405 | 413 | 422 => Failed::Blocked(Failure {
            reason: "Refused",
            message,
        }),
        429 | 500..=599 => Failed::Transient(Failure {
            reason: "APIServerBusy",
            message,
        }),
        _ => Failed::Blocked(Failure {
            reason: "Refused",
            message,
        }),
    }
}

/// Says of a refused grant what an administrator has to add: the rules behind the API server's sentence.
fn refusal(message: &str) -> String {
    let rules = message
        .split_once(ESCALATION)
        .map_or(message, |(_, rules)| rules.trim_start_matches(':').trim());
    let rules = rules.split_whitespace().collect::<Vec<_>>().join(" ");
    bounded(
        &format!(
            "the operator may not hand this out, since it does not have it: {rules}. An administrator grants it with a ClusterRole labelled securitybaseline.dev/aggregate-to-grantable: \"true\", or for a ClusterRole that is bound with its name in the ClusterRole security-baseline-operator:bind"
        ),
        1024,
    )
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

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
        assert!(!failure.message.contains("serviceaccount"));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again_soon() {
        assert_eq!(judged(409, ""), Failed::Conflict);
        assert_eq!(judged_with(404, "NotFound", ""), Failed::Gone);
        for code in [429, 500, 503, 504] {
            assert!(matches!(judged(code, ""), Failed::Transient(_)), "{code}");
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
        assert!(matches!(failed, Failed::Transient(_)), "{failed:?}");
    }
}
