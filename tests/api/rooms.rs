//! Rooms: from creation to removal, covers, links.

use hubbub::config::Options;
use reqwest::Method;
use reqwest::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_MATCH, X_CONTENT_TYPE_OPTIONS};
use serde_json::{Value, json};

use crate::support::picture::png;
use crate::support::rest::Told;
use crate::support::server::Server;

fn ids(list: &Value) -> Vec<&str> {
    let rooms = list["rooms"].as_array().unwrap();
    rooms.iter().map(|room| room["id"].as_str().unwrap()).collect()
}

async fn create(server: &Server, id: &str, details: Value) -> Told {
    let mut all = json!({"title": "A show", "host": "Ann"});
    all.as_object_mut()
        .unwrap()
        .extend(details.as_object().unwrap().clone());
    server
        .post("/rooms", &server.operator, json!({"id": id, "details": all}))
        .await
}

#[tokio::test]
async fn creating_again_is_a_retry_and_another_room_of_the_name_a_conflict() {
    let server = Server::start().await;
    let first = create(&server, "lipsticks", json!({})).await.is(201);
    let again = create(&server, "lipsticks", json!({})).await.is(201);
    assert_eq!(first["room"], again["room"]);
    assert_eq!(first["links"], again["links"]);
    create(&server, "lipsticks", json!({"title": "Other"}))
        .await
        .refused(409, "idempotency_conflict");
    let random = server
        .post(
            "/rooms",
            &server.operator,
            json!({"details": {"title": "A", "host": "Ann"}}),
        )
        .await;
    assert_eq!(random.is(201)["room"].as_str().unwrap().len(), 10);
}

#[tokio::test]
async fn only_an_operator_makes_rooms_and_secret_ones_have_no_chosen_name() {
    let server = Server::start().await;
    let host = server.room("lipsticks").await;
    let room = json!({"id": "other", "details": {"title": "A", "host": "Ann"}});
    server.post("/rooms", "", room.clone()).await.refused(401, "bad_token");
    server.post("/rooms", &host, room).await.refused(403, "not_allowed");
    server.get("/rooms/other", "").await.refused(404, "unknown_room");
    create(&server, "my-secret", json!({"access": "unlisted"}))
        .await
        .refused(400, "bad_field");
    create(&server, "k7m2p9q4xw", json!({"access": "unlisted"}))
        .await
        .is(201);
}

#[tokio::test]
async fn lists_show_public_shows_to_everybody_and_all_to_operators() {
    let server = Server::start().await;
    let soon = server.serving.app.clock.now().0 + 3_600_000;
    create(&server, "a-draft", json!({})).await.is(201);
    create(
        &server,
        "b-later",
        json!({"scheduled_at": soon + 1, "tags": ["Lips", "红色"]}),
    )
    .await
    .is(201);
    create(&server, "c-sooner", json!({"scheduled_at": soon})).await.is(201);
    create(
        &server,
        "k7m2p9q4xw",
        json!({"access": "unlisted", "scheduled_at": soon}),
    )
    .await
    .is(201);
    create(&server, "e-test", json!({"test": true, "scheduled_at": soon}))
        .await
        .is(201);
    server.live_room("d-live").await;

    let everybody = server.get("/rooms", "").await.is(200);
    assert_eq!(ids(&everybody), ["d-live", "c-sooner", "b-later"]);
    let all = server.get("/rooms", &server.operator).await.is(200);
    assert_eq!(all["rooms"].as_array().unwrap().len(), 6);
    let filtered = |query: &'static str| server.get(query, "");
    assert_eq!(
        ids(&filtered("/rooms?state=next").await.is(200)),
        ["c-sooner", "b-later"]
    );
    assert_eq!(ids(&filtered("/rooms?tag=%23lips").await.is(200)), ["b-later"]);
    assert_eq!(
        ids(&filtered("/rooms?tag=%E7%BA%A2%E8%89%B2").await.is(200)),
        ["b-later"]
    );
    assert_eq!(ids(&filtered("/rooms?state=draft").await.is(200)), [""; 0]);
    let first = filtered("/rooms?limit=1").await.is(200);
    assert_eq!((ids(&first), &first["more"]), (vec!["d-live"], &json!(true)));
    let second = filtered("/rooms?limit=1&after=1").await.is(200);
    assert_eq!((ids(&second), &second["more"]), (vec!["c-sooner"], &json!(true)));
    let last = filtered("/rooms?after=2").await.is(200);
    assert_eq!((ids(&last), &last["more"]), (vec!["b-later"], &json!(false)));
    for bad in [
        "/rooms?limit=0",
        "/rooms?limit=-1",
        "/rooms?state=gone",
        "/rooms?color=red",
    ] {
        filtered(bad).await.refused(400, "bad_field");
    }
}

