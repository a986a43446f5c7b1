//! Secrets stay in the journal: a whole show is played on a live process, and everything that it gives out, but
//! to the one whom it concerns, is searched for them.

use std::path::Path;

use futures_util::{SinkExt, StreamExt};
use hubbub::protocol::Encoding;
use hubbub::room::Answer;
use hubbub::room::stage::StageEvent;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::client::{Client, Over};
use crate::support::process::Process;

const CONTACT: [(&str, &str); 2] = [("name", "Canary Li"), ("address", "7 Canary Street")];
const COMMENT: &str = "a canary sings";

/// Something that was given out.
struct Place {
    path: String,
    /// Whose token opened it.
    whose: &'static str,
    bytes: Vec<u8>,
}

/// Something that must not be, but in [`LISTED`] places.
struct Canary {
    what: What,
    forms: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Seed,
    UnclaimedCode,
    ClaimedCode,
    PrizeCode,
    Contact,
    /// Of any kind: tokens, good and bad ones, what is exchanged for one, the signing secret.
    Token,
    /// Who a viewer is in all rooms.
    Identity,
    /// What people write is shown, but not in the log.
    Comment,
}

/// All that may stand outside: where (a part of the path), what, and who may read it there.
const LISTED: &[(&str, &[What], &[&str])] = &[
    (
        "/codes.csv",
        &[What::UnclaimedCode, What::ClaimedCode],
        &["operator", "host", "assistant"],
    ),
    ("/claims", &[What::ClaimedCode], &["operator", "host", "assistant"]),
    ("/claims.csv", &[What::ClaimedCode], &["operator", "host", "assistant"]),
    ("/winners", &[What::PrizeCode, What::Contact], &["operator", "host"]),
    ("/winners.csv", &[What::PrizeCode, What::Contact], &["operator", "host"]),
    (
        "/viewers/",
        &[What::ClaimedCode, What::PrizeCode, What::Contact, What::Identity],
        &["operator"],
    ),
];

impl Canary {
    fn text(what: What, text: &str) -> Self {
        let dashless = text.replace('-', "").into_bytes();
        let forms = vec![text.as_bytes().to_vec(), dashless];
        Self { what, forms }
    }

    /// As hexadecimal digits, as a list of numbers, and as the bytes themselves.
    fn bytes(what: What, bytes: &[u8]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = serde_json::to_vec(bytes).expect("numbers");
        let forms = vec![hex.to_uppercase().into_bytes(), hex.into_bytes(), list, bytes.to_vec()];
        Self { what, forms }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms
            .iter()
            .any(|form| bytes.windows(form.len()).any(|window| window == form))
    }

    fn may_stand_in(&self, place: &Place) -> bool {
        let listed = LISTED.iter().any(|(path, what, whose)| {
            place.path.contains(path) && what.contains(&self.what) && whose.contains(&place.whose)
        });
        listed || self.what == What::Comment && !matches!(place.path.as_str(), "log" | "/metrics")
    }
}

/// Follows a feed to the end of the server, and gives all that was sent.
async fn tap(server: &Process, encoding: Encoding, feed: &str, token: Option<&str>) -> JoinHandle<Vec<u8>> {
    let mut request = format!("ws://{}/ws/show", server.address)
        .into_client_request()
        .expect("a URL");
    let subprotocol = encoding.subprotocol().parse().expect("a header");
    request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
    let (mut socket, _) = connect_async(request).await.expect("a handshake");
    let hello = json!({"id": 1, "cmd": "hello", "args": {"feed": feed, "token": token, "preview": true}});
    let hello = match encoding {
        Encoding::Json => Frame::text(hello.to_string()),
        Encoding::MessagePack => Frame::binary(encoding.encode(&hello)),
    };
    socket.send(hello).await.expect("open");
    // What follows is the state at its joining, and then all that happens.
    let joined = socket.next().await.expect("an answer").expect("an answer").into_data();
    let state = socket.next().await.expect("a state").expect("a state").into_data();
    let mut all = [joined, state].concat();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = socket.next().await {
            all.extend_from_slice(&frame.into_data());
        }
        all
    })
}

