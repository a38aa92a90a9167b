//! How many reactors, and on which CPUs.
//!
//! The CPUs are those of `reactor-cpus`, else those the scheduler allows; their number is held to the CPU quota of
//! the control group, rounded up. More reactors than that share CPUs in turn.
//!
//! Sources: `/proc/self/cgroup`, `/proc/self/mountinfo`, `cpu.max` (version 2), `cpu.cfs_quota_us` and
//! `cpu.cfs_period_us` (version 1); cgroups(7).

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::config::{Config, CpuList};

/// CPU time a control group may use: `quota_us` in every `period_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuQuota {
    pub quota_us: u64,
    pub period_us: u64,
}

impl CpuQuota {
    /// Whole CPUs that the quota keeps at least partly busy; at least one.
    pub fn cores(self) -> usize {
        (self.quota_us.div_ceil(self.period_us.max(1)) as usize).max(1)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoresError {
    #[error(
        "reactor-cpus {wanted} names CPU {missing}, but the process may only use {allowed}. Name CPUs among those, or widen what it may use (taskset, docker run --cpuset-cpus, AllowedCPUs=)"
    )]
    NotAllowed { wanted: CpuList, missing: usize, allowed: CpuList },
}

/// Where the reactors run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The CPU of each reactor.
    pub cpus: Vec<usize>,
    pub warning: Option<String>,
}

/// A function of its arguments. An empty `affinity` is taken for CPU 0.
pub fn plan(affinity: &[usize], quota: Option<CpuQuota>, config: &Config) -> Result<Plan, CoresError> {
    let affinity = if affinity.is_empty() { &[0] } else { affinity };
    let wanted = &config.reactor_cpus;
    if let Some(missing) = wanted.0.iter().find(|cpu| !affinity.contains(cpu)) {
        let allowed = CpuList(affinity.to_vec());
        return Err(CoresError::NotAllowed { wanted: wanted.clone(), missing: *missing, allowed });
    }
    let cpus = if wanted.0.is_empty() { affinity } else { &wanted.0 };
    let cores = quota.map_or(cpus.len(), |quota| quota.cores().min(cpus.len()));
    let reactors = if config.reactors == 0 { cores } else { config.reactors };
    Ok(Plan {
        cpus: cpus.iter().copied().cycle().take(reactors).collect(),
        warning: (reactors > cores).then(|| crowded(reactors, cores)),
    })
}

fn crowded(reactors: usize, cores: usize) -> String {
    format!(
        "{reactors} reactors share {cores} cores: fit for tests, slow in production. Set reactors to {cores}, or to \
         0 for one per core, or give the process more cores (taskset, docker run --cpus, CPUQuota=)"
    )
}

/// The tightest quota from this process's control group up to the root, if any. `root` is where `/proc` and `/sys`
/// are found.
pub fn read_cpu_quota(root: &Path) -> Option<CpuQuota> {
    let read = |path: &Path| fs::read_to_string(root.join(path.strip_prefix("/").unwrap_or(path))).ok();
    let groups = parse_groups(&read(Path::new("/proc/self/cgroup"))?);
    let mounts = parse_mounts(&read(Path::new("/proc/self/mountinfo"))?);
    let directories =
        mounts.iter().flat_map(|mount| mount.directories(&groups).into_iter().map(move |dir| (mount, dir)));
    let quotas = directories.filter_map(|(mount, dir)| match mount.version {
        Version::One => {
            let quota_us: i64 = read(&dir.join("cpu.cfs_quota_us"))?.trim().parse().ok()?;
            let period_us = read(&dir.join("cpu.cfs_period_us"))?.trim().parse().ok()?;
            Some(CpuQuota { quota_us: u64::try_from(quota_us).ok()?, period_us })
        }
        Version::Two => parse_cpu_max(&read(&dir.join("cpu.max"))?),
    });
    quotas.min_by_key(|quota| quota.cores())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// A line of `/proc/self/cgroup`: `hierarchy:controllers:path`.
#[derive(Debug, PartialEq, Eq)]
struct Group {
    version: Version,
    path: PathBuf,
}

/// A mounted hierarchy that may limit CPU time.
#[derive(Debug, PartialEq, Eq)]
struct Mount {
    version: Version,
    /// Which part of the hierarchy is mounted.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// From the process's own directory up to the mount point. A path outside of what is mounted belongs to the
    /// container's host: the mount point itself is this process's group then.
    fn directories(&self, groups: &[Group]) -> Vec<PathBuf> {
        let own = groups.iter().find(|group| group.version == self.version);
        let Some(own) = own else { return Vec::new() };
        let below = own.path.strip_prefix(&self.root).unwrap_or(Path::new(""));
        let deepest = self.point.join(below);
        deepest.ancestors().take_while(|dir| dir.starts_with(&self.point)).map(Path::to_owned).collect()
    }
}

/// The groups of version 2, and of version 1's `cpu` controller.
fn parse_groups(text: &str) -> Vec<Group> {
    let parse = |line: &str| {
        let (hierarchy, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let version = match (hierarchy, controllers) {
            ("0", "") => Version::Two,
            _ if controllers.split(',').any(|controller| controller == "cpu") => Version::One,
            _ => return None,
        };
        Some(Group { version, path: path.into() })
    };
    text.lines().filter_map(parse).collect()
}

/// `id parent device root point options [tags…] - type source super-options`
fn parse_mounts(text: &str) -> Vec<Mount> {
    let parse = |line: &str| {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<_> = left.split(' ').collect();
        let right: Vec<_> = right.split(' ').collect();
        let version = match *right.first()? {
            "cgroup2" => Version::Two,
            "cgroup" if right.get(2)?.split(',').any(|option| option == "cpu") => Version::One,
            _ => return None,
        };
        Some(Mount { version, root: left.get(3)?.into(), point: left.get(4)?.into() })
    };
    text.lines().filter_map(parse).collect()
}

/// `quota period`, or `max period` for no limit.
fn parse_cpu_max(text: &str) -> Option<CpuQuota> {
    let (quota, period) = text.trim().split_once(' ')?;
    Some(CpuQuota { quota_us: quota.parse().ok()?, period_us: period.parse().ok()? })
}

#[cfg(test)]
#[path = "cores_tests.rs"]
mod tests;
