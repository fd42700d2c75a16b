//! The files beside the pages: style, scripts, icon. They are part of the binary.

/// One file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Below the root, without a leading slash.
    pub path: &'static str,
    pub content_type: &'static str,
    pub bytes: &'static [u8],
}

/// All of them.
const ASSETS: [Asset; 4] = [
    Asset {
        path: "stylesheets/supervisor.css",
        content_type: "text/css",
        bytes: include_bytes!("assets/supervisor.css"),
    },
    Asset { path: "images/icon.png", content_type: "image/png", bytes: include_bytes!("assets/icon.png") },
    Asset {
        path: "scripts/status.js",
        content_type: "text/javascript;charset=utf-8",
        bytes: include_bytes!("assets/status.js"),
    },
    Asset {
        path: "scripts/tail.js",
        content_type: "text/javascript;charset=utf-8",
        bytes: include_bytes!("assets/tail.js"),
    },
];

impl Asset {
    /// The file of this path.
    #[must_use]
    pub fn find(path: &str) -> Option<&'static Asset> {
        ASSETS.iter().find(|asset| asset.path == path)
    }

    /// Whether files lie below this path.
    #[must_use]
    pub fn is_folder(path: &str) -> bool {
        ASSETS.iter().any(|asset| asset.path.split_once('/').is_some_and(|(folder, _)| folder == path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_folders_are_found_by_their_whole_path() {
        assert!(Asset::find("stylesheets/supervisor.css").is_some());
        for path in ["", "stylesheets", "stylesheets/", "/images/icon.png", "images/../images/icon.png"] {
            assert_eq!(Asset::find(path), None, "{path}");
        }
        assert!(Asset::is_folder("images") && !Asset::is_folder("image") && !Asset::is_folder(""));
    }

    #[test]
    fn the_assets_stay_small() {
        let total: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(total < 40 * 1024, "{total} bytes");
    }
}
