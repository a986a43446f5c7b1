//! Discounts: codes in and out, claims, redeeming.

use hubbub::room::discount::Claim;
use hubbub::room::{Answer, Command, Key};
use reqwest::Method;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::rest::Told;
use crate::support::server::Server;

async fn claim(server: &Server, viewer: u128, discount: &str) -> String {
    let claim = Claim {
        discount: Key::new(discount).unwrap(),
        unit: 1,
    };
    match server
        .viewer_does("lipsticks", viewer, Command::Claim(claim))
        .await
        .unwrap()
    {
        Answer::Claim(mine) => mine.code,
        other => panic!("{other:?}"),
    }
}

async fn prepare(server: &Server, token: &str, quota: u32, codes: Value) -> Told {
    let terms = json!({"title": "Ten", "off": {"percent": 10}, "quota": quota, "closes": "with_show"});
    let discount = json!({"terms": terms, "codes": codes});
    server.put("/rooms/lipsticks/discounts/ten", token, discount).await
}

async fn paste(server: &Server, token: &str, kind: &str, list: &str) -> Told {
    let request = server.request(Method::POST, "/rooms/lipsticks/discounts/ten/codes", token);
    server
        .send(request.header(CONTENT_TYPE, kind).body(list.to_owned()))
        .await
}

async fn open(server: &Server, host: &str) {
    server
        .post("/rooms/lipsticks/discounts/ten/open", host, json!({}))
        .await
        .is(200);
}

#[tokio::test]
async fn a_list_from_the_shop_is_pasted_given_out_and_downloaded() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    prepare(&server, &host, 3_000, json!({"pasted": {}})).await.is(200);
    let list: String = (0..3_000).map(|number| format!("SHOP-{number:05},note\r\n")).collect();
    let added = paste(&server, &host, "text/csv", &format!("code,note\r\n{list}"))
        .await
        .is(200);
    assert_eq!(added["codes"], 3_000);
    paste(&server, &host, "text/plain; charset=utf-8", "SHOP-00001\n")
        .await
        .is(200);
    let discounts = server.get("/rooms/lipsticks/discounts", &host).await.is(200);
    assert_eq!(discounts["prepared"][0]["codes"], 3_000, "the same again does no harm");
    paste(&server, &host, "application/json", "[]")
        .await
        .refused(415, "unsupported_media_type");
    paste(&server, &host, "text/csv", &"X".repeat((1 << 20) + 1))
        .await
        .refused(413, "too_large");
    let packed = server.request(Method::POST, "/rooms/lipsticks/discounts/ten/codes", &host);
    let packed = packed
        .header(CONTENT_TYPE, "text/csv")
        .header(CONTENT_ENCODING, "gzip")
        .body("x");
    server.send(packed).await.refused(415, "unsupported_media_type");
    open(&server, &host).await;
    assert_eq!(claim(&server, 1, "ten").await, "SHOP-00000");

    let codes = server.get("/rooms/lipsticks/discounts/ten/codes.csv", &host).await;
    assert!(codes.header(CONTENT_DISPOSITION).contains("lipsticks-ten-codes.csv"));
    assert_eq!(codes.text(200).lines().count(), 3_001);
}

#[tokio::test]
async fn no_cell_of_a_download_is_a_formula() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let shop = store(&server).await;
    prepare(&server, &host, 2, json!({"pasted": {}})).await.is(200);
    paste(&server, &host, "text/plain", "=cmd|x\n+1\nA-1\n").await.is(200);
    open(&server, &host).await;
    let mut ann = Client::viewer(server.address, "lipsticks", "=1+1").await;
    ann.ask("claim", json!({"discount": "ten", "unit": 1})).await.unwrap();
    let order = json!({"code": "=cmd|x", "order": "@SUM(A1)"});
    let redeemed = server.post("/rooms/lipsticks/redeem", &shop, order).await.is(200);
    assert_eq!(redeemed["outcome"], "ok");

    let path = "/rooms/lipsticks/discounts/ten";
    let codes = server.get(&format!("{path}/codes.csv"), &host).await.text(200);
    assert_eq!(codes, "code\r\n'=cmd|x\r\n'+1\r\nA-1\r\n");
    let claims = server.get(&format!("{path}/claims.csv"), &host).await.text(200);
    let mut cells = claims.lines().nth(1).unwrap().split(',');
    assert_eq!(
        cells.by_ref().take(4).collect::<Vec<_>>(),
        ["1", "'=1+1", "1", "'=cmd|x"]
    );
    assert_eq!(cells.nth(1), Some("'@SUM(A1)"));
}

