//! The page as a browser gets it, read by a strict parser.

use std::collections::BTreeSet;

use countersign_core::delivery::Identity;
use countersign_core::segment::Delivery;
use countersign_store::local::LocalSealedStore;
use roxmltree::{Document, Node};

use crate::seal::Pending;
use crate::verify::report::{AnchorReport, Finding, Report, Severity, Status, Verdict};
use crate::verify::summary::{causes, pairs, sentence, short};
use crate::verify::tests::world;
use crate::verify::{Check, Options};

/// The page as XML: without its first line, and with its `meta` elements closed.
fn xml(page: &str) -> String {
    let page = page.strip_prefix("<!DOCTYPE html>").unwrap();
    let mut parts = page.split("<meta ");
    let mut xml = parts.next().unwrap().to_owned();
    for part in parts {
        let (attributes, rest) = part.split_once('>').unwrap();
        xml += &format!("<meta {attributes}/>{rest}");
    }
    xml
}

fn text(node: Node<'_, '_>) -> String {
    let texts = node.descendants().filter(|node| node.is_text());
    texts.filter_map(|node| node.text()).collect()
}

fn elements<'a>(page: &'a Document<'a>, name: &str) -> Vec<Node<'a, 'a>> {
    let all = page.descendants();
    all.filter(|node| node.has_tag_name(name)).collect()
}

fn with_id<'a>(page: &'a Document<'a>, id: &str) -> Node<'a, 'a> {
    let mut all = page.descendants();
    all.find(|node| node.attribute("id") == Some(id)).unwrap()
}

/// The rows of a section's table, each cell as text.
fn table(page: &Document<'_>, section: &str) -> Vec<Vec<String>> {
    let section = with_id(page, section).parent().unwrap();
    let rows = section.descendants().filter(|node| node.has_tag_name("tr"));
    rows.map(|row| row.children().map(text).collect()).collect()
}

