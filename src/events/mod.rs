//! Events and the listeners they are told to. A pure value: an [`Input`] and the time go in, [`Effect`]s come out.
//!
//! No pipes, files or clocks: the worker moves the bytes, and what a listener is told can be played in a test. The room
//! knows nothing of rules about states; the engine announces those.

mod capture;
mod envelope;
mod event;
#[expect(clippy::module_inception, reason = "the events are what this room is about")]
mod events;
mod input;
mod line;
mod listener;
mod literal;
mod overflow;
mod payload;
mod pool;
mod queue;
mod record;
mod spec;
mod tick;
mod view;
mod witness;

pub use capture::{CaptureBuffer, Piece, Recogniser};
pub use envelope::{LengthUnit, Serials};
pub use event::{EventType, UnknownEventType};
pub use events::Events;
pub use input::{Effect, Input};
pub use line::{Line, Severity};
pub use listener::ListenerState;
pub use literal::decoded;
pub use payload::{Notification, Writer};
pub use record::Record;
pub use spec::{GroupSpec, MemberSpec, OutputSpec, PoolSpec};
pub use view::{ListenerView, PoolView};