#[tokio::test]
async fn claims_are_listed_page_by_page_for_the_host() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    prepare(&server, &host, 10, json!({"generated": {}})).await.is(200);
    open(&server, &host).await;
    for viewer in 1..=5 {
        claim(&server, viewer, "ten").await;
    }
    let path = "/rooms/lipsticks/discounts/ten/claims";
    let mut viewers = Vec::new();
    let mut after = json!(0);
    while !after.is_null() {
        let page = server
            .get(&format!("{path}?limit=2&after={after}"), &host)
            .await
            .is(200);
        assert_eq!(page["total"], 5);
        viewers.extend(
            page["claims"]
                .as_array()
                .unwrap()
                .iter()
                .map(|claim| claim["viewer"].as_u64().unwrap()),
        );
        after = page["next"].clone();
    }
    assert_eq!(viewers, [1, 2, 3, 4, 5]);
    let beyond = server.get(&format!("{path}?after=99"), &host).await.is(200);
    assert_eq!(beyond["claims"], json!([]));
    for bad in ["limit=0", "limit=5001", "after=-1", "after=x", "page=2"] {
        server
            .get(&format!("{path}?{bad}"), &host)
            .await
            .refused(400, "bad_field");
    }
    let table = server
        .get("/rooms/lipsticks/discounts/ten/claims.csv", &host)
        .await
        .text(200);
    assert_eq!(table.lines().count(), 6, "{table}");
    let assistant = server.join("lipsticks", json!({"assistant": "all"}), "Bob").await;
    for token in [assistant.as_str(), &store(&server).await] {
        server.get(path, token).await.refused(403, "not_allowed");
        server
            .get("/rooms/lipsticks/discounts/ten/codes.csv", token)
            .await
            .refused(403, "not_allowed");
    }
    server
        .get("/rooms/lipsticks/discounts/none/claims", &host)
        .await
        .refused(404, "unknown_discount");
}

async fn store(server: &Server) -> String {
    let added = server
        .post("/rooms/lipsticks/stores", &server.operator, json!({"name": "Shop"}))
        .await
        .is(201);
    let token = added["token"].as_str().unwrap().to_owned();
    let curl = added["curl"].as_str().unwrap();
    assert!(
        curl.contains(&token) && curl.contains("/api/v1/rooms/lipsticks/redeem"),
        "{curl}"
    );
    token
}

#[tokio::test]
async fn a_shop_redeems_once_for_an_order_and_asks_as_often_as_it_likes() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    let shop = store(&server).await;
    prepare(&server, &host, 10, json!({"generated": {}})).await.is(200);
    open(&server, &host).await;
    let code = claim(&server, 1, "ten").await;
    let redeem = async |code: &str, order: &str| {
        let body = json!({"code": code, "order": order});
        server.post("/rooms/lipsticks/redeem", &shop, body).await.is(200)["outcome"].clone()
    };
    let check = async |code: &str| {
        let told = server
            .post("/rooms/lipsticks/check", &shop, json!({"code": code}))
            .await;
        told.is(200)["outcome"].clone()
    };
    assert_eq!(check(&code).await, "ok");
    let typed = code.to_lowercase().replace('-', " ");
    assert_eq!(redeem(&typed, "order 1").await, "ok");
    assert_eq!(redeem(&code, "order 1").await, "ok", "a retry");
    assert_eq!(redeem(&code, "order 2").await, "already_used");
    assert_eq!(check(&code).await, "already_used");
    assert_eq!(redeem("NONSENSE", "order 3").await, "unknown");
    let used = server.get("/rooms/lipsticks/discounts/ten/claims", &host).await.is(200);
    assert_eq!(used["claims"][0]["order"], "order 1");

    for path in ["/rooms/lipsticks/redeem", "/rooms/lipsticks/check"] {
        let body = match path {
            "/rooms/lipsticks/redeem" => json!({"code": code, "order": "4"}),
            _ => json!({"code": code}),
        };
        server.post(path, "", body.clone()).await.refused(401, "bad_token");
        let app = &server.serving.app;
        let viewer = app.auth.viewer_token(hubbub::room::ViewerId(1), app.clock.now());
        server.post(path, &viewer, body).await.refused(403, "not_allowed");
    }
    server
        .post("/rooms/lipsticks/redeem", &shop, json!({"code": code}))
        .await
        .refused(400, "bad_field");
    server
        .post("/rooms/lipsticks/start", &shop, json!({}))
        .await
        .refused(403, "not_allowed");
}

