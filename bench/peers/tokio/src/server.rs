//! A TCP echo server, a task a connection.

use crate::{cpu_time, value};
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task;

async fn serve_one(mut connection: TcpStream) {
    let mut buffer = [0u8; 4096];
    while let Ok(n) = connection.read(&mut buffer).await {
        if n == 0 || connection.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// Serves while BENCH_LOAD loads us, which writes what it sees to our results.
pub async fn echo(connections: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listen");
    let port = listener.local_addr().expect("no address").port();
    task::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            connection.set_nodelay(true).expect("nodelay");
            task::spawn(serve_one(connection));
        }
    });
    let cpu = cpu_time();
    // The harness's descriptor is 3 there, too: it is inherited, for nobody set close-on-exec.
    let load = std::env::var("BENCH_LOAD").expect("no BENCH_LOAD");
    let mut child = Command::new(load)
        .args(["echo", &port.to_string(), &connections.to_string()])
        .stdin(Stdio::null())
        .spawn()
        .expect("the load cannot be run");
    let status = task::spawn_blocking(move || child.wait()).await.expect("wait");
    assert!(status.expect("wait").success(), "the load failed");
    value("server_cpu", "s", (cpu_time() - cpu).as_secs_f64());
}
