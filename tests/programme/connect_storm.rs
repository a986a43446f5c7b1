//! Everybody comes in the same seconds, while the host sells.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::interval;

use crate::audience::{Audience, CONNECTIONS, PATIENCE};
use crate::support::client::Client;
use crate::support::process::Process;
use crate::trial::{Figures, Need, Scale, Trial, quantile};

pub(crate) const TRIAL: Trial = Trial {
    name: "connect-storm",
    what: "a full house comes within five seconds while the host sells",
    needs: &[Need::Audience],
    quick: Ok(()),
    minutes: 5,
    run: |scale| Box::pin(run(scale)),
};

async fn run(scale: Scale) -> Figures {
    let viewers = scale.of(5_000, 60);
    let server = Process::start(&[]);
    let token = server.live_room("sale").await;
    let mut host = Client::join(server.address, "sale", json!({ "token": token }))
        .await
        .expect("the host");
    let sizes = ["--viewers", &viewers.to_string(), "--ramp", &scale.seconds(5, 1)];
    // What is said in the end brings all to the same offset.
    let quiet = ["--seconds", "2", "--comments", "2", "--likes", "0"];
    let audience = Audience::of(&server, Some("sale"), &[sizes.as_slice(), &quiet].concat());
    server.until_metric(CONNECTIONS, PATIENCE, |open| open > 1).await;
    let mut took = Vec::new();
    let mut pace = interval(Duration::from_millis(50));
    for n in 0.. {
        pace.tick().await;
        let began = Instant::now();
        command(&server, &mut host, &token, n).await;
        took.push(began.elapsed());
        // The host's own connection is one more.
        if server.metric(CONNECTIONS).await > viewers as u64 {
            break;
        }
    }
    let report = audience.report(Duration::from_secs(120)).await;
    report.is_correct();
    let mut figures = Figures::new(&scale);
    figures.exactly(
        "viewers who came in, without an error",
        report.count("/joins/count"),
        viewers,
    );
    figures.exactly("attempts that failed", report.attempts_failed(), 0_u64);
    figures.at_most(
        "due to joined, p99",
        report.time("/joins/p99_ms"),
        Duration::from_secs(1),
    );
    figures.note("due to joined, longest", report.time("/joins/max_ms"));
    figures.note("host's commands meanwhile", took.len());
    figures.at_most(
        "host's commands, p99",
        quantile(&took, 0.99),
        Duration::from_millis(200),
    );
    figures
}

/// One command of the host: in turn something is said, a discount is prepared, opened, and closed.
async fn command(server: &Process, host: &mut Client, token: &str, n: usize) {
    let discount = format!("/rooms/sale/discounts/d{}", n / 4);
    match n % 4 {
        0 => {
            let comment = json!({"nonce": n.to_string(), "text": format!("Number {n} is the red one")});
            host.ask("comment", comment).await.expect("staff may always speak");
        }
        1 => {
            let terms = json!({"title": "Red", "off": {"percent": 15}, "quota": 10, "closes": "with_show",
                               "who": "anyone"});
            let body = json!({"terms": terms, "codes": {"generated": {}}});
            server.put(&discount, token, body).await.is(200);
        }
        step => {
            let path = format!("{discount}/{}", if step == 2 { "open" } else { "close" });
            server.post(&path, token, json!({})).await.is(200);
        }
    }
}
