//! Files that cannot be read, or not as they seem.

use crate::galaxy::deployment::{Deployment, Location};
use crate::galaxy::finding::Findings;

pub(super) fn apply(deployment: &Deployment<'_>, findings: &mut Findings) {
    for galaxy in &deployment.galaxies {
        for (place, text) in &galaxy.unreadable {
            findings.add("GX112", Some(place.clone()), text.clone());
        }
        for entry in galaxy.settings.iter().flat_map(|settings| settings.repeated()) {
            let text = format!("`{}` is written again further down, where it counts", entry.key.text);
            findings.add("GX114", Some(galaxy.line(entry.key_mark.line)), text);
        }
    }
    for program in &deployment.programs {
        if let Some(line) = program.options().and_then(|options| options.ends_early) {
            let place = Location { file: program.uwsgi_file.clone(), line };
            findings.add("GX113", Some(place), "uWSGI reads no further than to this line".to_owned());
        }
    }
}
