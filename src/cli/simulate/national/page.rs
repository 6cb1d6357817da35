//! The page: what the service holds and the calls it received lately. No script; it reloads itself.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::engine::Engine;
use super::envelope::receipt_number;
use super::unit::{State, Unit, japan};
use super::world::World;

/// Rows of units at most.
const ROWS: usize = 500;

const STYLE: &str = "body{font:14px/1.5 system-ui,'Hiragino Sans','Noto Sans CJK JP',sans-serif;margin:1.5rem;color:#1c2430;background:#fafbfc}\
h1{font-size:1.3rem;margin:0 0 .2rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}p{margin:.2rem 0 .6rem}\
table{border-collapse:collapse;width:100%;background:#fff}th,td{border:1px solid #d8dee6;padding:.25rem .5rem;text-align:left;vertical-align:top}\
th{background:#eef2f6;font-weight:600;white-space:nowrap}td.n{text-align:right}code{font-size:12px}\
.counts span{display:inline-block;margin-right:1.2rem}.counts b{font-size:1.15rem}\
.s{border-radius:.6rem;padding:.05rem .5rem;background:#e3e8ee;white-space:nowrap}.s.good{background:#d9f0df}.s.wait{background:#fff0c8}.s.bad{background:#f8d9d6}\
.scroll{overflow-x:auto}.fault{color:#a02018}footer{margin-top:2rem;color:#667}";

/// A sentence in both languages.
struct Both(&'static str, &'static str);

impl Both {
    fn say(&self, japanese: bool) -> &'static str {
        if japanese { self.1 } else { self.0 }
    }
}

const COLUMNS: [Both; 10] = [
    Both("Receipt", "受付番号"),
    Both("Kind", "種別"),
    Both("Institution", "医療機関"),
    Both("Insured person", "被保険者"),
    Both("Bundle identifier", "文書ID"),
    Both("Version", "版"),
    Both("State", "状態"),
    Both("Registered", "登録"),
    Both("Until", "保存期限"),
    Both("Holds", "内容"),
];

