use std::convert::Infallible;

use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::engine::testing;

/// What a worker works with, with a client of which a request for `bad` panics, and any other is answered. The paths of
/// the requests come out of the receiver.
fn context() -> (Arc<Context>, Receiver<String>) {
    let (sender, receiver) = channel(16);
    let service = tower::service_fn(move |request: Request<Body>| {
        let sender = sender.clone();
        async move {
            let path = request.uri().path().to_owned();
            let panics = path.contains("/bad/");
            sender.send(path).await.unwrap();
            assert!(!panics, "as the test wants it");
            let written = json!({"metadata": {"name": "good", "resourceVersion": "2"}});
            Ok::<_, Infallible>(Response::new(Body::from(written.to_string().into_bytes())))
        }
    });
    let context = testing::context(Client::new(service, "default"));
    (Arc::new(context), receiver)
}

/// The path of the next request, which comes within two of the longest pauses.
async fn next(asked: &mut Receiver<String>) -> String {
    let next = tokio::time::timeout(LONGEST_RETRY * 2, asked.recv()).await;
    next.expect("nobody works any more").unwrap()
}

/// D2.
#[tokio::test(start_paused = true)]
async fn what_panics_is_contained_and_counted_and_tried_again_later_while_the_worker_goes_on() {
    let (context, mut asked) = context();
    for name in ["bad", "good"] {
        let object = json!({
            "metadata": {"name": name, "uid": name, "resourceVersion": "1", "generation": 1},
            "spec": {"namespaceSelector": {}},
        });
        let mut index = context.index.lock();
        index.baseline_seen(name, baselines::judge(None, &object));
        drop(index);
        context.queue.push(Key::Baseline(name.into()), Lane::Status);
    }
    let begin = Instant::now();
    let working = tokio::spawn(worker(context.clone()));
    assert!(next(&mut asked).await.ends_with("/bad/status"));
    assert!(next(&mut asked).await.ends_with("/good/status"));
    assert_eq!(context.metrics.panics.get(), 1);
    assert!(begin.elapsed() < FIRST_RETRY, "{:?}", begin.elapsed());
    assert!(next(&mut asked).await.ends_with("/bad/status"));
    assert!(begin.elapsed() >= LONGEST_RETRY, "{:?}", begin.elapsed());
    assert_eq!(context.metrics.statuses.get(), 1);
    assert!(!working.is_finished());
}
