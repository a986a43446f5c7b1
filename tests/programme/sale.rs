//! kill -9 at random points of a sale.

use std::time::Duration;

use crate::support::sale::Sale;
use crate::trial::{Figures, Scale, Trial, quantile};

pub(crate) const TRIAL: Trial = Trial {
    name: "sale",
    what: "kill -9 at random points of a sale, everybody asks again",
    needs: &[],
    quick: Ok(()),
    minutes: 60,
    run: |scale| Box::pin(run(scale)),
};

async fn run(scale: Scale) -> Figures {
    let (kills, askers) = (scale.of(100, 2), scale.of(5_000, 60));
    let quota = scale.of(500, 20);
    let mut sale = Sale::open(askers, quota, scale.of(400, 15)).await;
    let (mut untold, mut claims, mut back) = (0, 0, Vec::new());
    for kill in 0..kills {
        // Every second one falls while there are codes, which are gone long before everybody has asked.
        let span = if kill % 2 == 0 { sale.steps() } else { 2 * quota };
        let step = 1 + scale.chance(kill as u64) as usize % span;
        let round = sale.round(&format!("round-{kill}"), step).await;
        if scale.long {
            println!(
                "kill {kill} at step {step}: {} under way, {} answered, {} granted and not told, back in {:?}",
                round.under_way, round.answered, round.untold, round.back_after
            );
        }
        untold += round.untold;
        claims += round.claims;
        back.push(round.back_after);
    }
    let mut figures = Figures::new(&scale);
    figures.note("viewers who claim", askers);
    figures.exactly("kills survived: nothing lost, oversold or given twice", kills, kills);
    figures.note("claims in linearizable histories", claims);
    figures.at_least("claims granted whose answer a kill cut off", untold, scale.of(1, 0));
    figures.at_most(
        "start until serving, p99",
        quantile(&back, 0.99),
        Duration::from_secs(2),
    );
    figures
}
