//! Who may do what: every operation of the API by everybody, and a part of the commands over the socket. That each
//! command is decided by the same table is shown beside the table, in `room::staff`.

use std::collections::BTreeSet;

use hubbub::room::{PersonId, ViewerId};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::support::client::{Client, Over};
use crate::support::server::Server;

/// Of everybody: nobody, a viewer, assistants for comments, for actions, for all, the host, the room's store,
/// somebody removed, an operator, a store of all rooms, the host of another room. `x` may, `.` may not.
const TABLE: &str = r#"
    get /me {}                                            | . x x x x x x x x x x
    get /devices {}                                       | . . . . . . . . x . .
    delete /devices/{person} {}                           | . . . . . . . . x . .
    get /rooms {}                                         | x x x x x x x x x x x
    post /rooms {"id":"made","details":{"title":"t","host":"h"}} | . . . . . . . . x . .
    get /rooms/{room} {}                                  | x x x x x x x x x x x
    patch /rooms/{room} {}                                | . . . . . x . . x . .
    delete /rooms/{room} {}                               | . . . . . x . . x . .
    get /rooms/{room}/state {}                            | x x x x x x x x x x x
    get /rooms/{room}/share {}                            | x x x x x x x x x x x
    get /rooms/{room}/qr.svg {}                           | x x x x x x x x x x x
    put /rooms/{room}/cover picture                       | . . . . . x . . x . .
    post /rooms/{room}/copy {}                            | . . . . . x . . x . .
    post /rooms/{room}/release {}                         | . . . . . . . . x . .
    post /rooms/{room}/start {}                           | . . . . x x . . x . .
    post /rooms/{room}/pause {}                           | . . . . x x . . x . .
    post /rooms/{room}/resume {}                          | . . . . x x . . x . .
    post /rooms/{room}/end {}                             | . . . . x x . . x . .
    post /rooms/{room}/undo-end {}                        | . . . . x x . . x . .
    get /rooms/{room}/results {}                          | . . x x x x . . x . .
    get /rooms/{room}/results.csv {}                      | . . x x x x . . x . .
    get /rooms/{room}/comments {}                         | . . x . x x . . x . .
    post /rooms/{room}/comments {"nonce":"1","text":"t"}  | . . x . x x . . x . .
    delete /rooms/{room}/comments/{comment} {}            | . . x . x x . . x . .
    delete /rooms/{room}/viewers/{viewer}/comments {}     | . . x . x x . . x . .
    post /rooms/{room}/deletions/{deletion}/undo {}       | . . x . x x . . x . .
    put /rooms/{room}/viewers/{viewer}/mute {"for_ms":10000} | . . x . x x . . x . .
    delete /rooms/{room}/viewers/{viewer}/mute {}         | . . x . x x . . x . .
    put /rooms/{room}/pin {"comment":1}                   | . . x . x x . . x . .
    delete /rooms/{room}/pin {}                           | . . x . x x . . x . .
    patch /rooms/{room}/modes {}                          | . . x . x x . . x . .
    put /rooms/{room}/blocked-words {"words":[]}          | . . x . x x . . x . .
    get /rooms/{room}/draws {}                            | x x x x x x x x x x x
    put /rooms/{room}/draws/{draw} {"prize":"p","winners":1,"open_ms":5000,"eligibility":{"present":{}}} | . . . x x x . . x . .
    post /rooms/{room}/draws/{draw}/open {}               | . . . x x x . . x . .
    post /rooms/{room}/draws/{draw}/lock {}               | . . . x x x . . x . .
    post /rooms/{room}/draws/{draw}/cancel {"reason":"r"} | . . . x x x . . x . .
    post /rooms/{room}/draws/{draw}/redraw {}             | . . . x x x . . x . .
    post /rooms/{room}/draws/{draw}/entries/{entry}/strike {"reason":"r"} | . . . x x x . . x . .
    get /rooms/{room}/draws/{draw}/transcript {}          | x x x x x x x x x x x
    get /rooms/{room}/draws/{draw}/winners {}             | . . . . . x . . x . .
    get /rooms/{room}/draws/{draw}/winners.csv {}         | . . . . . x . . x . .
    put /rooms/{room}/draws/{draw}/winners/{entry}/sent {"sent":true} | . . . x x x . . x . .
    delete /rooms/{room}/draws/{draw} {}                  | . . . x x x . . x . .
    get /rooms/{room}/discounts {}                        | x x x x x x x x x x x
    put /rooms/{room}/discounts/{discount} {"terms":{"title":"t","off":{"percent":10},"quota":1,"closes":"with_show"},"codes":{"pasted":{}}} | . . . x x x . . x . .
    post /rooms/{room}/discounts/{discount}/codes list    | . . . x x x . . x . .
    post /rooms/{room}/discounts/{discount}/open {}       | . . . x x x . . x . .
    get /rooms/{room}/discounts/{discount}/codes.csv {}   | . . . . . x . . x . .
    get /rooms/{room}/discounts/{discount}/claims {}      | . . . . . x . . x . .
    get /rooms/{room}/discounts/{discount}/claims.csv {}  | . . . . . x . . x . .
    post /rooms/{room}/discounts/{discount}/close {}      | . . . x x x . . x . .
    delete /rooms/{room}/discounts/{discount} {}          | . . . x x x . . x . .
    post /rooms/{room}/check {"code":"c"}                 | . . . x x x x . x x .
    post /rooms/{room}/redeem {"code":"c","order":"o"}    | . . . x x x x . x x .
    get /rooms/{room}/staff {}                            | . . . . . x . . x . .
    delete /rooms/{room}/staff/{person} {}                | . . . . . x . . x . .
    post /rooms/{room}/stores {"name":"Shop"}             | . . . . . x . . x . .
    post /rooms/{room}/invitations {"id":"i","role":"host","name":"Hoa"} | . . . . . x . . x . .
    delete /rooms/{room}/invitations/{invitation} {}      | . . . . . x . . x . .
    get /viewers/{identity} {}                            | . . . . . . . . x . .
    delete /viewers/{identity} {}                         | . . . . . . . . x . .
    get /rooms/{room}/viewers/{viewer}/data {}            | . . . . . . . . x . .
    delete /rooms/{room}/viewers/{viewer}/data {}         | . . . . . . . . x . .
    post /rooms/{room}/handover {}                        | . x . . . . . . . . .
