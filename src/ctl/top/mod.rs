//! `top`: what processes use, as samples of the daemon's answer, as rows, and as one screen that is drawn anew.

mod board;
mod keys;
mod rows;
mod sample;
mod screen;

pub(super) use board::{Board, Wish};
pub(super) use rows::{Order, Row, rows, table};
pub(super) use sample::Sample;
pub(super) use screen::{LiveScreen, Woken};