#[tokio::test]
async fn goals_are_for_staff_only() {
    let server = Server::start().await;
    let host = server.room("lipsticks").await;
    let public = server.get("/rooms/lipsticks", "").await.text(200);
    assert!(!public.contains("goals"), "{public}");
    let state = server.get("/rooms/lipsticks/state", "").await.text(200);
    assert!(!state.contains("goals"), "{state}");
    let staff = server.get("/rooms/lipsticks", &host).await.is(200);
    assert_eq!(staff["goals"]["viewers"], 100);
    let state = server.get("/rooms/lipsticks/state", &host).await.is(200);
    assert_eq!(state["state"]["goals"]["viewers"], 100);
}

#[tokio::test]
async fn of_two_who_change_what_they_read_the_second_is_told() {
    let server = Server::start().await;
    let host = server.room("lipsticks").await;
    let read = server.get("/rooms/lipsticks", &host).await;
    let etag = read.header(ETAG).to_owned();
    let change = |title: &str| {
        let request = server.request(Method::PATCH, "/rooms/lipsticks", &host);
        request.header(IF_MATCH, &etag).json(&json!({"title": title}))
    };
    let (one, other) = tokio::join!(server.send(change("One")), server.send(change("Two")));
    let mut statuses = [one.status.as_u16(), other.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    server.send(change("Three")).await.refused(412, "precondition_failed");
    let now = server.get("/rooms/lipsticks", &host).await;
    assert_ne!(now.header(ETAG), etag);
    let fresh = now.header(ETAG).to_owned();
    server.post("/rooms/lipsticks/start", &host, json!({})).await.is(200);
    let started = server.get("/rooms/lipsticks", &host).await;
    assert_eq!(started.header(ETAG), fresh, "a state is no detail");
    server
        .patch("/rooms/lipsticks", &host, json!({"title": "Four"}))
        .await
        .is(200);
}

#[tokio::test]
async fn a_show_is_driven_to_its_end_and_the_end_taken_back() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let state = async || server.get("/rooms/lipsticks", "").await.is(200)["show"]["state"].clone();
    let act = async |what: &str| server.post(&format!("/rooms/lipsticks/{what}"), &host, json!({})).await;
    assert_eq!(state().await, "live");
    act("pause").await.is(200);
    assert_eq!(state().await, "paused");
    act("resume").await.is(200);
    server
        .get("/rooms/lipsticks/results", "")
        .await
        .refused(401, "bad_token");
    let results = server.get("/rooms/lipsticks/results", &host).await.is(200);
    assert_eq!(
        (&results["ended"], &results["summary"]["comments"]),
        (&json!(false), &json!(0))
    );
    let table = server.get("/rooms/lipsticks/results.csv", &host).await.text(200);
    assert!(table.contains("\r\nviewers,,0,,viewers\r\n"), "{table}");
    server
        .post("/rooms/lipsticks/end", &host, json!({"grace_ms": 60_000}))
        .await
        .is(200);
    assert!(server.get("/rooms/lipsticks", "").await.is(200)["show"]["ends_at"].is_u64());
    act("undo-end").await.is(200);
    assert_eq!(state().await, "live");
    server
        .delete("/rooms/lipsticks", &host)
        .await
        .refused(409, "wrong_state");
}

#[tokio::test]
async fn a_draft_and_a_test_room_can_be_removed_by_their_host() {
    let server = Server::start().await;
    let host = server.room("lipsticks").await;
    let assistant = server.join("lipsticks", json!({"assistant": "all"}), "Bob").await;
    server.delete("/rooms/lipsticks", "").await.refused(401, "bad_token");
    server
        .delete("/rooms/lipsticks", &assistant)
        .await
        .refused(403, "not_allowed");
    assert_eq!(server.delete("/rooms/lipsticks", &host).await.status, 204);
    server.get("/rooms/lipsticks", "").await.refused(404, "unknown_room");
    create(&server, "k7m2p9q4xw", json!({"test": true})).await.is(201);
    server
        .post("/rooms/k7m2p9q4xw/start", &server.operator, json!({}))
        .await
        .is(200);
    assert_eq!(server.delete("/rooms/k7m2p9q4xw", &server.operator).await.status, 204);
}