"#;

/// They look at the code in the body, whoever asks.
const BY_CODE: [&str; 3] = [
    "post /sign-in",
    "post /handover",
    "post /rooms/{room}/invitations/accept",
];

/// Everybody's token, in the order of [`TABLE`].
async fn everybody(server: &Server) -> Vec<String> {
    let host = server.live_room("show").await;
    let other = server.room("other").await;
    let app = &server.serving.app;
    let now = app.clock.now();
    let store = server
        .post("/rooms/show/stores", &host, json!({"name": "Shop"}))
        .await
        .is(201);
    let removed = server.join("show", json!("host"), "Gone").await;
    let gone = server.get("/me", &removed).await.is(200);
    let gone = format!("/rooms/show/staff/{}", gone["staff"]["person"].as_str().unwrap());
    server.delete(&gone, &host).await.is(200);
    vec![
        String::new(),
        app.auth.viewer_token(ViewerId(7), now),
        server.join("show", json!({"assistant": "comments"}), "Mia").await,
        server.join("show", json!({"assistant": "actions"}), "Tom").await,
        server.join("show", json!({"assistant": "all"}), "Lin").await,
        host,
        store["token"].as_str().unwrap().to_owned(),
        removed,
        server.operator.clone(),
        app.auth.all_rooms_store_token(PersonId(98), now).token,
        other,
    ]
}

/// An operation's method, its address with what stands in the braces filled in, and its body.
fn request(server: &Server, operation: &str, token: &str) -> reqwest::RequestBuilder {
    let mut parts = operation.splitn(3, ' ');
    let (method, path, body) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let values = [
        ("room", "show"),
        ("person", "0123456789abcdef0123456789abcdef"),
        ("identity", "0123456789abcdef0123456789abcdef"),
        ("draw", "d"),
        ("discount", "d"),
    ];
    let path = values.iter().fold(path.to_owned(), |path, (name, value)| {
        path.replace(&format!("{{{name}}}"), value)
    });
    let path = ["entry", "comment", "deletion", "viewer", "invitation"]
        .iter()
        .fold(path, |path, name| path.replace(&format!("{{{name}}}"), "1"));
    let request = server.request(
        Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
        &path,
        token,
    );
    match body {
        "picture" => request.header(CONTENT_TYPE, "image/png").body("no picture"),
        "list" => request.header(CONTENT_TYPE, "text/csv").body("A-1\n"),
        body => request.json(&serde_json::from_str::<Value>(body).unwrap()),
    }
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let rows = table.lines().map(str::trim).filter(|row| !row.is_empty());
    rows.map(|row| {
        let (what, marks) = row.rsplit_once(" | ").unwrap();
        (what.trim(), marks.split_whitespace().collect())
    })
}

