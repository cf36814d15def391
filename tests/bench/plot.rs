//! The plot: one panel for each kind of figure, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::Series;

/// The size of a panel.
const PANEL: (u32, u32) = (720, 320);

/// Draws all panels below each other.
pub fn draw(series: &[Series], to: &Path) -> Result<()> {
    let mut panels: Vec<&str> = Vec::new();
    for one in series {
        if !panels.contains(&one.panel.as_str()) {
            panels.push(&one.panel);
        }
    }
    if panels.is_empty() {
        return Ok(());
    }
    let rows = u32::try_from(panels.len())?;
    let root = SVGBackend::new(to, (PANEL.0, PANEL.1 * rows)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| anyhow!("{error}"))?;
    for (area, panel) in root.split_evenly((panels.len(), 1)).iter().zip(panels) {
        let lines: Vec<&Series> = series.iter().filter(|one| one.panel == panel).collect();
        let most = |axis: fn(&(f64, f64)) -> f64| {
            lines
                .iter()
                .flat_map(|one| &one.points)
                .map(axis)
                .fold(f64::MIN_POSITIVE, f64::max)
        };
        let mut chart = ChartBuilder::on(area)
            .caption(panel, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(28)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..most(|point| point.0), 0.0..most(|point| point.1) * 1.05)
            .map_err(|error| anyhow!("{error}"))?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .draw()
            .map_err(|error| anyhow!("{error}"))?;
        for (number, one) in lines.iter().enumerate() {
            let colour = Palette99::pick(number).stroke_width(2);
            chart
                .draw_series(LineSeries::new(one.points.iter().copied(), colour))
                .map_err(|error| anyhow!("{error}"))?
                .label(&one.name)
                .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.8))
            .border_style(BLACK.mix(0.2))
            .draw()
            .map_err(|error| anyhow!("{error}"))?;
    }
    root.present().map_err(|error| anyhow!("{error}"))
}
