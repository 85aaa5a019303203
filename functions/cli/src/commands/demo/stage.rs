//! Where a demonstration tells what happens, and whether it was to be expected.

use anstyle::{AnsiColor, Style};

use super::world::Judged;
use crate::ui::{Failure, Out, Outcome, Status, stdout_takes_colour, styled};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const HEADLINE: Style = Style::new().bold();

/// Where it is told what happens.
pub struct Stage {
    pub out: Out,
    colour: bool,
    act: usize,
    as_expected: bool,
}

/// What must be found of something that was done.
#[derive(Debug, Clone, Copy)]
pub struct Trace {
    /// In which chain.
    pub chain: &'static str,
    /// By which check.
    pub check: &'static str,
    /// With which code.
    pub code: &'static str,
}

impl Stage {
    pub fn new() -> Self {
        Self {
            out: Out::new(),
            colour: stdout_takes_colour(),
            act: 0,
            as_expected: true,
        }
    }

    pub fn act(&mut self, title: &str) {
        self.act += 1;
        let title = format!("{}  {title}", self.act);
        let title = styled(&title, HEADLINE, self.colour);
        self.out.line(format_args!("\n{title}"));
        self.out.flush();
    }

    pub fn line(&mut self, text: &str) {
        self.out.line(format_args!("{text}"));
        // What takes long comes after it.
        self.out.flush();
    }

    pub fn expect(&mut self, holds: bool) {
        self.as_expected &= holds;
    }

    pub fn verdict(&self, text: &str, good: bool) -> String {
        styled(text, if good { GOOD } else { BAD }, self.colour)
    }

    /// The verdict on what nobody touched, which must be good.
    pub fn whole(&mut self, judged: &Judged, what: &str) {
        let good = judged.result == "verified";
        self.expect(good);
        let verdict = self.verdict(&judged.result, good);
        self.line(&format!(
            "   {verdict}: {what}{} records in {} segments",
            judged.records, judged.segments
        ));
        for failing in &judged.failing {
            self.line(&format!(
                "   {}: {} {} {}",
                failing.origin,
                failing.check,
                failing.codes.join(" "),
                failing.reason
            ));
        }
    }

    /// The head of a table of what was done and who found it.
    pub fn table(&mut self, width: usize) {
        self.line(&format!(
            "   {:<width$}  verdict  found by (+N: other checks)",
            "what was done"
        ));
    }

    /// A row of it.
    pub fn row(&mut self, what: &str, width: usize, trace: Trace, judged: &Judged) {
        let (caught, by) = found_by(trace, judged);
        let as_expected = caught && judged.result == "failed";
        self.expect(as_expected);
        let result = self.verdict(&format!("{:<7}", judged.result), as_expected);
        let mark = match as_expected {
            true => String::new(),
            false => format!("  (expected {} {})", trace.code, trace.check),
        };
        self.line(&format!("   {what:<width$}  {result}  {by}{mark}"));
    }

    /// Ends it.
    ///
    /// # Errors
    /// When something came out otherwise than expected.
    pub fn end(self) -> Outcome {
        let as_expected = self.as_expected;
        self.out.finish()?;
        if as_expected {
            Ok(Status::Well)
        } else {
            Err(Failure::failed(
                "not everything came out as expected (see above): this is a fault of countersign",
            ))
        }
    }
}

/// Whether the check that should see it does, with the code that it should have;
/// it, and how many others do.
fn found_by(trace: Trace, judged: &Judged) -> (bool, String) {
    let suffix = format!("/{}", trace.chain);
    let of_chain = judged
        .failing
        .iter()
        .filter(|failing| failing.origin.ends_with(&suffix));
    let mut codes: Vec<(&str, &str)> = Vec::new();
    for failing in of_chain {
        for code in &failing.codes {
            if !codes.contains(&(&**code, &*failing.check)) {
                codes.push((code, &failing.check));
            }
        }
    }
    let expected = (trace.code, trace.check);
    let caught = codes.contains(&expected);
    codes.sort_by_key(|found| *found != expected);
    let mut others: Vec<&str> = codes.iter().skip(1).map(|(_, check)| *check).collect();
    others.sort_unstable();
    others.dedup();
    others.retain(|check| codes.first().is_some_and(|(_, first)| first != check));
    let by = match (codes.first(), others.len()) {
        (None, _) => "nothing".to_owned(),
        (Some((code, check)), 0) => format!("{code} {check}"),
        (Some((code, check)), others) => format!("{code} {check} +{others}"),
    };
    (caught, by)
}

#[cfg(test)]
mod tests {
    use super::super::world::Failing;
    use super::*;

    #[test]
    fn only_the_expected_code_of_the_expected_check_and_chain_counts() {
        let failing = |chain: &str, check: &str, codes: &[&str]| Failing {
            origin: format!("audit.example.org/{chain}"),
            check: check.to_owned(),
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            reason: String::new(),
        };
        let judged = |failing| Judged {
            result: "failed".to_owned(),
            records: 1,
            segments: 1,
            failing,
        };
        let trace = Trace {
            chain: "aws",
            check: "head",
            code: "CS-205",
        };
        for (found, expected) in [
            (vec![], (false, "nothing")),
            (
                vec![failing("azure", "head", &["CS-205"])],
                (false, "nothing"),
            ),
            (
                vec![failing("aws", "head", &["CS-201"])],
                (false, "CS-201 head"),
            ),
            (
                vec![
                    failing("aws", "genesis", &["CS-101"]),
                    failing("aws", "head", &["CS-206", "CS-205"]),
                    failing("aws", "tiles", &["CS-701", "CS-702"]),
                ],
                (true, "CS-205 head +2"),
            ),
        ] {
            let found = found_by(trace, &judged(found));
            assert_eq!((found.0, &*found.1), expected);
        }
    }
}
