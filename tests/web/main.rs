//! The status page in a real browser: headless Chromium, driven over the `DevTools` protocol.
//!
//! Screenshots are left in `target/screenshots`. Without Chromium each test says that it could not run; `CHROMIUM` names
//! one that is not in the path.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that meets the unexpected should fail")]
#![expect(clippy::needless_pass_by_value, reason = "test code")]
#![expect(clippy::disallowed_methods, reason = "tests start programs and wait for conditions")]

mod browser;
mod daemon;
#[path = "../fixture/notice.rs"]
mod notice;
mod page;
mod wait;