#[tokio::test]
async fn a_shop_of_all_rooms_checks_and_redeems_in_each_and_does_nothing_else() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    server.live_room("scarves").await;
    prepare(&server, &host, 10, json!({"generated": {}})).await.is(200);
    open(&server, &host).await;
    let code = claim(&server, 1, "ten").await;
    let app = &server.serving.app;
    let person = hubbub::auth::fresh_person();
    let shop = app.auth.all_rooms_store_token(person, app.clock.now()).token;

    let check = json!({ "code": code });
    let redeem = json!({"code": code, "order": "1"});
    for (room, outcome) in [("lipsticks", "ok"), ("scarves", "unknown")] {
        for (what, body) in [("check", &check), ("redeem", &redeem)] {
            let told = server.post(&format!("/rooms/{room}/{what}"), &shop, body.clone()).await;
            assert_eq!(told.is(200)["outcome"], outcome, "{what} in {room}");
        }
    }
    let me = server.get("/me", &shop).await.is(200);
    assert_eq!(me["store"]["person"], person.to_string());

    for path in [
        "/staff",
        "/results",
        "/discounts/ten/claims",
        "/discounts/ten/codes.csv",
    ] {
        let path = format!("/rooms/lipsticks{path}");
        server.get(&path, &shop).await.refused(403, "not_allowed");
    }
    for (path, body) in [
        ("/rooms/lipsticks/pause", json!({})),
        ("/rooms/lipsticks/stores", json!({"name": "Shop"})),
        ("/rooms/lipsticks/discounts/ten/close", json!({})),
        ("/rooms/lipsticks/copy", json!({})),
        ("/rooms", json!({"details": {"title": "Mine", "host": "Eve"}})),
    ] {
        server.post(path, &shop, body).await.refused(403, "not_allowed");
    }
    server.get("/devices", &shop).await.refused(403, "not_allowed");
    let shown = server.get("/rooms/lipsticks/state", &shop).await.is(200);
    assert_eq!(shown["state"].get("goals"), None, "the stage, not the backstage");

    let revoke = format!("/devices/{person}");
    server.delete(&revoke, &shop).await.refused(403, "not_allowed");
    server.delete(&revoke, &server.operator).await.text(204);
    server
        .post("/rooms/lipsticks/redeem", &shop, redeem.clone())
        .await
        .refused(401, "bad_token");
    let server = server.restart().await;
    server
        .post("/rooms/lipsticks/redeem", &shop, redeem)
        .await
        .refused(401, "bad_token");
}

#[tokio::test]
async fn a_discount_is_closed_or_taken_out() {
    let server = Server::start().await;
    let host = server.live_room("lipsticks").await;
    prepare(&server, &host, 10, json!({"generated": {}})).await.is(200);
    server.delete("/rooms/lipsticks/discounts/ten", &host).await.is(200);
    prepare(&server, &host, 10, json!({"generated": {}})).await.is(200);
    open(&server, &host).await;
    server
        .post("/rooms/lipsticks/discounts/ten/close", &host, json!({}))
        .await
        .is(200);
    let list = server.get("/rooms/lipsticks/discounts", "").await.is(200);
    assert_eq!(list["opened"][0]["closed"], "by_host");
    assert_eq!((list.get("prepared"), list.get("numbers")), (None, None));
    prepare(&server, &host, 0, json!({"generated": {}}))
        .await
        .refused(400, "bad_field");
}
