use super::*;

fn config(reactors: usize, cpus: &str) -> Config {
    Config { reactors, reactor_cpus: CpuList::parse(cpus).unwrap(), ..Config::default() }
}

fn quota(quota_us: u64) -> Option<CpuQuota> {
    Some(CpuQuota { quota_us, period_us: 100_000 })
}

#[test]
fn reactors_follow_affinity_quota_and_configuration() {
    let none: Option<CpuQuota> = None;
    for (affinity, quota, reactors, wanted, cpus) in [
        (vec![0, 1], none, 0, "", vec![0, 1]),
        (vec![4, 6], none, 0, "", vec![4, 6]),
        (vec![], none, 0, "", vec![0]),
        (vec![0, 1, 2, 3], quota(250_000), 0, "", vec![0, 1, 2]),
        (vec![0, 1, 2, 3], quota(10_000), 0, "", vec![0]),
        (vec![0, 1], quota(800_000), 0, "", vec![0, 1]),
        (vec![0, 1, 2, 3], none, 2, "", vec![0, 1]),
        (vec![0, 1], none, 5, "", vec![0, 1, 0, 1, 0]),
        (vec![0, 1, 2, 3], none, 0, "3,1", vec![3, 1]),
        (vec![0, 1, 2, 3], none, 3, "2-3", vec![2, 3, 2]),
    ] {
        assert_eq!(plan(&affinity, quota, &config(reactors, wanted)).unwrap().cpus, cpus);
    }
}

#[test]
fn more_reactors_than_cores_are_warned_of() {
    assert_eq!(plan(&[0, 1], None, &config(2, "")).unwrap().warning, None);
    let text = plan(&[0, 1], None, &config(3, "")).unwrap().warning.unwrap();
    assert!(text.contains("3 reactors share 2 cores") && text.contains("Set reactors to 2"), "{text}");
    assert!(plan(&[0, 1], quota(100_000), &config(2, "")).unwrap().warning.is_some());
}

#[test]
fn cpus_that_may_not_be_used_are_refused() {
    let text = plan(&[0, 1, 2], None, &config(0, "1,7")).unwrap_err().to_string();
    assert!(text.contains("reactor-cpus 1,7 names CPU 7, but the process may only use 0-2."), "{text}");
}

#[test]
fn groups_are_those_that_limit_cpu_time() {
    let text = "12:pids:/a\n4:cpu,cpuacct:/b\n1:name=systemd:/c\n0::/d\nnonsense\n";
    let group = |version, path: &str| Group { version, path: path.into() };
    assert_eq!(parse_groups(text), [group(Version::One, "/b"), group(Version::Two, "/d")]);
}

#[test]
fn quotas_are_read_as_the_kernel_writes_them() {
    assert_eq!(parse_cpu_max("150000 100000\n"), quota(150_000));
    assert_eq!(parse_cpu_max("max 100000\n"), None);
    assert_eq!(parse_cpu_max(""), None);
    assert_eq!(parse_cpu_max("1 x"), None);
    assert_eq!(CpuQuota { quota_us: 5, period_us: 0 }.cores(), 5);
}

struct FakeRoot(tempfile::TempDir);

impl FakeRoot {
    fn new(files: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(root)
    }

    fn cores(&self) -> Option<usize> {
        read_cpu_quota(self.0.path()).map(CpuQuota::cores)
    }
}

const MOUNT_2: &str = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn the_tightest_quota_on_the_way_up_counts() {
    let root = FakeRoot::new(&[
        ("proc/self/cgroup", "0::/system.slice/bobbin.service/main\n"),
        ("proc/self/mountinfo", MOUNT_2),
        ("sys/fs/cgroup/system.slice/cpu.max", "200000 100000\n"),
        ("sys/fs/cgroup/system.slice/bobbin.service/cpu.max", "400000 100000\n"),
        ("sys/fs/cgroup/system.slice/bobbin.service/main/cpu.max", "max 100000\n"),
    ]);
    assert_eq!(root.cores(), Some(2));
}

#[test]
fn version_1_inside_a_container_reads_the_mount_point() {
    let mount = "33 25 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n";
    let root = FakeRoot::new(&[
        ("proc/self/cgroup", "4:cpu,cpuacct:/docker/abc\n"),
        ("proc/self/mountinfo", mount),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n"),
        ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "50000\n"),
    ]);
    assert_eq!(root.cores(), Some(3));
}

#[test]
fn no_quota_and_no_control_groups_are_no_limit() {
    assert_eq!(FakeRoot::new(&[]).cores(), None);
    let unlimited = FakeRoot::new(&[
        ("proc/self/cgroup", "4:cpu:/\n"),
        ("proc/self/mountinfo", "33 25 0:30 / /cg rw - cgroup cgroup rw,cpu\n"),
        ("cg/cpu.cfs_quota_us", "-1\n"),
        ("cg/cpu.cfs_period_us", "100000\n"),
    ]);
    assert_eq!(unlimited.cores(), None);
}
