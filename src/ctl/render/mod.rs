//! How facts look: Supervisor's lines, a table on a terminal, or one JSON document. Commands know
//! none of this.

mod findings;
mod harmless;
mod json;
mod plain;
mod screen;
mod table;
mod updates;

pub(super) use findings::{findings_json, findings_text};
pub(super) use harmless::Harmless;
pub(super) use screen::{Colour, Form, Hints, Screen, Sink, colour_for, form_for};
