//! A file system that stops answering: FUSE whose server takes each question and gives no answer, until it is released.
//! Then every question fails, as it does when a server has gone.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::notice::tell;

/// `FUSE_INIT`. Source: linux/fuse.h, as are the layouts below.
const INIT: u32 = 26;

/// A request of any kind fits.
const REQUEST_BYTES_MAX: usize = 1 << 20;

pub(crate) struct Hung {
    pub(crate) path: PathBuf,
    server: Option<File>,
}

impl Hung {
    /// `None`, and said so, where FUSE is not to be had. Needs a mount namespace of the thread's own.
    pub(crate) fn mount(path: &Path, test: &str) -> Option<Hung> {
        fs::create_dir_all(path).unwrap();
        let device = OpenOptions::new().read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open("/dev/fuse");
        let made = device.map_err(|error| error.to_string()).and_then(|device| {
            let options = format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
            mount(Some("hung"), path, Some("fuse"), MsFlags::empty(), Some(options.as_str()))
                .map_err(|error| error.to_string())?;
            Ok(device)
        });
        match made {
            Ok(device) => {
                let mut hung = Hung { path: path.to_owned(), server: Some(device) };
                assert_eq!(hung.take(), Some(INIT));
                Some(hung)
            }
            Err(why) => {
                tell(&format!("could not run: {test} needs FUSE: {why}"));
                None
            }
        }
    }

    /// Takes a question if there is one, so that no signal ends the wait for its answer; gives its kind.
    pub(crate) fn take(&mut self) -> Option<u32> {
        let server = self.server.as_mut().unwrap();
        let mut request = vec![0; REQUEST_BYTES_MAX];
        let length = server.read(&mut request).ok()?;
        let word = |at: usize| u32::from_ne_bytes(request[at..at + 4].try_into().unwrap());
        assert!(length >= 40);
        let kind = word(4);
        if kind == INIT {
            // fuse_out_header, then fuse_init_out: version 7.31, no read-ahead, no flags, writes of a page.
            let mut answer = Vec::new();
            answer.extend(80_u32.to_ne_bytes());
            answer.extend(0_i32.to_ne_bytes());
            answer.extend(&request[8..16]);
            for word in [7_u32, 31, 0, 0, 0, 4096] {
                answer.extend(word.to_ne_bytes());
            }
            answer.resize(80, 0);
            server.write_all(&answer).unwrap();
        }
        Some(kind)
    }

    /// From now on every question, also those that wait, fails at once.
    pub(crate) fn release(&mut self) {
        self.server = None;
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        self.release();
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}