#[tokio::test]
async fn every_operation_is_open_to_exactly_these() {
    let server = Server::start().await;
    let tokens = everybody(&server).await;
    for (operation, marks) in rows(TABLE) {
        assert_eq!(marks.len(), tokens.len(), "{operation}");
        for (who, (token, mark)) in tokens.iter().zip(marks).enumerate() {
            let told = server.send(request(&server, operation, token)).await;
            let body = String::from_utf8_lossy(&told.body).into_owned();
            let asked_who = token.is_empty() && told.status == 401 && body.contains("\"bad_token\"");
            let refused = asked_who || told.status == 403 && body.contains("\"not_allowed\"");
            assert_eq!(refused, mark == ".", "{operation} by {who}: {} {body}", told.status);
            assert!(!told.status.is_server_error(), "{operation} by {who}: {body}");
        }
    }
}

#[tokio::test]
async fn no_operation_is_missing_in_the_table() {
    let server = Server::start().await;
    let document = server.get("/openapi.json", "").await.is(200);
    let name = |operation: &str| operation.splitn(3, ' ').take(2).collect::<Vec<_>>().join(" ");
    let listed: BTreeSet<_> = rows(TABLE)
        .map(|(operation, _)| name(operation))
        .chain(BY_CODE.map(str::to_owned))
        .collect();
    let mut documented = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let path = path.strip_prefix("/api/v1").unwrap();
        documented.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| format!("{method} {path}")),
        );
    }
    assert_eq!(listed, documented);
}

/// Commands over the socket: by a viewer, assistants for comments, for actions, for all, the host, an operator.
const SOCKET: &str = r#"
    rename {"name":"Ann"}             | x . . . . .
    claim {"discount":"d","unit":1}   | x . . . . .
    enter_draw {"draw":"d"}           | x . . . . .
    comment {"nonce":"n","text":"t"}  | x x . x x x
    delete {"comment":1}              | . x . x x x
    mute {"viewer":99,"for_ms":10000} | . x . x x x
    set_modes {}                      | . x . x x x
    open_draw {"draw":"d"}            | . . x x x x
    add_codes {"discount":"d","codes":["a"]} | . . x x x x
    redeem {"code":"c","order":"o"}   | . . x x x x
    pause {}                          | . . . x x x
    change {}                         | . . . . x x
    invite {"id":"i","role":"host","name":"Hoa"} | . . . . x x
    remove_staff {"person":"00000000000000000000000000000001"} | . . . . x x
    create {"details":{"title":"t","host":"h","kind":"video","access":"public"}} | . . . . . .
"#;

#[tokio::test]
async fn over_the_socket_the_same_is_open_to_the_same() {
    let server = Server::start().await;
    let tokens = everybody(&server).await;
    let mut clients = Vec::new();
    for token in [1, 2, 3, 4, 5, 8].map(|who| &tokens[who]) {
        let joined = Client::join(server.address, "show", json!({"token": token})).await;
        clients.push(joined.unwrap());
    }
    for (command, marks) in rows(SOCKET) {
        let (cmd, args) = command.split_once(' ').unwrap();
        assert_eq!(marks.len(), clients.len(), "{command}");
        for (who, (client, mark)) in clients.iter_mut().zip(marks).enumerate() {
            let told = client.ask(cmd, serde_json::from_str(args).unwrap()).await;
            let refused = told.as_ref().is_err_and(|problem| problem.code == "not_allowed");
            assert_eq!(refused, mark == ".", "{command} by {who}: {told:?}");
        }
    }
    for (who, code) in [(6, 4503), (7, 4502), (9, 4503), (10, 4503)] {
        let joined = Client::join(server.address, "show", json!({"token": tokens[who]})).await;
        assert_eq!(
            joined.err(),
            Some(Over::Closed(code)),
            "{who} has no business on a socket"
        );
    }
    let peek = json!({"token": tokens[1], "feed": "backstage"});
    let peek = Client::join(server.address, "show", peek).await;
    assert_eq!(peek.err(), Some(Over::Closed(4503)), "a viewer stays on this side");
}
