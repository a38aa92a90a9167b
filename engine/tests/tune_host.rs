//! `scripts/tune-host` on a machine of files: what it finds, sets, and puts back.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// 34 CPUs, so that masks have two words, and a network device with two queues each way.
const MACHINE: [(&str, &str); 21] = [
    ("sys/devices/system/cpu/online", "0-33"),
    ("sys/devices/system/cpu/isolated", ""),
    ("sys/devices/system/cpu/cpu33/cpufreq/scaling_governor", "powersave"),
    ("sys/devices/virtual/workqueue/cpumask", "3,ffffffff"),
    ("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never"),
    ("sys/class/net/eth9/device/msi_irqs/70", "msix"),
    ("sys/class/net/eth9/device/msi_irqs/71", "msix"),
    ("sys/class/net/eth9/queues/rx-0/rps_cpus", "0,00000000"),
    ("sys/class/net/eth9/queues/rx-0/rps_flow_cnt", "0"),
    ("sys/class/net/eth9/queues/rx-1/rps_cpus", "0,00000000"),
    ("sys/class/net/eth9/queues/rx-1/rps_flow_cnt", "99999"),
    ("sys/class/net/eth9/queues/tx-0/xps_cpus", "0,00000000"),
    ("sys/class/net/eth9/queues/tx-1/xps_cpus", "0,00000000"),
    ("proc/net/route", "Iface\tDestination\tGateway\neth8\t0010A8C0\t0\neth9\t00000000\t0"),
    ("proc/irq/default_smp_affinity", "3,ffffffff"),
    ("proc/irq/70/smp_affinity_list", "0-33"),
    ("proc/irq/71/smp_affinity_list", "0,1"),
    ("proc/sys/kernel/io_uring_disabled", "0"),
    ("proc/sys/net/core/somaxconn", "128"),
    ("proc/sys/net/core/rps_sock_flow_entries", "0"),
    ("proc/1/comm", "irqbalance"),
];

fn machine() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in MACHINE {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }
    root
}

/// All that it has, without the notes of the script.
fn state(root: &Path) -> BTreeMap<&'static str, String> {
    MACHINE.iter().map(|(path, _)| (*path, fs::read_to_string(root.join(path)).unwrap())).collect()
}

fn value(root: &Path, path: &str) -> String {
    fs::read_to_string(root.join(path)).unwrap().trim_end().to_owned()
}

/// Whether it ended well, and what it said.
fn tune(root: &Path, arguments: &[&str]) -> (bool, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/tune-host");
    let mut command = Command::new(script);
    let output = command.args(arguments).env("TUNE_HOST_ROOT", root).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), text)
}

#[test]
fn it_only_looks_unless_told_to_apply() {
    let root = machine();
    let before = state(root.path());
    let (is_well, text) = tune(root.path(), &[]);
    assert!(is_well, "{text}");
    assert_eq!(state(root.path()), before);
    assert!(!root.path().join("run").exists());
    // Three of 34 are left to others.
    assert!(text.starts_with("reactors on CPU 3-33, everything else on CPU 0-2, network eth9\n"), "{text}");
    assert!(text.contains("would set /proc/sys/net/core/somaxconn to 4096, now 128: "), "{text}");
    assert!(text.contains("-         /proc/sys/kernel/numa_balancing: not here"), "{text}");
    assert!(text.contains("isolcpus=3-33 "), "{text}");
    assert!(text.contains("irqbalance runs"), "{text}");
    assert!(text.contains("13 to set: scripts/tune-host --apply"), "{text}");
}

