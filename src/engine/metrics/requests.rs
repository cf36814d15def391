//! Counting the requests to the API server.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use prometheus::IntCounterVec;
use tower::{Layer, Service};

/// A way to the API server on which requests are counted, by verb and the code of the answer.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    counter: IntCounterVec,
}

/// Has the requests that go through a service counted.
#[derive(Clone, Debug)]
pub struct Counting(pub IntCounterVec);

impl<S> Layer<S> for Counting {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        let counter = self.0.clone();
        Counted { inner, counter }
    }
}

impl<S, B, A> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>, Response = Response<A>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let uri = request.uri();
        // One that is given up is one without an answer.
        let counted = Count {
            counter: self.counter.clone(),
            verb: verb(request.method(), uri.path(), uri.query().unwrap_or_default()),
            code: None,
        };
        let sent = self.inner.call(request);
        Box::pin(async move {
            // All of it: by its parts, it would be dropped here and now.
            let mut counted = counted;
            let answer = sent.await;
            counted.code = answer.as_ref().ok().map(|answer| answer.status().as_u16());
            answer
        })
    }
}

/// A request that is under way. It is counted when it is over, however it ends.
struct Count {
    counter: IntCounterVec,
    verb: &'static str,
    code: Option<u16>,
}

impl Drop for Count {
    fn drop(&mut self) {
        let code = self.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
        self.counter.with_label_values(&[self.verb, &code]).inc();
    }
}

/// The verb of a request, as RBAC and the API server's own metrics call it.
fn verb(method: &Method, path: &str, query: &str) -> &'static str {
    let named = names_an_object(path);
    match *method {
        Method::GET
            if query
                .split('&')
                .any(|part| matches!(part, "watch=true" | "watch=1" | "watch")) =>
        {
            "watch"
        }
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "other",
    }
}

/// Whether a path is that of one object (or of no object at all, such as `/version`), and not of a collection.
fn names_an_object(path: &str) -> bool {
    let mut parts = path.trim_matches('/').split('/');
    // Behind `api/VERSION` or `apis/GROUP/VERSION`.
    let rest: Vec<&str> = match parts.next() {
        Some("api") => parts.skip(1).collect(),
        Some("apis") => parts.skip(2).collect(),
        _ => return true,
    };
    match rest.as_slice() {
        ["namespaces", _, inside @ ..] if !inside.is_empty() => {
            inside.len() > 1 || matches!(inside, ["status" | "finalize"])
        }
        rest => rest.len() != 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_those_of_kubernetes() {
        for (method, path, query, expected) in [
            (Method::GET, "/api/v1/namespaces", "limit=100", "list"),
            (Method::GET, "/api/v1/namespaces", "limit=100&watch=true", "watch"),
            (Method::GET, "/api/v1/namespaces/a", "", "get"),
            (Method::PATCH, "/api/v1/namespaces/a", "fieldManager=x", "patch"),
            (Method::GET, "/api/v1/namespaces/a/pods", "", "list"),
            (Method::GET, "/api/v1/namespaces/a/pods/p", "", "get"),
            (
                Method::GET,
                "/apis/networking.k8s.io/v1/networkpolicies",
                "watch=1",
                "watch",
            ),
            (
                Method::POST,
                "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies",
                "",
                "create",
            ),
            (
                Method::PUT,
                "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/n",
                "",
                "update",
            ),
            (
                Method::DELETE,
                "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/n",
                "",
                "delete",
            ),
            (
                Method::PUT,
                "/apis/securitybaseline.dev/v1alpha1/securitybaselines/b/status",
                "",
                "update",
            ),
            (
                Method::GET,
                "/apis/securitybaseline.dev/v1alpha1/securitybaselines",
                "",
                "list",
            ),
            (Method::GET, "/version", "", "get"),
            (Method::GET, "/api/v1", "", "get"),
        ] {
            assert_eq!(verb(&method, path, query), expected, "{method} {path}?{query}");
        }
    }

    #[tokio::test]
    async fn a_request_is_counted_once_by_its_answer_or_as_one_without_an_answer() {
        let counter = IntCounterVec::new(prometheus::Opts::new("requests", "help"), &["verb", "code"]).unwrap();
        let mut service = Counting(counter.clone()).layer(tower::service_fn(|request: Request<()>| async move {
            match request.uri().path() {
                "/api/v1/namespaces/fails" => Err("broken"),
                "/api/v1/namespaces/hangs" => std::future::pending().await,
                _ => Ok(Response::builder().status(404).body(()).unwrap()),
            }
        }));
        let ask = |name: &str| Request::get(format!("/api/v1/namespaces/{name}")).body(()).unwrap();
        service.call(ask("a")).await.unwrap();
        service.call(ask("fails")).await.unwrap_err();
        drop(service.call(ask("hangs")));
        let count = |code| counter.with_label_values(&["get", code]).get();
        assert_eq!((count("404"), count("none")), (1, 2));
    }
}
