//! Huge pages for the heap: refused where the configuration says so, and missed where the machine has none to give.
//!
//! The allocator asks for them (`main`), so `always` and `madvise` are alike to it.

use super::Host;
use crate::config::Config;

/// Does without them if told to. Returns what it costs that there are none, if it is so.
pub(super) fn arrange(host: &Host, config: &Config) -> Option<String> {
    if config.disable_thp {
        return match rustix::thread::disable_transparent_huge_pages(true) {
            Ok(()) => Some(format!(
                "disable-thp is on: {COST}. The server never forks, so no memory is copied for it"
            )),
            Err(error) => {
                Some(format!("disable-thp is on, but the kernel does not let go of huge pages: {error}"))
            }
        };
    }
    host.gives_no_huge_pages.then(|| {
        format!(
            "the kernel gives no transparent huge pages: {COST}. Let the server have them: echo madvise > \
             /sys/kernel/mm/transparent_hugepage/enabled (as root; scripts/tune-host does it), and start it again"
        )
    })
}

const COST: &str = "look-ups in many keys take up to twice the time";

/// What `/sys/kernel/mm/transparent_hugepage/enabled` says: the setting is the word in brackets.
pub(super) fn is_never(enabled: &str) -> bool {
    enabled.contains("[never]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::host::capable;

    #[test]
    fn a_machine_without_is_told_of() {
        assert!(is_never("always madvise [never]\n"));
        assert!(
            !is_never("always [madvise] never\n") && !is_never("[always] madvise never\n") && !is_never("")
        );
        assert_eq!(arrange(&capable(), &Config::default()), None);
        let without = Host { gives_no_huge_pages: true, ..capable() };
        let text = arrange(&without, &Config::default()).expect("a warning");
        assert!(text.contains("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"), "{text}");
    }
}
