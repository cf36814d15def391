//! The proxy's connections: what comes in is passed on, unless a rule says otherwise.

use std::{convert::Infallible, sync::Arc};

use anyhow::{Result, anyhow};
use futures::stream;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TRANSFER_ENCODING},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{
        mpsc::{UnboundedReceiver, unbounded_channel},
        watch::Receiver,
    },
    time::{Instant, sleep_until},
};

use super::{Answer, Asked, Fault, Flow, Shared, When, rules::Ruling};

/// Any error closes the connection.
type Error = anyhow::Error;
type Reply = Response<UnsyncBoxBody<Bytes, Error>>;

/// Serves every connection that comes, for ever.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        // Head and body of a reply are two writes; together with the client's delayed acknowledgement, Nagle's algorithm
        // would make 40 ms of that.
        let _ = stream.set_nodelay(true);
        let shared = shared.clone();
        tokio::spawn(async move {
            let handler = service_fn(|request| handle(&shared, request));
            // An error is a connection that was closed, by a rule or by either end.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), handler)
                .await;
        });
    }
}

async fn handle(shared: &Shared, request: Request<Incoming>) -> Result<Reply> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let asked = Asked::of(&head.method, &head.uri, &body);
    let rule = shared.take(&asked);
    if let Some(rule) = &rule
        && let Some(answer) = before(shared, rule, &asked).await?
    {
        return Ok(answer);
    }
    // It is the API server's own name that counts now.
    head.headers.remove(HOST);
    let reply = shared
        .upstream
        .send(Request::from_parts(head, Body::from(body)))
        .await?;
    if asked.kind.verb == "watch" {
        return Ok(watched(reply, shared.flow(&asked.kind.resource)));
    }
    let (mut head, body) = reply.into_parts();
    let mut body = body.collect().await?.to_bytes();
    match rule {
        Some(rule) if head.status.is_success() => body = after(shared, &rule, &asked, body).await?,
        Some(rule)
            if matches!(
                rule.fault,
                Fault::Hold(When::After) | Fault::Drop(When::After) | Fault::Truncate
            ) =>
        {
            rule.put_back();
        }
        _ => {}
    }
    head.headers.remove(TRANSFER_ENCODING);
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    Ok(Response::from_parts(head, whole(body)))
}

/// What a rule does before the API server sees a request. Answers what the client is told, if the API server never sees
/// it.
async fn before(shared: &Shared, rule: &Ruling, asked: &Asked) -> Result<Option<Reply>> {
    match &rule.fault {
        Fault::Hold(When::Before) => {
            shared.hit(rule, asked, When::Before);
            rule.released().await?;
            Ok(None)
        }
        Fault::Drop(When::Before) => {
            shared.hit(rule, asked, When::Before);
            Err(anyhow!("dropped before it was seen"))
        }
        Fault::Answer(answer) => {
            shared.hit(rule, asked, When::Before);
            say(answer).map(Some)
        }
        Fault::Hold(When::After) | Fault::Drop(When::After) | Fault::Truncate => Ok(None),
    }
}

/// What a rule does after the API server did what was asked for. Answers the body that the client gets.
async fn after(shared: &Shared, rule: &Ruling, asked: &Asked, body: Bytes) -> Result<Bytes> {
    match &rule.fault {
        Fault::Hold(When::After) => {
            shared.hit(rule, asked, When::After);
            rule.released().await?;
            Ok(body)
        }
        Fault::Drop(When::After) => {
            shared.hit(rule, asked, When::After);
            Err(anyhow!("dropped after it was done"))
        }
        Fault::Truncate => {
            shared.hit(rule, asked, When::After);
            Ok(body.slice(..body.len() / 2))
        }
        Fault::Hold(When::Before) | Fault::Drop(When::Before) | Fault::Answer(_) => Ok(body),
    }
}

fn say(answer: &Answer) -> Result<Reply> {
    let code = StatusCode::from_u16(answer.code)?;
    let (kind, text) = if answer.html {
        let page = format!("<html><head><title>{code}</title></head><body><h1>{code}</h1></body></html>");
        ("text/html", page)
    } else {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": answer.code,
            "message": code.canonical_reason(), "reason": code.canonical_reason(),
        });
        ("application/json", status.to_string())
    };
    let mut reply = Response::builder().status(code).header(CONTENT_TYPE, kind);
    if let Some(seconds) = answer.retry_after {
        reply = reply.header(RETRY_AFTER, seconds);
    }
    Ok(reply.body(whole(text.into()))?)
}

fn whole(body: Bytes) -> UnsyncBoxBody<Bytes, Error> {
    let never = |never: Infallible| match never {};
    Full::new(body).map_err(never).boxed_unsync()
}

/// A watch, whose events are passed on as the kind's flow says at the time. The API server is read from all the while,
/// as the kernel and every buffer on the way would.
fn watched(reply: Response<Body>, flow: Receiver<Flow>) -> Reply {
    let (head, mut body) = reply.into_parts();
    let (line, events) = unbounded_channel();
    tokio::spawn(async move {
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                // The client has gone.
                () = line.closed() => return,
            };
            let Some(frame) = frame else { return };
            let broken = frame.is_err();
            if line.send((Instant::now(), frame.map_err(Error::from))).is_err() || broken {
                return;
            }
        }
    });
    let begun = flow.borrow().cuts;
    let passed = stream::unfold((events, flow), move |(mut events, mut flow)| async move {
        let mut cuts = flow.clone();
        let next = tokio::select! {
            next = due(&mut events, &mut flow) => next?,
            _ = cuts.wait_for(|flow| flow.cuts != begun) => Err(anyhow!("cut")),
        };
        Some((next, (events, flow)))
    });
    Response::from_parts(head, StreamBody::new(passed).boxed_unsync())
}

type Events = UnboundedReceiver<(Instant, Result<Frame<Bytes>>)>;

/// The next event, once it may be passed on.
async fn due(events: &mut Events, flow: &mut Receiver<Flow>) -> Option<Result<Frame<Bytes>>> {
    let (came, frame) = events.recv().await?;
    // Nothing can be waited for if the proxy is gone.
    let delay = flow.wait_for(|flow| !flow.frozen).await.ok()?.delay;
    sleep_until(came + delay).await;
    Some(frame)
}
