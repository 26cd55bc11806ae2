//! Signal dispositions, who this process can be, and which kernel it runs on.
#![expect(unsafe_code, reason = "sigaction may install any function; only the default is installed here")]

use nix::sys::signal::{SigAction, SigHandler, Signal, sigaction};

/// Sets a disposition that runs no code of ours.
pub(crate) fn set_disposition(signal: Signal, action: &SigAction) -> nix::Result<()> {
    if !matches!(action.handler(), SigHandler::SigDfl | SigHandler::SigIgn) {
        return Err(nix::errno::Errno::EINVAL);
    }
    // SAFETY: neither disposition names a function, so nothing can run in a signal's context.
    unsafe { sigaction(signal, action) }.map(|_| ())
}

/// Whether exactly one user is mapped into this user namespace: no other can be become.
pub(crate) fn single_user() -> bool {
    let Ok(map) = std::fs::read_to_string("/proc/self/uid_map") else { return false };
    let mut lines = map.lines();
    let first = lines.next().and_then(|line| line.split_whitespace().nth(2));
    first == Some("1") && lines.next().is_none()
}

/// Whether the kernel is `major.minor` or newer.
pub(crate) fn kernel_at_least(major: u32, minor: u32) -> bool {
    let Ok(release) = std::fs::read_to_string("/proc/sys/kernel/osrelease") else { return false };
    let mut numbers = release.split(['.', '-']).map_while(|part| part.trim().parse::<u32>().ok());
    let (Some(found), Some(next)) = (numbers.next(), numbers.next()) else { return false };
    (found, next) >= (major, minor)
}
