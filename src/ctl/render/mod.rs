//! How facts look: Supervisor's lines, a table on a terminal, or one JSON document. Commands know
//! none of this.

mod json;
mod plain;
mod screen;
mod table;
mod updates;

pub(super) use screen::{Colour, Form, Hints, Screen, Sink, form_for};
