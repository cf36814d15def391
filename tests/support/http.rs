//! Plain HTTP to the operator's own port.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A port on 127.0.0.1 that nobody listens on, and that this process gives nobody else.
///
/// It lies below the range from which the kernel gives ports to outgoing connections, so that none of the many
/// connections of a test run takes it before its owner listens.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16> {
    const LOWEST: u16 = 10_000;
    const COUNT: u16 = 22_000;
    // Test processes that run beside each other begin at different places.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id().wrapping_mul(7919) % u32::from(COUNT))?;
    (0..COUNT)
        .map(|_| LOWEST + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT) % COUNT)
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .context("no port is free")
}

/// Gets `path` from an HTTP server on 127.0.0.1: the status code and the body.
///
/// # Errors
/// When nobody listens, or what answers is no HTTP.
pub async fn http_get(port: u16, path: &str) -> Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    // With HTTP/1.0 the body ends with the connection, so there are no chunks to decode.
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await?;
    let reply = String::from_utf8(reply)?;
    let (head, body) = reply.split_once("\r\n\r\n").context("the reply has no head")?;
    let code = head.split_whitespace().nth(1).context("the reply has no status")?;
    Ok((code.parse()?, body.to_owned()))
}
