//! Values of the environment, put where the file would have them.

use super::reach;

/// Sets `CHAIN_<NAME>_<KEY>`, `WITNESS_<NAME>_<KEY>`, `REACH_<CLOUD>_<KEY>` or
/// `<KEY>` in a table; `REPORT=off` takes that table out. Names are those of the
/// file, compared without case and with `-` as `_`.
pub(super) fn set(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    // Of several clouds that verify, one seals the reports.
    if key == "REPORT" {
        if value != "off" {
            return Err("must be `off`, which leaves [report] out".into());
        }
        table.remove("report");
        return Ok(());
    }
    for kind in ["mail", "report"] {
        if let Some(rest) = key.strip_prefix(&format!("{}_", kind.to_ascii_uppercase()))
            && let Some(entry) = table.get_mut(kind).and_then(toml::Value::as_table_mut)
        {
            return set_value(entry, &rest.to_ascii_lowercase(), value);
        }
    }
    if let Some(rest) = key.strip_prefix("REACH_") {
        return set_reach(table, &rest.to_ascii_lowercase(), value);
    }
    for kind in ["chain", "witness"] {
        let prefix = format!("{}_", kind.to_ascii_uppercase());
        let Some(rest) = key.strip_prefix(&prefix) else {
            continue;
        };
        let tables = table.get_mut(kind).and_then(toml::Value::as_table_mut);
        let mut candidates: Vec<_> = tables.into_iter().flatten().collect();
        // `prod_eu` before `prod`: the longest name that fits.
        candidates.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, entry) in candidates {
            let upper = name.to_ascii_uppercase().replace('-', "_");
            if let Some(key) = rest.strip_prefix(&format!("{upper}_"))
                && let Some(entry) = entry.as_table_mut()
            {
                return set_value(entry, &key.to_ascii_lowercase(), value);
            }
        }
        return Err(format!("names no {kind} of the settings file"));
    }
    set_value(table, &key.to_ascii_lowercase(), value)
}

/// Sets a value of a `[reach.CLOUD]`, which the file need not have.
fn set_reach(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    let (cloud, key) = key.split_once('_').unwrap_or((key, ""));
    let known = reach::KEYS.iter().find(|(name, _)| *name == cloud);
    if !known.is_some_and(|(_, keys)| keys.contains(&key)) {
        return Err("sets nothing that countersign knows".into());
    }
    let mut inner = table;
    for name in ["reach", cloud] {
        let entry = inner
            .entry(name)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let Some(found) = entry.as_table_mut() else {
            return Err(format!("`{name}` is no table in the settings file"));
        };
        inner = found;
    }
    inner.insert(key.to_owned(), toml::Value::String(value.to_owned()));
    Ok(())
}

const KNOWN: [&str; 27] = [
    "domain",
    "home",
    "policy",
    "anchor_grace",
    "fail_on",
    "duplicate_window",
    "scrub_days",
    "max_input_bytes",
    "outside_witnesses",
    "cloud",
    "sealed",
    "head",
    "key",
    "lock_mode",
    "retention_days",
    "origin",
    "allow_empty",
    "shards",
    "state",
    "chain",
    "server",
    "tls",
    "user",
    "password",
    "from",
    "to",
    "when",
];

fn set_value(table: &mut toml::Table, key: &str, value: &str) -> Result<(), String> {
    if !KNOWN.contains(&key) {
        return Err("sets nothing that countersign knows".into());
    }
    let parsed = match key {
        "duplicate_window" | "scrub_days" | "max_input_bytes" | "retention_days" | "shards" => {
            value
                .parse()
                .map(toml::Value::Integer)
                .map_err(|_| "must be a whole number")?
        }
        "allow_empty" => value
            .parse()
            .map(toml::Value::Boolean)
            .map_err(|_| "must be true or false")?,
        // A comma-separated list.
        "fail_on" | "to" => {
            let codes = value
                .split(',')
                .map(str::trim)
                .filter(|code| !code.is_empty());
            toml::Value::Array(
                codes
                    .map(|code| toml::Value::String(code.to_owned()))
                    .collect(),
            )
        }
        "outside_witnesses" => {
            let wrapped: toml::Table = format!("v = {value}")
                .parse()
                .map_err(|_| "must be a TOML array of tables")?;
            wrapped
                .get("v")
                .cloned()
                .unwrap_or(toml::Value::Array(Vec::new()))
        }
        _ => toml::Value::String(value.to_owned()),
    };
    table.insert(key.to_owned(), parsed);
    Ok(())
}
