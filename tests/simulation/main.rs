//! The engine in a made-up world.

mod contract;
mod stage;
mod states;
mod table;
