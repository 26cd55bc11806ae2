//! Who holds a lock: a process, precisely enough that the same host can tell whether it is still alive.

use std::fmt;

/// A process that deploys. Written into a lease as `user@host#boot#pid#start`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Holder {
    /// Account name.
    pub user: String,
    /// Host name.
    pub host: String,
    /// The kernel's boot id; a holder of another boot is dead whatever its pid.
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot, so that a reused pid is not taken for the holder.
    pub start: u64,
}

impl Holder {
    /// This process.
    pub fn this_process(user: &str, host: &str) -> Self {
        let pid = std::process::id();
        Self {
            user: user.to_owned(),
            host: host.to_owned(),
            boot: boot_id(),
            pid,
            start: start_of(pid).unwrap_or(0),
        }
    }

    /// The text that goes into `holderIdentity`.
    pub fn identity(&self) -> String {
        format!("{}@{}#{}#{}#{}", self.user, self.host, self.boot, self.pid, self.start)
    }

    /// Reads an identity; `None` for an empty one, which means that nobody holds the lease.
    pub fn parse(identity: &str) -> Option<Self> {
        if identity.is_empty() {
            return None;
        }
        let mut parts = identity.split('#');
        let (user, host) = parts.next()?.split_once('@').unwrap_or((identity, "unknown"));
        Some(Self {
            user: user.to_owned(),
            host: host.to_owned(),
            boot: parts.next().unwrap_or_default().to_owned(),
            pid: parts.next().and_then(|pid| pid.parse().ok()).unwrap_or(0),
            start: parts.next().and_then(|start| start.parse().ok()).unwrap_or(0),
        })
    }

    /// Whether the holder ran on this host, in this boot, and is gone. The boot id is random, so no other host has it.
    pub(super) fn is_dead_process_of_this_host(&self) -> bool {
        !self.boot.is_empty() && self.boot == boot_id() && start_of(self.pid) != Some(self.start)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} (process {})", self.user, self.host, self.pid)
    }
}

/// Empty where the kernel has none.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

/// Field 22 of `/proc/<pid>/stat`, counted after the command name, which may hold spaces. A zombie is not alive.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    if state == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_a_reused_pid_is_not_it() {
        let me = Holder::this_process("ana", "laptop");
        assert_eq!(Holder::parse(&me.identity()).as_ref(), Some(&me));
        assert!(!me.is_dead_process_of_this_host());
        assert!(Holder { start: me.start + 1, ..me.clone() }.is_dead_process_of_this_host());
        assert!(!Holder { boot: "another".to_owned(), start: 1, ..me }.is_dead_process_of_this_host());
        assert_eq!(Holder::parse(""), None);
    }
}
