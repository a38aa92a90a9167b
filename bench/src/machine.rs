//! What figures were measured on: without it they say nothing.

use std::fs;

use serde::Serialize;

use bobbin_proto::decode::Value;

use crate::load::Target;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cpus: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub bench_version: &'static str,
    /// The command line that made the figures.
    pub command: Vec<String>,
}

impl Machine {
    pub fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let uname = rustix::system::uname();
        Self {
            cpu: cpu_name(&cpuinfo).unwrap_or("unknown").to_owned(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: memory_bytes(),
            kernel: uname.release().to_string_lossy().into_owned(),
            bench_version: env!("CARGO_PKG_VERSION"),
            command: std::env::args().collect(),
        }
    }

    /// Two lines for the head of a report.
    pub fn text(&self) -> String {
        let gib = self.memory_bytes as f64 / f64::from(1 << 30);
        format!(
            "{} × {}, {gib:.0} GiB, Linux {}, bobbin-bench {}\n$ {}\n",
            self.cpus,
            self.cpu,
            self.kernel,
            self.bench_version,
            self.command.join(" ")
        )
    }
}

/// The server's own account of its name and version, from INFO; servers that keep to Redis's
/// version for compatibility name theirs beside it.
pub fn server_version(target: &Target) -> Option<String> {
    let reply = target.connect().ok()?.call(&["INFO", "server"]).ok()?;
    let (Value::Bulk(text) | Value::Verbatim { text, .. }) = reply else { return None };
    version_in(&String::from_utf8_lossy(&text))
}

fn version_in(info: &str) -> Option<String> {
    let field = |name: &str| {
        let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("_version:"))?;
        Some(format!("{name} {}", value.trim()))
    };
    ["bobbin", "kevy", "dragonfly", "valkey", "redis"].into_iter().find_map(field)
}

fn cpu_name(cpuinfo: &str) -> Option<&str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim())
}

fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_particular_version_is_taken() {
        let info = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\n";
        assert_eq!(version_in(info).as_deref(), Some("valkey 8.1.0"));
        assert_eq!(version_in("redis_version:7.0.15\r\n").as_deref(), Some("redis 7.0.15"));
        assert_eq!(version_in("OK"), None);
    }

    #[test]
    fn this_machine_has_a_name_and_memory() {
        let machine = Machine::this();
        assert!(!machine.kernel.is_empty() && machine.cpus > 0 && machine.memory_bytes > 0);
        assert_eq!(cpu_name("processor : 0\nmodel name\t: AMD EPYC\n"), Some("AMD EPYC"));
    }
}
