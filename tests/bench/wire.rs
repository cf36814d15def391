//! HTTP/1.1 over TLS with nothing around it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

/// Where the API server is, and who asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Such as `https://127.0.0.1:12345`.
    pub url: String,
    /// The certificate authority, as a PEM file.
    pub ca_file: PathBuf,
    /// The bearer token.
    pub token: String,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Such as `POST`.
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// As JSON; empty for none.
    pub body: String,
}

/// A connection: HTTP/1.1, kept alive.
pub struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
    bearer: String,
}

impl Connection {
    /// Connects.
    pub async fn open(target: &Target) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(&target.ca_file)? {
            roots.add(certificate?)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let host = target.url.strip_prefix("https://").context("no https URL")?.to_owned();
        let name = ServerName::try_from(host.split(':').next().unwrap_or_default().to_owned())?;
        let tcp = TcpStream::connect(&host).await?;
        tcp.set_nodelay(true)?;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
        let (sender, connection) = handshake(TokioIo::new(tls)).await?;
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host,
            bearer: format!("Bearer {}", target.token),
        })
    }

    /// Sends a call, and answers with the reply once its head is there.
    pub async fn begin(&mut self, call: &Call) -> Result<Response<Incoming>> {
        // The fields that kube's client sends, for the operator.
        let kind = match call.method.as_str() {
            "PATCH" if call.uri.contains("force=") => "application/apply-patch+yaml",
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let request = Request::builder()
            .method(call.method.as_str())
            .uri(&call.uri)
            .header(header::HOST, &self.host)
            .header(header::AUTHORIZATION, &self.bearer)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, kind)
            .body(Full::new(Bytes::from(call.body.clone())))?;
        self.sender.ready().await?;
        let reply = self.sender.send_request(request).await?;
        if !reply.status().is_success() {
            let status = reply.status();
            let text = reply.into_body().collect().await?.to_bytes();
            bail!(
                "{} {}: {status}: {}",
                call.method,
                call.uri,
                String::from_utf8_lossy(&text)
            );
        }
        Ok(reply)
    }

    /// Sends a call and reads the whole reply.
    pub async fn send(&mut self, call: &Call) -> Result<Bytes> {
        let reply = self.begin(call).await?;
        Ok(reply.into_body().collect().await?.to_bytes())
    }
}

impl Call {
    /// A GET.
    pub fn get(uri: impl Into<String>) -> Self {
        Self {
            method: "GET".to_owned(),
            uri: uri.into(),
            body: String::new(),
        }
    }
}

/// The lines of a watch.
pub struct Lines {
    body: Incoming,
    rest: Vec<u8>,
}

impl Lines {
    /// Of the reply to a watch.
    pub fn new(body: Incoming) -> Self {
        Self { body, rest: Vec::new() }
    }

    /// The whole lines of what comes next; `None` once the watch has ended.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                self.rest.extend_from_slice(&data);
            }
            if let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') {
                let rest = self.rest.split_off(end + 1);
                return Ok(Some(std::mem::replace(&mut self.rest, rest)));
            }
        }
    }
}
