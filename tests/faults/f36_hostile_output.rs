//! F36: a program prints what terminals, browsers and parsers obey.

use std::fs;
use std::process::Stdio;

use crate::wait::until;
use crate::world::World;

/// Title, screen, clipboard, a fake prompt, C1 controls, direction, bytes that are no text, and 300 combining marks.
fn hostile() -> Vec<u8> {
    let mut bytes = b"\x1b]0;owned\x07\x1b[2J\x1b]52;c;cm0gLXJm\x07\rroot# \x9b31m".to_vec();
    bytes.extend("\u{9b}2J\u{202e}gnp.exe\u{2066}\u{e0041}<script>alert(1)</script>".as_bytes());
    bytes.extend(b"\xff\xfe\x00");
    bytes.extend("a\u{301}".as_bytes());
    bytes.extend("\u{301}".repeat(300).as_bytes());
    bytes.extend(b" the end\n");
    bytes
}

fn assert_harmless(what: &str, text: &str) {
    let acts = |letter: char| {
        letter.is_control() && !"\n\t".contains(letter)
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{e0000}'..='\u{e007f}')
    };
    let found: Vec<char> = text.chars().filter(|letter| acts(*letter)).collect();
    assert!(found.is_empty(), "{what}: {found:?} in {text:?}");
}

#[test]
fn f36_hostile_output_is_harmless_in_every_view_but_raw() {
    let folder = World::folder(
        "",
        "[program:evil]\ncommand=sh -c 'cat hostile; exec sleep 1000'\ndirectory=%(here)s\nstartsecs=0\n\
         stdout_logfile=%(here)s/evil.log\n\
         [program:dying]\ncommand=sh -c 'cat hostile >&2; exit 3'\ndirectory=%(here)s\nstartsecs=0\nautorestart=false\n\
         stderr_logfile=%(here)s/dying.err\n",
    );
    fs::write(folder.path("hostile"), hostile()).unwrap();
    let world = World::in_folder(folder);
    world.wait_text("evil.log", "the end");
    world.wait_state("dying", "EXITED");

    let views: [&[&str]; 6] = [
        &["tail", "evil"],
        &["tail", "dying", "stderr"],
        &["status"],
        &["why", "dying"],
        &["maintail"],
        &["--json", "tail", "evil"],
    ];
    for words in views {
        let view = world.ctl(words);
        assert_harmless(&format!("{words:?}"), &view.stdout);
        assert_harmless(&format!("{words:?}"), &view.stderr);
    }
    let tail = world.ctl(&["tail", "evil"]).stdout;
    assert!(tail.contains("gnp.exe") && tail.contains("the end"), "{tail}");
    let json: serde_json::Value = serde_json::from_str(&world.ctl(&["--json", "tail", "evil"]).stdout).unwrap();
    assert!(json["logs"][0]["text"].as_str().unwrap().contains("\u{202e}gnp.exe"), "data stays what it is: {json}");

    // A stream brings the bytes themselves.
    let mut tail_f = world.ctl_follow(&["tail", "-f", "evil"], "followed", Stdio::null());
    world.wait_text("followed.out", "the end");
    let followed = world.text("followed.out");
    assert_harmless("tail -f", &followed);
    assert!(followed.contains("\\x1b]52;c;cm0gLXJm\\x07"), "{followed}");
    tail_f.kill().unwrap();
    tail_f.wait().unwrap();
    let mut raw = world.ctl_follow(&["--raw", "tail", "-f", "evil"], "raw", Stdio::null());
    until("the raw bytes", || {
        let bytes = fs::read(world.path("raw.out")).map_err(|error| error.to_string())?;
        let wanted = hostile();
        let tail = &wanted[wanted.len().saturating_sub(1024)..];
        if bytes.windows(tail.len()).any(|window| window == tail) {
            Ok(())
        } else {
            Err(format!("{} bytes", bytes.len()))
        }
    });
    raw.kill().unwrap();
    raw.wait().unwrap();

    let page = world.http("GET /tail.html?processname=evil&limit=100000 HTTP/1.0\r\n\r\n").unwrap();
    let (head, body) = page.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Security-Policy") && !body.contains("<script>alert"), "{page}");
    assert_harmless("tail.html", &body.replace('\r', ""));
    let answer = world
        .call(
            "supervisor.readProcessStdoutLog",
            &format!(
                "{}<param><value><int>0</int></value></param><param><value><int>0</int></value></param>",
                World::named("evil")
            ),
        )
        .unwrap();
    let xml = answer.split_once("\r\n\r\n").unwrap().1;
    let allowed =
        |letter: char| "\n\t\r".contains(letter) || letter >= ' ' && letter != '\u{fffe}' && letter != '\u{ffff}';
    assert!(xml.chars().all(allowed) && xml.contains("the end"), "{xml:?}");
    world.end();
}