/// What holds for every report.
fn check(report: &Report) -> String {
    let html = report.to_html();
    let xml = xml(&html);
    let page = Document::parse(&xml).unwrap();
    let root = page.root_element();
    assert_eq!(root.attribute("lang"), Some("en"));

    // The verdict and the sentence first, the verdict last.
    let texts: Vec<String> = elements(&page, "main")[0].children().map(text).collect();
    let word = report.result.word();
    assert!(texts[0].contains(word), "{}", texts[0]);
    assert_eq!(texts[1], sentence(report));
    assert!(text(elements(&page, "footer")[0]).starts_with(word));

    // Headings in order, sections and pictures named, ids once.
    let mut before = 0;
    for node in page.descendants() {
        let level = match node.tag_name().name() {
            "h1" => 1,
            "h2" => 2,
            "h3" => 3,
            _ => continue,
        };
        assert!(level <= before + 1, "{}", text(node));
        assert!(level > 1 || before == 0);
        before = level;
    }
    let ids: Vec<&str> = root
        .descendants()
        .filter_map(|n| n.attribute("id"))
        .collect();
    assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len());
    for node in root.descendants() {
        for id in node
            .attribute("aria-labelledby")
            .unwrap_or_default()
            .split(' ')
        {
            assert!(id.is_empty() || ids.contains(&id), "{id}");
        }
    }
    for section in elements(&page, "section")
        .iter()
        .chain(&elements(&page, "table"))
    {
        assert!(section.attribute("aria-labelledby").is_some());
    }
    for head in elements(&page, "th") {
        assert!(matches!(head.attribute("scope"), Some("row" | "col")));
    }
    for picture in elements(&page, "svg") {
        if picture.attribute("role") == Some("img") {
            let children: Vec<_> = picture
                .children()
                .take(2)
                .map(|n| n.tag_name().name())
                .collect();
            assert_eq!(children, ["title", "desc"]);
        }
    }

    // Nothing runs and nothing is loaded.
    for node in root.descendants() {
        let name = node.tag_name().name();
        let bad = [
            "script", "link", "img", "iframe", "object", "embed", "image", "use", "base",
        ];
        assert!(!bad.contains(&name), "{name}");
        for attribute in node.attributes() {
            let name = attribute.name();
            assert!(!name.starts_with("on"), "{name}");
            assert!(
                !["src", "href", "srcset", "style", "action"].contains(&name),
                "{name}"
            );
        }
    }
    let style = text(elements(&page, "style")[0]);
    assert!(!style.contains("url(") && !style.contains("@import"));

    // Every chain, every pair, every key, every check.
    let origins: Vec<&str> = report
        .chains
        .iter()
        .map(|c| short(&c.origin, report))
        .collect();
    for section in ["chains", "anchors"] {
        let rows = table(&page, section);
        let heads: Vec<&str> = rows[1..].iter().map(|row| &*row[0]).collect();
        assert_eq!(heads, origins, "{section}");
    }
    let anchors = table(&page, "anchors");
    for pair in pairs(report) {
        let column = anchors[0]
            .iter()
            .position(|head| head == short(pair.witness, report));
        let row = anchors
            .iter()
            .find(|row| row[0] == short(&pair.chain.origin, report));
        let cell = &row.unwrap()[column.unwrap()];
        match pair.newest {
            Some(newest) => assert!(cell.contains(&format!("up to {}", newest.size)), "{cell}"),
            None => assert!(cell.contains("no"), "{cell}"),
        }
        assert_ne!(cell, "own cloud");
    }
    let keys = table(&page, "policy");
    assert_eq!(keys.len(), report.policy.keys.len() + 1);
    let checks = table(&page, "checks");
    assert_eq!(checks.len(), Check::ALL.len() + 1);
    for (row, check) in checks[1..].iter().zip(Check::ALL) {
        assert_eq!(row[0], check.name());
        for (cell, chain) in row[1..].iter().zip(&report.chains) {
            let word = match chain.check(check).unwrap().status {
                Status::Pass => "pass",
                Status::Fail => "FAIL",
                Status::Skip => "skip",
                Status::Unknown => "unknown",
            };
            assert!(cell.contains(word), "{cell}");
        }
    }
    // Every cause, in order.
    let found = elements(&page, "article");
    let found: Vec<String> = found
        .into_iter()
        .filter(|node| node.attribute("class").unwrap().starts_with("finding"))
        .map(text)
        .collect();
    let causes = causes(report);
    assert_eq!(found.len(), causes.len().min(20));
    for (found, cause) in found.iter().zip(&causes) {
        for part in [
            cause.finding.code,
            cause.finding.title,
            &*cause.finding.next,
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        assert!(found.contains(if cause.finding.fails { "fails" } else { "note" }));
    }
    assert!(html.contains(&report.reproduce));
    html
}

#[tokio::test]
async fn a_verified_report_is_whole_and_well_formed() {
    let world = world(2).await;
    let report = world.verified(&Options::default()).await;
    assert_eq!(report.result, Verdict::Verified);
    let html = check(&report);
    assert!(html.contains("All that was checked holds."));
    assert_eq!(html.matches("role=\"img\"").count(), 6);
}

#[tokio::test]
async fn a_failed_report_names_every_cause_and_marks_the_break() {
    let world = world(2).await;
    world.store("aws").tamper_remove("genesis.json");
    world.store("gcp").tamper_replace("notes.txt", "x");
    let segment = world.objects("azure").await.into_keys();
    let segment = segment
        .filter(|name| name.starts_with("segments/"))
        .nth(1)
        .unwrap();
    world.store("azure").tamper_replace(&segment, "x");
    let report = world.verified(&Options::default()).await;
    assert_eq!(report.result, Verdict::Failed);
    let html = check(&report);
    for expected in ["CS-101", "CS-501", "CS-1401", &segment, "class=\"cross\""] {
        assert!(html.contains(expected), "{expected}");
    }
    assert!(
        html.contains("The evidence contradicts: aws (1 check), azure (2 checks), gcp (1 check).")
    );
}

#[tokio::test]
async fn an_incomplete_report_says_first_what_could_not_be_read() {
    let mut world = world(1).await;
    let gone = tempfile::tempdir().unwrap().path().join("gone");
    world.deployment.chains[0].sealed = std::sync::Arc::new(LocalSealedStore::open(&gone));
    let report = world.verified(&Options::default()).await;
    assert_eq!(report.result, Verdict::Incomplete);
    let html = check(&report);
    let place = |text: &str| html.find(text).unwrap();
    assert!(place("id=\"not-read\"") < place("id=\"findings\""));
    assert!(html.contains("No segment was read.") && html.contains("does not exist"));
}

