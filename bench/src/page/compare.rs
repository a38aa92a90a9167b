//! The page of a comparison: all figures in one table, then each workload's servers side by side.

use std::fmt::Write;

use super::plot::{Bar, Scale, Series, bars, lines};
use super::{document, escape, machine, table};
use crate::compare::{Comparison, Entry};

impl Comparison {
    /// The comparison as an HTML page.
    pub fn html(&self) -> Result<String, serde_json::Error> {
        let mut body = machine(&self.machine);
        let Self { server_cpus, client_cpus, .. } = self;
        // Writing to a String cannot fail.
        let _ = writeln!(
            body,
            "<p>Server on CPU {server_cpus} (as many as reactors), generator on CPU {client_cpus}."
        );
        for version in &self.versions {
            let text = version.version.as_deref().unwrap_or("version unknown");
            let _ = writeln!(body, "<br>{}: {}", version.peer, escape(text));
        }
        body.push_str("</p>\n");
        for group in self.entries.chunk_by(|one, next| one.reactors == next.reactors) {
            let _ = writeln!(body, "<h2>{} reactor(s)</h2>", group[0].reactors);
            body.push_str(&self.overview(group));
            for of_workload in group.chunk_by(|one, next| one.workload == next.workload) {
                body.push_str(&side_by_side(of_workload));
            }
        }
        document("bobbin-bench compare", &body, self)
    }

    fn overview(&self, entries: &[Entry]) -> String {
        let names = ["Workload, server", "Req/s", "CPU µs"];
        let latencies = ["p50 µs", "p99 µs", "p99.9 µs"];
        let rest = ["Never sent %", "RSS MiB", "Generator µs"];
        let ratios = |of: &str| self.baselines.iter().map(|to| format!("{of} / {to}")).collect::<Vec<_>>();
        let owned = |names: [&str; 3]| names.map(str::to_owned).to_vec();
        let head =
            [owned(names), ratios("CPU"), owned(latencies), ratios("p99.9"), ratios("RSS"), owned(rest)];
        let rows: Vec<Vec<String>> = entries.iter().map(|entry| self.cells(entry)).collect();
        table(&head.concat(), &rows)
    }

    fn cells(&self, entry: &Entry) -> Vec<String> {
        let name = format!("{}, {}", entry.workload, entry.peer);
        if let Some(failure) = &entry.failure {
            return vec![name, format!("FAILED: {failure}")];
        }
        let median = &entry.median;
        let ratio = |field: fn(&crate::compare::Ratios) -> Option<f64>| -> Vec<String> {
            let find = |to: &String| entry.ratios.iter().find(|ratios| ratios.to == *to).and_then(field);
            let text = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            self.baselines.iter().map(|to| text(find(to))).collect()
        };
        let mib = median.resident_bytes / f64::from(1 << 20);
        [
            vec![
                name,
                format!("{:.0}", median.requests_per_second),
                format!("{:.3}", median.server_cpu_us_per_request),
            ],
            ratio(|ratios| ratios.server_cpu),
            [median.p50_us, median.p99_us, median.p999_us].map(|us| format!("{us:.0}")).to_vec(),
            ratio(|ratios| ratios.p999),
            ratio(|ratios| ratios.resident),
            vec![
                format!("{:.1}", median.overdue_part * 100.0),
                format!("{mib:.1}"),
                format!("{:.3}", median.client_cpu_us_per_request),
            ],
        ]
        .concat()
    }
}

/// The servers on one workload.
fn side_by_side(entries: &[Entry]) -> String {
    let measured = || entries.iter().enumerate().filter(|(_, entry)| entry.failure.is_none());
    let bar = |value: fn(&Entry) -> f64| -> Vec<Bar> {
        measured()
            .map(|(colour, entry)| Bar { name: entry.peer.to_owned(), colour, value: value(entry) })
            .collect()
    };
    let line = |points: fn(&Entry) -> Vec<(f64, f64)>| -> Vec<Series> {
        measured()
            .map(|(colour, entry)| Series { name: entry.peer.to_owned(), colour, points: points(entry) })
            .collect()
    };
    let latencies = line(|entry| entry.latency_us.iter().map(|one| (one.percentile, one.us)).collect());
    let times = latencies.iter().flat_map(|series| series.points.iter().map(|(_, us)| *us));
    let rates = line(|entry| entry.timeline.iter().map(|one| (one.at_s, one.requests_per_second)).collect());
    let rate = entries[0].rate.map_or(String::new(), |rate| format!(", open loop at {rate:.0}/s"));
    let plots = [
        bars("Server CPU, µs per request", &bar(|entry| entry.median.server_cpu_us_per_request)),
        bars("Requests per second", &bar(|entry| entry.median.requests_per_second)),
        lines("Latency in µs", (Scale::Nines, "percentile"), Scale::fitting(times), &latencies),
        lines("Requests per second", (Scale::Linear, "seconds"), Scale::Linear, &rates),
    ];
    format!("<h3>{}{rate}</h3>\n<div class=\"plots\">\n{}</div>\n", entries[0].workload, plots.concat())
}

#[cfg(test)]
mod tests {
    use crate::compare::tests::comparison;
    use crate::page::data_of;

    #[test]
    fn the_page_has_what_the_json_has() {
        let comparison = comparison();
        let page = comparison.html().unwrap();
        assert_eq!(data_of(&page), serde_json::to_value(&comparison).unwrap());
        for entry in comparison.entries.iter().filter(|entry| entry.failure.is_none()) {
            assert!(page.contains(&format!("<td>{}, {}</td>", entry.workload, entry.peer)));
            assert!(page.contains(&format!("<td>{:.3}</td>", entry.median.server_cpu_us_per_request)));
            assert!(page.contains(&format!("<td>{:.0}</td>", entry.median.requests_per_second)));
            let ratio = entry.ratios[0].server_cpu.unwrap();
            assert!(page.contains(&format!("<td>{ratio:.2}</td>")));
        }
        assert!(page.contains("FAILED: it &lt;broke&gt;") && page.contains("redis 7.0.15"));
        assert_eq!(page.matches("<h3>").count(), 2, "a section for each workload");
        assert!(page.contains("open loop at 700/s"));
        assert_eq!(
            page.matches("<polyline").count(),
            6,
            "latency and throughput, a line for each server measured"
        );
        assert_eq!(
            page.matches("<rect class=\"s1\" x=\"90.0\"").count(),
            2,
            "two kinds of bars for the second server"
        );
    }
}
