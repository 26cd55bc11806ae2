//! Who a container runs as, and what it may do.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::image::{Identity, Lookup};

/// What containerd gives: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW,
/// SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const DEFAULT: u64 = bits(&[0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31]);

/// By number.
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

const fn bits(numbers: &[u32]) -> u64 {
    let (mut set, mut index) = (0, 0);
    while index < numbers.len() {
        set |= 1 << numbers[index];
        index += 1;
    }
    set
}

/// A container's privileges, decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Privileges {
    pub(crate) identity: Identity,
    pub(crate) capabilities: u64,
    pub(crate) no_new_privileges: bool,
    pub(crate) privileged: bool,
    pub(crate) read_only_root: bool,
}

/// The container's settings over the pod's over the image's. The error is the message of a `CreateContainerConfigError`.
pub(crate) fn decide(
    pod: &Pod,
    container: &Container,
    image_user: Option<&str>,
    lookup: &Lookup,
) -> Result<Privileges, String> {
    let of_pod = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let number = |id: i64| u32::try_from(id).map_err(|_| format!("{id} is not a user or group id"));
    let wanted = own.run_as_user.or(of_pod.run_as_user);
    let mut identity = match wanted {
        Some(uid) => {
            let found = lookup.identity(&number(uid)?.to_string())?;
            // A number alone says nothing about groups.
            Identity { groups: Vec::new(), ..found }
        }
        None => lookup.identity(image_user.unwrap_or_default())?,
    };
    if let Some(gid) = own.run_as_group.or(of_pod.run_as_group) {
        identity.gid = number(gid)?;
    }
    if own.run_as_non_root.or(of_pod.run_as_non_root) == Some(true) && identity.uid == 0 {
        let meta = &pod.metadata;
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        return Err(format!(
            "container has runAsNonRoot and image will run as root (pod: \"{}_{}({})\", container: {})",
            text(&meta.name),
            text(&meta.namespace),
            text(&meta.uid),
            container.name
        ));
    }
    for gid in of_pod.supplemental_groups.iter().flatten().chain(&of_pod.fs_group) {
        identity.groups.push(number(*gid)?);
    }
    identity.groups.push(identity.gid);
    identity.groups.sort_unstable();
    identity.groups.dedup();
    let privileged = own.privileged == Some(true);
    let capabilities = if privileged {
        (1 << NAMES.len()) - 1
    } else {
        let change = own.capabilities.unwrap_or_default();
        let dropped = set(change.drop.iter().flatten())?;
        let added = set(change.add.iter().flatten())?;
        (DEFAULT & !dropped) | added
    };
    Ok(Privileges {
        identity,
        capabilities,
        no_new_privileges: !privileged && own.allow_privilege_escalation != Some(true),
        privileged,
        read_only_root: own.read_only_root_filesystem == Some(true),
    })
}

fn set<'a>(names: impl Iterator<Item = &'a String>) -> Result<u64, String> {
    names.into_iter().try_fold(0, |set, name| {
        let plain = name.to_uppercase();
        let plain = plain.strip_prefix("CAP_").unwrap_or(&plain);
        if plain == "ALL" {
            return Ok((1 << NAMES.len()) - 1);
        }
        let number = NAMES.iter().position(|known| *known == plain);
        number.map(|number| set | 1 << number).ok_or_else(|| format!("unknown capability {name:?}"))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decided(
        pod: &serde_json::Value,
        container: &serde_json::Value,
        user: Option<&str>,
    ) -> Result<Privileges, String> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"containers": [], "securityContext": pod}
        }))
        .unwrap();
        let container = serde_json::from_value(json!({"name": "c", "securityContext": container})).unwrap();
        decide(&pod, &container, user, &Lookup::default())
    }

    #[test]
    fn the_container_overrides_the_pod_which_overrides_the_image() {
        let uid =
            |found: Result<Privileges, String>| found.map(|found| (found.identity.uid, found.identity.gid));
        assert_eq!(uid(decided(&json!({}), &json!({}), Some("70:71"))), Ok((70, 71)));
        assert_eq!(uid(decided(&json!({"runAsUser": 5}), &json!({}), Some("70:71"))), Ok((5, 0)));
        assert_eq!(
            uid(decided(&json!({"runAsUser": 5, "runAsGroup": 6}), &json!({"runAsUser": 7}), None)),
            Ok((7, 6))
        );
        let groups = decided(&json!({"fsGroup": 9, "supplementalGroups": [8]}), &json!({}), None)
            .unwrap()
            .identity
            .groups;
        assert_eq!(groups, [0, 8, 9]);
    }

    #[test]
    fn root_is_refused_where_it_is_forbidden() {
        let refused = decided(&json!({"runAsNonRoot": true}), &json!({}), None).unwrap_err();
        assert_eq!(
            refused,
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)"
        );
        assert!(decided(&json!({"runAsNonRoot": true}), &json!({"runAsUser": 1}), None).is_ok());
        assert!(decided(&json!({"runAsNonRoot": true}), &json!({"runAsNonRoot": false}), None).is_ok());
    }

    #[test]
    fn capabilities_are_dropped_then_added() {
        let of = |change: serde_json::Value| {
            decided(&json!({}), &json!({"capabilities": change}), None).map(|found| found.capabilities)
        };
        assert_eq!(of(json!({})), Ok(DEFAULT));
        assert_eq!(of(json!({"drop": ["ALL"]})), Ok(0));
        assert_eq!(of(json!({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]})), Ok(1 << 10));
        assert_eq!(of(json!({"add": ["CAP_SYS_PTRACE"]})), Ok(DEFAULT | 1 << 19));
        assert!(of(json!({"add": ["FLY"]})).is_err());
    }
}
