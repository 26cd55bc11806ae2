//! Where the C library looks up names of hosts and accounts.
#![cfg_attr(
    all(target_env = "gnu", target_feature = "crt-static"),
    expect(unsafe_code, reason = "only glibc itself can be told where to look")
)]

/// A program that is linked statically against glibc can't load the modules that `/etc/nsswitch.conf` may name: it dies in the attempt.
/// What is linked in, files and DNS, is all it asks then. Any other program is left as it is.
pub fn look_up_names_without_modules() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    {
        use std::ffi::{CStr, c_char, c_int};
        unsafe extern "C" {
            fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
        }
        let sources: [(&CStr, &CStr); 3] =
            [(c"hosts", c"files dns"), (c"passwd", c"files"), (c"group", c"files")];
        for (database, services) in sources {
            // SAFETY: both are strings that live for ever and end in NUL; no other thread looks anything up yet.
            let _ = unsafe { __nss_configure_lookup(database.as_ptr(), services.as_ptr()) };
        }
    }
}