/// A whole show; the secrets that it leads to, but for those that only the journal knows.
async fn show(server: &Process, host: &str) -> Vec<Canary> {
    let mut canaries: Vec<_> = CONTACT
        .iter()
        .map(|(_, text)| Canary::text(What::Contact, text))
        .collect();
    canaries.push(Canary::text(What::Comment, COMMENT));
    let post = async |path: &str, body: Value| server.post(&format!("/rooms/show{path}"), host, body).await;
    let put = async |path: &str, body: Value| server.put(&format!("/rooms/show{path}"), host, body).await.is(200);
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let bob = Client::viewer(server.address, "show", "Bob").await;
    canaries.push(Canary::text(What::Token, ann.token()));
    canaries.push(Canary::text(What::Token, bob.token()));
    let keys = exchanges(server, ann.token()).await;
    canaries.extend(keys.iter().map(|key| Canary::text(What::Token, key)));
    ann.ask("comment", json!({"nonce": "1", "text": COMMENT}))
        .await
        .expect("accepted");

    for (id, codes) in [
        ("generated", json!({"generated": {}})),
        ("pasted", json!({"pasted": {}})),
        ("shared", json!({"shared": {"code": "SHARED-CANARY"}})),
    ] {
        let terms = json!({"title": id, "off": {"percent": 10}, "quota": 3, "closes": "with_show", "who": "anyone"});
        put(&format!("/discounts/{id}"), json!({"terms": terms, "codes": codes})).await;
        if id == "pasted" {
            let path = "/rooms/show/discounts/pasted/codes";
            let list = server.request("POST".parse().expect("a method"), path, host);
            let list = list
                .header("Content-Type", "text/csv")
                .body("PASTED-CANARY-1\nPASTED-CANARY-2\nPASTED-CANARY-3\n");
            server.send(list).await.is(200);
        }
        post(&format!("/discounts/{id}/open"), json!({})).await.is(200);
        let claimed = ann.ask("claim", json!({"discount": id, "unit": 1})).await;
        let Ok(Answer::Claim(claim)) = claimed else {
            panic!("{claimed:?}")
        };
        canaries.push(Canary::text(What::ClaimedCode, &claim.code));
        let all = server
            .get(&format!("/rooms/show/discounts/{id}/codes.csv"), host)
            .await
            .text(200);
        let rest = all.lines().skip(1).filter(|code| *code != claim.code);
        canaries.extend(rest.map(|code| Canary::text(What::UnclaimedCode, code)));
        if id == "generated" {
            let shop = post("/stores", json!({"name": "Shop"})).await.is(201);
            let shop = shop["token"].as_str().expect("a token");
            let order = json!({"code": claim.code, "order": "order 1"});
            assert_eq!(
                server.post("/rooms/show/redeem", shop, order).await.is(200)["outcome"],
                "ok"
            );
            canaries.push(Canary::text(What::Token, shop));
        }
    }

    for id in ["won", "coded", "hidden"] {
        // Who is asked for nothing gets a code instead.
        let (ask, readers) = match id {
            "coded" => (json!([]), None),
            _ => (json!(["name", "address"]), Some("The shop.")),
        };
        let rules = json!({
            "prize": "Lipstick", "winners": 1, "open_ms": 600_000, "eligibility": {"phrase": {"phrase": id}},
            "ask": ask, "readers": readers, "who": "anyone",
        });
        put(&format!("/draws/{id}"), rules).await;
        post(&format!("/draws/{id}/open"), json!({})).await.is(200);
        ann.ask("comment", json!({"nonce": id, "text": id}))
            .await
            .expect("an entry");
        if id == "hidden" {
            break;
        }
        post(&format!("/draws/{id}/lock"), json!({})).await.is(200);
        let revealed = |event: &StageEvent| matches!(event, StageEvent::DrawRevealed { .. }).then_some(());
        ann.until(revealed).await;
        let contact = CONTACT.map(|(ask, text)| (ask.to_owned(), json!(text)));
        let contact = Value::Object(contact.into_iter().filter(|_| id == "won").collect());
        let claim = json!({"draw": id, "contact": contact});
        ann.ask("claim_prize", claim).await.expect("Ann won");
        put(&format!("/draws/{id}/winners/1/sent"), json!({"sent": true})).await;
        let winners = server
            .get(&format!("/rooms/show/draws/{id}/winners"), host)
            .await
            .is(200);
        if let Some(code) = winners["winners"][0]["code"].as_str() {
            canaries.push(Canary::text(What::PrizeCode, code));
        }
    }
    canaries
}

