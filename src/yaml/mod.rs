//! YAML as Galaxy reads it, with the place of each value: the syntax tree of `PyYAML`'s `safe_load`.
//!
//! Keys that are written twice are both kept, in order: `PyYAML` silently takes the last, uWSGI takes all, and an
//! administrator wants to hear of them. What a plain scalar means (`yes`, `022`, `~`) is [`Scalar::meaning`].

mod node;
mod reader;
mod scalar;

pub use node::{Entry, Mark, Node, Value};
pub use reader::{BYTES_MAX, DEPTH_MAX, NODES_MAX, YamlError, parse};
pub use scalar::{Meaning, Scalar};
