//! The diagram in infra/README.md shows who may do what to which store: what the
//! policies of AWS come to by IAM's rules. (Terraform's own tests compare it with
//! what the other clouds' modules grant.)

use std::collections::BTreeSet;

use super::aws::Policies;
use super::aws_module;

const README: &str = include_str!("../../../infra/README.md");

/// Every folder of a sealed store, and what may stand in it.
const FOLDERS: [(&str, &str); 7] = [
    ("segments/", "segments/0"),
    ("tile/", "tile/0/000"),
    ("index/", "index/1"),
    ("checkpoints/", "checkpoints/1"),
    ("anchors/", "anchors/a/1.2"),
    ("evidence/", "evidence/1"),
    ("reports/", "reports/1"),
];

/// Edges as `who verb store`; a store is named with its first word.
fn drawn() -> BTreeSet<String> {
    let (_, rest) = README.split_once("```mermaid\n").unwrap();
    let (diagram, _) = rest.split_once("\n```").unwrap();
    let edges = diagram.lines().filter_map(|line| {
        let (who, rest) = line.trim().split_once(" -->|")?;
        let (verb, store) = rest.split_once("| ").unwrap();
        let store = store.split(['[', '(']).next().unwrap();
        ["sealed", "heads"]
            .contains(&store)
            .then(|| format!("{who} {verb} {store}"))
    });
    edges.collect()
}

/// The same, by what each identity may do in the chain `app`, whose store is the
/// witness's and the report's too, or in that of the logs.
fn derived(policies: &Policies<'_>) -> BTreeSet<String> {
    let mut edges = BTreeSet::new();
    let may = |who: &str, action: &str, resources: &[String], context: &[(&str, &str)]| {
        let may = |resource: &String| policies.who_may(action, resource, context).contains(&who);
        resources.iter().any(may)
    };
    let stores = |key: &str| ["aws", "app"].map(|chain| format!("{{{chain}}}/{key}"));
    let heads = ["{heads}".to_owned()];
    let keys = ["head-0", "witness-0-1", "outside-0-1-2", "verification"]
        .map(|key| [("dynamodb:LeadingKeys", key)]);
    for who in [
        "seal",
        "anchor",
        "verify",
        "reader",
        "auditor",
        "scheduler",
        "stranger",
    ] {
        if may(who, "s3:GetObject", &stores("segments/0"), &[]) {
            edges.insert(format!("{who} reads sealed"));
        }
        let created = FOLDERS.iter().filter(|(_, object)| {
            may(
                who,
                "s3:PutObject",
                &stores(object),
                &[("s3:if-none-match", "*")],
            )
        });
        let created: Vec<_> = created.map(|(folder, _)| *folder).collect();
        if !created.is_empty() {
            edges.insert(format!("{who} creates {} sealed", created.join(" ")));
        }
        for (verb, action) in [("reads", "dynamodb:GetItem"), ("moves", "dynamodb:PutItem")] {
            if keys.iter().any(|key| may(who, action, &heads, key)) {
                edges.insert(format!("{who} {verb} heads"));
            }
        }
        for (verb, action) in [
            ("deletes", "s3:DeleteObject"),
            ("deletes", "s3:DeleteObjectVersion"),
        ] {
            if may(who, action, &stores("segments/0"), &[]) {
                edges.insert(format!("{who} {verb} sealed"));
            }
        }
        if may(who, "s3:PutObject", &stores("segments/0"), &[]) {
            edges.insert(format!("{who} replaces sealed"));
        }
    }
    edges
}

#[test]
fn the_diagram_shows_what_the_policies_come_to() {
    assert!(drawn().len() > 10, "{:?}", drawn());
    let Some(state) = aws_module() else { return };
    assert_eq!(drawn(), derived(&Policies::new(state)));
}
