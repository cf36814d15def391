//! How the figures grow with the number of namespaces, from what runs with fewer have left in `target/bench`.

use anyhow::Result;

use crate::report::{Goal, Report, Row};
use crate::results;

/// Rates that should not fall as the fleet grows: the cost of each namespace is their inverse.
const RATES: [&str; 2] = ["convergence to the last child", "a changed quota over the fleet"];
/// Times that should grow in proportion.
const TIMES: [&str; 1] = ["cold start, to ready"];
/// The most that a namespace may cost more than in a smaller fleet.
const MOST: f64 = 1.2;

/// Compares this run with the largest smaller one.
pub fn measure(report: &mut Report) -> Result<()> {
    let mut smaller = Vec::new();
    for entry in std::fs::read_dir(results()).into_iter().flatten() {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == "json") {
            let other = Report::read(&path)?;
            if other.namespaces < report.namespaces {
                smaller.push(other);
            }
        }
    }
    let Some(other) = smaller.into_iter().max_by_key(|other| other.namespaces) else {
        report.note("growth: no run with fewer namespaces is in target/bench to compare with".to_owned());
        return Ok(());
    };
    let scale = report.namespaces as f64 / other.namespaces as f64;
    let find = |report: &Report, figure: &str| {
        let row = report.rows.iter().find(|row| row.figure == figure)?;
        Some(row.operator.median)
    };
    for figure in RATES.into_iter().chain(TIMES) {
        let (Some(now), Some(then)) = (find(report, figure), find(&other, figure)) else {
            continue;
        };
        // Both in the cost of one namespace, in units that cancel out.
        let pair = if TIMES.contains(&figure) {
            (now / scale, then)
        } else {
            (1.0 / now, 1.0 / then)
        };
        let name = format!(
            "growth of the cost of a namespace from {} on: {figure}",
            other.namespaces
        );
        report.add(Row::pairs(
            &name,
            "relative",
            &[(pair.0 / pair.1, 1.0)],
            Goal::RatioAtMost(MOST),
        ));
    }
    Ok(())
}
