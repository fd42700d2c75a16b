//! What is printed of a generated configuration is the same configuration.

use std::fs;
use std::path::Path;

use galaxyd::config::{Format, HostSource, Overrides, PrintError, load, print};

use crate::compare::{arguments, environment, write};
use crate::generate::case;
use crate::random::Random;
use crate::{number_from_environment, report};

#[test]
fn printed_configurations_load_again_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(folder.path()).unwrap();
    let source = HostSource::new(environment(&base)).in_directory(&base);
    let seed = number_from_environment("LOADER_SEED", 1);
    let cases = number_from_environment("LOADER_CASES", 3_000) / 3;
    let (mut printed, mut inexpressible) = (0, Vec::new());
    for number in 0..cases {
        let case = case(&mut Random::new(seed.wrapping_mul(7_000_003).wrapping_add(number)));
        let name = format!("p{number}");
        write(&base.join(&name), &case);
        let file = arguments(&base, &name, &case).swap_remove(1);
        let loaded = load(Path::new(&file), &Overrides::default(), &source);
        for format in [Format::Ini, Format::Toml] {
            let Some(config) = &loaded.config else { continue };
            // Printing itself loads the text again and compares.
            match print(config, format, &source) {
                Ok(_) => printed += 1,
                Err(error @ PrintError::Inexpressible { .. }) => inexpressible.push(error.to_string()),
                Err(error) => panic!("case {number}, {format:?}, LOADER_SEED={seed}: {error}\n{case:#?}"),
            }
            let json = print(config, Format::Json, &source).unwrap();
            assert_eq!(&serde_json::from_str::<galaxyd::config::Config>(&json).unwrap(), config);
        }
        fs::remove_dir_all(base.join(&name)).unwrap();
    }
    inexpressible.sort();
    inexpressible.dedup();
    report(&format!("{printed} printed and read again, inexpressible: {inexpressible:#?}"));
    assert!(printed > 0);
}
