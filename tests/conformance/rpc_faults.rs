//! Wrong calls: unknown methods, wrong parameters, broken requests.

use serde_json::json;

use crate::daemon::Daemon;
use crate::subject::Subject;
use crate::transcript::Transcript;

daemons![
    unknown_methods_and_wrong_parameters_are_faults,
    answers_are_written_as_the_original_writes_them,
    broken_requests_are_refused,
    many_types_are_understood,
];

fn unknown_methods_and_wrong_parameters_are_faults(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\n");
    daemon.wait_running(&["p"]);
    Transcript::of(&daemon)
        .rpc(
            &daemon,
            json!([
                ["nonsense", []],
                ["supervisor.nonsense", []],
                ["nonsense.getState", []],
                ["supervisor.a.b", []],
                ["system.nonsense", []],
                ["supervisor.getState", [1]],
                ["supervisor.getProcessInfo", []],
                ["supervisor.getProcessInfo", ["p", "p"]],
                ["supervisor.readLog", []],
                ["supervisor.tailProcessStdoutLog", ["p"]],
                ["system.methodHelp", ["nonsense"]],
                ["system.methodSignature", ["nonsense"]],
                ["system.methodSignature", []],
                ["supervisor.startProcess", ["p", true, 1]],
            ]),
        )
        .check("rpc_faults");
}

/// The body of the answer to raw XML.
fn body(daemon: &Daemon, xml: &str) -> String {
    let request = format!("POST /RPC2 HTTP/1.0\r\nContent-Length: {}\r\n\r\n{xml}", xml.len());
    let answer = daemon.http(&request).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    format!("{}\n{body}", head.lines().next().unwrap().split_once(' ').unwrap().1)
}

fn answers_are_written_as_the_original_writes_them(subject: Subject) {
    let daemon = Daemon::start(
        subject,
        "[program:p]\ncommand=/bin/sh -c 'printf \"<&>\\\\047\\\\042\"; exec cat'\nstartsecs=0\nstdout_logfile=%(here)s/p.out\n",
    );
    daemon.wait_text("p.out", "<&>");
    let call = |method: &str, params: &str| {
        format!("<?xml version='1.0'?><methodCall><methodName>{method}</methodName>{params}</methodCall>")
    };
    let mut transcript = Transcript::of(&daemon);
    for (method, params) in [
        ("supervisor.getState", ""),
        ("supervisor.getAPIVersion", "<params></params>"),
        (
            "supervisor.readProcessStdoutLog",
            "<params><param><value>p</value></param><param><value><int>0</int></value></param><param><value><i4>0</i4></value></param></params>",
        ),
        (
            "supervisor.tailProcessStdoutLog",
            "<params><param><value>p</value></param><param><value><int>0</int></value></param><param><value><i4>9</i4></value></param></params>",
        ),
        ("supervisor.nonsense", ""),
        ("system.multicall", "<params><param><value><array><data></data></array></value></param></params>"),
        ("supervisor.stopProcessGroup", "<params><param><value><string>p</string></value></param></params>"),
    ] {
        transcript.note(format!("-- {method}")).note(body(&daemon, &call(method, params)));
    }
    transcript.check("rpc_wire");
}

fn broken_requests_are_refused(subject: Subject) {
    let daemon = Daemon::start(subject, "");
    let mut transcript = Transcript::of(&daemon);
    for xml in [
        "nonsense",
        "<methodCall>",
        "<methodCall></methodCall>",
        "<methodCall><methodName></methodName></methodCall>",
        "<a/>",
    ] {
        let answer = body(&daemon, xml);
        transcript.note(format!("{xml:?}: {}", answer.lines().next().unwrap()));
    }
    transcript.check("rpc_broken_requests");
}

fn many_types_are_understood(subject: Subject) {
    let daemon = Daemon::start(subject, "[program:p]\ncommand=/bin/cat\nstartsecs=0\nstdout_logfile=%(here)s/p.out\n");
    daemon.wait_running(&["p"]);
    let mut transcript = Transcript::of(&daemon);
    for params in [
        "<param><value>p</value></param><param><value>bare\n</value></param>",
        "<param>\n  <value>\n <string>p</string>\n </value>\n</param>\n<param><value><string>a &amp; b &lt;&#33;\n</string></value></param>",
        "<param><value><string>p</string></value></param><param><value><base64>YmFzZTY0Cg==</base64></value></param>",
        "<param><value><string>p</string></value></param><param><value><![CDATA[<cdata>\n]]></value></param>",
    ] {
        let xml = format!(
            "<methodCall><methodName>supervisor.sendProcessStdin</methodName><params>{params}</params></methodCall>"
        );
        transcript.note(format!("-- {params}")).note(body(&daemon, &xml));
    }
    daemon.wait_text("p.out", "<cdata>");
    transcript.note("-- what arrived").note(daemon.text("p.out"));
    let flag = |value: &str| {
        let xml = format!(
            "<methodCall><methodName>supervisor.stopProcess</methodName><params><param><value>nobody</value></param><param><value>{value}</value></param></params></methodCall>"
        );
        body(&daemon, &xml).contains("BAD_NAME")
    };
    for value in
        ["<boolean>1</boolean>", "<boolean>0</boolean>", "<boolean>2</boolean>", "<int>0</int>", "<double>1.5</double>"]
    {
        transcript.note(format!("{value} as a flag: {}", flag(value)));
    }
    transcript.check("rpc_types");
}
