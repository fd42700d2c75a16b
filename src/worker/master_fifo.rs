//! uWSGI's master FIFOs: who reads which, and what is written to them. Blocks: for side threads.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};

/// One byte or several; a FIFO that nobody reads is an error and not waited for.
pub(super) fn write_to(path: &str, commands: &str) -> Result<(), String> {
    let written = open(path).and_then(|(mut fifo, _)| fifo.write_all(commands.as_bytes()));
    written.map_err(|error| failure(path, &error))
}

/// The same, if it is this process that reads it: a FIFO is made anew under its name by whoever starts, and a process that is
/// gone leaves its own behind.
pub(super) fn write_to_reader(pid: i32, path: &str, commands: &str) -> Result<(), String> {
    let (mut fifo, metadata) = open(path).map_err(|error| failure(path, &error))?;
    if !reads(pid, &metadata)? {
        return Err(format!("the master FIFO {path} is read by another process"));
    }
    fifo.write_all(commands.as_bytes()).map_err(|error| failure(path, &error))
}

/// Which of its FIFOs, by slot, a process reads; `None` for none that is still to be found under its name.
pub(super) fn slot(pid: i32, fifos: &[String]) -> Result<Option<usize>, String> {
    for (slot, path) in fifos.iter().enumerate() {
        if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_fifo())
            && fs::symlink_metadata(path).is_ok_and(|found| reads(pid, &found) == Ok(true))
        {
            return Ok(Some(slot));
        }
    }
    // Whether that is so is known only where its descriptors may be seen.
    fs::read_dir(format!("/proc/{pid}/fd")).map(|_| None).map_err(|error| hidden(pid, &error))
}

fn open(path: &str) -> io::Result<(fs::File, Metadata)> {
    let fifo = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?;
    let metadata = fifo.metadata()?;
    if metadata.file_type().is_fifo() { Ok((fifo, metadata)) } else { Err(io::Error::other("it is no FIFO")) }
}

/// Whether a process has this FIFO open.
fn reads(pid: i32, fifo: &Metadata) -> Result<bool, String> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).map_err(|error| hidden(pid, &error))?;
    let is_it = |entry: fs::DirEntry| {
        let found = fs::metadata(entry.path());
        found.is_ok_and(|found| (found.dev(), found.ino()) == (fifo.dev(), fifo.ino()))
    };
    Ok(descriptors.filter_map(Result::ok).any(is_it))
}

fn hidden(pid: i32, error: &io::Error) -> String {
    format!("which master FIFO process {pid} reads cannot be seen: {error}")
}

fn failure(path: &str, error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENXIO) => format!("nobody reads the master FIFO {path}"),
        _ => format!("the master FIFO {path} cannot be written to: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_who_reads_it_is_told() {
        let folder = std::env::temp_dir().join(format!("galaxyd-fifo-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let fifos = [path("new"), path("run")];
        for fifo in &fifos {
            mkfifo(fifo.as_str(), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        }
        let me = i32::try_from(std::process::id()).unwrap();
        assert_eq!(slot(me, &fifos), Ok(None));
        assert!(write_to(&fifos[1], "q").unwrap_err().contains("nobody reads the master FIFO"));
        let mut reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&fifos[1]).unwrap();
        assert_eq!(slot(me, &fifos), Ok(Some(1)));
        write_to_reader(me, &fifos[1], "2q").unwrap();
        let mut told = String::new();
        reader.read_to_string(&mut told).unwrap();
        assert_eq!(told, "2q");
        // Another one has the name meanwhile, as after the start of a second uWSGI.
        fs::remove_file(&fifos[1]).unwrap();
        mkfifo(fifos[1].as_str(), Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        assert_eq!(slot(me, &fifos), Ok(None));
        assert!(slot(-1, &fifos).unwrap_err().contains("cannot be seen"));
        fs::write(path("file"), "").unwrap();
        assert!(write_to(&path("file"), "q").unwrap_err().contains("it is no FIFO"));
        fs::remove_dir_all(&folder).unwrap();
    }
}