#[test]
fn it_sets_what_it_said_and_then_finds_nothing_to_set() {
    let root = machine();
    let (is_well, text) = tune(root.path(), &["--apply", "--reactor-cpus", "2-33"]);
    assert!(is_well, "{text}");
    let value = |path| value(root.path(), path);
    assert_eq!(value("proc/sys/net/core/somaxconn"), "4096");
    assert_eq!(value("sys/kernel/mm/transparent_hugepage/enabled"), "madvise");
    assert_eq!(value("sys/devices/system/cpu/cpu33/cpufreq/scaling_governor"), "performance");
    assert_eq!(value("sys/devices/virtual/workqueue/cpumask"), "00000003");
    assert_eq!(value("proc/irq/70/smp_affinity_list"), "0-1");
    // It was on those CPUs, in other words.
    assert_eq!(value("proc/irq/71/smp_affinity_list"), "0,1");
    assert_eq!(value("sys/class/net/eth9/queues/rx-0/rps_cpus"), "00000003,fffffffc");
    assert_eq!(value("sys/class/net/eth9/queues/rx-0/rps_flow_cnt"), "16384");
    assert_eq!(value("sys/class/net/eth9/queues/rx-1/rps_flow_cnt"), "99999");
    assert_eq!(value("sys/class/net/eth9/queues/tx-0/xps_cpus"), "00000001,55555554");
    assert_eq!(value("sys/class/net/eth9/queues/tx-1/xps_cpus"), "00000002,aaaaaaa8");
    let (_, text) = tune(root.path(), &["--reactor-cpus", "2-33"]);
    assert!(text.contains("\n0 to set: "), "{text}");
}

#[test]
fn it_puts_back_what_was_there_before_it_was_first_applied() {
    let root = machine();
    let before = state(root.path());
    for reactors in ["2-33", "4-33"] {
        assert!(tune(root.path(), &["--apply", "--reactor-cpus", reactors]).0);
    }
    assert_ne!(state(root.path()), before);
    let (is_well, text) = tune(root.path(), &["--undo"]);
    assert!(is_well, "{text}");
    let mut put_back = state(root.path());
    // Written as it is chosen, read as one of several.
    let huge = put_back.get_mut("sys/kernel/mm/transparent_hugepage/enabled").unwrap();
    assert_eq!(std::mem::replace(huge, "[always] madvise never\n".into()), "always\n");
    assert_eq!(put_back, before);
    assert!(tune(root.path(), &["--undo"]).1.starts_with("nothing to undo"));
}

#[test]
fn what_cannot_be_set_is_said_and_the_rest_is_set() {
    let root = machine();
    // A number that not even root may change.
    let stubborn = root.path().join("proc/irq/70/smp_affinity_list");
    fs::remove_file(&stubborn).unwrap();
    std::os::unix::fs::symlink("/proc/sys/kernel/ngroups_max", &stubborn).unwrap();
    let (is_well, text) = tune(root.path(), &["--apply", "--reactor-cpus", "2-33"]);
    assert!(!is_well && text.contains("refused   /proc/irq/70/smp_affinity_list stays 65536: "), "{text}");
    assert_eq!(value(root.path(), "proc/sys/net/core/somaxconn"), "4096");
}

#[test]
fn a_small_machine_is_all_reactors() {
    let root = machine();
    fs::write(root.path().join("sys/devices/system/cpu/online"), "0-1\n").unwrap();
    let (is_well, text) = tune(root.path(), &[]);
    assert!(is_well, "{text}");
    assert!(text.starts_with("reactors on CPU 0-1, everything else on the same"), "{text}");
    assert!(text.contains("no CPU is left for interrupts") && text.contains("no cpufreq"), "{text}");
}

#[test]
fn words_that_mean_nothing_are_refused() {
    let root = machine();
    for arguments in
        [&["--aply"] as &[&str], &["--nic"], &["--reactor-cpus", "1-x"], &["--reactor-cpus", "99"]]
    {
        let (is_well, text) = tune(root.path(), arguments);
        assert!(!is_well && !text.is_empty(), "{arguments:?}: {text}");
    }
    assert!(tune(root.path(), &["--reactor-cpus", "99"]).1.contains("not online here: CPU 99"));
}
