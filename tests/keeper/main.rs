//! The keeper as its worker sees it: real processes, with the test in the worker's place.

mod double;
mod ends;
mod lives;
mod plans;
mod rig;
mod spawning;
