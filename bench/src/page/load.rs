//! The page of one run of the load generator.

use super::plot::{Scale, Series, lines, short};
use super::{document, escape, machine, table};
use crate::report::{Line, Report};

impl Report {
    /// The run as an HTML page.
    pub fn html(&self) -> Result<String, serde_json::Error> {
        let body = [
            machine(&self.machine),
            format!("<p>{}</p>\n", escape(&self.headline())),
            self.table(),
            complaints(&self.complaints()),
            format!("<div class=\"plots\">\n{}{}</div>\n", self.latencies(), self.rates()),
        ];
        document("bobbin-bench load", &body.concat(), self)
    }

    fn table(&self) -> String {
        let percentiles = &self.totals.latency.percentiles_us;
        let names = ["Command", "Requests", "Per second", "Errors", "Misses", "Mismatches", "Avg µs"];
        let head = names.into_iter().map(str::to_owned);
        let head = head.chain(percentiles.iter().map(|one| format!("p{} µs", one.percentile)));
        let head: Vec<String> = head.chain(["Max µs".to_owned()]).collect();
        let rows: Vec<Vec<String>> = self.commands.iter().chain([&self.totals]).map(cells).collect();
        table(&head, &rows)
    }

    fn latencies(&self) -> String {
        let points: Vec<(f64, f64)> = match &self.distribution[..] {
            [] => self.totals.latency.percentiles_us.iter().map(|one| (one.percentile, one.us)).collect(),
            steps => steps.iter().map(|step| (step.percentile, step.us)).collect(),
        };
        let scale = Scale::fitting(points.iter().map(|(_, us)| *us));
        let series = Series { name: "all commands".to_owned(), colour: 0, points };
        lines("Latency in µs", (Scale::Nines, "percentile"), scale, &[series])
    }

    fn rates(&self) -> String {
        let points = self.timeline.iter().map(|sample| (sample.at_s, sample.requests_per_second)).collect();
        let series = Series { name: "all commands".to_owned(), colour: 0, points };
        lines("Requests per second", (Scale::Linear, "seconds"), Scale::Linear, &[series])
    }
}

fn cells(line: &Line) -> Vec<String> {
    let latency = &line.latency;
    let counts = [line.errors, line.misses, line.mismatches].map(|count| count.to_string());
    let mut cells = vec![line.command.clone(), line.requests.to_string(), short(line.requests_per_second)];
    cells.extend(counts);
    cells.push(format!("{:.1}", latency.mean_us));
    cells.extend(latency.percentiles_us.iter().map(|percentile| format!("{:.1}", percentile.us)));
    cells.push(format!("{:.1}", latency.max_us));
    cells
}

fn complaints(complaints: &[String]) -> String {
    let line = |text: &String| format!("<p class=\"failure\">{}</p>\n", escape(text));
    complaints.iter().map(line).collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use crate::page::data_of;
    use crate::report::ReadBack;
    use crate::report::tests::{report, tally};

    #[test]
    fn the_page_has_what_the_json_has() {
        let mut tally = tally();
        tally.note_error(0, b"-ERR <no>\r\n");
        let report = report(&tally, Some(ReadBack { keys: 9, missing: 1, mismatches: 1 }));
        let page = report.html().unwrap();
        assert_eq!(data_of(&page), serde_json::to_value(&report).unwrap());
        let line = "<td>GET __key__</td><td>100</td><td>50</td><td>1</td>";
        for part in [line, ">p99.99 µs<", "-ERR &lt;no&gt;", "NOT as written", "redis 7.0.15", "Linux"] {
            assert!(page.contains(part), "{part} is missing:\n{page}");
        }
        for percentile in &report.totals.latency.percentiles_us {
            assert!(page.contains(&format!("<td>{:.1}</td>", percentile.us)));
        }
        assert_eq!(page.matches("<polyline").count(), 2, "latency and throughput");
    }

    #[test]
    fn a_hidden_histogram_leaves_the_percentiles_to_draw() {
        let mut report = report(&tally(), None);
        report.distribution.clear();
        assert_eq!(report.html().unwrap().matches("<polyline").count(), 2);
    }
}
