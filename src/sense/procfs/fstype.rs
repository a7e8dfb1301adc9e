//! What kind of filesystem a type's name stands for: whether it has space of its own, and who answers for it.

/// Kinds of filesystems, by who answers for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FilesystemKind {
    /// On a block device or a pool of them: it can fill, and turn read-only on errors.
    Real,
    /// In memory: it can fill, and takes memory while it does.
    Memory,
    /// Shows other filesystems' files and has no space of its own: not to be counted again.
    Layered,
    /// Another host answers: asking may hang for ever.
    Network,
    /// A program answers (or the hypervisor's): asking may hang for ever.
    Fuse,
    /// The kernel's own, without space. Asking `autofs` mounts what it waits for.
    Virtual,
    /// Not known here: neither counted as full nor asked without care.
    Unknown,
}

impl FilesystemKind {
    /// Of the third field from the end of `mountinfo`: `ext4`, `fuse.sshfs`.
    #[must_use]
    pub fn of(fstype: &[u8]) -> Self {
        match fstype {
            // `fuseblk` is a local disk, answered for by a program.
            b"fuse" | b"fuseblk" | b"virtiofs" | b"vboxsf" | b"prl_fs" | b"vmhgfs" => Self::Fuse,
            _ if fstype.starts_with(b"fuse.") || fstype.starts_with(b"fuseblk.") => Self::Fuse,
            b"nfs" | b"nfs4" | b"cifs" | b"smb3" | b"smbfs" | b"ceph" | b"afs" | b"9p" | b"lustre"
            | b"gfs2" | b"ocfs2" | b"gpfs" | b"beegfs" | b"orangefs" | b"pvfs2" | b"coda" | b"ncpfs"
            | b"panfs" | b"davfs" | b"glusterfs" | b"acfs" | b"wekafs" | b"quobyte" => Self::Network,
            b"ext2" | b"ext3" | b"ext4" | b"xfs" | b"btrfs" | b"f2fs" | b"zfs" | b"bcachefs" | b"jfs"
            | b"reiserfs" | b"reiser4" | b"nilfs2" | b"ubifs" | b"jffs2" | b"vfat" | b"msdos" | b"exfat"
            | b"ntfs" | b"ntfs3" | b"hfs" | b"hfsplus" | b"apfs" | b"ufs" | b"minix" | b"udf"
            | b"iso9660" | b"squashfs" | b"erofs" | b"cramfs" | b"romfs" | b"vxfs" => Self::Real,
            b"tmpfs" | b"ramfs" | b"devtmpfs" | b"hugetlbfs" => Self::Memory,
            b"overlay" | b"overlayfs" | b"aufs" | b"unionfs" | b"ecryptfs" | b"shiftfs" => Self::Layered,
            b"proc" | b"sysfs" | b"cgroup" | b"cgroup2" | b"devpts" | b"mqueue" | b"debugfs" | b"tracefs"
            | b"securityfs" | b"selinuxfs" | b"smackfs" | b"apparmorfs" | b"pstore" | b"efivarfs"
            | b"bpf" | b"configfs" | b"fusectl" | b"binfmt_misc" | b"autofs" | b"rpc_pipefs" | b"nfsd"
            | b"nsfs" | b"pipefs" | b"sockfs" | b"anon_inodefs" | b"bdev" | b"cpuset" | b"resctrl"
            | b"dax" | b"functionfs" | b"binder" | b"openpromfs" | b"s390_hypfs" | b"spufs" | b"xenfs"
            | b"usbfs" | b"rootfs" | b"secretmem" | b"pidfs" | b"nfs4_pseudo" => Self::Virtual,
            _ => Self::Unknown,
        }
    }

    /// Whether it has space of its own that can run out.
    #[must_use]
    pub const fn can_fill(self) -> bool {
        match self {
            Self::Real | Self::Memory | Self::Network | Self::Fuse | Self::Unknown => true,
            Self::Layered | Self::Virtual => false,
        }
    }
}
