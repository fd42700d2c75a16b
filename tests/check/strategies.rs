//! The worked pages of `docs/strategies`: each names an example, and with the files that it shows nothing is said about it.

use std::fs;
use std::path::{Path, PathBuf};

use super::{check, shown};

const PARTS: [&str; 4] = ["## Configuration", "## What the supervisor must set", "## Restart", "## Failure modes"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Each file that a page shows: `config/NAME` in backticks, then a block.
fn files_of(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("\n`config/") {
        let (name, after) = after.split_once('`').unwrap();
        let (_, block) = after.split_once("```").unwrap();
        let (block, after) = block.split_once("\n```").unwrap();
        let (_, text) = block.split_once('\n').unwrap();
        found.push((name.to_owned(), format!("{text}\n")));
        rest = after;
    }
    found
}

/// The example that a page is about.
fn example_of(page: &str) -> &str {
    let (_, after) = page.split_once("](../../").unwrap();
    after.split_once(')').unwrap().0
}

/// A host on which the example and the page's files lie.
fn deployed(page: &str, folder: &Path) -> PathBuf {
    for name in ["log", "var", "server/lib/galaxy", "config", "data/tus", "venv/bin"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let here = |text: &str| text.replace("/srv/galaxy", &folder.display().to_string());
    for (name, text) in files_of(page) {
        fs::write(folder.join("config").join(name), here(&text)).unwrap();
    }
    let example = fs::read_to_string(root().join(example_of(page))).unwrap();
    let file = folder.join("supervisord.conf");
    // The account is not on this host.
    fs::write(&file, here(&example.replace("user            = galaxy\n", ""))).unwrap();
    file
}

#[test]
fn each_strategys_page_is_a_deployment_that_keeps_every_rule() {
    let pages = root().join("docs/strategies");
    let index = fs::read_to_string(pages.join("README.md")).unwrap();
    let mut seen = 0;
    for page in fs::read_dir(&pages).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        if name == "README.md" {
            continue;
        }
        assert!(index.contains(&format!("({name})")), "{name} is not in the index");
        let page = fs::read_to_string(pages.join(&name)).unwrap();
        let places: Vec<_> = PARTS.iter().map(|part| page.find(part)).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{name}: {places:?}");
        assert!(!files_of(&page).is_empty(), "{name} shows no file");
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(shown(&check(&deployed(&page, folder.path()))), [""; 0], "{name}");
        seen += 1;
    }
    assert_eq!(seen, index.matches("](").count() - 2, "pages and lines of the index");
}
