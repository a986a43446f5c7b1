//! Each limit refuses what is beyond it, by its own code, is counted under its option's name, and leaves others alone.

use std::net::SocketAddr;
use std::time::Instant;

use hubbub::config::Options;
use hubbub::protocol::Close;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use crate::support::PATIENCE;
use crate::support::client::{Client, Over};
use crate::support::process::Process;
use crate::support::raw::{close_code, converse, handshake, hello, joined, websocket_with};
use crate::support::server::Server;

const FULL: Over = Over::Closed(4501);
/// Longer than a comment may be, so that no room's own rates are asked.
const LONG: usize = 1_000;

/// A server for which no address is exempt, with a show on air.
async fn limited(options: Options) -> Server {
    let exempt = Some(Vec::new());
    let server = Server::with(Options { exempt, ..options }).await;
    server.live_room("show").await;
    server
}

/// How often a limit has refused something; asked without a socket.
fn hits(server: &Server, limit: &str) -> u64 {
    let metrics = server.serving.app.metrics.text().expect("metrics");
    let name = format!("hubbub_limit_hits_total{{limit=\"{limit}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
    value
        .and_then(|value| value.parse().ok())
        .expect("all limits are there")
}

async fn join(address: SocketAddr, hello: Value) -> Result<Client, Over> {
    Client::join(address, "show", hello).await
}

#[tokio::test]
async fn one_viewer_has_a_few_connections_in_a_room_previews_included_and_others_their_own() {
    let server = limited(Options {
        connections_per_viewer: Some(2),
        ..Options::default()
    })
    .await;
    let address = server.address;
    let first = Client::viewer(address, "show", "Ann").await;
    let token = first.token().to_owned();
    let _second = join(address, json!({"token": token, "preview": true}))
        .await
        .expect("one more");
    assert_eq!(join(address, json!({ "token": token })).await.err(), Some(FULL));
    assert_eq!(hits(&server, "connections-per-viewer"), 1);
    for _ in 0..2 {
        Client::viewer(address, "show", "Somebody else").await;
    }
    let staff = json!({"token": server.operator, "feed": "backstage"});
    let _one = join(address, staff.clone()).await.expect("staff");
    let _other = join(address, staff.clone()).await.expect("staff");
    assert_eq!(join(address, staff).await.err(), Some(FULL));

    drop(first);
    let again = async { while join(address, json!({ "token": token })).await.is_err() {} };
    timeout(PATIENCE, again).await.expect("the place is free again");
}

#[tokio::test]
async fn who_is_exempt_by_address_may_have_many() {
    let server = Server::with(Options {
        connections_per_viewer: Some(1),
        connections_per_address: Some(1),
        handshakes_per_address: Some(1),
        ..Options::default()
    })
    .await;
    server.live_room("show").await;
    let ann = Client::viewer(server.address, "show", "Ann").await;
    for _ in 0..3 {
        join(server.address, json!({"token": ann.token()}))
            .await
            .expect("this machine is exempt");
    }
}

#[tokio::test]
async fn a_room_that_has_its_viewers_is_full_for_more_and_not_for_its_staff() {
    let server = limited(Options {
        connections_per_room: Some(1),
        ..Options::default()
    })
    .await;
    let _ann = Client::viewer(server.address, "show", "Ann").await;
    assert_eq!(join(server.address, json!({})).await.err(), Some(FULL));
    assert_eq!(hits(&server, "connections-per-room"), 1);
    join(server.address, json!({"token": server.operator}))
        .await
        .expect("staff comes in");
}

#[tokio::test]
async fn a_server_that_has_its_connections_is_full() {
    let server = limited(Options {
        connections_max: Some(1),
        ..Options::default()
    })
    .await;
    let _ann = Client::viewer(server.address, "show", "Ann").await;
    assert_eq!(join(server.address, json!({})).await.err(), Some(FULL));
    assert_eq!(hits(&server, "connections-max"), 1);
}

#[tokio::test]
async fn sockets_that_say_no_hello_are_few_by_address_and_joined_ones_are_not_among_them() {
    let server = limited(Options {
        handshakes_per_address: Some(8),
        ..Options::default()
    })
    .await;
    let mut viewers = Vec::new();
    for _ in 0..10 {
        viewers.push(joined(server.address, "show").await);
    }
    let mut silent = Vec::new();
    let refused = loop {
        let (answer, socket) = converse(server.address, &handshake(server.address, "show", "")).await;
        match answer.status {
            101 => silent.push(socket),
            _ => break answer,
        }
        assert!(silent.len() <= 8, "more than 8 say no hello");
    };
    // What made the room may still have its own connections.
    assert!(silent.len() > 4, "{} are too many", silent.len());
    assert_eq!((refused.status, refused.header("Retry-After")), (429, Some("5")));
    assert_eq!(hits(&server, "handshakes-per-address"), 1);
    silent.clear();
    let again = async {
        let good = handshake(server.address, "show", "");
        while converse(server.address, &good).await.0.status != 101 {}
    };
    timeout(PATIENCE, again).await.expect("their places are free again");
    assert_eq!(viewers.len(), 10);
}

#[tokio::test]
async fn newcomers_of_an_address_are_so_many_a_minute_and_those_who_were_there_come_back() {
    let server = limited(Options {
        newcomers_per_address: Some(5),
        ..Options::default()
    })
    .await;
    let first = Client::viewer(server.address, "show", "Ann").await;
    let token = first.token().to_owned();
    let began = Instant::now();
    let mut came = 1;
    while join(server.address, json!({})).await.is_ok() {
        came += 1;
    }
    // One more with each second that begins meanwhile.
    let most = 5 + began.elapsed().as_secs() + 1;
    assert!((5..=most).contains(&came), "{came} of at most {most}");
    assert_eq!(hits(&server, "newcomers-per-address"), 1);
    join(server.address, json!({ "token": token })).await.expect("is known");
    join(server.address, json!({"token": server.operator}))
        .await
        .expect("staff");
}

#[tokio::test]
async fn behind_a_trusted_proxy_clients_count_one_by_one_and_a_household_of_ipv6_once() {
    let server = limited(Options {
        trusted_proxy: Some(vec!["127.0.0.1".to_owned()]),
        connections_per_address: Some(1),
        ..Options::default()
    })
    .await;
    let from = async |client: &str| {
        let forwarded = format!("X-Forwarded-For: {client}\r\n");
        websocket_with(server.address, "nosuchroom", &forwarded).await
    };
    let _held = from("2001:db8::1").await;
    assert_eq!(close_code(&mut from("2001:db8::ffff:2").await).await, Some(4501));
    for other in ["2001:db8:0:1::1", "203.0.113.7", "203.0.113.8"] {
        let mut socket = from(other).await;
        socket.write_all(&hello()).await.expect("open");
        assert_eq!(close_code(&mut socket).await, Some(4500), "{other}");
    }
    assert_eq!(hits(&server, "connections-per-address"), 1);
}

/// How many of so many requests are not refused for being too fast; each has this many bytes and more.
async fn taken(client: &mut Client, requests: usize, bytes: usize) -> usize {
    let mut taken = 0;
    for nonce in 0..requests {
        // Too long for a comment: what matters is what comes first.
        let comment = json!({"nonce": nonce.to_string(), "text": "x".repeat(bytes)});
        let problem = client.ask("comment", comment).await.expect_err("it is too long");
        let too_fast = problem.code == "rate_limited";
        assert_eq!(problem.retry_after_ms, too_fast.then_some(1_000), "{problem:?}");
        taken += usize::from(!too_fast);
    }
    taken
}

/// How much of what Ann and Bob send is taken by a server with these options: so many requests each, of this many bytes.
async fn taken_of_two(options: Options, requests: usize, bytes: usize) -> (Server, usize) {
    let server = limited(options).await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let passed = taken(&mut ann, requests, bytes).await + taken(&mut bob, requests, bytes).await;
    (server, passed)
}

#[tokio::test]
async fn requests_beyond_a_viewers_rate_are_refused_over_how_many_connections_they_come() {
    let server = limited(Options {
        commands_per_viewer: Some(2),
        ..Options::default()
    })
    .await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let mut more = Vec::new();
    for _ in 0..3 {
        more.push(
            join(server.address, json!({"token": ann.token()}))
                .await
                .expect("one more"),
        );
    }
    let began = Instant::now();
    let mut passed = taken(&mut ann, 20, LONG).await;
    for other in &mut more {
        passed += taken(other, 20, LONG).await;
    }
    // Three seconds' worth at once, and two with each second that begins meanwhile.
    let most = 6 + 2 * (began.elapsed().as_secs() as usize + 1);
    assert!((6..=most).contains(&passed), "{passed} of at most {most}");
    assert_eq!(hits(&server, "commands-per-viewer"), 80 - passed as u64);
    assert_eq!(taken(&mut bob, 6, LONG).await, 6);
}

#[tokio::test]
async fn who_is_exempt_by_address_may_send_much_and_from_many_connections() {
    let server = Server::with(Options {
        commands_per_address: Some(1),
        bytes_per_address: Some(64 << 10),
        commands_per_viewer: Some(2),
        ..Options::default()
    })
    .await;
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut again = join(server.address, json!({"token": ann.token()}))
        .await
        .expect("one more");
    // Each connection by itself, as a load test that drives a crowd with one token needs it.
    for client in [&mut ann, &mut again] {
        assert_eq!(taken(client, 6, 15_000).await, 6);
    }
    assert_eq!(
        hits(&server, "commands-per-address") + hits(&server, "bytes-per-address"),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_names_the_option_whose_limit_refuses() {
    let server = Process::start(&["--commands-per-viewer", "2"]);
    server.live_room("show").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    taken(&mut ann, 20, LONG).await;
    server.until_said("the limit --commands-per-viewer refuses");
}

#[tokio::test]
async fn messages_beyond_an_addresss_rate_are_refused_to_all_of_its_connections() {
    let options = Options {
        commands_per_address: Some(5),
        ..Options::default()
    };
    let (server, passed) = taken_of_two(options, 20, LONG).await;
    // Those that made the room and the hellos count, too.
    assert!((4..=25).contains(&passed), "{passed}");
    assert_eq!(hits(&server, "commands-per-address"), 40 - passed as u64);
}

#[tokio::test]
async fn an_address_does_not_begin_anew_with_a_new_connection() {
    let server = limited(Options {
        commands_per_address: Some(20),
        commands_per_viewer: Some(1_000),
        ..Options::default()
    })
    .await;
    let began = Instant::now();
    let mut passed = 0;
    for name in ["Ann", "Bob", "Eve"] {
        let mut viewer = Client::viewer(server.address, "show", name).await;
        passed += taken(&mut viewer, 60, LONG).await as u64;
        drop(viewer);
        let gone = || server.serving.app.metrics.connections.get() == 0;
        timeout(PATIENCE, async {
            while !gone() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the server sees the end");
    }
    let most = 40 + 20 * (began.elapsed().as_secs() + 1);
    assert!(passed <= most, "{passed} of at most {most}");
}

#[tokio::test]
async fn requests_to_the_rest_api_are_messages_of_their_address_and_pages_are_not() {
    let server = limited(Options {
        commands_per_address: Some(5),
        ..Options::default()
    })
    .await;
    let mut refused = 0;
    for _ in 0..40 {
        let answer = server.plain("/api/v1/rooms/show").await;
        if answer.status != 200 {
            assert_eq!((answer.status, answer.code().as_str()), (429, "rate_limited"));
            assert_eq!(answer.header("Retry-After"), Some("1"));
            refused += 1;
        }
    }
    assert!(refused >= 10, "{refused}");
    assert_eq!(hits(&server, "commands-per-address"), refused);
    for _ in 0..40 {
        assert_eq!(server.plain("/r/show").await.status, 200);
    }
}

#[tokio::test]
async fn who_sends_more_bytes_than_any_honest_client_is_closed() {
    let server = limited(Options {
        bytes_per_viewer: Some(4 << 10),
        ..Options::default()
    })
    .await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let over = loop {
        let comment = json!({"nonce": "1", "text": "x".repeat(10_000)});
        if let Err(over) = ann.try_ask("comment", comment).await {
            break over;
        }
    };
    assert_eq!(over, Over::Closed(Close::Flood.code()));
    assert_eq!(hits(&server, "bytes-per-viewer"), 1);
    assert_eq!(taken(&mut bob, 3, LONG).await, 3);
}

#[tokio::test]
async fn bytes_beyond_an_addresss_rate_are_refused() {
    let options = Options {
        bytes_per_address: Some(64 << 10),
        ..Options::default()
    };
    let (server, passed) = taken_of_two(options, 12, 15_000).await;
    // 128 KiB at once are 8 of them, each second that passes brings 4 more.
    assert!((8..=20).contains(&passed), "{passed}");
    assert_eq!(hits(&server, "bytes-per-address"), 24 - passed as u64);
}

#[tokio::test]
async fn messages_beyond_a_rooms_rate_are_refused_to_all_its_viewers_and_not_to_its_staff_or_other_rooms() {
    let server = limited(Options {
        commands_per_room: Some(5),
        ..Options::default()
    })
    .await;
    server.live_room("other").await;
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let mut bob = Client::viewer(server.address, "show", "Bob").await;
    let mut eve = Client::viewer(server.address, "other", "Eve").await;
    let mut host = join(server.address, json!({"token": server.operator}))
        .await
        .expect("staff");
    let passed = taken(&mut ann, 20, LONG).await + taken(&mut bob, 20, LONG).await;
    assert!((10..=25).contains(&passed), "{passed}");
    assert_eq!(taken(&mut host, 20, LONG).await, 20);
    assert_eq!(taken(&mut eve, 8, LONG).await, 8);
    assert_eq!(hits(&server, "commands-per-room"), 40 - passed as u64);
}

#[tokio::test]
async fn bytes_beyond_a_rooms_rate_are_refused() {
    let options = Options {
        bytes_per_room: Some(64 << 10),
        ..Options::default()
    };
    let (server, passed) = taken_of_two(options, 12, 15_000).await;
    assert!((8..=20).contains(&passed), "{passed}");
    assert_eq!(hits(&server, "bytes-per-room"), 24 - passed as u64);
}

#[tokio::test]
async fn messages_and_bytes_beyond_the_processs_rates_are_refused_in_all_rooms_and_close_nobody() {
    // None of them is one connection's fault.
    let generous = || Options {
        commands_per_viewer: Some(1_000),
        bytes_per_viewer: Some(1 << 20),
        ..Options::default()
    };
    for (limit, options, bytes) in [
        (
            "commands-max",
            Options {
                commands_max: Some(10),
                ..generous()
            },
            LONG,
        ),
        (
            "bytes-max",
            Options {
                bytes_max: Some(64 << 10),
                ..generous()
            },
            10_000,
        ),
    ] {
        let server = limited(options).await;
        server.live_room("other").await;
        let mut ann = Client::viewer(server.address, "show", "Ann").await;
        let mut eve = Client::viewer(server.address, "other", "Eve").await;
        // More refusals than one connection that is to blame may have.
        let passed = taken(&mut ann, 250, bytes).await + taken(&mut eve, 20, bytes).await;
        assert!((12..=100).contains(&passed), "{limit}: {passed}");
        assert_eq!(hits(&server, limit), 270 - passed as u64, "{limit}");
    }
}

#[tokio::test]
async fn rooms_beyond_those_that_fit_into_memory_are_refused_until_others_leave() {
    let server = limited(Options {
        rooms_max: Some(1),
        ..Options::default()
    })
    .await;
    let another = json!({"id": "another", "details": {"title": "Another", "host": "Ann"}});
    server
        .post("/rooms", &server.operator, another)
        .await
        .refused(429, "busy");
    assert_eq!(hits(&server, "rooms-max"), 1);
}