#[tokio::test]
async fn a_copy_has_what_was_prepared_and_nothing_that_happened() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let rules = json!({"prize": "Lipstick", "winners": 1, "open_ms": 60_000, "eligibility": {"watched": {"ms": 1}}});
    for draw in ["one", "two"] {
        server
            .put(&format!("/rooms/lipsticks/draws/{draw}"), &host, rules.clone())
            .await
            .is(200);
    }
    server
        .post("/rooms/lipsticks/draws/one/open", &host, json!({}))
        .await
        .is(200);
    let terms = json!({"title": "Ten", "off": {"percent": 10}, "quota": 5, "closes": "with_show"});
    let discount = json!({"terms": terms, "codes": {"shared": {"code": "AUTUMN"}}});
    server
        .put("/rooms/lipsticks/discounts/ten", &host, discount)
        .await
        .is(200);
    server
        .post("/rooms/lipsticks/discounts/ten/open", &host, json!({}))
        .await
        .is(200);

    let copied = server
        .post("/rooms/lipsticks/copy", &server.operator, json!({"title": "Again"}))
        .await
        .is(201);
    let copy = copied["room"].as_str().unwrap();
    let path = |rest: &str| format!("/rooms/{copy}{rest}");
    let room = server.get(&path(""), "").await.is(200);
    assert_eq!(
        (&room["show"]["details"]["title"], &room["show"]["state"]),
        (&json!("Again"), &json!("draft"))
    );
    let draws = server.get(&path("/draws"), &server.operator).await.is(200);
    assert_eq!(
        (&draws["opened"], draws["prepared"].as_array().unwrap().len()),
        (&json!([]), 2)
    );
    let discounts = server.get(&path("/discounts"), &server.operator).await.is(200);
    assert_eq!(discounts["prepared"][0]["terms"]["title"], "Ten");
    let codes = server
        .get(&path("/discounts/ten/codes.csv"), &server.operator)
        .await
        .text(200);
    assert_eq!(codes, "code\r\nAUTUMN\r\n");
}

#[tokio::test]
async fn a_host_runs_their_show_again_and_is_the_host_of_the_copy() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let terms = json!({"title": "Ten", "off": {"percent": 10}, "quota": 5, "closes": "with_show"});
    let discount = json!({"terms": terms, "codes": {"shared": {"code": "AUTUMN"}}});
    let path = "/rooms/lipsticks/discounts/ten";
    server.put(path, &host, discount).await.is(200);
    let copy = async |id: &str| {
        let copied = server.post("/rooms/lipsticks/copy", &host, json!({ "id": id })).await;
        copied.is(201)["token"]["token"].as_str().unwrap().to_owned()
    };
    copy("again").await;
    let token = copy("again").await;
    let discounts = server.get("/rooms/again/discounts", &token).await.is(200);
    assert_eq!(discounts["prepared"][0]["terms"]["title"], "Ten");
    server.post("/rooms/again/start", &token, json!({})).await.is(200);
    let staff = server.get("/rooms/again/staff", &token).await.is(200);
    assert_eq!(
        (staff["members"].as_array().unwrap().len(), &staff["members"][0]["role"]),
        (1, &json!("host"))
    );
    server
        .post("/rooms/lipsticks/start", &token, json!({}))
        .await
        .refused(403, "not_allowed");

    let assistant = server.join("lipsticks", json!({"assistant": "all"}), "Bob").await;
    for other in [&assistant, &token] {
        let refused = server.post("/rooms/lipsticks/copy", other, json!({})).await;
        refused.refused(403, "not_allowed");
    }
    for _ in 2..20 {
        copy("again").await;
    }
    server
        .post("/rooms/lipsticks/copy", &host, json!({}))
        .await
        .refused(429, "rate_limited");
}