/// Signs in by a link, and carries a viewer over to another device: the codes, and the tokens that they are exchanged
/// for.
async fn exchanges(server: &Process, viewer: &str) -> Vec<String> {
    let link = server.command_line(&["token", "operator", "--link"]);
    let (_, sign_in) = link.split_once("#sign-in=").expect("a code in the fragment");
    let handover = server.post("/rooms/show/handover", viewer, json!({})).await.is(201);
    let mut keys = Vec::new();
    for (door, code) in [
        ("/sign-in", sign_in),
        ("/handover", handover["code"].as_str().expect("a code")),
    ] {
        let exchanged = server.post(door, "", json!({ "code": code })).await.is(200);
        keys.push(code.to_owned());
        keys.push(exchanged["token"].as_str().expect("a token").to_owned());
    }
    keys
}

/// Every address of the API that can be read, with every name that there is.
async fn readable(server: &Process) -> Vec<String> {
    let document = server.get("/openapi.json", "").await.is(200);
    let paths = document["paths"].as_object().expect("paths");
    let reads = paths.iter().filter(|(_, item)| item.get("get").is_some());
    let ann = server.get("/rooms/show/viewers/1/data", &server.operator).await.is(200);
    let identity = ann["viewer"].as_str().expect("an identity");
    let mut all = Vec::new();
    for (path, _) in reads {
        let path = path
            .strip_prefix("/api/v1")
            .expect("the prefix")
            .replace("{room}", "show")
            .replace("{viewer}", "1")
            .replace("{identity}", identity);
        match path {
            path if path.contains("{draw}") => {
                let names = ["won", "coded", "hidden"];
                all.extend(names.map(|draw| path.replace("{draw}", draw)));
            }
            path if path.contains("{discount}") => {
                let names = ["generated", "pasted", "shared"];
                all.extend(names.map(|discount| path.replace("{discount}", discount)));
            }
            path => all.push(path),
        }
    }
    assert!(
        all.iter().all(|path| !path.contains('{')),
        "a name of which this test does not know: {all:?}"
    );
    all
}

/// Seeds in the journal: those that were revealed, and the others.
fn seeds(data: &Path) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    fn collect(value: &Value, revealed: bool, found: &mut (Vec<Vec<u8>>, Vec<Vec<u8>>)) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if name == "seed" {
                        let seed = bytes_of(value);
                        if revealed {
                            found.0.push(seed)
                        } else {
                            found.1.push(seed)
                        }
                    }
                    collect(value, revealed || name == "revealed", found);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, revealed, found)),
            _ => {}
        }
    }
    let journal = rusqlite::Connection::open(data.join("journal.sqlite")).expect("a journal");
    let mut query = journal.prepare("SELECT events FROM records").expect("records");
    let mut found = Default::default();
    let mut rows = query.query([]).expect("records");
    while let Some(row) = rows.next().expect("a record") {
        let events: String = row.get(0).expect("text");
        collect(&serde_json::from_str(&events).expect("JSON"), false, &mut found);
    }
    let (revealed, mut hidden) = found;
    hidden.retain(|seed| !revealed.contains(seed));
    (revealed, hidden)
}

