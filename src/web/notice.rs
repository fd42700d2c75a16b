//! Pages that say why an action was not performed, and offer to perform it properly.

use super::action::Action;
use super::escape::escaped;
use super::page::{Script, footer, page};

/// Why a request is refused.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// An action by GET: links must not act.
    NotByLink { action: &'a Action, token: &'a str },
    /// A form without a valid token.
    NoToken { action: &'a Action, token: &'a str },
    /// Sent by a page of another site.
    ForeignPage,
    /// Reached by a name that may be anybody's.
    ForeignHost,
    /// By somebody who may only look.
    OnlyLooking,
}

/// The page. Where the request may have been meant, a button asks for it again.
#[must_use]
pub fn notice_page(notice: &Notice<'_>) -> String {
    let (title, text) = match notice {
        Notice::NotByLink { .. } => (
            "One more click",
            "A link alone does not change anything here, as any page could contain it. Press the button to go on. \
             Programs send a POST with the token of the status page or use XML-RPC; get_actions=true in the section of \
             this server makes such links act, as Supervisor's do.",
        ),
        Notice::NoToken { .. } => (
            "One more click",
            "This form was not made by this server, was made for another user, or is too old. Press the button to go on. \
             Programs take the token from the status page or use XML-RPC.",
        ),
        Notice::ForeignPage => (
            "Refused",
            "This request was sent by a page of another site, so nothing was done. If that site is a proxy in front of \
             this server, add its name to allowed_hosts in the section of this server.",
        ),
        Notice::ForeignHost => (
            "Refused",
            "This server has no password and was not asked for by an address, by localhost or by a name that it knows. If \
             the name is right, add it to allowed_hosts in the section of this server.",
        ),
        Notice::OnlyLooking => (
            "Refused",
            "You may look at the programs of this server and their logs, and change nothing. Who may is said by username, \
             admin_users and admin_groups in the section of this server.",
        ),
    };
    let button = match notice {
        Notice::NotByLink { action, token } | Notice::NoToken { action, token } => format!(
            "    <form action=\"{}\" method=\"post\">\n      <input type=\"hidden\" name=\"token\" value=\"{}\" />\n      \
             <button type=\"submit\">{}</button>\n    </form>\n",
            escaped(&action.url()),
            escaped(token),
            escaped(&action.label())
        ),
        Notice::ForeignPage | Notice::ForeignHost | Notice::OnlyLooking => String::new(),
    };
    let body = format!(
        "<div id=\"wrapper\">\n  <div id=\"content\" class=\"notice\">\n    <h1>{title}</h1>\n    <p>{}</p>\n{button}    \
         <p><a href=\"./\">Status</a></p>\n  </div>\n</div>\n{}",
        escaped(text),
        footer()
    );
    page(title, Script::None, &body)
}

#[cfg(test)]
mod tests {
    use super::super::action::Verb;
    use super::super::page::tests::assert_well_formed;
    use super::*;

    #[test]
    fn what_was_meant_is_one_click_away() {
        let action = Action::Process(Verb::Stop, "a<b\"".to_owned());
        for notice in
            [Notice::NotByLink { action: &action, token: "T" }, Notice::NoToken { action: &action, token: "T" }]
        {
            let page = notice_page(&notice);
            assert_well_formed(&page);
            assert!(
                page.contains("<form action=\"index.html?processname=a%3Cb%22&amp;action=stop\" method=\"post\">"),
                "{page}"
            );
            assert!(
                page.contains("name=\"token\" value=\"T\"") && page.contains(">Stop a&lt;b&quot;</button>"),
                "{page}"
            );
        }
    }

    #[test]
    fn what_a_foreign_page_sent_is_not_offered() {
        for notice in [Notice::ForeignPage, Notice::ForeignHost] {
            let page = notice_page(&notice);
            assert_well_formed(&page);
            assert!(page.contains("allowed_hosts") && !page.contains("<form"), "{page}");
        }
    }
}
