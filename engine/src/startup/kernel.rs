//! Whether the kernel gives the server a ring, and if not, why and what to do.

use std::io;

use rustix::io::Errno;

use super::Host;

/// The oldest kernel with `IORING_SETUP_DEFER_TASKRUN` and multishot receive.
const OLDEST: (u32, u32) = (6, 1);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    #[error(
        "Linux {release} is too old: bobbin-server needs 6.1 or newer. Upgrade the kernel (Debian 12, Ubuntu 24.04 and RHEL 10 have one that is new enough)"
    )]
    TooOld { release: String },
    #[error(
        "io_uring is disabled for every process (kernel.io_uring_disabled is 2). Enable it: sysctl -w kernel.io_uring_disabled=0 (as root; to keep it, put the line kernel.io_uring_disabled=0 into /etc/sysctl.d/90-io-uring.conf)"
    )]
    Disabled,
    #[error(
        "io_uring is reserved for privileged processes and for group {group} (kernel.io_uring_disabled is 1, kernel.io_uring_group is {group}). Add the server's user to a group and name it: sysctl -w kernel.io_uring_group=<gid>, or open it to all: sysctl -w kernel.io_uring_disabled=0 (as root)"
    )]
    Reserved { group: i64 },
    #[error(
        "io_uring is refused to this process though the kernel allows it ({cause}): a seccomp filter stands in between, as Docker's default profile has since version 25. Run the container with --security-opt seccomp=docker/seccomp.json (the profile in Bobbin's docker directory); under systemd, add @aio to SystemCallFilter= (docker/bobbin.service is a unit that has it)"
    )]
    Filtered { cause: Errno },
    #[error(
        "there is no memory for an io_uring. Raise the locked-memory limit (ulimit -l unlimited, LimitMEMLOCK=infinity, or docker run --ulimit memlock=-1) or the container's memory limit"
    )]
    NoMemory,
    #[error(
        "there is no file descriptor for an io_uring. Raise the limit: ulimit -n 65536, LimitNOFILE=65536, or docker run --ulimit nofile=65536"
    )]
    NoFiles,
    #[error(
        "io_uring_setup failed: {cause}. The kernel was built without io_uring, or its ring lacks a flag of Linux 6.1"
    )]
    Failed { cause: Errno },
}

/// Ready only if a ring could be set up: what the settings say does not matter then.
pub fn check(host: &Host) -> Result<(), KernelError> {
    if version(&host.kernel_release).is_some_and(|version| version < OLDEST) {
        return Err(KernelError::TooOld { release: host.kernel_release.clone() });
    }
    let Some(number) = host.ring_error else { return Ok(()) };
    let cause = Errno::from_raw_os_error(number);
    Err(match (cause, host.io_uring_disabled) {
        (Errno::PERM, Some(2)) => KernelError::Disabled,
        (Errno::PERM, Some(1)) => KernelError::Reserved { group: host.io_uring_group },
        (Errno::PERM | Errno::ACCESS | Errno::NOSYS, _) => KernelError::Filtered { cause },
        (Errno::NOMEM, _) => KernelError::NoMemory,
        (Errno::MFILE | Errno::NFILE, _) => KernelError::NoFiles,
        _ => KernelError::Failed { cause },
    })
}

/// Why a reactor got no ring though one could be made before: what the kernel counts is used up.
pub fn explained(error: io::Error) -> io::Error {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOMEM) => io::Error::new(error.kind(), KernelError::NoMemory),
        Some(Errno::MFILE | Errno::NFILE) => io::Error::new(error.kind(), KernelError::NoFiles),
        _ => error,
    }
}

/// Major and minor number. A release that does not start with them is not judged by them.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::startup::host::capable;

    fn refused(ring_error: Errno, io_uring_disabled: Option<u8>) -> String {
        let host = Host { ring_error: Some(ring_error.raw_os_error()), io_uring_disabled, ..capable() };
        check(&host).expect_err("must be refused").to_string()
    }

    #[test]
    fn kernels_before_6_1_are_refused() {
        for (release, is_new_enough) in [
            ("6.1.0", true),
            ("6.0.19-generic", false),
            ("5.15.0-91-generic", false),
            ("10.0", true),
            ("6.18.44-fc", true),
            ("odd", true),
        ] {
            let host = Host { kernel_release: release.into(), ..capable() };
            assert_eq!(check(&host).is_ok(), is_new_enough, "{release}");
        }
        let text = check(&Host { kernel_release: "5.4.0".into(), ..capable() }).unwrap_err().to_string();
        assert!(text.starts_with("Linux 5.4.0 is too old: bobbin-server needs 6.1 or newer."), "{text}");
    }

    #[test]
    fn a_disabled_ring_names_the_sysctl() {
        assert!(refused(Errno::PERM, Some(2)).contains("sysctl -w kernel.io_uring_disabled=0"));
    }

    #[test]
    fn a_reserved_ring_names_the_group() {
        let text = refused(Errno::PERM, Some(1));
        assert!(
            text.contains("group -1") && text.contains("sysctl -w kernel.io_uring_group=<gid>"),
            "{text}"
        );
    }

    #[test]
    fn a_filtered_ring_names_the_profile() {
        for (error, disabled) in [(Errno::PERM, Some(0)), (Errno::NOSYS, Some(0)), (Errno::PERM, None)] {
            assert!(refused(error, disabled).contains("--security-opt seccomp=docker/seccomp.json"));
        }
    }

    #[test]
    fn exhausted_limits_name_the_limit() {
        assert!(refused(Errno::NOMEM, Some(0)).contains("ulimit -l"));
        assert!(refused(Errno::MFILE, Some(0)).contains("ulimit -n"));
        assert!(refused(Errno::INVAL, Some(0)).contains("io_uring_setup failed"));
    }

    #[test]
    fn a_ring_that_works_outweighs_the_setting() {
        assert_eq!(check(&Host { io_uring_disabled: Some(1), ..capable() }), Ok(()));
    }
}
