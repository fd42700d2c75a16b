//! The engine in a made-up world.
//!
//! `states` walks the table of `docs/states.md`, `contract` tells Supervisor's rules one by one, `histories` lets chance
//! play the kernel, the keeper, the clients and the deaths of worker and keeper, and checks the promises after every step.
//!
//! `crash_points` lets worker, keeper or both die once at every step of long histories.
//!
//! `GALAXYD_HISTORIES` sets how many histories are run (20,000), `GALAXYD_SEED` replays one.

mod answers;
mod contract;
mod crash_points;
mod dice;
mod following;
mod histories;
mod journal;
mod keeper;
mod mortality;
mod needs;
mod plan;
mod stage;
mod states;
mod surroundings;
mod table;
mod takeover;
mod watch;
mod world;
