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
