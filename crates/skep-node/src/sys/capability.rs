//! Capability sets of the calling process.
#![expect(unsafe_code, reason = "nix has no capset")]

use std::io;

use nix::libc;

/// The number of the highest capability that this kernel knows, and one.
pub(crate) fn known_capabilities() -> u32 {
    std::fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok())
        .map_or(41, |last| last + 1)
}

/// Takes every capability outside `keep` from the bounding set, so that no program run later can gain it.
pub(crate) fn clear_bounding_set(keep: u64, known: u32) -> io::Result<()> {
    for number in (0..known).filter(|number| keep & (1 << number) == 0) {
        // SAFETY: PR_CAPBSET_DROP takes a number.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) } == -1 {
            let error = io::Error::last_os_error();
            // EINVAL: not known to this kernel after all.
            if error.raw_os_error() != Some(libc::EINVAL) {
                return Err(error);
            }
        }
    }
    Ok(())
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Sets {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Makes `wanted`, as far as the process has it, its effective and permitted set, and empties the inheritable one.
pub(crate) fn keep_only(wanted: u64) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Sets::default(); 2];
    // SAFETY: both pointers are to live values of the layout that version 3 of capget(2) asks for.
    if unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let halves = [wanted & 0xffff_ffff, wanted >> 32];
    for (set, half) in sets.iter_mut().zip(halves) {
        let kept = set.permitted & u32::try_from(half).unwrap_or(0);
        *set = Sets { effective: kept, permitted: kept, inheritable: 0 };
    }
    // SAFETY: as above.
    if unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
