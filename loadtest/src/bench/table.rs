//! The rounds' medians, beside the floor's.

use super::Load;
use super::measure::Measured;

/// Lowest, middle and highest.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    (at(0), at(values.len() / 2), at(values.len().saturating_sub(1)))
}

/// Prints a table with a row for each load and figure.
pub(super) fn print(loads: &[Load], pairs: &[Vec<(Measured, Measured)>]) {
    println!(
        "{:<16} {:<22} {:>10} {:>10} {:>24}",
        "load", "figure", "floor", "server", "server / floor (range)"
    );
    for (load, pairs) in loads.iter().zip(pairs) {
        let row = |figure: &str, digits: usize, of: fn(&Measured) -> f64| {
            let (_, floor, _) = spread(pairs.iter().map(|(floor, _)| of(floor)));
            let (_, server, _) = spread(pairs.iter().map(|(_, server)| of(server)));
            let (low, ratio, high) = spread(pairs.iter().map(|(floor, server)| of(server) / of(floor)));
            let load = load.to_string();
            let ratio = format!("{ratio:.2} ({low:.2}-{high:.2})");
            println!("{load:<16} {figure:<22} {floor:>10.digits$} {server:>10.digits$} {ratio:>24}");
        };
        row("CPU us a delivery", 2, |measured| measured.cpu_us);
        row("user us a delivery", 2, |measured| measured.user_us);
        row("p50 ms", 1, |measured| measured.p50_ms);
        row("p99 ms", 1, |measured| measured.p99_ms);
        row("p99.9 ms", 1, |measured| measured.p999_ms);
        row("RSS bytes a viewer", 0, |measured| measured.viewer_bytes);
        row("joins/s", 0, |measured| measured.joins_per_second);
        row("wire bytes a delivery", 0, |measured| measured.wire_bytes);
        row("generator, cores", 2, |measured| measured.generator_cpu);
    }
    let limited = pairs
        .iter()
        .flatten()
        .filter(|(floor, server)| floor.generator_limited() || server.generator_limited());
    match limited.count() {
        0 => {}
        some => println!("in {some} measurements this program took over 85 % of a core: they are \"at least\""),
    }
}
