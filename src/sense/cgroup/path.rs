//! What the path of a group names: slice, unit, user's unit, pod, container.
//!
//! Names are conventions of systemd (`systemd.slice(5)`, "Control Group APIs"), the kubelet and container runtimes; who
//! may make groups (root, and a user below its own `user@.service`) may choose them. So a name tells what to look at
//! and never proves whose it is: what acts goes by the unit that the service manager confirms.

use super::pod::PodUid;

/// Who made a container's group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Runtime {
    Docker,
    Containerd,
    CriO,
    Podman,
    /// The cgroupfs driver leaves no name.
    Unnamed,
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container<'a> {
    /// 64 hexadecimal digits.
    pub id: &'a [u8],
    pub runtime: Runtime,
    /// The runtime's own helper beside the container (`conmon`), not the container.
    pub helper: bool,
}

/// What a path says. All of it borrowed from the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupPath<'a> {
    /// The innermost slice above the unit: `system.slice`; none where there is no slice.
    pub slice: Option<&'a [u8]>,
    /// The system's unit, service or scope, as systemd names it, with its own `\x2d` escapes:
    /// `user@1000.service`. None for a slice and for what lies outside systemd's tree.
    pub unit: Option<&'a [u8]>,
    /// The unit of a user's own service manager, below `user@UID.service`.
    pub user_unit: Option<&'a [u8]>,
    pub pod: Option<PodUid>,
    pub container: Option<Container<'a>>,
}

impl<'a> GroupPath<'a> {
    /// From a path below the root of the hierarchy: `/system.slice/nginx.service`.
    #[must_use]
    pub fn parse(path: &'a [u8]) -> Self {
        let mut found = Self::default();
        let mut whose = Whose::System;
        for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
            let part = part.strip_prefix(b"_").unwrap_or(part);
            found.pod = pod(part).or(found.pod);
            found.container =
                container(part, found.pod.is_some() || is_engine_root(path)).or(found.container);
            whose = match whose {
                Whose::System if part.ends_with(b".slice") => {
                    found.slice = Some(part);
                    Whose::System
                }
                Whose::System if is_unit(part) => {
                    found.unit = Some(part);
                    if is_user_manager(part) { Whose::User } else { Whose::Nobody }
                }
                Whose::User if part.ends_with(b".slice") => Whose::User,
                Whose::User if is_unit(part) => {
                    found.user_unit = Some(part);
                    Whose::Nobody
                }
                Whose::System | Whose::User | Whose::Nobody => Whose::Nobody,
            };
        }
        found
    }

    /// Whether the last part of a path is a service, as far as a name can tell: a unit or container, and no slice above
    /// or group that it made within itself; or, where nobody names groups so, a group without others below.
    #[must_use]
    pub fn is_service(path: &'a [u8], leaf: bool) -> bool {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (this, above) = (Self::parse(path), Self::parse(&path[..end]));
        let named = |it: Self| (it.unit, it.user_unit, it.container.map(|it| it.id));
        let unnamed = Self { pod: None, ..this } == Self::default();
        named(this) != named(above) || unnamed && leaf
    }
}

/// Whose manager names the next part: slices, then one unit. What follows anything else is named by its owner: a
/// systemd inside of a container has a `system.slice` of its own.
#[derive(Clone, Copy)]
enum Whose {
    System,
    User,
    Nobody,
}

/// Has systemd give it processes: a service or a scope, and the helpers of mounts, swaps and sockets.
fn is_unit(part: &[u8]) -> bool {
    const KINDS: [&[u8]; 5] = [b".service", b".scope", b".mount", b".swap", b".socket"];
    KINDS.iter().any(|kind| part.len() > kind.len() && part.ends_with(kind))
}

fn is_user_manager(unit: &[u8]) -> bool {
    unit.strip_prefix(b"user@").and_then(|rest| rest.strip_suffix(b".service")).is_some_and(is_number)
}

fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// `pod3c4f…` of the cgroupfs driver; `kubepods-burstable-pod3c4f….slice` of systemd's.
fn pod(part: &[u8]) -> Option<PodUid> {
    let uid = match part.strip_suffix(b".slice") {
        Some(slice) => {
            let at = slice.windows(4).rposition(|four| four == b"-pod")?;
            &slice[at + 4..]
        }
        None => part.strip_prefix(b"pod")?,
    };
    PodUid::parse(uid)
}

/// What an engine with the cgroupfs driver puts its containers under.
fn is_engine_root(path: &[u8]) -> bool {
    const ROOTS: [&[u8]; 3] = [b"/docker/", b"/ecs/", b"/libpod_parent/"];
    ROOTS.iter().any(|root| path.starts_with(root))
}

/// `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID.scope`, `libpod-ID.scope`, `libpod-ID`; a bare `ID` where
/// only containers live.
fn container(part: &[u8], bare: bool) -> Option<Container<'_>> {
    const PREFIXES: [(&[u8], Runtime, bool); 6] = [
        (b"docker-", Runtime::Docker, false),
        (b"cri-containerd-", Runtime::Containerd, false),
        (b"crio-conmon-", Runtime::CriO, true),
        (b"crio-", Runtime::CriO, false),
        (b"libpod-conmon-", Runtime::Podman, true),
        (b"libpod-", Runtime::Podman, false),
    ];
    let name = part.strip_suffix(b".scope").unwrap_or(part);
    let named = PREFIXES.iter().find_map(|(prefix, runtime, helper)| {
        let id = name.strip_prefix(*prefix)?;
        Some(Container { id, runtime: *runtime, helper: *helper })
    });
    let unnamed = Container { id: name, runtime: Runtime::Unnamed, helper: false };
    named.or(bare.then_some(unnamed)).filter(|container| is_container_id(container.id))
}

fn is_container_id(id: &[u8]) -> bool {
    id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit)
}