const CALLS: [Both; 8] = [
    Both("Time", "時刻"),
    Both("Institution", "医療機関"),
    Both("Operation", "業務"),
    Both("Key", "キー"),
    Both("Bundle identifier", "文書ID"),
    Both("Result", "結果"),
    Both("Fault", "障害"),
    Both("ms", "ms"),
];

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// In Japan's time.
fn time(at: Timestamp) -> String {
    at.to_zoned(japan()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

pub fn render(engine: &Engine, japanese: bool) -> String {
    let say = |both: Both| both.say(japanese);
    let (mut html, other) = (String::new(), if japanese { "en" } else { "ja" });
    let title = say(Both("National service, simulated", "電子カルテ情報共有サービス（模擬）"));
    let _ = write!(
        html,
        "<!DOCTYPE html><html lang=\"{}\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"10\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\
         <h1>{title}</h1><p>{} <a href=\"/?lang={other}\">{}</a></p>",
        if japanese { "ja" } else { "en" },
        say(Both(
            "Everything here is for tests; nothing is sent anywhere.",
            "試験用です。外部へは何も送信されません。"
        )),
        if japanese { "English" } else { "日本語" },
    );
    engine.look(|world, now| units(&mut html, world, now, japanese));
    faults(&mut html, engine, japanese);
    calls(&mut html, engine, japanese);
    let _ = write!(
        html,
        "<footer><a href=\"/_state\">/_state</a> · <a href=\"/_calls\">/_calls</a> · <a href=\"/_directory\">/_directory</a> · \
         <a href=\"/_config\">/_config</a></footer></body></html>"
    );
    html
}

fn head(html: &mut String, columns: &[Both], japanese: bool) {
    html.push_str("<div class=\"scroll\"><table><thead><tr>");
    for column in columns {
        let _ = write!(html, "<th>{}</th>", column.say(japanese));
    }
    html.push_str("</tr></thead><tbody>");
}

fn units(html: &mut String, world: &World, now: Timestamp, japanese: bool) {
    let all: Vec<(&Unit, State)> = world.units().map(|u| (u, world.state(u, now))).collect();
    let live = all.iter().filter(|(_, state)| state.live()).count();
    let _ = write!(html, "<p class=\"counts\">");
    for (name, value) in [
        (Both("Time of the service", "サービス時刻"), time(now)),
        (
            Both("Rules", "ルール"),
            format!("{} / {}", world.settings.rule_set.as_str(), world.settings.validation.as_str()),
        ),
        (Both("Held", "保存中"), live.to_string()),
        (Both("Past", "取消・変更・終了"), (all.len() - live).to_string()),
        (Both("Keys", "キー"), world.keys().to_string()),
        (Both("Waiting", "処理中"), world.waiting().len().to_string()),
    ] {
        let _ = write!(html, "<span>{}: <b>{}</b></span>", name.say(japanese), escaped(&value));
    }
    let _ = write!(html, "</p><h2>{}</h2>", Both("What it holds", "登録内容").say(japanese));
    head(html, &COLUMNS, japanese);
    for (unit, state) in all.iter().rev().take(ROWS) {
        row(html, world, unit, *state, now, japanese);
    }
    html.push_str("</tbody></table></div>");
    if all.is_empty() {
        let _ = write!(html, "<p>{}</p>", Both("Nothing.", "ありません。").say(japanese));
    }
    if all.len() > ROWS {
        let more = Both(
            "Only the newest are shown; the others are in /_state.",
            "新しいものだけを表示しています。全件は /_state にあります。",
        );
        let _ = write!(html, "<p>{}</p>", more.say(japanese));
    }
}

fn row(html: &mut String, world: &World, unit: &Unit, state: State, now: Timestamp, japanese: bool) {
    let class = match state {
        State::Registered | State::Viewable | State::Received => "good",
        State::Pending => "wait",
        _ => "bad",
    };
    let retained = world.retained(unit, now);
    let mut holds: Vec<String> = vec![];
    for (at, resource) in unit.resources.iter().enumerate() {
        let kind = if japanese {
            resource.information.japanese().to_owned()
        } else {
            format!("{:?}", resource.information)
        };
        let mut marks = String::new();
        for (set, mark) in [
            (resource.long_term, " LTS"),
            (resource.uninformed, " UNINFORMED"),
            (resource.undelivered, " UNDELIVERED"),
        ] {
            if set {
                marks.push_str(mark);
            }
        }
        let value = resource.value.as_deref().map(|v| format!(" {v}")).unwrap_or_default();
        let text = escaped(&format!("{kind}: {}{value}{marks}", resource.text));
        holds.push(if retained.contains(&at) { text } else { format!("<s>{text}</s>") });
    }
    if let Some(to) = &unit.destination {
        let name = world.directory.name(to).map(|n| format!(" {n}")).unwrap_or_default();
        holds.insert(0, escaped(&format!("→ {to}{name}")));
    }
    if let Some(at) = unit.received {
        holds.push(format!("{} {}", Both("fetched", "取得").say(japanese), time(at)));
    }
    let number = receipt_number(unit.receipt);
    let _ = write!(
        html,
        "<tr><td><a href=\"/_unit/{number}\">{number}</a></td><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td class=\"n\">{}</td>\
         <td><span class=\"s {class}\">{}</span></td><td>{}</td><td>{}</td><td>{}</td></tr>",
        if japanese { unit.kind.japanese() } else { unit.kind.as_str() },
        escaped(&unit.institution),
        escaped(&unit.triple.insured),
        escaped(&unit.triple.value),
        unit.version,
        if japanese { state.japanese() } else { state.as_str() },
        time(unit.registered),
        unit.ends().map(time).unwrap_or_else(|| Both("by information", "情報ごと").say(japanese).to_owned()),
        holds.join("<br>"),
    );
}

fn faults(html: &mut String, engine: &Engine, japanese: bool) {
    let faults = engine.faults.all();
    let _ = write!(html, "<h2>{}</h2>", Both("Faults switched on", "設定中の障害").say(japanese));
    if faults.is_empty() {
        let _ = write!(html, "<p>{}</p>", Both("None.", "ありません。").say(japanese));
    }
    for fault in faults {
        let _ = write!(
            html,
            "<p class=\"fault\"><code>{}</code></p>",
            escaped(&serde_json::json!(fault).to_string())
        );
    }
}

fn calls(html: &mut String, engine: &Engine, japanese: bool) {
    let _ = write!(html, "<h2>{}</h2>", Both("Calls received lately", "最近の要求").say(japanese));
    head(html, &CALLS, japanese);
    for call in engine.calls() {
        let good = ["OK", "PROCESSING"].contains(&call.code.as_str());
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td><code>{}</code></td>\
             <td><span class=\"s {}\">{}{}</span></td><td class=\"fault\">{}</td><td class=\"n\">{}</td></tr>",
            time(call.at),
            escaped(&call.institution),
            escaped(&call.op),
            escaped(&call.key),
            escaped(&call.unit),
            if good { "good" } else { "bad" },
            escaped(&call.code),
            if call.replayed { " ↺" } else { "" },
            call.fault
                .map(|f| serde_json::json!(f).as_str().unwrap_or_default().to_owned())
                .unwrap_or_default(),
            call.milliseconds,
        );
    }
    html.push_str("</tbody></table></div>");
}
