//! Figures: as a table, and as JSON.

use std::path::Path;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// The median of repeated measurements, and how far they lie apart.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Range {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
    /// How many.
    pub samples: usize,
}

impl Range {
    /// Of these; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Some(Self {
            median: percentile(&values, 0.5)?,
            min: *values.first()?,
            max: *values.last()?,
            samples: values.len(),
        })
    }

    fn text(&self) -> String {
        match self.samples {
            1 => short(self.median),
            _ => format!("{} ({}–{})", short(self.median), short(self.min), short(self.max)),
        }
    }
}

/// A percentile of sorted values: the mean of the two around it where it falls between.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = share * (sorted.len().checked_sub(1)? as f64);
    let (low, high) = (sorted.get(place.floor() as usize)?, sorted.get(place.ceil() as usize)?);
    Some(low + (high - low) * place.fract())
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v.fract() == 0.0 => format!("{value:.0}"),
        v if v < 0.1 => format!("{value:.4}"),
        _ => format!("{value:.2}"),
    }
}

/// What a figure should be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Goal {
    /// The ratio at least this.
    RatioAtLeast(f64),
    /// The ratio at most this.
    RatioAtMost(f64),
    /// The operator's own figure at most this.
    AtMost(f64),
    /// It is for information.
    None,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// What is measured.
    pub figure: String,
    /// In what.
    pub unit: String,
    /// The operator's.
    pub operator: Range,
    /// The reference's.
    pub reference: Option<Range>,
    /// The ratio of the two, pair by pair.
    pub ratio: Option<Range>,
    /// What it should be.
    pub goal: Goal,
    /// Whether it must hold on any machine: it is not about time.
    pub asserted: bool,
}

impl Row {
    /// A figure of the operator alone.
    pub fn alone(figure: &str, unit: &str, operator: Range, goal: Goal) -> Self {
        Self {
            figure: figure.to_owned(),
            unit: unit.to_owned(),
            operator,
            reference: None,
            ratio: None,
            goal,
            asserted: false,
        }
    }

    /// A figure that stands beside the reference's, pair by pair (operator, reference).
    pub fn pairs(figure: &str, unit: &str, pairs: &[(f64, f64)], goal: Goal) -> Option<Self> {
        Some(Self {
            reference: Range::of(pairs.iter().map(|pair| pair.1)),
            ratio: Range::of(pairs.iter().map(|pair| pair.0 / pair.1)),
            ..Self::alone(figure, unit, Range::of(pairs.iter().map(|pair| pair.0))?, goal)
        })
    }

    /// It must hold on any machine.
    pub fn asserted(mut self) -> Self {
        self.asserted = true;
        self
    }

    /// Whether the goal is met, if there is one: by the median, and for a bound that is no ratio by the worst.
    pub fn met(&self) -> Option<bool> {
        match self.goal {
            Goal::RatioAtLeast(goal) => self.ratio.map(|ratio| ratio.median >= goal),
            Goal::RatioAtMost(goal) => self.ratio.map(|ratio| ratio.median <= goal),
            Goal::AtMost(goal) => Some(self.operator.max <= goal),
            Goal::None => None,
        }
    }

    fn goal(&self) -> String {
        match self.goal {
            Goal::RatioAtLeast(goal) => format!("≥ {goal} ×"),
            Goal::RatioAtMost(goal) => format!("≤ {goal} ×"),
            Goal::AtMost(goal) => format!("≤ {}", short(goal)),
            Goal::None => String::new(),
        }
    }
}

/// A line of the plot.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// What the plot it stands in shows.
    pub panel: String,
    /// Whose it is.
    pub name: String,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// All of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// How many namespaces.
    pub namespaces: usize,
    /// The figures.
    pub rows: Vec<Row>,
    /// What the plot shows.
    pub series: Vec<Series>,
    /// What is to be known about the run.
    pub notes: Vec<String>,
}

impl Report {
    /// Adds a figure, and prints it.
    pub fn add(&mut self, row: impl Into<Option<Row>>) {
        if let Some(row) = row.into() {
            println!("{}", line(&row));
            self.rows.push(row);
        }
    }

    /// Adds a note, and prints it.
    pub fn note(&mut self, note: String) {
        println!("  {note}");
        self.notes.push(note);
    }

    /// The whole table, as Markdown.
    pub fn table(&self) -> String {
        let head = "| figure | operator | reference | ratio | goal | |\n|---|---|---|---|---|---|\n";
        let rows: Vec<String> = self.rows.iter().map(line).collect();
        let notes: Vec<String> = self.notes.iter().map(|note| format!("- {note}")).collect();
        format!("{head}{}\n\n{}\n", rows.join("\n"), notes.join("\n"))
    }

    /// The figures that do not hold and must, on any machine.
    pub fn broken(&self) -> Vec<&Row> {
        self.rows
            .iter()
            .filter(|row| row.asserted && row.met() == Some(false))
            .collect()
    }

    /// Reads the report of another run.
    pub fn read(path: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }

    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

fn line(row: &Row) -> String {
    let text = |range: &Option<Range>| range.map(|range| range.text()).unwrap_or_default();
    let verdict = match row.met() {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "",
    };
    format!(
        "| {}, {} | {} | {} | {} | {} | {verdict} |",
        row.figure,
        row.unit,
        row.operator.text(),
        text(&row.reference),
        text(&row.ratio),
        row.goal(),
    )
}