#[tokio::test]
async fn a_cover_is_known_by_its_content_and_served_for_ever() {
    let server = Server::start().await;
    let host = server.room("lipsticks").await;
    let upload = async |token: &str, kind: &str, body: Vec<u8>| {
        let request = server.request(Method::PUT, "/rooms/lipsticks/cover", token);
        server.send(request.header(CONTENT_TYPE, kind).body(body)).await
    };
    upload(&host, "image/jpeg", png(9)).await.is(200);
    let room = server.get("/rooms/lipsticks", "").await.is(200);
    let cover = &room["show"]["details"]["cover"];
    assert_eq!((&cover["width"], &cover["height"]), (&json!(1), &json!(1)));
    let file = cover["file"].as_str().unwrap();
    let served = server.page(&format!("/covers/{file}")).await;
    assert_eq!(served.header(CONTENT_TYPE), "image/png");
    assert_eq!(served.header(X_CONTENT_TYPE_OPTIONS), "nosniff");
    assert!(served.header(CACHE_CONTROL).contains("immutable"));
    assert!(!served.body.windows(6).any(|window| window == b"Author"));

    // As large as pieces of several sizes, and in none whole.
    let large = png(300_000);
    let served = server
        .page(&server.cover("lipsticks", &host, large.clone()).await)
        .await;
    let told = served.body.len() + b"....tEXtAuthor\0Ann....".len();
    assert_eq!(
        (served.header(CONTENT_LENGTH), told),
        (served.body.len().to_string().as_str(), large.len())
    );
    assert!(large.ends_with(&served.body[100..]), "all pieces, in their order");

    upload(&host, "image/png", b"<svg onload='alert(1)'/>".to_vec())
        .await
        .refused(400, "bad_body");
    upload(&host, "image/svg+xml", b"<svg/>".to_vec())
        .await
        .refused(415, "unsupported_media_type");
    upload(&host, "image/png", vec![0; (5 << 20) + 1])
        .await
        .refused(413, "too_large");
    upload("", "image/png", png(9)).await.refused(401, "bad_token");
    let assistant = server.join("lipsticks", json!({"assistant": "all"}), "Bob").await;
    upload(&assistant, "image/png", png(9))
        .await
        .refused(403, "not_allowed");
    for path in [
        "/covers/../secret",
        "/covers/..%2fsecret",
        "/covers/%2e%2e/secret",
        "/covers/x.png",
        "/covers/secret",
        "/covers/a%00.png",
    ] {
        let answer = server.plain(path).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn links_follow_the_address_at_which_the_page_was_opened() {
    let server = Server::with(Options {
        trusted_proxy: Some(vec!["127.0.0.1".to_owned()]),
        ..Options::default()
    })
    .await;
    server.room("lipsticks").await;
    let share = server.get("/rooms/lipsticks/share", "").await.is(200);
    assert_eq!(share["viewer"], json!(server.url("/r/lipsticks")));
    assert_eq!(share["loopback"], true);
    assert!(share["hint"].as_str().unwrap().contains("--listen 0.0.0.0"), "{share}");
    let request = server.request(Method::GET, "/rooms/lipsticks/share", "");
    let forwarded = request
        .header("x-forwarded-host", "live.example")
        .header("x-forwarded-proto", "https");
    let share = server.send(forwarded).await.is(200);
    assert_eq!(share["viewer"], "https://live.example/r/lipsticks");
    assert_eq!((&share["loopback"], share.get("hint")), (&json!(false), None));
    let qr = server.get("/rooms/lipsticks/qr.svg?for=control", "").await;
    assert_eq!(qr.header(CONTENT_TYPE), "image/svg+xml");
    assert!(qr.text(200).starts_with("<svg"));
    server
        .get("/rooms/nosuchroom/qr.svg", "")
        .await
        .refused(404, "unknown_room");
}

#[tokio::test]
async fn a_show_with_a_date_goes_into_the_calendar() {
    let server = Server::start().await;
    server.room("lipsticks").await;
    assert_eq!(server.page("/r/lipsticks/event.ics").await.status, 404);
    let soon = server.serving.app.clock.now().0 + 3_600_000;
    server
        .patch("/rooms/lipsticks", &server.operator, json!({"scheduled_at": soon}))
        .await
        .is(200);
    let event = server.page("/r/lipsticks/event.ics").await;
    assert_eq!(event.header(CONTENT_TYPE), "text/calendar; charset=utf-8");
    assert!(event.text(200).contains("\r\nSUMMARY:Lipsticks\r\n"));
}
