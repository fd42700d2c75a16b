//! Everything that is unsafe or Linux: processes, users, limits, signals, descriptors.
//!
//! Knows no policy and imports no other room. What can be said with a safe wrapper of `nix`
//! is; the rest is one small `unsafe` block at a time.

pub mod beneath;
pub mod cgroup;
mod child;
pub mod child_pipes;
pub mod clock;
pub mod daemonize;
pub mod descriptors;
pub mod errand;
pub mod errno;
pub mod exec;
mod fork;
pub mod heap;
pub mod host;
pub mod inotify;
pub mod limits;
pub mod mailbox;
pub mod mounts;
pub mod notify;
pub mod peer;
pub mod pidfd;
pub mod pipe;
pub mod plan;
pub mod proc_table;
pub mod process;
pub mod random;
pub mod reap;
mod reserve;
pub mod resident;
pub mod side;
pub mod signals;
pub mod spare_descriptors;
pub mod spawn;
pub mod splice;
pub mod stack;
pub mod trial;
pub mod usage;
pub mod users;
pub mod waiter;
pub mod watched;
