//! The README's nginx block, as it stands there, in front of a server.

use std::process::{Child, Command, Stdio};

use hubbub::config::Options;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::raw::{close_code, converse, get, handshake, hello, websocket_with};
use crate::support::server::Server;

struct Nginx {
    child: Child,
    _folder: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It has no children of its own, see `master_process`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn block() -> String {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("is there");
    let (_, from) = readme.split_once("```nginx\n").expect("a block for nginx");
    from.split_once("```").expect("its end").0.to_owned()
}

/// None where there is no nginx.
fn start(block: &str) -> Option<Nginx> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}{block}}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).expect("writes");
    let mut command = Command::new("nginx");
    command
        .arg("-p")
        .arg(folder.path())
        .args(["-c", "nginx.conf", "-e", "stderr"])
        .stdin(Stdio::null());
    match command.spawn() {
        Ok(child) => Some(Nginx { child, _folder: folder }),
        Err(error) => {
            eprintln!("not tested: nginx cannot be run: {error}");
            None
        }
    }
}

#[tokio::test]
async fn the_readmes_nginx_block_carries_pages_and_sockets_and_hides_the_metrics() {
    let server = Server::with(Options {
        trusted_proxy: Some(vec!["127.0.0.1".to_owned()]),
        ..Options::default()
    })
    .await;
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let front = free.local_addr().expect("an address");
    drop(free);
    let block = block()
        .replace("127.0.0.1:8080", &server.address.to_string())
        .replace("listen 80;", &format!("listen {front};"));
    let Some(_nginx) = start(&block) else { return };
    let begun = async { while TcpStream::connect(front).await.is_err() {} };
    timeout(PATIENCE, begun).await.expect("nginx listens");

    assert_eq!(get(front, "/readyz", "").await.status, 200);
    assert_eq!(get(front, "/metrics", "").await.status, 403);
    let page = get(front, "/nothing", "").await;
    let policy = page.header("Content-Security-Policy").expect("a policy");
    assert!(policy.contains(&format!("ws://{front}")), "{policy}");

    let origin = format!("Origin: http://{front}\r\n");
    let mut websocket = websocket_with(front, "nosuchroom", &origin).await;
    websocket.write_all(&hello()).await.expect("writes");
    assert_eq!(close_code(&mut websocket).await, Some(4500));
    let foreign = format!("Origin: http://{}\r\nConnection: close\r\n", server.address);
    let (answer, _) = converse(front, &handshake(front, "nosuchroom", &foreign)).await;
    assert_eq!(answer.status, 403, "{answer:?}");
}
