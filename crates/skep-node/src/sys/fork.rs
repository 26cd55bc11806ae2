//! Making a child that goes on from here, in new namespaces.
#![expect(unsafe_code, reason = "clone and _exit have no safe form")]

use std::io;

use nix::libc;
use nix::sched::CloneFlags;
use nix::unistd::Pid;

/// Which side of the fork this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The old one, and the new one's id.
    Parent(Pid),
}

/// Forks, with `namespaces` new for the child. The holder and its children, which have one thread,
/// may do anything then; others call [`try_clone`].
pub(crate) fn clone_into(namespaces: CloneFlags) -> io::Result<Forked> {
    let flags = libc::c_long::from(namespaces.bits()) | libc::c_long::from(libc::SIGCHLD);
    let none: libc::c_long = 0;
    // SAFETY: without CLONE_VM and with a null stack this is fork: the child gets its own copy of memory. With one
    // thread no lock can be held by another at this moment; the one caller with threads has a child that takes none.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, none, none, none, none) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?))),
    }
}

/// Ends a forked child without running what its parent registered for its own end.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}

/// Whether this machine lets a child have these namespaces: one is made that ends at once.
pub(crate) fn try_clone(namespaces: CloneFlags) -> io::Result<()> {
    // The caller may have threads; the child makes one system call and takes no lock.
    match clone_into(namespaces)? {
        Forked::Child => exit_now(0),
        Forked::Parent(pid) => nix::sys::wait::waitpid(pid, None).map(|_| ()).map_err(io::Error::from),
    }
}
