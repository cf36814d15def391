//! Lets no request pass that changes something while another replica may lead.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use tower::{BoxError, Service};

use super::lease::Leadership;

/// What the paths of Leases have in them: they are how it is found out who leads.
const LEASES: &str = "/apis/coordination.k8s.io/v1/";

/// A way to the API server that is closed to writes while this replica does not lead.
#[derive(Clone, Debug)]
pub struct Fenced<S> {
    inner: S,
    leadership: Arc<Leadership>,
}

impl<S> Fenced<S> {
    /// Puts a fence around a service.
    pub fn new(inner: S, leadership: Arc<Leadership>) -> Self {
        Self { inner, leadership }
    }
}

impl<S, B> Service<Request<B>> for Fenced<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let free = request.method().is_safe() || request.uri().path().contains(LEASES);
        let leadership = self.leadership.clone();
        let mut sent = Box::pin(self.inner.call(request));
        // Looked at whenever it goes on: a process may be frozen between a request and the moment in which it is sent, when
        // its connection is still being opened, say.
        Box::pin(std::future::poll_fn(move |cx| {
            if !free && !leadership.leads() {
                return Poll::Ready(Err("this replica does not lead, and writes nothing".into()));
            }
            sent.as_mut().poll(cx).map_err(Into::into)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use futures::poll;
    use http::Method;
    use tokio::sync::Notify;
    use tokio::time::Instant;

    use super::*;

    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b";

    #[tokio::test(start_paused = true)]
    async fn a_write_whose_connection_is_still_being_opened_when_leadership_ends_is_never_sent() {
        for (method, path, passes) in [
            (Method::POST, "/api/v1/namespaces", false),
            (Method::PATCH, "/api/v1/namespaces/a", false),
            (Method::DELETE, "/api/v1/namespaces/a", false),
            (Method::GET, "/api/v1/namespaces", true),
            (Method::PUT, LEASE, true),
        ] {
            let (open, sent) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
            let (opened, sends) = (open.clone(), sent.clone());
            let inner = tower::service_fn(move |_: Request<()>| {
                let (opened, sends) = (opened.clone(), sends.clone());
                async move {
                    opened.notified().await;
                    sends.store(true, Ordering::Relaxed);
                    Ok::<_, BoxError>(())
                }
            });
            let leadership = Arc::new(Leadership::elected());
            let term = Duration::from_secs(10);
            leadership.extend(Instant::now() + term);
            let request = Request::builder().method(&method).uri(path).body(()).unwrap();
            let mut call = Fenced::new(inner, leadership).call(request);
            assert!(poll!(&mut call).is_pending(), "{method} {path}");
            tokio::time::advance(term).await;
            open.notify_one();
            assert_eq!(call.await.is_ok(), passes, "{method} {path}");
            assert_eq!(sent.load(Ordering::Relaxed), passes, "{method} {path}");
        }
    }

    #[tokio::test]
    async fn only_who_leads_writes() {
        let sent = async |leadership: Leadership| {
            let inner = tower::service_fn(|_: Request<()>| async { Ok::<_, BoxError>(()) });
            let request = Request::post("/api/v1/namespaces").body(()).unwrap();
            Fenced::new(inner, Arc::new(leadership)).call(request).await.is_ok()
        };
        assert!(sent(Leadership::alone()).await);
        assert!(!sent(Leadership::elected()).await);
        let leads = Leadership::elected();
        leads.extend(Instant::now() + Duration::from_secs(10));
        assert!(sent(leads).await);
    }
}
