//! F28: a configuration with mistakes at a reread, an update and a reload.

use crate::bars::BYSTANDER;
use crate::world::World;

#[test]
fn f28_a_bad_configuration_changes_nothing_and_says_where_it_is_wrong() {
    let world = World::new("");
    world.rewrite(&format!(
        "{BYSTANDER}[program:x]\ncommand=sleep 1000\nnumprocs=notanumber\nstartsec=3\n[program:y]\ncommand=sleep 1000\n\
         process_name=../y\n"
    ));
    for command in ["reread", "update", "reload"] {
        let outcome = world.ctl(&[command]);
        let told = format!("{}{}", outcome.stdout, outcome.stderr);
        for wanted in ["supervisord.conf:", "`numprocs` of [program:x]", "notanumber", "`process_name` of [program:y]"]
        {
            assert!(told.contains(wanted), "{command}: no {wanted} in {outcome:?}");
        }
        assert!(outcome.code.is_some_and(|code| code != 0), "{command}: {outcome:?}");
    }
    let log = world.text("main.log");
    assert!(log.contains("startsec") && log.contains("did you mean startsecs?"), "{log}");
    assert!(log.contains("nothing was changed"));
    world.end();
}
