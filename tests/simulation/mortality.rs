//! How worker and keeper die, and what dies with them.

use galaxyd::engine::Input;

use crate::plan::{self, Death, Victim};
use crate::world::World;

impl World<'_> {
    pub(crate) fn death_due(&mut self) -> Option<Death> {
        let death = self.plan.deaths.get(self.next_death).filter(|death| death.turn < self.watch.seen.turns)?;
        self.next_death += 1;
        Some(*death)
    }

    /// Lets somebody die whose moment it is, or was, as after the last of too few effects; whether the worker did.
    pub(crate) fn strike(&mut self, death: Option<Death>, moment: plan::Moment) -> bool {
        let is_last = moment == plan::Moment::AfterPerforming;
        let Some(death) = death.filter(|death| death.moment == moment || is_last) else { return false };
        if is_last && self.struck == Some(death) {
            return false;
        }
        self.struck = Some(death);
        self.watch.seen.deaths += 1;
        let when = match moment {
            plan::Moment::BeforeDeciding => "before deciding",
            plan::Moment::BeforeJournalling => "before journalling",
            plan::Moment::Performing(_) => "performing",
            plan::Moment::AfterPerforming => "after performing",
        };
        self.watch.seen.saw(when);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>12?}  {:?} dies {when}", self.now, death.victim));
        }
        let keeper_dies = death.victim != Victim::Worker && !self.keeper.is_dead;
        if keeper_dies {
            self.keeper_dies();
        }
        if keeper_dies && death.victim == Victim::Keeper {
            let leaves_at = self.now + self.dice.delay(20);
            self.leaves_at = Some(leaves_at);
            self.revive_at = Some(leaves_at + death.downtime);
            return false;
        }
        self.leave();
        self.revive_at = Some(self.now + death.downtime);
        true
    }

    /// The worker is gone, with all that it knew.
    pub(crate) fn leave(&mut self) {
        self.worker = None;
        self.leaves_at = None;
        self.from_keeper.clear();
    }

    /// What it did not read is lost, and signals that no worker has taken in hand.
    pub(crate) fn keeper_dies(&mut self) {
        self.watch.seen.saw("a keeper's death");
        self.keeper.is_dead = true;
        self.to_keeper.clear();
        self.daemon_signals.clear();
        if self.told_to_end {
            // Whoever wants the end asks for it until it comes.
            self.daemon_signals.push_back(Input::Shutdown);
        }
    }

    pub(crate) fn keeper_succeeds(&mut self) {
        self.keeper.succeed(self.now, &mut self.dice);
    }
}