#[tokio::test]
async fn one_chain_and_one_cloud_are_reports_too() {
    let world = world(1).await;
    let options = Options {
        chain: Some("gcp".into()),
        ..Options::default()
    };
    check(&world.verified(&options).await);
    let world = crate::testing::World::new(&["aws"]).await;
    world.seal("aws", &["a"]).await;
    let html = check_alone(&world.verified(&Options::default()).await);
    assert!(html.contains("own cloud") && html.contains("no independent witness exists"));
}

/// One cloud's own witness is shown as such.
fn check_alone(report: &Report) -> String {
    assert_eq!(pairs(report).len(), 0);
    check(report)
}

#[tokio::test]
async fn hostile_names_are_text() {
    const HOSTILE: &str =
        "evil/<script>alert(1)</script><img src=x onerror=alert(2)>&\"'\u{202e}]]>";
    const SOURCE: &str = "<svg onload=alert(3)>\u{1b}[31m";
    let world = world(1).await;
    let line = serde_json::json!({"cloud": "aws", "raw": "x", "source": SOURCE});
    let pending = Pending {
        delivery: Delivery {
            from: HOSTILE.into(),
            id: Identity::File { sha256: [1; 32] }.id(),
            part: (1, 1),
            records: 1,
            sha256: "01".repeat(32),
        },
        body: format!("{line}\n").into_bytes(),
    };
    world.sealer("aws").seal(&[pending]).await.unwrap();
    world.store("aws").tamper_replace(HOSTILE, "x");
    let report = world.verified(&Options::default()).await;
    assert!(
        report.chains[0]
            .volume
            .sources
            .iter()
            .any(|s| s.name.as_deref() == Some(SOURCE))
    );
    let mut html = check(&report);
    let shown = "evil/<script>alert(1)</script><img src=x onerror=alert(2)>&\"'\u{fffd}]]>";
    let xml = xml(&html);
    let page = Document::parse(&xml).unwrap();
    let codes = elements(&page, "code").into_iter().map(text);
    assert!(codes.into_iter().any(|code| code == shown));
    assert!(text(page.root_element()).contains("<svg onload=alert(3)>\u{fffd}[31m"));
    html.retain(|c| c != '\n');
    assert!(!html.chars().any(char::is_control));

    // Wherever else a text may come from.
    let mut report = report;
    report.domain = HOSTILE.into();
    report.reproduce = "\"><b>".into();
    report.policy.quorum = HOSTILE.into();
    for chain in &mut report.chains {
        chain.witnesses.push(SOURCE.into());
        for check in &mut chain.checks {
            check.status = Status::Unknown;
            check.reason = Some(HOSTILE.into());
        }
    }
    let html = report.to_html();
    assert!(Document::parse(&self::xml(&html)).is_ok());
    for bad in ["<script", "<img", "<svg onload", "<b>&", "\u{1b}"] {
        assert!(!html.contains(bad), "{bad}");
    }
}

#[tokio::test]
async fn of_many_causes_and_anchors_the_page_stays_small() {
    let world = world(1).await;
    let mut report = world.verified(&Options::default()).await;
    report.result = Verdict::Failed;
    let codes: Vec<&'static str> = (0..30).map(|n| &*format!("CS-{n}").leak()).collect();
    let check_of = &mut report.chains[0].checks[0];
    check_of.status = Status::Fail;
    check_of.reason = Some("only the first are listed".into());
    check_of.findings = codes
        .iter()
        .map(|code| Finding {
            code,
            severity: Severity::High,
            index: Some(u64::MAX),
            object: Some("x".repeat(2000)),
            expected: None,
            found: None,
            next: "look".into(),
            title: "something",
            fails: true,
        })
        .collect();
    let one = report.anchors[0].clone();
    let anchors = (0..100_000u64).map(|nth| AnchorReport {
        time: countersign_core::time::from_unix_seconds(1_795_554_000 + nth * 300),
        ..one.clone()
    });
    report.anchors.extend(anchors);
    let html = check(&report);
    assert!(html.contains("10 more causes stand in the JSON report."));
    for form in [&html, &report.to_text(false)] {
        assert!(form.contains("Remarks") && form.contains("only the first are listed"));
    }
    assert!(html.len() < 200_000, "{}", html.len());
}