fn bytes_of(seed: &Value) -> Vec<u8> {
    match seed {
        Value::String(hex) => {
            let digits = hex.as_bytes().chunks(2);
            let pairs = digits.map(|pair| std::str::from_utf8(pair).expect("digits"));
            pairs
                .map(|pair| u8::from_str_radix(pair, 16).expect("digits"))
                .collect()
        }
        list => serde_json::from_value(list.clone()).expect("bytes"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_leaves_the_journal_but_where_it_is_listed() {
    let mut server = Process::start(&["--no-rates", "--log-filter", "trace"]);
    let host = server.live_room("show").await;
    let assistant = server.join("show", json!({"assistant": "all"}), "Assistant").await;
    let invite = json!({"role": {"assistant": "comments"}, "name": "Somebody"});
    let invited = server.post("/rooms/show/invitations", &host, invite).await.is(201);
    let invitation = invited["link"]
        .as_str()
        .and_then(|link| link.split_once("#invite="))
        .expect("a link")
        .1;
    let operator = server.operator.clone();
    let feeds = [("stage", None), ("backstage", Some(operator.as_str()))];
    let mut taps = Vec::new();
    for encoding in Encoding::ALL {
        for (feed, token) in feeds {
            taps.push((feed, tap(&server, encoding, feed, token).await));
        }
    }
    let mut canaries = show(&server, &host).await;
    for encoding in Encoding::ALL {
        for (feed, token) in feeds {
            taps.push((feed, tap(&server, encoding, feed, token).await));
        }
    }
    let forged = format!("{}.{}", host.rsplit_once('.').expect("a signature").0, "A".repeat(43));
    let refused = Client::join(server.address, "show", json!({"token": forged})).await;
    assert_eq!(refused.err(), Some(Over::Closed(4503)));
    let misplaced = format!("show?token={operator}");
    let stranger = Client::join(server.address, &misplaced, json!({})).await;
    assert!(stranger.is_ok_and(|stranger| stranger.joined.token.is_some()));
    for token in [host.as_str(), &assistant, &operator, invitation, &forged] {
        canaries.push(Canary::text(What::Token, token));
    }
    let ann = server.get("/rooms/show/viewers/1/data", &operator).await.is(200);
    canaries.push(Canary::text(
        What::Identity,
        ann["viewer"].as_str().expect("an identity"),
    ));
    let secret = std::fs::read_to_string(server.data().join("secret")).expect("made at the first start");
    canaries.push(Canary::bytes(What::Token, &bytes_of(&json!(secret.trim()))));

    let mut places = Vec::new();
    for path in readable(&server).await {
        for (whose, token) in [
            ("nobody", ""),
            ("host", &host),
            ("assistant", &assistant),
            ("operator", &operator),
            ("a forger", &forged),
        ] {
            let bytes = server.get(&path, token).await.body;
            let path = path.clone();
            places.push(Place { path, whose, bytes });
        }
        let path = format!("{path}?token={operator}");
        let bytes = server.get(&path, "").await.body;
        places.push(Place {
            path,
            whose: "nobody",
            bytes,
        });
    }
    for path in ["/metrics", "/r/show", "/c/show", "/", "/r/show/event.ics", "/nothing"] {
        for path in [path.to_owned(), format!("{path}?token={operator}")] {
            let bytes = server.page(&path).await.body;
            places.push(Place {
                path,
                whose: "nobody",
                bytes,
            });
        }
    }
    server.kill();
    for (feed, tap) in taps {
        let bytes = tap.await.expect("it ends with the server");
        let path = feed.to_owned();
        places.push(Place {
            path,
            whose: feed,
            bytes,
        });
    }
    let (_, said) = server.wait();
    let (path, bytes) = ("log".to_owned(), said.into_bytes());
    places.push(Place {
        path,
        whose: "the machine's owner",
        bytes,
    });

    // What is searched for can be found: a seed after its reveal, and what is listed.
    let (revealed, hidden) = seeds(server.data());
    let won = Canary::bytes(What::Seed, &revealed[0]);
    let feeds = places
        .iter()
        .filter(|place| place.whose == "stage" || place.whose == "backstage");
    assert!(
        feeds.clone().all(|place| won.is_in(&place.bytes)),
        "the revealed seed is in all eight"
    );
    assert_eq!(feeds.count(), 8);
    for (path, what) in LISTED
        .iter()
        .flat_map(|(path, what, _)| what.iter().map(move |what| (path, what)))
    {
        let at: Vec<_> = places
            .iter()
            .filter(|place| place.path.contains(path) && place.whose == "operator")
            .collect();
        let mut listed = canaries.iter().filter(|canary| canary.what == *what);
        let found = listed.any(|canary| at.iter().any(|place| canary.is_in(&place.bytes)));
        assert!(found, "{path} holds no {what:?}");
    }
    let log = places.last().map(|log| String::from_utf8_lossy(&log.bytes));
    assert!(log.is_some_and(|log| log.contains("serving")), "the log was read");

    assert!(!hidden.is_empty());
    canaries.extend(hidden.iter().map(|seed| Canary::bytes(What::Seed, seed)));
    assert!(canaries.len() > 20);
    let mut seen = Vec::new();
    for place in &places {
        let found = canaries
            .iter()
            .filter(|canary| canary.is_in(&place.bytes) && !canary.may_stand_in(place));
        seen.extend(found.map(|canary| {
            let form = String::from_utf8_lossy(&canary.forms[0]).into_owned();
            (place.path.as_str(), place.whose, canary.what, form)
        }));
    }
    assert!(seen.is_empty(), "{seen:#?}");
}
