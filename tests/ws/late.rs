//! A claim is decided by the time at which it is decided: before the closing millisecond it is granted, from it
//! on it is refused.

use hubbub::room::Answer;
use hubbub::room::stage::StageEvent;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::client::Client;
use crate::support::process::Process;

const CLAIMANTS: usize = 8;
/// The most that a viewer may be allowed.
const UNITS: u32 = 100;

/// Claims one unit after the other until it is refused: what was granted, and the refusal.
async fn claims_on(client: &mut Client) -> (Vec<String>, Option<String>) {
    let mut codes = Vec::new();
    for unit in 1..=UNITS {
        match client.ask("claim", json!({"discount": "brief", "unit": unit})).await {
            Ok(Answer::Claim(claim)) => codes.push(claim.code),
            Ok(other) => panic!("{other:?}"),
            Err(problem) => return (codes, Some(problem.code)),
        }
    }
    (codes, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_are_granted_up_to_the_closing_millisecond_and_refused_from_it_on() {
    let server = Process::start(&["--no-rates"]);
    server.live_room("show").await;
    let terms = json!({
        "title": "Brief", "off": {"percent": 15}, "quota": 10_000, "per_viewer": UNITS, "closes": {"after_ms": 1_000},
        "who": "anyone",
    });
    let path = "/rooms/show/discounts/brief";
    let offer = json!({"terms": terms, "codes": {"generated": {}}});
    server.put(path, &server.operator, offer).await.is(200);
    let mut claimants = Vec::new();
    for n in 0..CLAIMANTS {
        claimants.push(Client::viewer(server.address, "show", &format!("Viewer {n}")).await);
    }
    let mut ann = Client::viewer(server.address, "show", "Ann").await;
    let claim = json!({"discount": "brief", "unit": 1});
    let early = ann.ask("claim", claim.clone()).await.expect_err("it is not open");
    assert_eq!(early.code, "not_open");

    let open = format!("{path}/open");
    server.post(&open, &server.operator, json!({})).await.is(200);
    let mut claiming = JoinSet::new();
    for mut claimant in claimants {
        claiming.spawn(async move {
            let (codes, refusal) = claims_on(&mut claimant).await;
            (claimant, codes, refusal)
        });
    }
    let closed = |event: &StageEvent| matches!(event, StageEvent::DiscountClosed { .. }).then_some(());
    ann.until(closed).await;
    let late = ann.ask("claim", claim.clone()).await.expect_err("it is closed");
    assert_eq!(late.code, "closed");

    let mut granted = 0;
    for (mut claimant, codes, refusal) in claiming.join_all().await {
        assert!(refusal.is_none_or(|code| code == "closed"));
        granted += codes.len();
        let again = claimant.ask("claim", claim.clone()).await;
        match codes.first() {
            Some(code) => assert!(
                matches!(again, Ok(Answer::Claim(claim)) if claim.code == *code),
                "a retry"
            ),
            None => assert_eq!(again.expect_err("it is closed").code, "closed"),
        }
    }
    let list = server.get("/rooms/show/discounts", "").await.is(200);
    let closes_at = list["opened"][0]["closes_at"].as_u64().expect("a time");
    let list = format!("{path}/claims?limit=5000");
    let list = server.get(&list, &server.operator).await.is(200);
    let claims = list["claims"].as_array().expect("a list");
    assert_eq!(claims.len(), granted, "each that was granted, and no other");
    assert!(
        granted > 0
            && claims
                .iter()
                .all(|claim| claim["at"].as_u64().expect("a time") < closes_at),
        "{list}"
    );
}
